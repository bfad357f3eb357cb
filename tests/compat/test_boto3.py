"""boto3, doing by the ECR API alone what other clients do by the registry's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import urllib3

from longshore.names import Digest
from tests.compat.support.content import Content

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient
    from types_boto3_ecr.type_defs import PaginatorConfigTypeDef

    from tests.compat.images import Images
    from tests.compat.support.content import Layout
    from tests.compat.support.server import Longshore

pytestmark = pytest.mark.compat

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ABSENT = "sha256:" + "0" * 64
ABSENT_UPLOAD = {"uploadId": str(UUID(int=0)), "layerDigests": [ABSENT]}


@pytest.fixture
def ecr(server: Longshore) -> ECRClient:
    return server.ecr


@pytest.fixture
def repository(server: Longshore) -> str:
    return server.create_repository("boto3")


def upload_layer(ecr: ECRClient, repository: str, content: bytes) -> None:
    """Upload a layer in parts of the size that the API asks for."""
    upload = ecr.initiate_layer_upload(repositoryName=repository)
    upload_id, part_size = upload["uploadId"], upload["partSize"]
    for first in range(0, len(content), part_size):
        part = content[first : first + part_size]
        answer = ecr.upload_layer_part(
            repositoryName=repository,
            uploadId=upload_id,
            partFirstByte=first,
            partLastByte=first + len(part) - 1,
            layerPartBlob=part,
        )
        assert answer["lastByteReceived"] == first + len(part) - 1
    digest = str(Digest.of(content))
    completed = ecr.complete_layer_upload(
        repositoryName=repository, uploadId=upload_id, layerDigests=[digest]
    )
    assert completed["layerDigest"] == digest


def push(ecr: ECRClient, repository: str, image: Layout, tag: str) -> str:
    """Push an image with the layers that aren't there yet, and return its manifest."""
    manifest = image.blob(image.root()).decode()
    digests = [digest for digest in image.content().sizes if digest != image.root()]
    for digest, available in availability(ecr, repository, digests).items():
        if available == "UNAVAILABLE":
            upload_layer(ecr, repository, image.blob(digest))
    put_image(ecr, repository, manifest, tag)
    return manifest


def put_image(ecr: ECRClient, repository: str, manifest: str, tag: str) -> None:
    ecr.put_image(
        repositoryName=repository,
        imageManifest=manifest,
        imageManifestMediaType=OCI_MANIFEST,
        imageTag=tag,
    )


def pull(ecr: ECRClient, repository: str, tag: str) -> Content:
    """Pull an image by the API and by the addresses that it gives."""
    answer = ecr.batch_get_image(
        repositoryName=repository,
        imageIds=[{"imageTag": tag}],
        acceptedMediaTypes=[OCI_MANIFEST],
    )
    assert answer["failures"] == []
    [image] = answer["images"]

    def manifest(_: str) -> bytes:
        return image["imageManifest"].encode()

    def layer(digest: str) -> bytes:
        url = ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=digest)
        return urllib3.request("GET", url["downloadUrl"]).data

    return Content.read(image["imageId"]["imageDigest"], manifest, layer)


def availability(ecr: ECRClient, repository: str, digests: list[str]) -> dict[str, str]:
    answer = ecr.batch_check_layer_availability(repositoryName=repository, layerDigests=digests)
    assert answer["failures"] == []
    return {layer["layerDigest"]: layer["layerAvailability"] for layer in answer["layers"]}


def test_an_image_goes_in_by_the_api_and_comes_out_bit_for_bit(
    server: Longshore, ecr: ECRClient, repository: str, images: Images
) -> None:
    content = images.debian.content()
    layers = [digest for digest in content.sizes if digest != content.root]
    assert availability(ecr, repository, layers) == dict.fromkeys(layers, "UNAVAILABLE")

    push(ecr, repository, images.debian, "1")

    assert availability(ecr, repository, layers) == dict.fromkeys(layers, "AVAILABLE")
    assert pull(ecr, repository, "1") == content
    assert server.content(repository, "1") == content
    server.restart()
    assert pull(ecr, repository, "1") == content


def test_an_image_has_several_tags_and_is_deleted_with_the_last(
    ecr: ECRClient, repository: str, images: Images
) -> None:
    manifest = push(ecr, repository, images.layered, "1")
    put_image(ecr, repository, manifest, "latest")
    digest = images.layered.root()

    [detail] = ecr.describe_images(repositoryName=repository)["imageDetails"]
    assert sorted(detail["imageTags"]) == ["1", "latest"]

    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "1"}])
    listed = ecr.list_images(repositoryName=repository)["imageIds"]
    assert listed == [{"imageDigest": digest, "imageTag": "latest"}]

    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageDigest": digest}])
    assert ecr.list_images(repositoryName=repository)["imageIds"] == []
    answer = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "latest"}])
    assert [failure["failureCode"] for failure in answer["failures"]] == ["ImageNotFound"]


def test_the_paginators_see_everything_once(
    server: Longshore, ecr: ECRClient, repository: str, images: Images
) -> None:
    manifest = push(ecr, repository, images.layered, "v0")
    for number in range(1, 5):
        put_image(ecr, repository, manifest, f"v{number}")
    small: PaginatorConfigTypeDef = {"PageSize": 2}

    pages = list(
        ecr.get_paginator("list_images").paginate(repositoryName=repository, PaginationConfig=small)
    )
    assert len(pages) == 3
    tags = [image["imageTag"] for page in pages for image in page["imageIds"]]
    assert sorted(tags) == [f"v{number}" for number in range(5)]

    names = [server.create_repository("pages") for _ in range(5)]
    found = [
        each["repositoryName"]
        for page in ecr.get_paginator("describe_repositories").paginate(PaginationConfig=small)
        for each in page["repositories"]
    ]
    assert len(found) == len(set(found))
    assert set(names) < set(found)


def test_an_immutable_tag_stays_and_an_excluded_one_moves(
    ecr: ECRClient, repository: str, images: Images
) -> None:
    ecr.put_image_tag_mutability(
        repositoryName=repository,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "dev-*"}],
    )
    manifest = push(ecr, repository, images.layered, "1")
    put_image(ecr, repository, manifest, "dev-1")
    other = push(ecr, repository, images.other, "other")

    with pytest.raises(ecr.exceptions.ImageAlreadyExistsException):
        put_image(ecr, repository, manifest, "1")
    with pytest.raises(ecr.exceptions.ImageTagAlreadyExistsException):
        put_image(ecr, repository, other, "1")
    put_image(ecr, repository, other, "dev-1")
    assert pull(ecr, repository, "1").root == images.layered.root()
    assert pull(ecr, repository, "dev-1").root == images.other.root()


def test_the_settings_of_a_repository_outlive_a_restart(
    server: Longshore, ecr: ECRClient, repository: str
) -> None:
    [described] = ecr.describe_repositories(repositoryNames=[repository])["repositories"]
    arn = described["repositoryArn"]
    ecr.tag_resource(
        resourceArn=arn, tags=[{"Key": "team", "Value": "a"}, {"Key": "x", "Value": ""}]
    )
    ecr.untag_resource(resourceArn=arn, tagKeys=["x"])
    ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability="IMMUTABLE")
    ecr.put_image_scanning_configuration(
        repositoryName=repository, imageScanningConfiguration={"scanOnPush": True}
    )
    before = ecr.describe_repositories(repositoryNames=[repository])["repositories"]
    assert before[0]["imageTagMutability"] == "IMMUTABLE"
    assert before[0]["imageScanningConfiguration"] == {"scanOnPush": True}

    server.restart()
    assert ecr.describe_repositories(repositoryNames=[repository])["repositories"] == before
    assert ecr.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "team", "Value": "a"}]


def test_a_repository_with_images_is_deleted_only_by_force(
    ecr: ECRClient, repository: str, images: Images
) -> None:
    push(ecr, repository, images.layered, "1")
    with pytest.raises(ecr.exceptions.RepositoryNotEmptyException):
        ecr.delete_repository(repositoryName=repository)
    ecr.delete_repository(repositoryName=repository, force=True)
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException):
        ecr.list_images(repositoryName=repository)


# Each: the operation, what it is given beside the repository's name, and the error it answers.
REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("create_repository", {}, "RepositoryAlreadyExistsException"),
    ("describe_images", {"imageIds": [{"imageTag": "absent"}]}, "ImageNotFoundException"),
    ("describe_images", {"maxResults": 1001}, "InvalidParameterException"),
    ("list_images", {"nextToken": "forged"}, "InvalidParameterException"),
    ("put_image", {"imageManifest": "no JSON"}, "InvalidParameterException"),
    ("get_download_url_for_layer", {"layerDigest": ABSENT}, "LayersNotFoundException"),
    ("complete_layer_upload", ABSENT_UPLOAD, "UploadNotFoundException"),
    ("put_image_tag_mutability", {"imageTagMutability": "SOLID"}, "InvalidParameterException"),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "parameters", "error"), REFUSALS)
def test_a_refusal_is_an_exception_of_its_own(
    ecr: ECRClient, repository: str, operation: str, parameters: dict[str, Any], error: str
) -> None:
    with pytest.raises(getattr(ecr.exceptions, error)) as refused:
        getattr(ecr, operation)(repositoryName=repository, **parameters)
    assert refused.value.response["Error"]["Code"] == error
    assert refused.value.response["Error"]["Message"]
    assert refused.value.response["ResponseMetadata"]["RequestId"]
