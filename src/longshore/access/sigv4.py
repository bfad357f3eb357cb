"""AWS Signature Version 4, the verifying side.

`longshore.access.signatures.read_signature` needs the head alone, `SignatureVerifier.verify` also
the secret and the body's hash; between them a caller holds the credential's scope and key against
what it knows.

A signature covers the path in its normal form, without empty, `.` and `..` segments: whoever routes
by the path as it was sent must know that `/a/../b` and `/b` are signed alike.
"""

from __future__ import annotations

import hmac
import secrets
import string
from collections import OrderedDict
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from threading import Lock
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from longshore.access.signatures import ALGORITHM, CONTENT_SHA256, ISO_BASIC, TERMINATOR
from longshore.clock import MINUTE, SECOND, Clock, Millis, as_datetime
from longshore.errors import InvalidSignature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from longshore.access.signatures import RequestHead, Signature


class SignatureVerifier:
    """Verifies signatures against secrets. Threads may share one.

    A signature's time may be `skew` milliseconds from the clock's either way; ECR allows fifteen
    minutes. `cached_keys` signing keys are remembered; each is good for one secret and one day.
    """

    def __init__(self, clock: Clock, skew: Millis = 15 * MINUTE, cached_keys: int = 1024) -> None:
        self._clock = clock
        self._skew = skew
        self._keys = _SigningKeys(cached_keys)

    @staticmethod
    def check_scope(
        signature: Signature, *, region: str | Callable[[str], bool], service: str
    ) -> None:
        """Hold the credential's scope against this server's region, or regions, and service.

        Raises:
            InvalidSignature: the credential is scoped to another region or service.
        """
        given = signature.region
        faults = []
        if not (region(given) if callable(region) else region == given):
            faults.append(f"Credential should be scoped to a valid region, not '{given}'.")
        if signature.service != service:
            faults.append(f"Credential should be scoped to correct service: '{service}'.")
        if faults:
            raise InvalidSignature(" ".join(faults))

    def verify(
        self, signature: Signature, head: RequestHead, body_sha256: str, secret: str
    ) -> None:
        """Prove that whoever holds `secret` signed this request, lately.

        Args:
            signature: what `read_signature` read from `head`.
            head: the request without its body.
            body_sha256: of the body as received, in lower-case hex.
            secret: the secret access key of the signature's `access_key_id`.

        Raises:
            InvalidSignature: the signature is wrong, out of its time or for another body.
        """
        self._check_time(signature.timestamp)
        headers = head.folded()
        if headers.get(CONTENT_SHA256, body_sha256.encode()) != body_sha256.encode():
            raise InvalidSignature(
                "The provided 'x-amz-content-sha256' header does not match what was computed."
            )
        request_hash = sha256(_canonical_request(head, headers, signature, body_sha256)).hexdigest()
        signed = f"{ALGORITHM}\n{signature.timestamp}\n{signature.scope}\n{request_hash}"
        label = self._keys.label(secret, signature.scope)
        known = self._keys.find(label)
        key = known or _SigningKey.derive(secret, signature)
        expected = key.sign(signed.encode())
        if not hmac.compare_digest(expected.encode(), signature.signature.encode()):
            raise InvalidSignature(
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method. "
                "Consult the service documentation for details."
            )
        if known is None:
            # Only now: whoever can't sign must not push others' keys out.
            self._keys.keep(label, key)

    def _check_time(self, timestamp: str) -> None:
        # Signatures tell whole seconds; so does the clock they are held against.
        now = self._clock() // SECOND * SECOND
        signed = _moment_of(timestamp)
        if abs(signed - now) <= self._skew:
            return
        minutes = f"{self._skew / MINUTE:g} min."
        if signed < now:
            raise InvalidSignature(
                f"Signature expired: {timestamp} is now earlier than "
                f"{_timestamp(now - self._skew)} ({_timestamp(now)} - {minutes})"
            )
        raise InvalidSignature(
            f"Signature not yet current: {timestamp} is still later than "
            f"{_timestamp(now + self._skew)} ({_timestamp(now)} + {minutes})"
        )


class _SigningKey:
    """What a secret signs with on one day, in one region, for one service.

    Args:
        key: the key, 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        # HMAC by its definition (RFC 2104): OpenSSL takes twice as long to look HMAC up as to
        # compute it, each time.
        padded = key.ljust(sha256().block_size, b"\0")
        self._inner, self._outer = padded.translate(hmac.trans_36), padded.translate(hmac.trans_5C)

    @classmethod
    def derive(cls, secret: str, signature: Signature) -> Self:
        key = f"AWS4{secret}".encode()
        for element in (signature.date, signature.region, signature.service, TERMINATOR):
            key = hmac.digest(key, element.encode(), "sha256")
        return cls(key)

    def sign(self, text: bytes) -> str:
        """Return the signature of a text in hex."""
        return sha256(self._outer + sha256(self._inner + text).digest()).hexdigest()


class _SigningKeys:
    """The signing keys used last.

    Secrets aren't remembered: a key is found by a label that can't be traced back, and is of no use
    after its day.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._label_key = secrets.token_bytes(32)
        self._keys: OrderedDict[bytes, _SigningKey] = OrderedDict()
        self._lock = Lock()

    def label(self, secret: str, scope: str) -> bytes:
        # A scope holds no line break, so no other two make the same text.
        return sha256(self._label_key + f"{scope}\n{secret}".encode()).digest()

    def find(self, label: bytes) -> _SigningKey | None:
        with self._lock:
            key = self._keys.get(label)
            if key is not None:
                self._keys.move_to_end(label)
            return key

    def keep(self, label: bytes, key: _SigningKey) -> None:
        with self._lock:
            self._keys[label] = key
            if len(self._keys) > self._limit:
                self._keys.popitem(last=False)


def _canonical_request(
    head: RequestHead, headers: Mapping[bytes, bytes], signature: Signature, body_sha256: str
) -> bytes:
    names = signature.header_names
    return b"\n".join(
        (
            head.method.encode(),
            _canonical_path(head.path).encode(),
            _canonical_query(head.query).encode(),
            *[name + b":" + headers[name] for name in names],
            b"",
            b";".join(names),
            body_sha256.encode(),
        )
    )


def _canonical_path(path: bytes) -> str:
    """Normalise the path and encode it once more (every service but S3 is signed so)."""
    if path == b"/":
        return "/"
    kept: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in {b"", b"."}:
            kept.append(segment)
    end = b"/" if kept and path.endswith(b"/") else b""
    return quote(b"/" + b"/".join(kept) + end, safe="/~")


def _canonical_query(query: bytes) -> str:
    """Sort the parameters, which are taken as encoded already where they could be."""
    if not query:
        return ""
    pairs = [pair.partition("=") for pair in quote(query, safe=string.punctuation).split("&")]
    pairs.sort(key=itemgetter(0, 2))
    return "&".join(f"{name}={value}" for name, _, value in pairs)


# Many requests of a client are of one second.
@lru_cache(256)
def _moment_of(timestamp: str) -> Millis:
    return int(datetime.fromisoformat(timestamp).timestamp()) * SECOND


def _timestamp(moment: Millis) -> str:
    return as_datetime(moment).strftime(ISO_BASIC)
