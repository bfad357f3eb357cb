from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from longshore.api.ecr import api as ecr_api
from longshore.api.http import BadRequest
from longshore.api.oci.errors import (
    ChunkOutOfPlace,
    MethodNotAllowed,
    not_authorized,
    response_to,
)
from longshore.errors import (
    ImageDigestDoesNotMatch,
    InvalidParameter,
    LayersNotFound,
    RegistryError,
    RepositoryNotFound,
    RequestTimeout,
    Server,
    StorageFull,
    Throttling,
    UnknownOperation,
)
from longshore.registry.limits import Limits
from longshore.registry.manifests import InvalidManifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from longshore.registry.dialect import Compatibility

ECR = ecr_api.load(Limits())

# OCI distribution-spec, "Error Codes", and three words for what it has none for.
CODES = {
    "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID",
    "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED", "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS",
} | {"NOT_FOUND", "TAG_INVALID", "UNKNOWN"}  # fmt: skip


def family(kind: type[RegistryError] = RegistryError) -> Iterator[type[RegistryError]]:
    for each in kind.__subclasses__():
        yield each
        yield from family(each)


def an_error(kind: type[RegistryError]) -> RegistryError:
    """Make an error of this kind, whatever its constructor takes."""
    error = kind.__new__(kind)
    RegistryError.__init__(error, "a sentence")
    if kind is InvalidManifest:
        error = InvalidManifest("a reason")
    return error


# In an order that every test process shares.
KINDS = sorted(set(family()), key=lambda kind: kind.__qualname__)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("dialect", ["ecr", "oci"])
def test_every_error_has_an_answer_on_both_faces(
    kind: type[RegistryError], dialect: Compatibility
) -> None:
    error = an_error(kind)

    response = response_to(error, dialect)
    assert isinstance(response.body, bytes)
    [entry] = json.loads(response.body)["errors"]
    assert entry["code"] in CODES
    assert 400 <= response.status <= 500
    assert response.body.endswith(b"\n")

    if not hasattr(kind, "code"):
        return
    response = ECR.refusal(error, "")
    assert isinstance(response.body, bytes)
    document = json.loads(response.body)
    assert document == {"__type": error.code, "message": error.message}


@pytest.mark.parametrize(
    ("error", "ecr", "oci", "api"),
    [
        (RepositoryNotFound("a", "1"), (404, "NAME_UNKNOWN"), (404, "NAME_UNKNOWN"), 400),
        (InvalidParameter("x"), (405, "UNSUPPORTED"), (400, "UNSUPPORTED"), 400),
        (InvalidManifest("x"), (405, "UNSUPPORTED"), (400, "MANIFEST_INVALID"), 400),
        (
            LayersNotFound("x"),
            (404, "BLOB_UPLOAD_UNKNOWN"),
            (404, "MANIFEST_BLOB_UNKNOWN"),
            400,
        ),
        (ImageDigestDoesNotMatch(1, 2), (400, "DIGEST_INVALID"), (400, "DIGEST_INVALID"), 400),
        (Throttling(), (429, "TOOMANYREQUESTS"), (429, "TOOMANYREQUESTS"), 400),
        (RequestTimeout("x"), (408, "UNKNOWN"), (408, "UNKNOWN"), 408),
        (Server("x"), (500, "UNKNOWN"), (500, "UNKNOWN"), 500),
        (StorageFull(), (500, "UNKNOWN"), (500, "UNKNOWN"), 500),
        (BadRequest("x"), (400, "UNSUPPORTED"), (400, "UNSUPPORTED"), 400),
        (
            ChunkOutOfPlace("x", {}),
            (416, "BLOB_UPLOAD_INVALID"),
            (416, "BLOB_UPLOAD_INVALID"),
            400,
        ),
        (UnknownOperation("x"), (400, "UNSUPPORTED"), (400, "UNSUPPORTED"), 404),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_statuses_and_codes(
    error: RegistryError, ecr: tuple[int, str], oci: tuple[int, str], api: int
) -> None:
    def answer(dialect: Compatibility) -> tuple[int, str]:
        response = response_to(error, dialect)
        assert isinstance(response.body, bytes)
        return response.status, json.loads(response.body)["errors"][0]["code"]

    assert (answer("ecr"), answer("oci")) == (ecr, oci)
    assert ECR.refusal(error, "").status == api


def test_further_members_of_an_error_are_told_to_the_api_alone() -> None:
    error = InvalidParameter("x", uploadId="u")

    body = ECR.refusal(error, "").body
    assert isinstance(body, bytes)
    assert json.loads(body)["uploadId"] == "u"
    assert b"uploadId" not in (response_to(error, "ecr").body or b"")  # type: ignore[operator] # bytes


def test_headers_go_with_an_error() -> None:
    for error, expected in (
        (MethodNotAllowed("x", ["GET", "HEAD"]), {"Allow": "GET, HEAD"}),
        (ChunkOutOfPlace("x", {"Range": "0-9"}), {"Range": "0-9"}),
        (Throttling(), {"Retry-After": "1"}),
        (Server("x"), {}),
    ):
        headers = response_to(error, "ecr").headers
        assert headers == {"Content-Type": "application/json", **expected}


def test_strangers_are_told_in_amazon_s_own_words() -> None:
    response = not_authorized("https://registry.example.org")

    assert (response.status, response.body) == (401, b"Not Authorized\n")
    assert re.fullmatch(
        r'Basic realm="https://registry\.example\.org/",service="ecr\.amazonaws\.com"',
        response.headers["Www-Authenticate"],
    )
