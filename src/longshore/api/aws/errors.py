"""The errors of the APIs of AWS: their HTTP status, and the codes that IAM and STS have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.api.http import BadRequest
from longshore.errors import (
    AccessDenied,
    ExpiredIdentityToken,
    ExpiredToken,
    IncompleteSignature,
    InvalidSignature,
    MalformedHttpRequest,
    MissingAuthenticationToken,
    NotBuiltYet,
    RegistryError,
    RequestEntityTooLarge,
    RequestTimeout,
    Serialization,
    Server,
    Throttling,
    UnknownOperation,
    UnrecognizedClient,
    ValidationFailed,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

# Every error that the model of ECR declares is a 400, but for ServerException.
_JSON_STATUSES: dict[type[RegistryError], int] = {
    UnknownOperation: 404,
    RequestTimeout: 408,
    RequestEntityTooLarge: 413,
    Server: 500,
}

# IAM API reference, "Common Errors". What the model declares has its own code and status.
_QUERY_ANSWERS: dict[type[RegistryError], tuple[str, int]] = {
    AccessDenied: ("AccessDenied", 403),
    BadRequest: ("MalformedHttpRequest", 400),
    ExpiredIdentityToken: ("ExpiredTokenException", 400),
    ExpiredToken: ("ExpiredToken", 403),
    IncompleteSignature: ("IncompleteSignature", 400),
    InvalidSignature: ("SignatureDoesNotMatch", 403),
    MalformedHttpRequest: ("MalformedHttpRequest", 400),
    MissingAuthenticationToken: ("MissingAuthenticationToken", 403),
    NotBuiltYet: ("UnsupportedOperation", 400),
    RequestEntityTooLarge: ("RequestEntityTooLarge", 413),
    RequestTimeout: ("RequestTimeout", 408),
    Serialization: ("MalformedInput", 400),
    Server: ("InternalFailure", 500),
    Throttling: ("Throttling", 400),
    UnknownOperation: ("InvalidAction", 400),
    UnrecognizedClient: ("InvalidClientTokenId", 403),
    ValidationFailed: ("ValidationError", 400),
}


def json_status(kind: type[RegistryError]) -> int:
    """Return the HTTP status of an error in the JSON protocol."""
    return next((_JSON_STATUSES[base] for base in kind.__mro__ if base in _JSON_STATUSES), 400)


def query_answer(kind: type[RegistryError], statuses: Mapping[str, int]) -> tuple[str, int]:
    """Return the code and the HTTP status of an error in the Query protocol.

    Args:
        kind: the error's class.
        statuses: the status of each error that the service's model declares, by its code.
    """
    for base in kind.__mro__:
        if base in _QUERY_ANSWERS:
            return _QUERY_ANSWERS[base]
    return kind.code, statuses.get(kind.code, 400)
