"""The errors of the registry face: their codes, their HTTP status and their JSON form.

The messages are those of the ECR face, word for word, as ECR's own proxy has them; the codes are
those of the OCI distribution specification, "Error Codes".
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING

from longshore.api.responses import Response
from longshore.errors import (
    AccessDenied,
    ExpiredToken,
    ImageDigestDoesNotMatch,
    ImageNotFound,
    ImageTagAlreadyExists,
    InvalidLayer,
    InvalidParameter,
    LayersNotFound,
    LimitExceeded,
    ReferencedImagesNotFound,
    RegistryError,
    RepositoryNotFound,
    RequestEntityTooLarge,
    RequestTimeout,
    Server,
    Throttling,
    UploadNotFound,
)
from longshore.registry.manifests import InvalidManifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from longshore.registry.dialect import Compatibility


class FaceError(RegistryError):
    """A refusal that only this face knows.

    Attributes:
        headers: what its answer says besides.
    """

    headers: Mapping[str, str] = MappingProxyType({})


class MethodNotAllowed(FaceError):
    """The path is known and doesn't take this method.

    Args:
        message: what to do instead, where there is something.
        allowed: the methods that it does take.
    """

    code = "UNSUPPORTED"

    def __init__(self, message: str, allowed: Iterable[str]) -> None:
        super().__init__(message)
        # RFC 9110, section 15.5.6.
        self.headers = {"Allow": ", ".join(allowed)}


class RouteNotFound(FaceError):
    """Nothing has this path."""

    code = "NOT_FOUND"


class BlobNotFound(LayersNotFound):
    """The blob that was asked for isn't in the repository."""


class InvalidDigest(FaceError):
    """A digest in a path or a query isn't one."""

    code = "DIGEST_INVALID"


class InvalidName(FaceError):
    """The name of a repository in a path isn't one."""

    code = "NAME_INVALID"


class ChunkOutOfPlace(FaceError):
    """A chunk that isn't where it should be.

    Args:
        message: what is wrong with it.
        headers: where its upload stands.
    """

    code = "BLOB_UPLOAD_INVALID"

    def __init__(self, message: str, headers: Mapping[str, str]) -> None:
        super().__init__(message)
        self.headers = headers


# The code and the status of each error; the nearest class up the family counts.
_TABLE: dict[type[RegistryError], tuple[str, int]] = {
    RegistryError: ("UNSUPPORTED", 400),
    AccessDenied: ("DENIED", 403),
    BlobNotFound: ("BLOB_UNKNOWN", 404),
    ChunkOutOfPlace: ("BLOB_UPLOAD_INVALID", 416),
    ExpiredToken: ("DENIED", 403),
    ImageDigestDoesNotMatch: ("DIGEST_INVALID", 400),
    ImageNotFound: ("MANIFEST_UNKNOWN", 404),
    ImageTagAlreadyExists: ("TAG_INVALID", 400),
    InvalidDigest: ("DIGEST_INVALID", 400),
    InvalidLayer: ("DIGEST_INVALID", 400),
    InvalidName: ("NAME_INVALID", 400),
    InvalidParameter: ("UNSUPPORTED", 405),
    LayersNotFound: ("BLOB_UPLOAD_UNKNOWN", 404),
    LimitExceeded: ("DENIED", 403),
    MethodNotAllowed: ("UNSUPPORTED", 405),
    ReferencedImagesNotFound: ("MANIFEST_BLOB_UNKNOWN", 400),
    RepositoryNotFound: ("NAME_UNKNOWN", 404),
    RequestEntityTooLarge: ("SIZE_INVALID", 413),
    RequestTimeout: ("UNKNOWN", 408),
    RouteNotFound: ("NOT_FOUND", 404),
    Server: ("UNKNOWN", 500),
    Throttling: ("TOOMANYREQUESTS", 429),
    UploadNotFound: ("BLOB_UPLOAD_UNKNOWN", 404),
}

# Where the specification has a better word than ECR.
_TABLE_OF_DIALECT: dict[Compatibility, dict[type[RegistryError], tuple[str, int]]] = {
    "ecr": {},
    "oci": {
        InvalidManifest: ("MANIFEST_INVALID", 400),
        InvalidParameter: ("UNSUPPORTED", 400),
        LayersNotFound: ("MANIFEST_BLOB_UNKNOWN", 404),
        BlobNotFound: ("BLOB_UNKNOWN", 404),
        ReferencedImagesNotFound: ("MANIFEST_BLOB_UNKNOWN", 404),
    },
}


def response_to(error: RegistryError, dialect: Compatibility) -> Response:
    """Return the answer that tells a client of `error`."""
    table = _TABLE | _TABLE_OF_DIALECT[dialect]
    code, status = next(table[kind] for kind in type(error).__mro__ if kind in table)
    entry = {"code": code, "message": error.message}
    if dialect == "oci" and isinstance(error, InvalidManifest):
        entry |= {"message": f"{error.message}: {error.reason}"}
    document = json.dumps({"errors": [entry]}) + "\n"
    more = error.headers if isinstance(error, FaceError) else {}
    if isinstance(error, Throttling):
        # OCI distribution-spec, "Error Codes".
        more = {"Retry-After": "1"}
    return Response(status, {"Content-Type": "application/json", **more}, document.encode())


def not_authorized(base_url: str) -> Response:
    """Return the answer to missing or unknown credentials: not JSON, as ECR has it."""
    return Response(
        401,
        {
            "Content-Type": "text/plain; charset=utf-8",
            "Www-Authenticate": f'Basic realm="{base_url}/",service="ecr.amazonaws.com"',
        },
        b"Not Authorized\n",
    )
