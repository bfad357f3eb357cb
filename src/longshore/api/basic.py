"""Basic authentication (RFC 7617)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from longshore.errors import UnrecognizedClient

if TYPE_CHECKING:
    from longshore.api.http import Request


@dataclass(frozen=True, slots=True)
class BasicCredentials:
    """The user and the password of Basic authentication."""

    user: str
    password: str = field(repr=False)

    @property
    def digest(self) -> str:
        """A name for them that gives nothing away."""
        return hashlib.sha256(f"{self.user}:{self.password}".encode()).hexdigest()


def read_basic(request: Request) -> BasicCredentials | None:
    """Return the user and the password of Basic authentication (RFC 7617).

    None if there are no credentials at all; some clients then send an empty user and password.

    Raises:
        UnrecognizedClient: there are others. They don't make anybody anonymous.
    """
    headers = request.all_headers(b"authorization")
    if not headers:
        return None
    scheme, _, parameter = headers[0].partition(b" ") if len(headers) == 1 else (b"", b"", b"")
    if scheme.lower() != b"basic":
        raise UnrecognizedClient
    try:
        text = base64.b64decode(parameter.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise UnrecognizedClient from None
    if text == ":":
        return None
    user, colon, password = text.partition(":")
    if not colon:
        raise UnrecognizedClient
    return BasicCredentials(user, password)
