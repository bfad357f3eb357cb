"""Sealing: what leaves the server and must come back unread and unchanged.

Registry tokens, page tokens, download URLs and stored secrets are all sealed with AES-256-GCM
under keys derived from the one server key, a different key for each purpose, so that a token of
one kind is never taken for another.
"""

from __future__ import annotations

import base64
import binascii
import logging
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_KEY_BYTES = 32
_NONCE_BYTES = 12
_MARK_BYTES = 4

_log = logging.getLogger(__name__)


class BrokenSeal(ValueError):
    """The text wasn't sealed by this server for this purpose, or was changed since."""


class ServerKey:
    """The secret that all others derive from, and those that were it before.

    What is sealed is sealed with the newest one and names it; what an older one has sealed still
    opens. One that was read from a file follows the file: another process may have changed it.

    Args:
        newest: what to seal with.
        older: what else to open with.
    """

    def __init__(self, newest: bytes, *older: bytes) -> None:
        self._known = _Ring(tuple(map(_Secret, (newest, *older))))
        self._file: Path | None = None
        self._stamp: tuple[int, ...] = ()

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read the keys from `file`, one on each line, the newest first.

        Raises:
            OSError: the file can't be read.
            ValueError: it holds no key, or something that is none.
        """
        stamp = _stamp(file)
        key = cls(*_read_secrets(file))
        key._file, key._stamp = file, stamp
        return key

    @classmethod
    def read_or_create(cls, file: Path) -> Self:
        """Read the keys from `file`, or make a first one there that only the owner can read."""
        if not file.exists():
            write_private_file(file, _as_line(os.urandom(_KEY_BYTES)))
        return cls.read(file)

    @property
    def id(self) -> str:
        """A public name of the newest key, which tells nothing about it."""
        return self._ring().secrets[0].id

    @property
    def ids(self) -> tuple[str, ...]:
        """The names of all keys, the newest first."""
        return self._ring().ids

    def seal_for(self, purpose: str) -> Seal:
        """Return the seal of one purpose."""
        return self._ring().seal_for(purpose)

    def rotate(self) -> None:
        """Put a new key before those in the file, durably: it is what seals from now on."""
        file = self._own_file()
        lines = [_as_line(each) for each in (os.urandom(_KEY_BYTES), *_read_secrets(file))]
        replace_private_file(file, "".join(lines))

    def retire(self) -> None:
        """Leave only the newest key in the file: what others have sealed never opens again."""
        file = self._own_file()
        replace_private_file(file, _as_line(_read_secrets(file)[0]))

    def _ring(self) -> _Ring:
        if self._file is None:
            return self._known
        try:
            stamp = _stamp(self._file)
            if stamp != self._stamp:
                self._known = _Ring(tuple(map(_Secret, _read_secrets(self._file))))
                self._stamp = stamp
        except (OSError, ValueError):
            # Whoever spoils the file of a server that runs finds out at its next start.
            _log.exception("the server's keys can't be read again; those known go on")
        return self._known

    def _own_file(self) -> Path:
        if self._file is None:
            raise ValueError("this server key is in no file")
        return self._file


class _Secret:
    """One of the keys."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != _KEY_BYTES:
            raise ValueError(f"a server key has {_KEY_BYTES} bytes, not {len(secret)}")
        self._secret = secret
        self.id = self.derive("longshore key id")[:8].hex()

    @property
    def mark(self) -> bytes:
        """What begins whatever it has sealed."""
        return bytes.fromhex(self.id)[:_MARK_BYTES]

    def derive(self, label: str) -> bytes:
        return HKDF(SHA256(), _KEY_BYTES, salt=None, info=label.encode()).derive(self._secret)


class _Ring:
    """The keys of one moment, and the seals that were asked for."""

    def __init__(self, secrets: tuple[_Secret, ...]) -> None:
        self.secrets = secrets
        self.ids = tuple(secret.id for secret in secrets)
        self._seals: dict[str, Seal] = {}

    def seal_for(self, purpose: str) -> Seal:
        # There are as many purposes as the code has.
        seal = self._seals.get(purpose)
        if seal is None:
            label = f"longshore seal: {purpose}"
            keys = {secret.mark: secret.derive(label) for secret in self.secrets}
            seal = Seal(keys, self.ids[0])
            self._seals[purpose] = seal
        return seal


class Seal:
    """Encrypts and authenticates for one purpose.

    Args:
        keys: the first one seals; whatever a key has sealed begins with its mark.
        key_id: the name of the key that seals.

    Attributes:
        key_id: the same.
    """

    def __init__(self, keys: Mapping[bytes, bytes], key_id: str) -> None:
        self.key_id = key_id
        self._ciphers = {mark: AESGCM(key) for mark, key in keys.items()}
        self._mark, self._cipher = next(iter(self._ciphers.items()))

    def close(self, content: bytes, bound_to: bytes = b"") -> bytes:
        """Seal `content`; it opens only together with the same `bound_to`."""
        nonce = os.urandom(_NONCE_BYTES)
        return self._mark + nonce + self._cipher.encrypt(nonce, content, bound_to)

    def is_newest(self, sealed: bytes) -> bool:
        """Tell whether `sealed` says that the newest key has sealed it."""
        return sealed.startswith(self._mark)

    def open(self, sealed: bytes, bound_to: bytes = b"") -> bytes:
        """Return what was sealed.

        Raises:
            BrokenSeal: `sealed` isn't from here, was changed, or is bound to something else.
        """
        named = self._ciphers.get(sealed[:_MARK_BYTES])
        if named is not None:
            with suppress(BrokenSeal):
                return _opened(named, sealed[_MARK_BYTES:], bound_to)
        # Without a mark, as everything was sealed before keys could be rotated.
        for cipher in self._ciphers.values():
            with suppress(BrokenSeal):
                return _opened(cipher, sealed, bound_to)
        raise BrokenSeal("not sealed by this server for this purpose")

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
    with _draft_of(file, content) as draft:
        with suppress(FileExistsError):
            os.link(draft, file)
        draft.unlink()


def replace_private_file(file: Path, content: str) -> None:
    """Write `file` as `write_private_file` does, in place of the one that is there."""
    with _draft_of(file, content) as draft:
        draft.replace(file)


@contextmanager
def _draft_of(file: Path, content: str) -> Iterator[Path]:
    """Write a file beside `file`; the block puts it there, which then is made durable."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        yield draft
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read_secrets(file: Path) -> list[bytes]:
    try:
        lines = file.read_text(encoding="ascii").split()
        secrets = [base64.b64decode(line, validate=True) for line in lines]
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{file} doesn't hold a server key") from error
    if not secrets:
        raise ValueError(f"{file} doesn't hold a server key")
    return secrets


def _as_line(secret: bytes) -> str:
    return base64.b64encode(secret).decode() + "\n"


def _stamp(file: Path) -> tuple[int, ...]:
    """Return what changes whenever the file is replaced."""
    # Most requests come by here, and `Path.stat` takes twice as long.
    found = os.stat(file)  # noqa: PTH116
    return found.st_ino, found.st_mtime_ns, found.st_size


def _opened(cipher: AESGCM, sealed: bytes, bound_to: bytes) -> bytes:
    if len(sealed) <= _NONCE_BYTES:
        raise BrokenSeal("too short to be sealed")
    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)
    except InvalidTag:
        raise BrokenSeal("not sealed by this server for this purpose") from None
