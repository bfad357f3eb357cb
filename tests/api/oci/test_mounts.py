"""Mounts of blobs from other repositories (OCI distribution-spec, "Mounting a blob")."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.stage import Stage
from tests.support.images import oci_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import Answer, RunningServer

IMAGE = oci_image("to mount from")
DIGEST = str(IMAGE.blobs[1].digest)


@pytest.fixture
def source(server: RunningServer) -> Stage:
    """A repository with an image."""
    stage = Stage.build(server)
    stage.push(IMAGE, "1")
    return stage


@pytest.fixture
def mounting_enabled(server: RunningServer) -> Iterator[None]:
    """The account setting that ECR wants for mounts."""
    server.ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    yield
    server.ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")


def mount(stage: Stage, digest: str, source: str | None) -> Answer:
    origin = "" if source is None else f"&from={source}"
    return stage.send("POST", f"blobs/uploads/?mount={digest}{origin}")


def check_mounted(stage: Stage, answer: Answer, digest: str = DIGEST) -> None:
    assert answer.status == 201
    assert answer.headers["location"] == f"{stage.url}/blobs/{digest}"
    assert answer.headers["docker-content-digest"] == digest
    assert stage.send("HEAD", f"blobs/{digest}").status == 200


def check_not_mounted(stage: Stage, answer: Answer, digest: str = DIGEST) -> None:
    """The client goes on with an upload, as if it had asked for one."""
    upload = answer.headers["docker-upload-uuid"]
    assert answer.status == 202
    assert answer.headers["location"] == f"{stage.url}/blobs/uploads/{upload}"
    assert answer.headers["range"] == "0-0"
    assert stage.send("GET", f"blobs/uploads/{upload}").status == 204
    assert stage.send("HEAD", f"blobs/{digest}").status == 404


def test_ecr_mounts_nothing_unless_it_is_enabled(
    stage: Stage, source: Stage, compatibility: str
) -> None:
    answer = mount(stage, DIGEST, source.name)

    (check_not_mounted if compatibility == "ecr" else check_mounted)(stage, answer)


@pytest.mark.usefixtures("mounting_enabled")
def test_a_blob_of_an_image_is_mounted(stage: Stage, source: Stage) -> None:
    check_mounted(stage, mount(stage, DIGEST, source.name))
    assert stage.send("GET", f"blobs/{DIGEST}").body == IMAGE.blobs[1].content


@pytest.mark.usefixtures("mounting_enabled")
def test_a_mounted_blob_is_as_good_as_a_pushed_one(stage: Stage, source: Stage) -> None:
    for blob in IMAGE.blobs:
        check_mounted(stage, mount(stage, str(blob.digest), source.name), str(blob.digest))
    assert stage.put(IMAGE, "1").status == 201

    source.server.ecr.delete_repository(repositoryName=source.name, force=True)
    assert stage.send("GET", f"blobs/{DIGEST}").body == IMAGE.blobs[1].content


@pytest.mark.usefixtures("mounting_enabled")
def test_a_blob_that_no_image_refers_to_is_not_mounted_in_ecr(
    stage: Stage, source: Stage, compatibility: str
) -> None:
    digest = source.push_blob(b"loose, and mounted by the specification alone")
    answer = mount(stage, digest, source.name)

    (check_not_mounted if compatibility == "ecr" else check_mounted)(stage, answer, digest)


@pytest.mark.usefixtures("mounting_enabled")
def test_the_mount_of_what_is_there_already_succeeds(stage: Stage, source: Stage) -> None:
    stage.push_blob(IMAGE.blobs[1].content)

    check_mounted(stage, mount(stage, DIGEST, source.name))


@pytest.mark.usefixtures("mounting_enabled", "source")
@pytest.mark.parametrize(
    "origin", [None, "", "no/such", "Not%20a%20Name", "..", "a" * 300, "%00%00"], ids=repr
)
def test_nothing_is_mounted_from_nowhere(stage: Stage, origin: str | None) -> None:
    answer = mount(stage, DIGEST, origin)
    if origin == "%00%00":
        assert answer.status == 400
    else:
        check_not_mounted(stage, answer)


@pytest.mark.usefixtures("mounting_enabled")
def test_a_blob_is_not_mounted_from_where_it_is_not(stage: Stage, source: Stage) -> None:
    elsewhere = Stage.build(stage.server)

    check_not_mounted(stage, mount(stage, DIGEST, elsewhere.name))
    unknown = "sha256:" + "0" * 64
    check_not_mounted(stage, mount(stage, unknown, source.name), unknown)


@pytest.mark.usefixtures("mounting_enabled")
def test_a_malformed_digest_is_refused(stage: Stage, source: Stage) -> None:
    answer = mount(stage, "sha256:..", source.name)

    assert (answer.status, answer.json()["errors"][0]["code"]) == (400, "DIGEST_INVALID")


@pytest.mark.usefixtures("mounting_enabled")
def test_nothing_is_mounted_into_an_unknown_repository(source: Stage) -> None:
    answer = mount(Stage(source.server, "no/such"), DIGEST, source.name)

    assert (answer.status, answer.json()["errors"][0]["code"]) == (404, "NAME_UNKNOWN")
