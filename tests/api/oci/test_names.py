"""Names of repositories in paths, and paths that lead nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.names import Digest
from tests.api.stage import Stage
from tests.support.images import artifact, oci_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.server import RunningServer

# Valid names that a careless reader of paths takes for something else.
CONFUSING = [
    "blobs/uploads",
    "manifests",
    "manifests/latest",
    "tags",
    "tags/list",
    "uploads",
    "uploads/blobs",
    "blobs",
    "blobs/sha256",
    "referrers",
    "referrers/tags/list",
    "catalog",
    "v2",
    "v2/catalog",
    "a/blobs/uploads/manifests/b",
    "a/manifests/b/tags/list",
    "layers",
    "a--b",
    "a__b",
    "0/1",
    "a" * 256,
    "/".join("a" * 128),
]


@pytest.mark.parametrize("name", CONFUSING, ids=lambda name: name[:40])
def test_confusing_names_are_routed_correctly(
    servers: Callable[[str, str], RunningServer], database_kind: str, name: str
) -> None:
    server = servers(database_kind, "ecr")
    server.ecr.create_repository(repositoryName=name[:256])
    stage = Stage(server, name[:256])
    image = oci_image(f"in {name}")
    referrer = artifact(f"in {name}", subject=image)

    stage.push(image, "latest", "uploads", "list")
    stage.push(referrer)
    upload = stage.begin()
    stage.send("PATCH", f"blobs/uploads/{upload}", body=b"abc")

    assert stage.send("GET", "manifests/latest").body == image.content
    assert stage.send("GET", "manifests/uploads").body == image.content
    assert stage.send("GET", f"blobs/{image.blobs[0].digest}").body == image.blobs[0].content
    assert stage.send("GET", "tags/list").json()["tags"] == ["latest", "list", "uploads"]
    [found] = stage.send("GET", f"referrers/{image.digest}").json()["manifests"]
    assert found["digest"] == str(referrer.digest)
    assert stage.send("GET", f"blobs/uploads/{upload}").headers["range"] == "0-2"
    digest = Digest.of(b"abc")
    assert stage.send("PUT", f"blobs/uploads/{upload}?digest={digest}").status == 201
    assert stage.send("DELETE", "manifests/latest").status == 202
    server.ecr.delete_repository(repositoryName=stage.name, force=True)


BAD_NAMES = [
    "..",
    "../..",
    "a/../b",
    "a/./b",
    "%2e%2e",
    "%2e%2e/%2e%2e",
    "a/%2e%2e/b",
    "a%2fb",
    "a%252fb",
    "%252e%252e%252f",
    "a\\b",
    "..\\..",
    "a%5cb",
    "a%00b",
    "a%0ab",
    "a%20b",
    "A",
    "aB/c",
    "a//b",
    "/a",
    "a/",
    ".a",
    "a.",
    "a/.b",
    "a..b",
    "a._b",
    "a___b",
    "a_-b",
    "-a",
    "a-",
    "_catalog/x",
    "%C3%A9",
    "%ff",
    "%zz",
    "%",
    "a;b",
    "a:b",
    "a@b",
    "a*",
    "a'b",
    'a"b',
    "a$b",
    "~",
    "a",
    "a" * 257,
    "a/" * 128 + "aa",
]
REQUESTS = [
    ("GET", "manifests/latest"),
    ("PUT", "manifests/latest"),
    ("DELETE", "manifests/latest"),
    ("GET", f"blobs/sha256:{'0' * 64}"),
    ("POST", "blobs/uploads/"),
    ("PATCH", "blobs/uploads/00000000-0000-0000-0000-000000000000"),
    ("GET", "tags/list"),
    ("GET", f"referrers/sha256:{'0' * 64}"),
]


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: name[:40])
def test_bad_names_are_refused(plain_server: RunningServer, name: str) -> None:
    for method, path in REQUESTS:
        answer = plain_server.oci(method, f"/v2/{name}/{path}")
        assert (answer.status, answer.json()["errors"][0]["code"]) == (400, "NAME_INVALID")


def test_a_name_of_256_characters_is_only_unknown(plain_server: RunningServer) -> None:
    answer = plain_server.oci("GET", f"/v2/{'b' * 256}/tags/list")

    assert (answer.status, answer.json()["errors"][0]["code"]) == (404, "NAME_UNKNOWN")


NOWHERE = [
    "/v2/x",
    "/v2/demo/app",
    "/v2/demo/app/",
    "/v2//",
    "/v2/_catalog/",
    "/v2/_catalog/x",
    "/v2/demo/app/tags",
    "/v2/demo/app/tags/list/",
    "/v2/demo/app/tags/1",
    "/v2/demo/app/manifests",
    "/v2/demo/app/manifests/",
    "/v2/demo/app/manifests/a/b",
    "/v2/demo/app/blobs",
    "/v2/demo/app/blobs/",
    "/v2/demo/app/referrers/",
    "/v2/demo/app/blobs/uploads/x/y",
    "/v2/tags/list",
    "/v2/manifests/latest",
    "/v2/../v2/_catalog",
    "/v2/%5fcatalog",
]


@pytest.mark.parametrize("path", NOWHERE)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_paths_that_lead_nowhere(plain_server: RunningServer, method: str, path: str) -> None:
    answer = plain_server.oci(method, path)

    assert answer.status == 404
    if method != "HEAD":
        [error] = answer.json()["errors"]
        assert error == {
            "code": "NOT_FOUND",
            "message": "Nothing is at this path. The registry's API is below /v2/.",
        }


METHODS = [
    ("/v2/", "GET, HEAD"),
    ("/v2", "GET, HEAD"),
    ("/v2/_catalog", "GET, HEAD"),
    ("/v2/demo/app/tags/list", "GET, HEAD"),
    (f"/v2/demo/app/referrers/sha256:{'0' * 64}", "GET, HEAD"),
    ("/v2/demo/app/manifests/latest", "GET, HEAD, PUT, DELETE"),
    ("/v2/demo/app/blobs/uploads/", "POST"),
    ("/v2/demo/app/blobs/uploads/x", "GET, PATCH, PUT, DELETE"),
    (f"/v2/demo/app/blobs/sha256:{'0' * 64}", "GET, HEAD, DELETE"),
]


@pytest.mark.parametrize(("path", "allowed"), METHODS)
@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
)
def test_methods_that_a_path_does_not_take(
    plain_server: RunningServer, method: str, path: str, allowed: str
) -> None:
    if method in allowed.split(", "):
        return
    answer = plain_server.oci(method, path)

    # RFC 9110, section 15.5.6.
    assert (answer.status, answer.headers["allow"]) == (405, allowed)
    if method != "HEAD":
        assert answer.json()["errors"][0] == {
            "code": "UNSUPPORTED",
            "message": f"This path answers to {allowed} and not to {method}",
        }
