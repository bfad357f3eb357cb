"""The archive storage class, through boto3 and the registry face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.clock import DAY
from longshore.housekeeping import create_runner
from longshore.names import Registry
from longshore.registry import lifecycle_runs
from tests.api.ecr.refusal_cases import ACCOUNT
from tests.api.ecr.refusals import body, constraint, refusal
from tests.support.images import artifact, oci_image, oci_index
from tests.support.lifecycle import policy, rule
from tests.support.server import REGION

if TYPE_CHECKING:
    from tests.api.stage import Stage
    from tests.support.images import Image

IMAGE, OTHER = oci_image("image"), oci_image("other")
SIGNATURE = artifact("signature", subject=IMAGE)


def move(stage: Stage, target: Any, **names: str) -> Any:
    image_id: Any = names
    return body(
        stage.server.ecr.update_image_storage_class(
            repositoryName=stage.name, imageId=image_id, targetStorageClass=target
        )
    )


def archive(stage: Stage, *images: Image) -> None:
    for image in images:
        answer = move(stage, "ARCHIVE", imageDigest=str(image.digest))
        assert answer["imageStatus"] == "ARCHIVED"


def do_jobs(stage: Stage) -> None:
    create_runner(stage.server.settings, stage.server.context).run_due()


def details(stage: Stage, **chosen: Any) -> dict[str, Any]:
    found = stage.server.ecr.describe_images(repositoryName=stage.name, **chosen)
    return {each["imageDigest"]: each for each in found["imageDetails"]}


def shown(stage: Stage, status: str | None = None) -> list[str | None]:
    """Return the tags that ListImages shows."""
    chosen: Any = {} if status is None else {"filter": {"imageStatus": status}}
    answer = stage.server.ecr.list_images(repositoryName=stage.name, **chosen)
    return [each.get("imageTag") for each in answer["imageIds"]]


def test_an_image_is_archived_and_restored(stage: Stage) -> None:
    stage.push(IMAGE, "1")
    with stage.server.clock.stopped() as archived_at:
        answer = move(stage, "ARCHIVE", imageTag="1")
    common = {
        "registryId": ACCOUNT,
        "repositoryName": stage.name,
        "imageId": {"imageDigest": str(IMAGE.digest), "imageTag": "1"},
    }
    assert answer == common | {"imageStatus": "ARCHIVED"}
    assert details(stage) == {}
    [detail] = details(stage, filter={"imageStatus": "ARCHIVED"}).values()
    assert detail["imageStatus"] == "ARCHIVED"
    assert detail["lastArchivedAt"].timestamp() == archived_at / 1_000
    assert "lastActivatedAt" not in detail

    assert move(stage, "STANDARD", imageTag="1") == common | {"imageStatus": "ACTIVATING"}
    assert details(stage, filter={"imageStatus": "ARCHIVED"}) == {}
    [detail] = details(stage, filter={"imageStatus": "ACTIVATING"}).values()
    assert detail["imageStatus"] == "ACTIVATING"
    with stage.server.clock.stopped() as activated_at:
        do_jobs(stage)
    [detail] = details(stage).values()
    assert detail["imageStatus"] == "ACTIVE"
    assert detail["lastActivatedAt"].timestamp() == activated_at / 1_000
    assert move(stage, "STANDARD", imageTag="1") == common | {"imageStatus": "ACTIVE"}


def test_listings_show_what_is_asked_for(stage: Stage) -> None:
    for tag, image in (("a", IMAGE), ("b", OTHER), ("c", oci_image("third"))):
        stage.push(image, tag)
    move(stage, "ARCHIVE", imageTag="b")
    move(stage, "ARCHIVE", imageTag="c")
    move(stage, "STANDARD", imageTag="c")
    for status, tags in {
        None: ["a"],
        "ACTIVE": ["a"],
        "ARCHIVED": ["b"],
        "ACTIVATING": ["c"],
        "ANY": ["a", "b", "c"],
    }.items():
        assert shown(stage, status) == tags
    # By its id every image is described.
    ids = [{"imageTag": tag} for tag in "abc"]
    statuses = [each["imageStatus"] for each in details(stage, imageIds=ids).values()]
    assert statuses == ["ACTIVE", "ARCHIVED", "ACTIVATING"]
    ecr = stage.server.ecr
    token = ecr.list_images(repositoryName=stage.name, maxResults=1, filter={"imageStatus": "ANY"})[
        "nextToken"
    ]
    message = constraint("nextToken", "The token is not one that this listing returned")
    with refusal("InvalidParameterException", message):
        ecr.list_images(repositoryName=stage.name, nextToken=token)
    assert stage.send("GET", "tags/list").json()["tags"] == ["a"]


def test_pulls_are_refused_on_both_faces_until_the_image_is_active(stage: Stage) -> None:
    stage.push(IMAGE, "1")
    layer = str(IMAGE.blobs[-1].digest)
    archive(stage, IMAGE)
    ecr = stage.server.ecr
    for what in ("is archived", "is being restored"):
        for reference in ("1", str(IMAGE.digest)):
            answer = stage.send("GET", f"manifests/{reference}")
            [error] = answer.json()["errors"]
            assert (answer.status, error["code"]) == (404, "MANIFEST_UNKNOWN")
            assert f"Requested image {what}" in error["message"]
            assert stage.send("HEAD", f"manifests/{reference}").status == 404
        answer = stage.send("GET", f"blobs/{layer}")
        assert (answer.status, answer.json()["errors"][0]["code"]) == (404, "BLOB_UNKNOWN")
        assert stage.send("HEAD", f"blobs/{layer}").status == 404
        got = ecr.batch_get_image(repositoryName=stage.name, imageIds=[{"imageTag": "1"}])
        assert got["images"] == []
        [failure] = got["failures"]
        assert failure["imageId"] == {"imageTag": "1"}
        assert failure["failureCode"] == "ImageInaccessible"
        assert what in failure["failureReason"]
        message = (
            f"Layer with digest '{layer}' in the repository with name '{stage.name}' in the "
            f"registry with id '{ACCOUNT}' is used by archived images only. Restore one of them "
            "before you pull it: UpdateImageStorageClass with the target STANDARD."
        )
        with refusal("LayerInaccessibleException", message):
            ecr.get_download_url_for_layer(repositoryName=stage.name, layerDigest=layer)
        checked = ecr.batch_check_layer_availability(
            repositoryName=stage.name, layerDigests=[layer]
        )
        assert [each["layerAvailability"] for each in checked["layers"]] == ["ARCHIVED"]
        move(stage, "STANDARD", imageTag="1")
    do_jobs(stage)
    assert stage.send("GET", "manifests/1").body == IMAGE.content
    assert stage.send("GET", f"blobs/{layer}").body == IMAGE.blobs[-1].content


def test_a_download_url_opens_no_layer_that_was_archived_since(
    stage: Stage, secrets: set[str]
) -> None:
    stage.push(IMAGE, "1")
    answer = stage.server.ecr.get_download_url_for_layer(
        repositoryName=stage.name, layerDigest=str(IMAGE.blobs[-1].digest)
    )
    path = answer["downloadUrl"].removeprefix(stage.server.url)
    secrets.add(path.removeprefix("/layers/"))
    archive(stage, IMAGE)
    refused = stage.server.send("GET", path, ())
    assert refused.status == 404
    assert "is used by archived images only" in refused.body.decode()
    move(stage, "STANDARD", imageTag="1")
    do_jobs(stage)
    assert stage.server.send("GET", path, ()).body == IMAGE.blobs[-1].content


def test_a_push_by_the_registry_face_restores(stage: Stage) -> None:
    stage.push(IMAGE, "1")
    archive(stage, IMAGE)
    stage.push(IMAGE, "1")
    assert stage.send("GET", "manifests/1").status == 200
    # The same by PutImage, which finds nothing to do the second time.
    archive(stage, IMAGE)
    put: Any = {
        "repositoryName": stage.name,
        "imageManifest": IMAGE.content.decode(),
        "imageTag": "1",
    }
    stage.server.ecr.put_image(**put)
    assert shown(stage) == ["1"]
    message = (
        f"Image with digest '{IMAGE.digest}' and tag '1' already exists in the repository with "
        f"name '{stage.name}' in registry with id '{ACCOUNT}'"
    )
    with refusal("ImageAlreadyExistsException", message):
        stage.server.ecr.put_image(**put)


def test_what_an_index_refers_to_is_archived_after_it(stage: Stage) -> None:
    index = oci_index([IMAGE])
    stage.push(index, "index")
    message = f"Requested image referenced by manifest list: [{index.digest}]"
    with refusal("ImageStorageClassUpdateNotSupportedException", message):
        archive(stage, IMAGE)
    archive(stage, index, IMAGE)
    assert shown(stage) == []


def test_referrers_follow_and_are_listed_by_their_status(stage: Stage) -> None:
    stage.push(IMAGE, "1")
    stage.push(SIGNATURE)
    subject: Any = {"imageDigest": str(IMAGE.digest)}

    def referrers(**chosen: Any) -> list[tuple[str, str]]:
        answer = stage.server.ecr.list_image_referrers(
            repositoryName=stage.name, subjectId=subject, **chosen
        )
        return [(each["digest"], each["artifactStatus"]) for each in answer["referrers"]]

    assert referrers() == [(str(SIGNATURE.digest), "ACTIVE")]
    archive(stage, IMAGE)
    assert referrers() == []
    assert referrers(filter={"artifactStatus": "ARCHIVED"}) == [(str(SIGNATURE.digest), "ARCHIVED")]
    assert stage.send("GET", f"referrers/{IMAGE.digest}").json()["manifests"] == []
    move(stage, "STANDARD", imageTag="1")
    do_jobs(stage)
    assert referrers() == [(str(SIGNATURE.digest), "ACTIVE")]


def test_an_archived_image_can_be_deleted(stage: Stage) -> None:
    stage.push(IMAGE, "1")
    archive(stage, IMAGE)
    answer = stage.server.ecr.batch_delete_image(
        repositoryName=stage.name, imageIds=[{"imageTag": "1"}]
    )
    assert answer["failures"] == []
    assert shown(stage, "ANY") == []


def test_a_lifecycle_policy_archives(stage: Stage) -> None:
    stage.push(IMAGE, "1")
    stage.push(SIGNATURE)
    text = policy(rule(1, days=90, since="sinceImagePulled", action="transition"))
    stage.server.ecr.put_lifecycle_policy(repositoryName=stage.name, lifecyclePolicyText=text)
    run = lifecycle_runs.run
    registry = Registry(ACCOUNT, REGION)
    assert list(run(stage.server.context, registry, stage.name)) == []
    with stage.server.clock.ahead(91 * DAY):
        assert len(list(run(stage.server.context, registry, stage.name))) == 2
    assert shown(stage) == []
    assert shown(stage, "ARCHIVED") == ["1", None]
