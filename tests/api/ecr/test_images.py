"""Images through boto3: put, got, deleted, listed and described."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from longshore.clock import MINUTE, as_datetime
from longshore.names import Digest
from longshore.registry.media_types import (
    DOCKER_CONFIG,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
)
from tests.api.ecr.refusals import body, constraint, refusal
from tests.support.images import (
    SBOM,
    SIGNATURE,
    artifact,
    docker_image,
    oci_image,
    oci_index,
)

if TYPE_CHECKING:
    from tests.api.stage import Stage
    from tests.support.images import Image

ACCOUNT = "000000000000"
IMAGE, OTHER, THIRD = oci_image("image"), oci_image("other"), oci_image("third one, larger")
DOCKER_IMAGE = docker_image("docker")
INDEX = oci_index([IMAGE, THIRD])
REFERRER = artifact("sbom", subject=IMAGE, annotations={"k": "v"})
SIGNATURE_OF_IMAGE = artifact("signature", subject=IMAGE, artifact_type=SIGNATURE)
NOTHING = "sha256:" + "0" * 64


def manifest_of(stage: Stage, image: Image, tag: str | None = None) -> dict[str, Any]:
    """Return an image as BatchGetImage gives it."""
    tagged = {} if tag is None else {"imageTag": tag}
    return {
        "registryId": ACCOUNT,
        "repositoryName": stage.name,
        "imageId": {"imageDigest": str(image.digest), **tagged},
        "imageManifest": image.content.decode(),
        "imageManifestMediaType": image.media_type,
    }


def digest_id(image: Image, tag: str | None = None) -> dict[str, str]:
    tagged = {} if tag is None else {"imageTag": tag}
    return {"imageDigest": str(image.digest), **tagged}


# --- PutImage -------------------------------------------------------------------------------------


def test_an_image_is_put_under_a_tag(stage: Stage) -> None:
    for blob in IMAGE.blobs:
        stage.push_blob(blob.content)

    answer = stage.server.ecr.put_image(
        repositoryName=stage.name,
        imageManifest=IMAGE.content.decode(),
        imageManifestMediaType=OCI_MANIFEST,
        imageTag="1",
        imageDigest=str(IMAGE.digest),
    )

    assert body(answer) == {"image": manifest_of(stage, IMAGE, "1")}
    assert stage.send("GET", "manifests/1").body == IMAGE.content


def test_an_image_needs_no_tag(stage: Stage) -> None:
    for blob in IMAGE.blobs:
        stage.push_blob(blob.content)

    answer = stage.server.ecr.put_image(
        repositoryName=stage.name, imageManifest=IMAGE.content.decode()
    )

    assert body(answer) == {"image": manifest_of(stage, IMAGE)}


def test_a_tag_of_the_api_may_have_300_characters(stage: Stage) -> None:
    stage.push(IMAGE)

    answer = stage.server.ecr.put_image(
        repositoryName=stage.name, imageManifest=IMAGE.content.decode(), imageTag="t" * 300
    )

    assert answer["image"]["imageId"].get("imageTag") == "t" * 300


def test_a_manifest_beyond_ascii_keeps_its_bytes(stage: Stage) -> None:
    image = oci_image("sch\u00f6n", annotations={"title": "na\u00efve \u2603 \U0001d11e"})
    for blob in image.blobs:
        stage.push_blob(blob.content)
    text = json.dumps(json.loads(image.content), ensure_ascii=False).replace(", ", ",\r\n")

    answer = stage.server.ecr.put_image(repositoryName=stage.name, imageManifest=text, imageTag="1")

    assert answer["image"].get("imageManifest") == text
    assert answer["image"]["imageId"].get("imageDigest") == str(Digest.of(text.encode()))
    assert stage.send("GET", "manifests/1").body == text.encode()


def test_a_new_tag_keeps_the_time_of_the_first_push(stage: Stage) -> None:
    clock, ecr = stage.server.clock, stage.server.ecr
    with clock.stopped() as pushed_at:
        stage.push(IMAGE, "1")
    with clock.ahead(5 * MINUTE):
        ecr.put_image(repositoryName=stage.name, imageManifest=IMAGE.content.decode(), imageTag="2")

    [described] = ecr.describe_images(repositoryName=stage.name)["imageDetails"]
    assert described["imageTags"] == ["1", "2"]
    assert described["imagePushedAt"] == as_datetime(pushed_at)


# --- BatchGetImage --------------------------------------------------------------------------------


def test_images_are_got_by_tag_and_by_digest(stage: Stage) -> None:
    stage.push(IMAGE, "1", "2")
    stage.push(OTHER)
    ids: Any = [
        {"imageTag": "2"},
        {"imageDigest": str(OTHER.digest)},
        {"imageTag": "1", "imageDigest": str(IMAGE.digest)},
        {"imageDigest": str(IMAGE.digest)},
    ]

    answer = stage.server.ecr.batch_get_image(repositoryName=stage.name, imageIds=ids)

    assert body(answer) == {
        "images": [
            manifest_of(stage, IMAGE, "2"),
            manifest_of(stage, OTHER),
            manifest_of(stage, IMAGE, "1"),
            manifest_of(stage, IMAGE),
        ],
        "failures": [],
    }


NOT_FOUND = ("ImageNotFound", "Requested image not found")
# An id, and why it fails.
FAILURES: list[tuple[dict[str, str], tuple[str, str]]] = [
    ({"imageTag": "2"}, NOT_FOUND),
    ({"imageDigest": NOTHING}, NOT_FOUND),
    ({"imageDigest": "sha512:" + "0" * 128}, NOT_FOUND),
    ({"imageDigest": "md5:abc"}, NOT_FOUND),
    ({"imageDigest": str(IMAGE.digest).upper().replace("SHA", "sha")}, NOT_FOUND),
    (
        {"imageTag": "1", "imageDigest": NOTHING},
        ("ImageTagDoesNotMatchDigest", "Requested image tag does not match the requested digest"),
    ),
    (
        {"imageDigest": "sha256"},
        (
            "InvalidImageDigest",
            (
                "Invalid request parameters: image digest should satisfy the regex "
                "'[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"
            ),
        ),
    ),
    (
        {"imageTag": "-x"},
        (
            "InvalidImageTag",
            (
                "Invalid request parameters: image tag should satisfy the regex "
                "'[a-zA-Z0-9_][a-zA-Z0-9._-]*'"
            ),
        ),
    ),
    (
        {},
        (
            "MissingDigestAndTag",
            "Invalid request parameters: both tag and digest cannot be null",
        ),
    ),
]


@pytest.mark.parametrize("operation", ["batch_get_image", "batch_delete_image"])
def test_each_id_fails_on_its_own(stage: Stage, operation: str) -> None:
    stage.push(IMAGE, "1", "more")
    stage.push(OTHER, "good")
    good = {"imageTag": "good"}
    ids = [each for each, _ in FAILURES]
    ids.insert(len(ids) // 2, good)

    call = getattr(stage.server.ecr, operation)
    answer = body(call(repositoryName=stage.name, imageIds=ids))

    assert answer["failures"] == [
        {"imageId": each, "failureCode": code, "failureReason": reason}
        for each, (code, reason) in FAILURES
    ]
    if operation == "batch_get_image":
        assert answer["images"] == [manifest_of(stage, OTHER, "good")]
    else:
        assert answer["imageIds"] == [digest_id(OTHER, "good")]


def test_an_image_is_converted_for_who_does_not_accept_it(stage: Stage) -> None:
    stage.push(IMAGE, "oci")
    stage.push(DOCKER_IMAGE, "docker")
    stage.push(INDEX, "index")

    def got(image_id: dict[str, str], *accepted: str) -> dict[str, Any]:
        answer = stage.server.ecr.batch_get_image(
            repositoryName=stage.name,
            imageIds=[image_id],  # type: ignore[list-item] # no literal
            acceptedMediaTypes=list(accepted),
        )
        [image] = answer["images"]
        return dict(image)

    converted = got({"imageTag": "oci"}, DOCKER_MANIFEST)
    assert converted["imageManifestMediaType"] == DOCKER_MANIFEST
    digest = Digest.of(converted["imageManifest"].encode())
    assert converted["imageId"] == {"imageTag": "oci", "imageDigest": str(digest)}
    assert got({"imageTag": "docker"}, OCI_MANIFEST)["imageManifestMediaType"] == OCI_MANIFEST
    # Not if the stored type is accepted, not by digest, and not what has no counterpart.
    assert got({"imageTag": "oci"}, DOCKER_MANIFEST, OCI_MANIFEST) == manifest_of(
        stage, IMAGE, "oci"
    )
    assert got(digest_id(IMAGE), DOCKER_MANIFEST) == manifest_of(stage, IMAGE)
    assert got({"imageTag": "index"}, DOCKER_MANIFEST) == manifest_of(stage, INDEX, "index")


# --- BatchDeleteImage -----------------------------------------------------------------------------

# What is deleted, what the answer lists, and which ids are left.
DELETIONS: list[tuple[str, list[dict[str, str]], list[dict[str, str]], list[dict[str, str]]]] = [
    (
        "a tag of many",
        [{"imageTag": "1"}],
        [digest_id(IMAGE, "1")],
        [digest_id(IMAGE, "2"), digest_id(OTHER, "only")],
    ),
    (
        "the last tag, and the image with it",
        [{"imageTag": "only"}],
        [digest_id(OTHER, "only")],
        [digest_id(IMAGE, "1"), digest_id(IMAGE, "2")],
    ),
    (
        "a digest with all its tags",
        [digest_id(IMAGE)],
        [digest_id(IMAGE, "1"), digest_id(IMAGE, "2")],
        [digest_id(OTHER, "only")],
    ),
    (
        "a tag by both",
        [digest_id(IMAGE, "2")],
        [digest_id(IMAGE, "2")],
        [digest_id(IMAGE, "1"), digest_id(OTHER, "only")],
    ),
    (
        "all tags one by one",
        [{"imageTag": "1"}, {"imageTag": "2"}, {"imageTag": "only"}],
        [digest_id(IMAGE, "1"), digest_id(IMAGE, "2"), digest_id(OTHER, "only")],
        [],
    ),
]


@pytest.mark.parametrize(
    ("ids", "deleted", "left"), [row[1:] for row in DELETIONS], ids=[row[0] for row in DELETIONS]
)
def test_deletions(stage: Stage, ids: Any, deleted: Any, left: Any) -> None:
    stage.push(IMAGE, "1", "2")
    stage.push(OTHER, "only")

    answer = stage.server.ecr.batch_delete_image(repositoryName=stage.name, imageIds=ids)

    assert body(answer) == {"imageIds": deleted, "failures": []}
    assert stage.server.ecr.list_images(repositoryName=stage.name)["imageIds"] == left


def test_an_untagged_image_is_deleted_by_its_digest(stage: Stage) -> None:
    stage.push(IMAGE)

    answer = stage.server.ecr.batch_delete_image(
        repositoryName=stage.name, imageIds=[{"imageDigest": str(IMAGE.digest)}]
    )

    assert body(answer) == {"imageIds": [digest_id(IMAGE)], "failures": []}


def test_the_second_of_two_equal_ids_is_not_found(stage: Stage) -> None:
    stage.push(IMAGE, "1", "2")
    ids: Any = [{"imageTag": "1"}, {"imageTag": "1"}]

    answer = stage.server.ecr.batch_delete_image(repositoryName=stage.name, imageIds=ids)

    [failure] = answer["failures"]
    assert (failure.get("failureCode"), failure.get("failureReason")) == NOT_FOUND


def test_what_an_index_refers_to_goes_after_the_index(stage: Stage) -> None:
    stage.push(INDEX, "index")
    stage.put(IMAGE, "child")
    ecr, child, index = stage.server.ecr, digest_id(IMAGE), digest_id(INDEX)
    referenced = {
        "failureCode": "ImageReferencedByManifestList",
        "failureReason": f"Requested image referenced by manifest list: [{INDEX.digest}]",
    }
    first: Any = [child, {"imageTag": "child"}]
    refused = ecr.batch_delete_image(repositoryName=stage.name, imageIds=first)

    assert body(refused) == {
        "imageIds": [],
        "failures": [{"imageId": image_id, **referenced} for image_id in first],
    }
    both: Any = [index, child]
    deleted = ecr.batch_delete_image(repositoryName=stage.name, imageIds=both)
    assert body(deleted) == {
        "imageIds": [digest_id(INDEX, "index"), digest_id(IMAGE, "child")],
        "failures": [],
    }


# --- ListImages and DescribeImages ----------------------------------------------------------------


def test_an_empty_repository(stage: Stage) -> None:
    ecr = stage.server.ecr
    assert body(ecr.list_images(repositoryName=stage.name)) == {"imageIds": []}
    assert body(ecr.describe_images(repositoryName=stage.name)) == {"imageDetails": []}


def described(stage: Stage, image: Image, pushed_at: int, **more: Any) -> dict[str, Any]:
    """Return an image as DescribeImages gives it."""
    return {
        "registryId": ACCOUNT,
        "repositoryName": stage.name,
        "imageDigest": str(image.digest),
        "imageSizeInBytes": size(image),
        "imagePushedAt": as_datetime(pushed_at),
        "imageManifestMediaType": image.media_type,
        "imageStatus": "ACTIVE",
        **more,
    }


def size(image: Image) -> int:
    """Add up what an image consists of; of an index ECR tells the largest of its images."""
    if image.children:
        return max(size(child) for child in image.children)
    return sum(len(blob.content) for blob in image.blobs)


def test_every_kind_of_image_is_described(stage: Stage) -> None:
    with stage.server.clock.stopped() as now:
        stage.push(INDEX, "b-index", "a-index")
        stage.push(DOCKER_IMAGE, "docker")
        stage.push(REFERRER)

    answer = stage.server.ecr.describe_images(repositoryName=stage.name)

    assert body(answer) == {
        "imageDetails": [
            described(stage, IMAGE, now, artifactMediaType=OCI_CONFIG),
            described(stage, THIRD, now, artifactMediaType=OCI_CONFIG),
            described(stage, INDEX, now, imageTags=["a-index", "b-index"]),
            described(
                stage, DOCKER_IMAGE, now, imageTags=["docker"], artifactMediaType=DOCKER_CONFIG
            ),
            described(
                stage,
                REFERRER,
                now,
                artifactMediaType=SBOM,
                subjectManifestDigest=str(IMAGE.digest),
            ),
        ]
    }
    assert INDEX.media_type == OCI_INDEX
    assert DOCKER_IMAGE.media_type == DOCKER_MANIFEST


def test_images_are_described_by_their_ids_each_once(stage: Stage) -> None:
    with stage.server.clock.stopped() as now:
        stage.push(IMAGE, "1", "2")
        stage.push(OTHER)
        stage.push(THIRD)
    ids: Any = [digest_id(OTHER), {"imageTag": "1"}, {"imageTag": "2"}, digest_id(IMAGE, "1")]

    answer = stage.server.ecr.describe_images(repositoryName=stage.name, imageIds=ids)

    assert body(answer) == {
        "imageDetails": [
            described(stage, IMAGE, now, imageTags=["1", "2"], artifactMediaType=OCI_CONFIG),
            described(stage, OTHER, now, artifactMediaType=OCI_CONFIG),
        ]
    }


# Of three images, one without a tag, what each filter shows.
FILTERS: list[tuple[dict[str, str], list[str]]] = [
    ({}, ["1", "2", "untagged", "3"]),
    ({"tagStatus": "ANY"}, ["1", "2", "untagged", "3"]),
    ({"tagStatus": "TAGGED"}, ["1", "2", "3"]),
    ({"tagStatus": "UNTAGGED"}, ["untagged"]),
    ({"imageStatus": "ACTIVE"}, ["1", "2", "untagged", "3"]),
    ({"imageStatus": "ANY"}, ["1", "2", "untagged", "3"]),
    ({"imageStatus": "ARCHIVED"}, []),
    ({"imageStatus": "ACTIVATING"}, []),
    ({"imageStatus": "ACTIVE", "tagStatus": "UNTAGGED"}, ["untagged"]),
]


@pytest.mark.parametrize(("chosen", "shown"), FILTERS)
def test_filters_and_paginators(stage: Stage, chosen: Any, shown: list[str]) -> None:
    stage.push(IMAGE, "1", "2")
    stage.push(OTHER)
    stage.push(THIRD, "3")
    ecr = stage.server.ecr
    for page_size in (1, 2, 100):
        paging: Any = {
            "repositoryName": stage.name,
            "filter": chosen,
            "PaginationConfig": {"PageSize": page_size},
        }
        ids = [
            [image_id.get("imageTag", "untagged") for image_id in page["imageIds"]]
            for page in ecr.get_paginator("list_images").paginate(**paging)
        ]
        details = [
            [detail.get("imageTags", ["untagged"]) for detail in page["imageDetails"]]
            for page in ecr.get_paginator("describe_images").paginate(**paging)
        ]

        assert list(chain.from_iterable(ids)) == shown
        assert list(chain.from_iterable(chain.from_iterable(details))) == shown
        for pages in (ids, details):
            assert all(len(page) == page_size for page in pages[:-1])
            assert len(pages[-1]) <= page_size


def test_a_token_is_good_for_its_own_listing_alone(stage: Stage) -> None:
    stage.push(IMAGE, "1", "2", "3")
    ecr = stage.server.ecr
    token = ecr.list_images(repositoryName=stage.name, maxResults=1)["nextToken"]
    message = constraint("nextToken", "The token is not one that this listing returned")

    tampered = token[:20] + ("A" if token[20] != "A" else "B") + token[21:]
    with refusal("InvalidParameterException", message):
        ecr.list_images(repositoryName=stage.name, nextToken=tampered)
    with refusal("InvalidParameterException", message):
        ecr.describe_images(repositoryName=stage.name, nextToken=token)
    with refusal("InvalidParameterException", message):
        ecr.list_images(repositoryName=stage.name, nextToken=token, filter={"tagStatus": "TAGGED"})
    rest = ecr.list_images(repositoryName=stage.name, nextToken=token)
    assert [image_id.get("imageTag") for image_id in rest["imageIds"]] == ["2", "3"]


# --- ListImageReferrers ---------------------------------------------------------------------------


def referrer(image: Image, artifact_type: str, **more: Any) -> dict[str, Any]:
    return {
        "digest": str(image.digest),
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "size": len(image.content),
        "artifactStatus": "ACTIVE",
        **more,
    }


THE_SBOM = referrer(REFERRER, SBOM, annotations={"k": "v"})
THE_SIGNATURE = referrer(SIGNATURE_OF_IMAGE, SIGNATURE)


@pytest.mark.parametrize(
    ("chosen", "shown"),
    [
        (None, [THE_SBOM, THE_SIGNATURE]),
        ({}, [THE_SBOM, THE_SIGNATURE]),
        ({"artifactTypes": [SBOM]}, [THE_SBOM]),
        ({"artifactTypes": [SIGNATURE, SBOM]}, [THE_SBOM, THE_SIGNATURE]),
        ({"artifactTypes": ["application/other"]}, []),
        ({"artifactStatus": "ACTIVE"}, [THE_SBOM, THE_SIGNATURE]),
        ({"artifactStatus": "ANY"}, [THE_SBOM, THE_SIGNATURE]),
        ({"artifactStatus": "ARCHIVED"}, []),
    ],
)
def test_referrers_are_listed(stage: Stage, chosen: Any, shown: list[dict[str, Any]]) -> None:
    stage.push(IMAGE, "1")
    stage.push(REFERRER)
    stage.push(SIGNATURE_OF_IMAGE)
    given = {} if chosen is None else {"filter": chosen}

    answer = stage.server.ecr.list_image_referrers(
        repositoryName=stage.name, subjectId={"imageDigest": str(IMAGE.digest)}, **given
    )

    assert body(answer) == {"referrers": shown}


def test_what_nobody_pushed_has_no_referrers(stage: Stage) -> None:
    answer = stage.server.ecr.list_image_referrers(
        repositoryName=stage.name, subjectId={"imageDigest": NOTHING}
    )

    assert body(answer) == {"referrers": []}


def test_referrers_come_in_pages_of_twenty(stage: Stage) -> None:
    referrers = [artifact(str(number), subject=IMAGE) for number in range(21)]
    for image in referrers:
        stage.push(image)
    request: Any = {"repositoryName": stage.name, "subjectId": digest_id(IMAGE)}
    ecr = stage.server.ecr

    first = ecr.list_image_referrers(**request)
    second = ecr.list_image_referrers(**request, nextToken=first["nextToken"])
    small = ecr.list_image_referrers(**request, maxResults=1)

    listed = [each["digest"] for page in (first, second) for each in page["referrers"]]
    assert [len(page["referrers"]) for page in (first, second, small)] == [20, 1, 1]
    assert listed == [str(image.digest) for image in referrers]
    assert "nextToken" not in second
