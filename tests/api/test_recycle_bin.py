"""To clients there is no recycle bin: with one, both faces answer as without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from longshore.clock import DAY
from longshore.names import Registry
from longshore.registry import bin_restoration, lifecycle_runs, recycle_bin
from tests.api.ecr.refusal_cases import ACCOUNT
from tests.api.stage import Stage
from tests.support.images import artifact, layer, oci_image, oci_index
from tests.support.lifecycle import policy, rule
from tests.support.server import REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.conftest import NewServer
    from tests.support.images import Image
    from tests.support.server import RunningServer

NAME = "test/thrown-away"
REGISTRY = Registry(ACCOUNT, REGION)
SHARED = layer("shared")
IMAGE = oci_image("image", layers=[SHARED, layer("secret")])
OTHER = oci_image("other", layers=[SHARED])
INDEX = oci_index([IMAGE, OTHER])
SIGNATURE = artifact("signature", subject=IMAGE)
# What no two servers have in common.
_VARYING = {"ResponseMetadata", "createdAt", "imagePushedAt", "repositoryUri"}


@pytest.fixture
def on(new_server: NewServer, database_kind: str, request: pytest.FixtureRequest) -> RunningServer:
    """A server with a recycle bin."""
    return new_server(**_settings(database_kind, request), recycle_bin_days=7)


@pytest.fixture
def off(new_server: NewServer, database_kind: str, request: pytest.FixtureRequest) -> RunningServer:
    """A server without one."""
    return new_server(**_settings(database_kind, request))


def _settings(database_kind: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    if database_kind == "sqlite":
        return {}
    return {"database_url": request.getfixturevalue("postgres").create_database()}


def entries(server: RunningServer) -> dict[str, recycle_bin.BinnedImage]:
    context = server.context
    with context.database.read() as tx:
        page = recycle_bin.list_some(tx, REGISTRY, context.clock(), limit=100)
    return {entry.digest: entry for entry in page.items}


def restore(server: RunningServer, image: Image) -> None:
    bin_restoration.restore(server.context, REGISTRY, NAME, image.digest)


def delete(stage: Stage, *ids: dict[str, str]) -> Any:
    chosen: Any = ids
    return stage.server.ecr.batch_delete_image(repositoryName=stage.name, imageIds=chosen)


def by(image: Image) -> dict[str, str]:
    return {"imageDigest": str(image.digest)}


def told(answer: Any) -> Any:
    """Return what an answer of the API says, but for what varies."""
    match answer:
        case dict():
            return {name: told(each) for name, each in answer.items() if name not in _VARYING}
        case list():
            return [told(each) for each in answer]
        case _:
            return answer


def asked(stage: Stage) -> Iterator[Any]:
    """Ask both faces for all that they show of a repository; yield what they answer."""
    ecr = stage.server.ecr
    named: Any = {"repositoryName": stage.name}
    digests = [str(each.digest) for each in (IMAGE, OTHER, INDEX, SIGNATURE)]
    references = ["1", "2", "signed", *digests]
    for method in ("GET", "HEAD"):
        for reference in references:
            answer = stage.send(method, f"manifests/{reference}")
            yield answer.status, answer.body, answer.headers.get("docker-content-digest")
    for path in ("tags/list", f"referrers/{IMAGE.digest}"):
        answer = stage.send("GET", path)
        yield answer.status, answer.body
    questions: list[tuple[str, dict[str, Any]]] = [
        ("list_images", {}),
        ("describe_images", {"filter": {"imageStatus": "ANY"}}),
        ("describe_images", {"imageIds": [by(IMAGE)]}),
        ("batch_get_image", {"imageIds": [{"imageTag": "1"}, by(INDEX)]}),
        ("list_image_referrers", {"subjectId": by(IMAGE)}),
        ("describe_repositories", {}),
    ]
    for operation, chosen in questions:
        of = {"repositoryNames": [stage.name]} if operation == "describe_repositories" else named
        try:
            yield told(getattr(ecr, operation)(**of, **chosen))
        except ClientError as error:
            yield error.response["Error"]


def history(stage: Stage) -> Iterator[Any]:
    """Live through every way in which images go; yield all answers on the way."""
    ecr = stage.server.ecr
    named: Any = {"repositoryName": stage.name}

    def seen(*answers: Any) -> Iterator[Any]:
        yield from map(told, answers)
        yield from asked(stage)

    stage.push(INDEX, "1")
    stage.push(SIGNATURE, "signed")
    yield from seen()
    yield from seen(delete(stage, by(IMAGE), {"imageTag": "nothing"}))
    yield from seen(delete(stage, {"imageTag": "1"}, by(IMAGE), by(IMAGE)))
    yield from seen(stage.send("DELETE", f"manifests/{OTHER.digest}").status)
    yield from seen(stage.send("DELETE", f"manifests/{OTHER.digest}").status)
    yield from seen(stage.send("DELETE", "manifests/signed").status)
    # Pushed again, where a client skips what it was told is there.
    yield from seen(stage.put(IMAGE, "1").status, stage.put(OTHER, "2").status)
    ecr.put_lifecycle_policy(**named, lifecyclePolicyText=policy(rule(1, days=1)))
    with stage.server.clock.ahead(2 * DAY):
        list(lifecycle_runs.run(stage.server.context, REGISTRY, stage.name))
    yield from seen()
    stage.push(INDEX, "2")
    with pytest.raises(ClientError) as refused:
        ecr.delete_repository(**named)
    yield refused.value.response["Error"]
    yield from seen(ecr.delete_repository(**named, force=True))
    ecr.create_repository(**named)
    yield from seen(stage.put(IMAGE, "1").status)
    stage.push(INDEX, "1")
    yield from seen()


def staged(server: RunningServer) -> Stage:
    server.ecr.create_repository(repositoryName=NAME)
    return Stage(server, NAME)


def test_clients_get_the_same_answers_with_a_bin_and_without(
    on: RunningServer, off: RunningServer
) -> None:
    with_one, without = list(history(staged(on))), list(history(staged(off)))
    assert len(with_one) == len(without)
    for number, (answer, expected) in enumerate(zip(with_one, without, strict=True)):
        assert answer == expected, number
    assert entries(off) == {}
    assert entries(on).keys() == {str(each.digest) for each in (IMAGE, OTHER, INDEX, SIGNATURE)}


def test_layers_that_only_a_deleted_image_used_are_gone_on_both_faces(
    on: RunningServer, secrets: set[str]
) -> None:
    stage = staged(on)
    ecr = stage.server.ecr
    stage.push(IMAGE, "1")
    stage.push(OTHER, "2")
    secret = IMAGE.blobs[-1]
    url = ecr.get_download_url_for_layer(repositoryName=NAME, layerDigest=str(secret.digest))
    path = url["downloadUrl"].removeprefix(on.url)
    secrets.add(path.removeprefix("/layers/"))
    assert on.send("GET", path, ()).body == secret.content
    ecr.create_repository(repositoryName="test/elsewhere")
    assert stage.send("DELETE", f"manifests/{IMAGE.digest}").status == 202

    for method in ("GET", "HEAD"):
        assert stage.send(method, f"blobs/{secret.digest}").status == 404
        assert stage.send(method, f"blobs/{SHARED.digest}").status == 200
    assert on.send("GET", path, ()).status == 404
    with pytest.raises(ClientError) as refused:
        ecr.get_download_url_for_layer(repositoryName=NAME, layerDigest=str(secret.digest))
    assert refused.value.response["Error"]["Code"] == "LayersNotFoundException"
    asked_for = [str(secret.digest), str(SHARED.digest)]
    checked = ecr.batch_check_layer_availability(repositoryName=NAME, layerDigests=asked_for)
    assert {each["layerDigest"]: each["layerAvailability"] for each in checked["layers"]} == {
        str(secret.digest): "UNAVAILABLE",
        str(SHARED.digest): "AVAILABLE",
    }
    mounted = on.oci("POST", f"/v2/test/elsewhere/blobs/uploads/?mount={secret.digest}&from={NAME}")
    assert mounted.status == 202

    # Who uploads it again may: it isn't "there already".
    upload: Any = ecr.initiate_layer_upload(repositoryName=NAME)["uploadId"]
    ecr.upload_layer_part(
        repositoryName=NAME,
        uploadId=upload,
        partFirstByte=0,
        partLastByte=len(secret.content) - 1,
        layerPartBlob=secret.content,
    )
    completed = ecr.complete_layer_upload(
        repositoryName=NAME, uploadId=upload, layerDigests=[str(secret.digest)]
    )
    assert completed["layerDigest"] == str(secret.digest)
    assert stage.send("GET", f"blobs/{secret.digest}").body == secret.content


def test_what_any_face_deletes_comes_back_for_both(on: RunningServer) -> None:
    stage = staged(on)
    caller = f"arn:aws:iam::{on.settings.account}:user/administrator"
    stage.push(INDEX, "1")
    stage.push(SIGNATURE, "signed")
    before = list(asked(stage))

    delete(stage, {"imageTag": "1"})
    assert stage.send("DELETE", f"manifests/{IMAGE.digest}").status == 202
    on.ecr.delete_repository(repositoryName=NAME, force=True)
    found = entries(on)
    assert {entry.deletion.by for entry in found.values()} == {caller}
    assert len(found) == 4
    on.ecr.create_repository(repositoryName=NAME)
    restore(on, INDEX)

    assert list(asked(stage)) == before
    for blob in IMAGE.blobs:
        assert stage.send("GET", f"blobs/{blob.digest}").body == blob.content
    assert entries(on) == {}


def test_untagging_where_that_keeps_the_image_fills_no_bin(new_server: NewServer) -> None:
    server = new_server(compatibility="oci", recycle_bin_days=7)
    stage = staged(server)
    stage.push(IMAGE, "1")
    assert stage.send("DELETE", "manifests/1").status == 202
    assert entries(server) == {}
    assert stage.send("DELETE", f"manifests/{IMAGE.digest}").status == 202
    assert entries(server).keys() == {str(IMAGE.digest)}


def test_the_metrics_tell_what_is_in_the_bin(on: RunningServer) -> None:
    stage = staged(on)
    stage.push(IMAGE, "1")
    delete(stage, by(IMAGE))
    text = on.send("GET", "/metrics", ()).body.decode()
    size = len(IMAGE.content) + sum(len(blob.content) for blob in IMAGE.blobs)
    assert "\nlongshore_recycle_bin_images 1\n" in text
    assert f"\nlongshore_recycle_bin_bytes {size}\n" in text
