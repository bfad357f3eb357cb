"""What is done on one face is seen on the other, at once and alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from longshore.names import Digest
from tests.support.images import SBOM, artifact, docker_image, oci_image, oci_index

if TYPE_CHECKING:
    from tests.api.stage import Stage

IMAGE, OTHER = oci_image("image"), oci_image("other")
INDEX = oci_index([IMAGE, OTHER])


@pytest.fixture(params=["ecr", "oci"])
def compatibility(request: pytest.FixtureRequest) -> str:
    """How strict the server is: the two faces agree either way."""
    return str(request.param)


@pytest.mark.parametrize(
    "image", [IMAGE, docker_image("docker"), INDEX], ids=["oci", "docker", "index"]
)
def test_an_image_pushed_to_the_registry_is_in_the_api(stage: Stage, image: Any) -> None:
    stage.push(image, "1")
    ecr, name = stage.server.ecr, stage.name

    [got] = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "1"}])["images"]
    [described] = ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": "1"}])[
        "imageDetails"
    ]

    assert got["imageManifest"] == image.content.decode()
    assert got["imageId"] == {"imageDigest": str(image.digest), "imageTag": "1"}
    assert described["imageDigest"] == str(image.digest)
    assert described["imageTags"] == ["1"]


def test_an_image_pushed_through_the_api_is_in_the_registry(stage: Stage) -> None:
    ecr, name = stage.server.ecr, stage.name
    for blob in IMAGE.blobs:
        upload = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
        ecr.upload_layer_part(
            repositoryName=name,
            uploadId=upload,
            partFirstByte=0,
            partLastByte=len(blob.content) - 1,
            layerPartBlob=blob.content,
        )
        ecr.complete_layer_upload(
            repositoryName=name, uploadId=upload, layerDigests=[str(blob.digest)]
        )
    ecr.put_image(repositoryName=name, imageManifest=IMAGE.content.decode(), imageTag="1")

    assert stage.send("GET", "manifests/1").body == IMAGE.content
    assert stage.send("GET", "tags/list").json()["tags"] == ["1"]
    for blob in IMAGE.blobs:
        assert stage.send("GET", f"blobs/{blob.digest}").body == blob.content


def test_one_upload_is_open_to_both_faces(stage: Stage) -> None:
    ecr, name, content = stage.server.ecr, stage.name, b"0123456789"
    upload = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
    ecr.upload_layer_part(
        repositoryName=name,
        uploadId=upload,
        partFirstByte=0,
        partLastByte=4,
        layerPartBlob=content[:5],
    )
    assert stage.send("GET", f"blobs/uploads/{upload}").headers["range"] == "0-4"

    chunk = [("Content-Range", "5-9")]
    digest = Digest.of(content)
    path = f"blobs/uploads/{upload}?digest={digest}"

    assert stage.send("PUT", path, chunk, content[5:]).status == 201
    checked = ecr.batch_check_layer_availability(repositoryName=name, layerDigests=[str(digest)])
    [layer] = checked["layers"]
    assert (layer["layerAvailability"], layer["layerSize"]) == ("AVAILABLE", 10)


def test_an_immutable_tag_is_immutable_on_both_faces(stage: Stage) -> None:
    ecr, name = stage.server.ecr, stage.name
    ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="IMMUTABLE")
    stage.push(IMAGE, "1")
    stage.push(OTHER)
    sentence = (
        f"The image tag '1' already exists in the '{name}' repository and cannot be overwritten "
        "because the tag is immutable."
    )

    answer = stage.put(OTHER, "1")
    [error] = answer.json()["errors"]

    assert (answer.status, error) == (400, {"code": "TAG_INVALID", "message": sentence})
    with pytest.raises(ecr.exceptions.ImageTagAlreadyExistsException) as caught:
        ecr.put_image(repositoryName=name, imageManifest=OTHER.content.decode(), imageTag="1")
    assert caught.value.response["Error"]["Message"] == sentence


@pytest.mark.parametrize("face", ["registry", "api"])
def test_what_one_face_deletes_is_gone_on_the_other(stage: Stage, face: str) -> None:
    ecr, name = stage.server.ecr, stage.name
    stage.push(IMAGE, "1", "2")
    stage.push(OTHER, "3")

    if face == "registry":
        assert stage.send("DELETE", "manifests/1").status == 202
        assert stage.send("DELETE", f"manifests/{OTHER.digest}").status == 202
    else:
        ecr.batch_delete_image(
            repositoryName=name, imageIds=[{"imageTag": "1"}, {"imageDigest": str(OTHER.digest)}]
        )

    assert stage.send("GET", "tags/list").json()["tags"] == ["2"]
    assert ecr.list_images(repositoryName=name)["imageIds"] == [
        {"imageDigest": str(IMAGE.digest), "imageTag": "2"}
    ]
    assert stage.send("GET", "manifests/1").status == 404
    assert stage.send("GET", f"manifests/{OTHER.digest}").status == 404


def test_both_faces_list_the_same_referrers(stage: Stage) -> None:
    ecr, name = stage.server.ecr, stage.name
    first = artifact("first", subject=IMAGE, annotations={"k": "v"})
    second = artifact("second", subject=IMAGE, artifact_type="application/vnd.other")
    for image in (first, second):
        stage.push(image)

    def through_the_api(**chosen: Any) -> list[dict[str, Any]]:
        answer = ecr.list_image_referrers(
            repositoryName=name, subjectId={"imageDigest": str(IMAGE.digest)}, **chosen
        )
        return [
            {key: value for key, value in each.items() if key != "artifactStatus"}
            for each in answer["referrers"]
        ]

    def through_the_registry(query: str = "") -> list[dict[str, Any]]:
        answer = stage.send("GET", f"referrers/{IMAGE.digest}{query}")
        manifests: list[dict[str, Any]] = answer.json()["manifests"]
        return manifests

    assert through_the_api() == through_the_registry()
    assert len(through_the_api()) == 2
    assert through_the_api(filter={"artifactTypes": [SBOM]}) == through_the_registry(
        f"?artifactType={SBOM.replace('+', '%2B')}"
    )


def test_a_repository_is_there_on_both_faces_or_on_neither(stage: Stage) -> None:
    ecr, name = stage.server.ecr, stage.name
    assert stage.send("GET", "tags/list").status == 200

    ecr.delete_repository(repositoryName=name)

    answer = stage.send("GET", "tags/list")
    assert answer.status == 404
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException) as caught:
        ecr.list_images(repositoryName=name)
    sentence = caught.value.response["Error"]["Message"]
    assert answer.json()["errors"] == [{"code": "NAME_UNKNOWN", "message": sentence}]
    assert stage.send("POST", "blobs/uploads/").status == 404
