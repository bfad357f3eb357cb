"""AWS Signature Version 4, the verifying side.

Only the form with an `Authorization` header is spoken (IAM User Guide, "Create a signed AWS API
request"). `read_signature` needs the head alone, `SignatureVerifier.verify` also the secret and the
body's hash; between them a caller holds the credential's scope and key against what it knows.

A signature covers the path in its normal form, without empty, `.` and `..` segments: whoever routes
by the path as it was sent must know that `/a/../b` and `/b` are signed alike.
"""

from __future__ import annotations

import hmac
import re
import secrets
import string
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from threading import Lock
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import quote

from longshore.clock import MINUTE, SECOND, Clock, Millis, as_datetime
from longshore.errors import IncompleteSignature, InvalidSignature, MissingAuthenticationToken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ALGORITHM = "AWS4-HMAC-SHA256"
_TERMINATOR = "aws4_request"
_ISO_BASIC = "%Y%m%dT%H%M%SZ"
_PARAMETERS = ("Credential", "Signature", "SignedHeaders")
_PRESIGNED = frozenset({b"x-amz-algorithm", b"x-amz-credential", b"x-amz-signature"})
_CONTENT_SHA256 = b"x-amz-content-sha256"
_HEX = re.compile(r"[0-9a-f]{64}")
# The same words come with every request of a key, and the same time with many in a second. None of
# these is a secret. What is longer than usual isn't remembered: strangers may send it.
_REMEMBERED = 256
_LONGEST_REMEMBERED = 1024
# A second one of these would be read otherwise than it was signed, or not at all.
_ONCE = frozenset({b"authorization", b"content-length", b"content-type", b"date", b"host"})


# Neither this nor `Signature` is frozen: each request makes one, and freezing costs more than all
# that is in them.
@dataclass(slots=True)
class RequestHead:
    """What a signature covers besides the body, as it came over the wire.

    Path and query (without its `?`) are percent-encoded as they were sent. Headers are in their
    order, repeated ones repeated, with names in lower case.
    """

    method: str
    path: bytes
    query: bytes
    headers: Sequence[tuple[bytes, bytes]] = field(repr=False)
    _folded: dict[bytes, bytes] | None = field(default=None, init=False, repr=False, compare=False)

    def folded(self) -> Mapping[bytes, bytes]:
        """Return the headers as they are signed: trimmed and folded, repeated ones joined.

        Raises:
            IncompleteSignature: one is repeated that can't be joined.
        """
        if self._folded is None:
            self._folded = _fold(self.headers)
        return self._folded


@dataclass(slots=True)
class Signature:
    """What the `Authorization` header claims, read but not verified.

    Its parts agree with each other and with the head that it was read from: `date` (`YYYYMMDD`) is
    the day of `timestamp` (`YYYYMMDD'T'HHMMSS'Z'`), and `signed_headers`, sorted and in lower case,
    are all there and all that must be signed. `signature` is what was sent, in hex if all is well.
    """

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str = field(repr=False)
    timestamp: str
    security_token: str | None = field(repr=False)

    @property
    def scope(self) -> str:
        """The credential's scope as it is signed."""
        return f"{self.date}/{self.region}/{self.service}/{_TERMINATOR}"


Text = TypeVar("Text", str, bytes, tuple[str, ...])
Read = TypeVar("Read")


def _remembering(read: Callable[[Text], Read]) -> Callable[[Text], Read]:
    """Let a function that reads a text remember what it read of late."""
    remembered = lru_cache(_REMEMBERED)(read)

    def read_or_recall(text: Text) -> Read:
        return remembered(text) if len(text) <= _LONGEST_REMEMBERED else read(text)

    return read_or_recall


def read_signature(head: RequestHead) -> Signature:
    """Read the signature that a request carries.

    The sentences are AWS's; what was sent isn't repeated in them, since people put secrets in the
    wrong places.

    Raises:
        MissingAuthenticationToken: there is no `Authorization`, or it is of another kind.
        IncompleteSignature: it lacks a part, can't be read or can be read in two ways.
        InvalidSignature: it doesn't cover what it must, or its parts contradict each other.
    """
    headers = head.folded()
    if head.query:
        _refuse_presigned(head.query)
    authorization = headers.get(b"authorization", b"").decode("latin-1")
    if not authorization.startswith("AWS4-"):
        raise MissingAuthenticationToken
    algorithm, _, parameter_list = authorization.partition(" ")
    if algorithm != _ALGORITHM:
        raise IncompleteSignature(f"Unsupported AWS 'algorithm': {algorithm[:40]!a}.")
    parameters, signature = _read_signed_parameters(parameter_list)
    date_header = b"x-amz-date" if b"x-amz-date" in headers else b"date"
    _require_parts({**parameters, "Signature": signature}, dated=date_header in headers)
    timestamp = _read_timestamp(headers[date_header])
    signed_headers = _read_signed_headers(parameters["SignedHeaders"])
    _require_coverage(headers, signed_headers, date_header)
    _refuse_unsigned_body(headers)
    token = headers.get(b"x-amz-security-token")
    return Signature(
        *_read_credential(parameters["Credential"], timestamp),
        signed_headers=signed_headers,
        signature=signature,
        timestamp=timestamp,
        security_token=None if token is None else token.decode("latin-1"),
    )


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
        if headers.get(_CONTENT_SHA256, body_sha256.encode()) != body_sha256.encode():
            raise InvalidSignature(
                "The provided 'x-amz-content-sha256' header does not match what was computed."
            )
        request_hash = sha256(_canonical_request(head, headers, signature, body_sha256)).hexdigest()
        signed = f"{_ALGORITHM}\n{signature.timestamp}\n{signature.scope}\n{request_hash}"
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
        for element in (signature.date, signature.region, signature.service, _TERMINATOR):
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


def _fold(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    folded = {name: b" ".join(raw.split()) for name, raw in headers}
    return folded if len(folded) == len(headers) else _joined(headers)


def _joined(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    joined: dict[bytes, bytes] = {}
    for name, raw in headers:
        value = b" ".join(raw.split())
        if name in joined:
            if name in _ONCE or name.startswith(b"x-amz-"):
                raise IncompleteSignature(f"The header '{_title(name)}' may be sent only once.")
            value = joined[name] + b"," + value
        joined[name] = value
    return joined


def _refuse_presigned(query: bytes) -> None:
    names = {pair.partition(b"=")[0] for pair in query.lower().split(b"&")}
    if not names.isdisjoint(_PRESIGNED):
        raise IncompleteSignature(
            "Presigned requests are not supported: sign with the 'Authorization' header."
        )


def _read_signed_parameters(parameter_list: str) -> tuple[Mapping[str, str], str]:
    """Return the parameters, and the signature apart from them; "" if there is none."""
    claims, name, signature = parameter_list.rpartition("Signature=")
    if name and claims.endswith((" ", ",")) and _HEX.fullmatch(signature):
        # All but the signature is the same in every request of a key on a day.
        parameters = _read_claims(claims)
        if "Signature" in parameters:
            raise IncompleteSignature("Authorization header has the same parameter twice.")
        return parameters, signature
    parameters = _read_parameters(parameter_list)
    return parameters, parameters.get("Signature", "")


@_remembering
def _read_claims(claims: str) -> Mapping[str, str]:
    return _read_parameters(claims)


def _read_parameters(parameter_list: str) -> dict[str, str]:
    if not (parameter_list.isascii() and parameter_list.isprintable()):
        raise IncompleteSignature("Authorization header must consist of printable ASCII.")
    parameters: dict[str, str] = {}
    # Commas, blanks or both part them, as AWS reads it.
    for part in parameter_list.replace(",", " ").split():
        name, equals, value = part.partition("=")
        if not equals:
            raise IncompleteSignature(
                "Invalid key=value pair (missing equal-sign) in Authorization header."
            )
        if name in parameters:
            raise IncompleteSignature("Authorization header has the same parameter twice.")
        parameters[name] = value
    return parameters


def _require_parts(parameters: Mapping[str, str], *, dated: bool) -> None:
    faults = [f"'{name}' parameter." for name in _PARAMETERS if not parameters.get(name)]
    if not dated:
        faults.append("existence of either a 'X-Amz-Date' or a 'Date' header.")
    if faults:
        sentences = " ".join(f"Authorization header requires {fault}" for fault in faults)
        raise IncompleteSignature(f"{sentences} Authorization={_ALGORITHM} ...")


@_remembering
def _read_timestamp(value: bytes) -> str:
    try:
        text = value.decode("ascii")
        if " " in text:
            # `Date` in HTTP's own form; what is signed is the same moment in ISO 8601.
            moment = parsedate_to_datetime(text)
            text = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC).strftime(_ISO_BASIC)
        if len(text) == 16 and text[8] + text[15] == "TZ" and (text[:8] + text[9:15]).isdigit():
            datetime.fromisoformat(text)
            return text
    except (ValueError, OverflowError):
        pass
    raise IncompleteSignature(
        f"Date must be in ISO-8601 'basic format'. Got {value[:40].decode('latin-1')!a}."
    )


@_remembering
def _read_signed_headers(text: str) -> tuple[str, ...]:
    names = text.lower().split(";")
    if text != ";".join(sorted(set(names))) or "" in names:
        raise IncompleteSignature("The 'SignedHeaders' must be sorted, unique and in lower case.")
    return tuple(names)


@_remembering
def _encoded(signed_headers: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(name.encode() for name in signed_headers)


@_remembering
def _encoded_set(signed_headers: tuple[str, ...]) -> frozenset[bytes]:
    return frozenset(_encoded(signed_headers))


def _require_coverage(
    headers: Mapping[bytes, bytes], signed_headers: tuple[str, ...], date_header: bytes
) -> None:
    signed = _encoded_set(signed_headers)
    required = {name for name in headers if name.startswith(b"x-amz-")}
    required |= {b"host", date_header}
    if required <= signed <= headers.keys():
        return
    faults = [
        f"'{_title(name)}' must be a 'SignedHeader' in the AWS Authorization."
        for name in sorted(required - signed)
    ]
    absent = sorted(signed - headers.keys())
    faults += [f"The 'SignedHeader' '{_title(name)}' is not in the request." for name in absent]
    if faults:
        raise InvalidSignature(" ".join(faults))


def _refuse_unsigned_body(headers: Mapping[bytes, bytes]) -> None:
    declared = headers.get(_CONTENT_SHA256, b"")
    if declared.startswith((b"UNSIGNED-", b"STREAMING-")):
        raise InvalidSignature(
            f"The body must be signed: {declared[:60].decode('latin-1')!a} as "
            "'x-amz-content-sha256' is not supported."
        )


@_remembering
def _read_elements(credential: str) -> tuple[str, ...]:
    elements = credential.split("/")
    if len(elements) != 5 or not all(elements):
        raise IncompleteSignature(
            "Credential must have exactly 5 slash-delimited elements, "
            "e.g. keyid/date/region/service/term."
        )
    return tuple(elements)


def _read_credential(credential: str, timestamp: str) -> tuple[str, str, str, str]:
    access_key_id, date, region, service, terminator = _read_elements(credential)
    if terminator != _TERMINATOR:
        raise InvalidSignature(
            "Credential should be scoped with a valid terminator: "
            f"'{_TERMINATOR}', not '{terminator}'."
        )
    if date != timestamp[:8]:
        raise InvalidSignature(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
            f"HTTP: '{date}' != '{timestamp[:8]}', from '{timestamp}'."
        )
    return access_key_id, date, region, service


def _canonical_request(
    head: RequestHead, headers: Mapping[bytes, bytes], signature: Signature, body_sha256: str
) -> bytes:
    names = _encoded(signature.signed_headers)
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


@_remembering
def _moment_of(timestamp: str) -> Millis:
    return int(datetime.fromisoformat(timestamp).timestamp()) * SECOND


def _timestamp(moment: Millis) -> str:
    return as_datetime(moment).strftime(_ISO_BASIC)


def _title(name: bytes) -> str:
    return name.decode("latin-1").title()
