"""Sealing: what leaves the server and must come back unread and unchanged.

Registry tokens, page tokens, download URLs and stored secrets are all sealed with AES-256-GCM
under keys derived from the one server key, a different key for each purpose, so that a token of
one kind is never taken for another.
"""

from __future__ import annotations

import base64
import binascii
import os
from functools import cached_property
from typing import TYPE_CHECKING, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from pathlib import Path

_KEY_BYTES = 32
_NONCE_BYTES = 12


class BrokenSeal(ValueError):
    """The text wasn't sealed by this server for this purpose, or was changed since."""


class ServerKey:
    """The secret that all others derive from."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != _KEY_BYTES:
            raise ValueError(f"a server key has {_KEY_BYTES} bytes, not {len(secret)}")
        self._secret = secret
        self._seals: dict[str, Seal] = {}

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read the key from `file`.

        Raises:
            OSError: the file can't be read.
            ValueError: it holds no key.
        """
        try:
            return cls(base64.b64decode(file.read_text(encoding="ascii"), validate=False))
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{file} doesn't hold a server key") from error

    @classmethod
    def read_or_create(cls, file: Path) -> Self:
        """Read the key from `file`, or make a new one there that only the owner can read."""
        if not file.exists():
            write_private_file(file, base64.b64encode(os.urandom(_KEY_BYTES)).decode() + "\n")
        return cls.read(file)

    @cached_property
    def id(self) -> str:
        """A public name of the key, which tells nothing about it."""
        return self._derive("longshore key id")[:8].hex()

    def seal_for(self, purpose: str) -> Seal:
        """Return the seal of one purpose, of which there are a few."""
        seal = self._seals.get(purpose)
        if seal is None:
            seal = self._seals[purpose] = Seal(self._derive(f"longshore seal: {purpose}"))
        return seal

    def _derive(self, label: str) -> bytes:
        return HKDF(SHA256(), _KEY_BYTES, salt=None, info=label.encode()).derive(self._secret)


class Seal:
    """Encrypts and authenticates for one purpose."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def close(self, content: bytes, bound_to: bytes = b"") -> bytes:
        """Seal `content`; it opens only together with the same `bound_to`."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, bound_to)

    def open(self, sealed: bytes, bound_to: bytes = b"") -> bytes:
        """Return what was sealed.

        Raises:
            BrokenSeal: `sealed` isn't from here, was changed, or is bound to something else.
        """
        if len(sealed) <= _NONCE_BYTES:
            raise BrokenSeal("too short to be sealed")
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)
        except InvalidTag:
            raise BrokenSeal("not sealed by this server for this purpose") from None

    def close_text(self, content: bytes, bound_to: bytes = b"") -> str:
        """Seal `content` as text that is safe in a URL."""
        return base64.urlsafe_b64encode(self.close(content, bound_to)).decode().rstrip("=")

    def open_text(self, sealed: str, bound_to: bytes = b"") -> bytes:
        """Return what was sealed as text.

        Raises:
            BrokenSeal: as `open`, or `sealed` isn't such text.
        """
        try:
            raw = base64.b64decode(
                sealed.encode("ascii") + b"=" * (-len(sealed) % 4), altchars=b"-_", validate=True
            )
        except (binascii.Error, UnicodeEncodeError):
            raise BrokenSeal("not text sealed by this server") from None
        return self.open(raw, bound_to)


def write_private_file(file: Path, content: str) -> None:
    """Write `file` durably and whole or not at all; only its owner can read it.

    Whoever comes second keeps the first one's file.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(draft, file)
        except FileExistsError:
            return
        directory = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        draft.unlink()
