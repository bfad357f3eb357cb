"""Repositories through boto3: what is answered, whole."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from longshore.clock import as_datetime
from longshore.setting_tables import LimitSettings
from tests.api.ecr.refusals import body, refusal
from tests.api.stage import Stage
from tests.support.images import oci_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.server import RunningServer

ACCOUNT = "000000000000"
IMAGE, OTHER = oci_image("image"), oci_image("other")
_NUMBERS = itertools.count(1)


@pytest.fixture
def name() -> str:
    """The name of no repository."""
    return f"made/{next(_NUMBERS)}"


@pytest.fixture
def account() -> str:
    """An account without repositories."""
    return f"8{next(_NUMBERS):011}"


def described(server: RunningServer, name: str, created_at: int, **changes: Any) -> dict[str, Any]:
    """Return a repository as ECR tells of it."""
    port = server.address.partition(":")[2]
    return {
        "repositoryArn": f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{name}",
        "registryId": ACCOUNT,
        "repositoryName": name,
        "repositoryUri": f"{ACCOUNT}.dkr.ecr.us-east-1.localhost:{port}/{name}",
        "createdAt": as_datetime(created_at),
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration": {"scanOnPush": False},
        "encryptionConfiguration": {"encryptionType": "AES256"},
        **changes,
    }


def test_a_repository_of_defaults(server: RunningServer, name: str) -> None:
    with server.clock.stopped() as now:
        created = body(server.ecr.create_repository(repositoryName=name))

    repository = described(server, name, now)
    assert created == {"repository": repository}
    assert body(server.ecr.describe_repositories(repositoryNames=[name])) == {
        "repositories": [repository]
    }
    assert body(server.ecr.delete_repository(repositoryName=name)) == {"repository": repository}
    with refusal(
        "RepositoryNotFoundException",
        f"The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'",
    ):
        server.ecr.describe_repositories(repositoryNames=[name])


def test_a_repository_of_choices(server: RunningServer, name: str) -> None:
    filters: Any = [
        {"filterType": "WILDCARD", "filter": "dev-*"},
        {"filterType": "WILDCARD", "filter": "latest"},
    ]
    with server.clock.stopped() as now:
        created = body(
            server.ecr.create_repository(
                registryId=ACCOUNT,
                repositoryName=name,
                tags=[{"Key": "team", "Value": "a"}, {"Key": "empty", "Value": ""}],
                imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
                imageTagMutabilityExclusionFilters=filters,
                imageScanningConfiguration={"scanOnPush": True},
                encryptionConfiguration={"encryptionType": "AES256"},
            )
        )

    repository = described(
        server,
        name,
        now,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=filters,
        imageScanningConfiguration={"scanOnPush": True},
    )
    assert created == {"repository": repository}
    listed = server.ecr.list_tags_for_resource(resourceArn=repository["repositoryArn"])
    assert body(listed) == {"tags": [{"Key": "empty", "Value": ""}, {"Key": "team", "Value": "a"}]}


@pytest.mark.parametrize(
    "name", ["a0", "a--b", "a---b", "a__b/c.d", "00", "0/1", "a" * 256, "tags/list"]
)
def test_names_that_are_taken(server: RunningServer, name: str) -> None:
    server.ecr.create_repository(repositoryName=name, registryId="777777777777")
    server.ecr.delete_repository(repositoryName=name, registryId="777777777777")


def test_repositories_are_described_in_the_order_asked_for(
    server: RunningServer, account: str
) -> None:
    for name in ("aa", "bb", "cc"):
        server.ecr.create_repository(repositoryName=name, registryId=account)

    answer = server.ecr.describe_repositories(
        registryId=account, repositoryNames=["cc", "aa", "cc"]
    )

    assert [each["repositoryName"] for each in answer["repositories"]] == ["cc", "aa"]


def test_an_empty_registry(server: RunningServer, account: str) -> None:
    assert body(server.ecr.describe_repositories(registryId=account)) == {"repositories": []}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_boto3_pages_through_the_repositories(
    server: RunningServer, account: str, size: int
) -> None:
    names = [f"r{number}" for number in range(7)]
    for name in reversed(names):
        server.ecr.create_repository(repositoryName=name, registryId=account)
    paginator = server.ecr.get_paginator("describe_repositories")

    pages = list(paginator.paginate(registryId=account, PaginationConfig={"PageSize": size}))

    listed = [[each["repositoryName"] for each in page["repositories"]] for page in pages]
    assert listed == [names[first : first + size] for first in range(0, len(names), size)]
    assert all("nextToken" in page for page in pages[:-1])
    assert "nextToken" not in pages[-1]


def test_a_page_of_nobodys_asking_has_a_hundred_repositories(
    server: RunningServer, account: str
) -> None:
    for number in range(101):
        server.ecr.create_repository(repositoryName=f"r{number:03}", registryId=account)

    first = server.ecr.describe_repositories(registryId=account)
    second = server.ecr.describe_repositories(registryId=account, nextToken=first["nextToken"])

    assert [len(page["repositories"]) for page in (first, second)] == [100, 1]
    with refusal(
        "InvalidParameterException",
        "Invalid parameter at 'nextToken' failed to satisfy constraint: "
        "'The token is not one that this listing returned'",
    ):
        server.ecr.describe_repositories(nextToken=first["nextToken"])


def test_a_repository_with_images_goes_by_force(stage: Stage) -> None:
    stage.push(IMAGE, "1")
    ecr = stage.server.ecr

    removed = ecr.delete_repository(repositoryName=stage.name, force=True)["repository"]

    assert removed["repositoryName"] == stage.name
    ecr.create_repository(repositoryName=stage.name)
    assert ecr.list_images(repositoryName=stage.name)["imageIds"] == []
    layer = str(IMAGE.blobs[1].digest)
    checked = ecr.batch_check_layer_availability(repositoryName=stage.name, layerDigests=[layer])
    assert checked["layers"][0]["layerAvailability"] == "UNAVAILABLE"


def test_scanning_is_switched(stage: Stage) -> None:
    for value in (True, False):
        answer = stage.server.ecr.put_image_scanning_configuration(
            repositoryName=stage.name, imageScanningConfiguration={"scanOnPush": value}
        )
        assert body(answer) == {
            "registryId": ACCOUNT,
            "repositoryName": stage.name,
            "imageScanningConfiguration": {"scanOnPush": value},
        }
        [repository] = stage.server.ecr.describe_repositories(repositoryNames=[stage.name])[
            "repositories"
        ]
        assert repository["imageScanningConfiguration"] == {"scanOnPush": value}


# --- Tag mutability -------------------------------------------------------------------------------

# A mode and its filters, with tags that may be moved and tags that may not.
MODES = [
    ("MUTABLE", [], ["1", "latest"], []),
    ("IMMUTABLE", [], [], ["1", "latest"]),
    ("MUTABLE_WITH_EXCLUSION", ["v*"], ["1", "xv1", "V1"], ["v1", "v", "vv"]),
    ("IMMUTABLE_WITH_EXCLUSION", ["dev-*", "latest"], ["dev-1", "dev-", "latest"], ["1", "dev"]),
    ("MUTABLE_WITH_EXCLUSION", ["*.*.*"], ["1.2", "1"], ["1.2.3", "1.2.3.4", "a.."]),
]


@pytest.mark.parametrize(("mode", "patterns", "movable", "fixed"), MODES)
def test_the_four_modes_of_tag_mutability(
    stage: Stage, mode: Any, patterns: list[str], movable: list[str], fixed: list[str]
) -> None:
    stage.push(IMAGE, *movable, *fixed)
    stage.push(OTHER)
    filters: Any = [{"filterType": "WILDCARD", "filter": pattern} for pattern in patterns]
    given = {"imageTagMutabilityExclusionFilters": filters} if filters else {}
    ecr = stage.server.ecr

    answer = ecr.put_image_tag_mutability(
        repositoryName=stage.name, imageTagMutability=mode, **given
    )

    assert body(answer) == {
        "registryId": ACCOUNT,
        "repositoryName": stage.name,
        "imageTagMutability": mode,
        **given,
    }
    manifest = OTHER.content.decode()
    for tag in movable:
        ecr.put_image(repositoryName=stage.name, imageManifest=manifest, imageTag=tag)
    for tag in fixed:
        with refusal(
            "ImageTagAlreadyExistsException",
            f"The image tag '{tag}' already exists in the '{stage.name}' repository and cannot be "
            "overwritten because the tag is immutable.",
        ):
            ecr.put_image(repositoryName=stage.name, imageManifest=manifest, imageTag=tag)
        assert stage.send("GET", f"manifests/{tag}").body == IMAGE.content
    # An immutable tag can be deleted, and a mutable repository forgets its filters.
    ids: Any = [{"imageTag": tag} for tag in (*movable, *fixed)]
    assert not ecr.batch_delete_image(repositoryName=stage.name, imageIds=ids)["failures"]
    again = ecr.put_image_tag_mutability(repositoryName=stage.name, imageTagMutability="MUTABLE")
    assert "imageTagMutabilityExclusionFilters" not in again


# --- Resource tags --------------------------------------------------------------------------------


def test_resource_tags_are_set_and_removed(stage: Stage) -> None:
    ecr = stage.server.ecr
    arn = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{stage.name}"

    def tags() -> dict[str, str]:
        return {
            each["Key"]: each["Value"]
            for each in ecr.list_tags_for_resource(resourceArn=arn)["tags"]
        }

    assert tags() == {}
    first: Any = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    assert body(ecr.tag_resource(resourceArn=arn, tags=first)) == {}
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "2"}, {"Key": "é", "Value": "ö"}])
    assert tags() == {"a": "2", "b": "", "é": "ö"}
    assert body(ecr.untag_resource(resourceArn=arn, tagKeys=["b", "never set"])) == {}
    assert tags() == {"a": "2", "é": "ö"}


# --- Quotas ---------------------------------------------------------------------------------------


@pytest.fixture
def narrow(new_server: Callable[..., RunningServer]) -> RunningServer:
    """A server of small limits."""
    return new_server(
        limits=LimitSettings(
            repositories_per_registry=2,
            resource_tags_per_repository=1,
            layer_parts=2,
            layer_part_smallest=2,
            layer_part_largest=3,
            layer_size=5,
        )
    )


def test_there_are_only_so_many_repositories(narrow: RunningServer) -> None:
    narrow.ecr.create_repository(repositoryName="one")
    narrow.ecr.create_repository(repositoryName="two")

    with refusal(
        "LimitExceededException",
        f"The registry with id '{ACCOUNT}' already has 2 repositories, the most it may have. "
        "Delete some or raise the limit (limits.repositories_per_registry).",
    ):
        narrow.ecr.create_repository(repositoryName="three")
    # Another registry has a quota of its own, and room comes back.
    narrow.ecr.create_repository(repositoryName="three", registryId="111111111111")
    narrow.ecr.delete_repository(repositoryName="one")
    narrow.ecr.create_repository(repositoryName="three")


def test_there_are_only_so_many_resource_tags(narrow: RunningServer) -> None:
    with refusal(
        "TooManyTagsException", "A repository may have at most 1 tags; this would make it 2"
    ):
        narrow.ecr.create_repository(
            repositoryName="tagged",
            tags=[{"Key": "a", "Value": ""}, {"Key": "b", "Value": ""}],
        )


def test_there_are_only_so_many_parts(narrow: RunningServer) -> None:
    narrow.ecr.create_repository(repositoryName="parts")
    started = narrow.ecr.initiate_layer_upload(repositoryName="parts")
    upload = {"repositoryName": "parts", "uploadId": started["uploadId"]}

    def part(first: int, content: bytes) -> Any:
        last = first + len(content) - 1
        return narrow.ecr.upload_layer_part(
            **upload, partFirstByte=first, partLastByte=last, layerPartBlob=content
        )

    assert started["partSize"] == 3
    with refusal(
        "InvalidLayerPartException",
        f"Invalid layer part of the upload with id '{upload['uploadId']}' in the repository with "
        "name 'parts': Layer parts must be at most 3 bytes in size",
        registryId=ACCOUNT,
        repositoryName="parts",
        uploadId=upload["uploadId"],
        lastValidByteReceived=-1,
    ):
        part(0, b"0123")
    part(0, b"012")
    with refusal("LimitExceededException", "A layer may have at most 5 bytes"):
        part(3, b"345")
    part(3, b"34")
    with refusal("LimitExceededException", "A layer may be uploaded in at most 2 parts"):
        part(5, b"5")


def test_there_are_only_so_many_images_and_tags(new_server: Callable[..., RunningServer]) -> None:
    limits = LimitSettings(images_per_repository=1, tags_per_image=2)
    stage = Stage.build(new_server(limits=limits))
    stage.push(IMAGE, "1", "2")
    ecr = stage.server.ecr

    with refusal("LimitExceededException", "An image may have at most 2 tags, and this one has 2."):
        ecr.put_image(repositoryName=stage.name, imageManifest=IMAGE.content.decode(), imageTag="3")
    for blob in OTHER.blobs:
        stage.push_blob(blob.content)
    with refusal(
        "LimitExceededException",
        f"The repository with name '{stage.name}' already has 1 images, the most it may have. "
        "Delete some or raise the limit (limits.images_per_repository).",
    ):
        ecr.put_image(repositoryName=stage.name, imageManifest=OTHER.content.decode(), imageTag="1")
    # The registry face has the same quotas, in its own form.
    for image, tag in ((IMAGE, "3"), (OTHER, "1")):
        answer = stage.put(image, tag)
        assert (answer.status, answer.json()["errors"][0]["code"]) == (403, "DENIED")
    assert stage.send("GET", "manifests/1").body == IMAGE.content
