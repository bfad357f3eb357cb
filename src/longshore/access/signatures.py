"""Signatures of requests, read: AWS Signature Version 4, what the `Authorization` header claims.

Only the form with that header is spoken (IAM User Guide, "Create a signed AWS API request"). What
is read here proves nothing yet: `longshore.access.sigv4` verifies it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar

from longshore.errors import IncompleteSignature, InvalidSignature, MissingAuthenticationToken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ALGORITHM: Final = "AWS4-HMAC-SHA256"
TERMINATOR: Final = "aws4_request"
"""The end of each credential's scope."""
ISO_BASIC: Final = "%Y%m%dT%H%M%SZ"
"""The form of the times that are signed."""
CONTENT_SHA256: Final = b"x-amz-content-sha256"
"""The header that declares the body's hash."""

_PARAMETERS = ("Credential", "Signature", "SignedHeaders")
_PRESIGNED = frozenset({b"x-amz-algorithm", b"x-amz-credential", b"x-amz-signature"})
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
        return f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"

    @property
    def header_names(self) -> tuple[bytes, ...]:
        """`signed_headers` as they are sent."""
        return _encoded(self.signed_headers)


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
    if algorithm != ALGORITHM:
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
        raise IncompleteSignature(f"{sentences} Authorization={ALGORITHM} ...")


@_remembering
def _read_timestamp(value: bytes) -> str:
    try:
        text = value.decode("ascii")
        if " " in text:
            # `Date` in HTTP's own form; what is signed is the same moment in ISO 8601.
            moment = parsedate_to_datetime(text)
            text = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC).strftime(ISO_BASIC)
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
    declared = headers.get(CONTENT_SHA256, b"")
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
    if terminator != TERMINATOR:
        raise InvalidSignature(
            "Credential should be scoped with a valid terminator: "
            f"'{TERMINATOR}', not '{terminator}'."
        )
    if date != timestamp[:8]:
        raise InvalidSignature(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
            f"HTTP: '{date}' != '{timestamp[:8]}', from '{timestamp}'."
        )
    return access_key_id, date, region, service


def _title(name: bytes) -> str:
    return name.decode("latin-1").title()
