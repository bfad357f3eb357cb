"""The errors of the ECR face: their HTTP status and their JSON form."""

from __future__ import annotations

import json

from longshore.api.http import Response
from longshore.errors import (
    RegistryError,
    RequestEntityTooLarge,
    RequestTimeout,
    Server,
    UnknownOperation,
)

CONTENT_TYPE = "application/x-amz-json-1.1"

# Every error that the model declares is a 400, but for ServerException.
_STATUSES: dict[type[RegistryError], int] = {
    UnknownOperation: 404,
    RequestTimeout: 408,
    RequestEntityTooLarge: 413,
    Server: 500,
}


def response_to(error: RegistryError) -> Response:
    """Return the answer that tells a client of `error`."""
    status = next((_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES), 400)
    document = {"__type": error.code, "message": error.message} | error.members
    return Response(status, {"Content-Type": CONTENT_TYPE}, json.dumps(document).encode())
