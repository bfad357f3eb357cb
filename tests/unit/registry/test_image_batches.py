from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from longshore.errors import (
    ImageNotFound,
    InvalidParameter,
    RepositoryNotFound,
    RequestedImageNotFound,
)
from longshore.names import Digest
from longshore.registry import image_batches
from longshore.registry.image_batches import Failure, ImageId
from longshore.registry.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.support.images import artifact, docker_image, docker_list, oci_image, oci_index
from tests.support.pushing import REGISTRY, REPOSITORY, create_repository, pull, push, put
from tests.support.threads import at_once

if TYPE_CHECKING:
    from collections.abc import Collection

    from longshore.registry.context import Context
    from longshore.registry.images import StoredManifest
    from tests.support.images import Image

pytestmark = pytest.mark.usefixtures("repository")

ONE, TWO = oci_image("one"), oci_image("two")
DOCKER = docker_image("one")
INDEX = oci_index([ONE, TWO])
NOBODY = "sha256:" + "0" * 64

NOT_FOUND = ("ImageNotFound", "Requested image not found")
MISSING = ("MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null")
BAD_DIGEST = (
    "InvalidImageDigest",
    (
        "Invalid request parameters: image digest should satisfy the regex "
        "'[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"
    ),
)
BAD_TAG = (
    "InvalidImageTag",
    "Invalid request parameters: image tag should satisfy the regex '[a-zA-Z0-9_][a-zA-Z0-9._-]*'",
)
MISMATCH = (
    "ImageTagDoesNotMatchDigest",
    "Requested image tag does not match the requested digest",
)

# What is wrong with an id, whatever is asked of the image. The tag "1" stands for ONE.
FAILURES = [
    (ImageId(), MISSING),
    (ImageId(tag="nobody"), NOT_FOUND),
    (ImageId(tag="1 "), BAD_TAG),
    (ImageId(tag=""), BAD_TAG),
    (ImageId(tag="-"), BAD_TAG),
    (ImageId(tag="a/b"), BAD_TAG),
    (ImageId(tag="a\0b"), BAD_TAG),
    (ImageId(tag="\ud800"), BAD_TAG),
    (ImageId(tag="a" * 301), BAD_TAG),
    (ImageId(tag="a" * 300), NOT_FOUND),
    (ImageId(tag="%"), BAD_TAG),
    (ImageId(NOBODY), NOT_FOUND),
    (ImageId(str(TWO.digest).upper()), NOT_FOUND),
    (ImageId("sha256:abc"), NOT_FOUND),
    (ImageId("md5:0123"), NOT_FOUND),
    (ImageId("sha256"), BAD_DIGEST),
    (ImageId(""), BAD_DIGEST),
    (ImageId("sha256:xyz"), BAD_DIGEST),
    (ImageId(f"{NOBODY}\n"), BAD_DIGEST),
    (ImageId("sha256:\0"), BAD_DIGEST),
    (ImageId("latest"), BAD_DIGEST),
    (ImageId(NOBODY, "1"), MISMATCH),
    (ImageId(str(TWO.digest), "1"), MISMATCH),
    (ImageId(str(ONE.digest), "nobody"), NOT_FOUND),
    (ImageId("bad", "1"), BAD_DIGEST),
    (ImageId(str(ONE.digest), "bad tag"), BAD_TAG),
]


def get(
    context: Context, *ids: ImageId, accepted: Collection[str] = ()
) -> tuple[list[StoredManifest], list[Failure]]:
    return image_batches.get(context, REGISTRY, REPOSITORY, ids, accepted)


def delete(context: Context, *ids: ImageId) -> tuple[list[ImageId], list[Failure]]:
    return image_batches.delete(context, REGISTRY, REPOSITORY, ids)


def failed(image_id: ImageId, why: tuple[str, str]) -> Failure:
    return Failure(image_id, *why)


def referenced(image: Image, *by: Image) -> Failure:
    digests = ", ".join(str(each.digest) for each in by)
    return Failure(
        ImageId(str(image.digest)),
        "ImageReferencedByManifestList",
        f"Requested image referenced by manifest list: [{digests}]",
    )


def by_digest(image: Image) -> ImageId:
    return ImageId(str(image.digest))


def is_there(context: Context, image: Image) -> bool:
    found, _ = get(context, by_digest(image))
    return bool(found)


# --- Getting --------------------------------------------------------------------------------------


def test_images_are_got_by_digest_by_tag_and_by_both(context: Context) -> None:
    push(context, ONE, "1")
    found, failures = get(context, by_digest(ONE), ImageId(tag="1"), ImageId(str(ONE.digest), "1"))
    assert failures == []
    # The tag is told to those who named it.
    assert [manifest.tag for manifest in found] == [None, "1", "1"]
    assert {manifest.content for manifest in found} == {ONE.content}
    assert {manifest.digest for manifest in found} == {ONE.digest}


def test_an_id_that_names_nothing_fails_alone(context: Context) -> None:
    push(context, ONE, "1")
    push(context, TWO)
    found, failures = get(context, *(image_id for image_id, _ in FAILURES), ImageId(tag="1"))
    assert failures == [failed(image_id, why) for image_id, why in FAILURES]
    assert [manifest.digest for manifest in found] == [ONE.digest]


def test_the_same_id_twice_is_got_twice(context: Context) -> None:
    push(context, ONE, "1")
    found, failures = get(context, *[ImageId(tag="1"), ImageId(tag="2")] * 2)
    assert (len(found), len(failures)) == (2, 2)


def test_a_repository_that_is_not_there_fails_the_whole_batch(context: Context) -> None:
    for ask in (
        partial(image_batches.get, accepted_media_types=()),
        image_batches.delete,
    ):
        with pytest.raises(RepositoryNotFound):
            ask(context, REGISTRY, "no/such", [ImageId(tag="1")])


@pytest.mark.parametrize(
    ("image", "accepted", "media_type"),
    [
        (ONE, [], OCI_MANIFEST),
        (ONE, [OCI_MANIFEST], OCI_MANIFEST),
        (ONE, [DOCKER_MANIFEST, OCI_MANIFEST], OCI_MANIFEST),
        (ONE, [DOCKER_MANIFEST], DOCKER_MANIFEST),
        (DOCKER, [DOCKER_MANIFEST], DOCKER_MANIFEST),
        (DOCKER, [OCI_MANIFEST], OCI_MANIFEST),
        (DOCKER, [OCI_INDEX, OCI_MANIFEST], OCI_MANIFEST),
        # Where there is no way, what is stored is served.
        (ONE, ["application/x-other"], OCI_MANIFEST),
        (ONE, [OCI_INDEX, DOCKER_LIST], OCI_MANIFEST),
        (oci_index([ONE]), [DOCKER_LIST, DOCKER_MANIFEST], OCI_INDEX),
        (docker_list([DOCKER]), [OCI_INDEX], DOCKER_LIST),
        (artifact("one"), [DOCKER_MANIFEST], OCI_MANIFEST),
    ],
)
def test_an_image_asked_for_by_tag_is_converted_to_what_is_accepted(
    context: Context, image: Image, accepted: list[str], media_type: str
) -> None:
    push(context, image, "1")
    [[got], failures] = get(context, ImageId(tag="1"), accepted=accepted)
    assert failures == []
    assert got.tag == "1"
    assert got.media_type == media_type
    if media_type == image.media_type:
        assert got == pull(context, "1")
    else:
        assert got.content != image.content
        assert got.digest == Digest.of(got.content)


@pytest.mark.parametrize("tag", [None, "1"])
def test_an_image_asked_for_by_digest_is_never_converted(context: Context, tag: str | None) -> None:
    push(context, ONE, "1")
    [[got], _] = get(context, ImageId(str(ONE.digest), tag), accepted=[DOCKER_MANIFEST])
    assert got.content == ONE.content


def test_nothing_is_converted_as_oci_has_it(oci: Context) -> None:
    push(oci, ONE, "1")
    [[got], _] = get(oci, ImageId(tag="1"), accepted=[DOCKER_MANIFEST])
    assert got.content == ONE.content


def test_what_was_pushed_as_oci_has_it_is_served_as_ecr_does(
    context: Context, oci: Context
) -> None:
    bare = oci_image("bare", layers=[])
    push(oci, bare, "1")
    [[got], _] = get(context, ImageId(tag="1"), accepted=[DOCKER_MANIFEST])
    assert got.media_type == DOCKER_MANIFEST
    [[got], _] = get(context, by_digest(bare))
    assert got.content == bare.content


# --- Deleting -------------------------------------------------------------------------------------


def test_a_tag_goes_and_the_image_stays_while_it_has_another(context: Context) -> None:
    push(context, ONE, "1")
    put(context, ONE, "2")
    assert delete(context, ImageId(tag="1")) == ([ImageId(str(ONE.digest), "1")], [])
    assert pull(context, "2").digest == ONE.digest
    with pytest.raises(ImageNotFound):
        pull(context, "1")


def test_an_image_goes_with_its_last_tag(context: Context) -> None:
    push(context, ONE, "1")
    assert delete(context, ImageId(tag="1")) == ([ImageId(str(ONE.digest), "1")], [])
    assert not is_there(context, ONE)


def test_an_image_goes_with_all_its_tags(context: Context) -> None:
    push(context, ONE, "b")
    put(context, ONE, "a")
    push(context, TWO, "c")
    deleted, failures = delete(context, by_digest(ONE))
    assert deleted == [ImageId(str(ONE.digest), "a"), ImageId(str(ONE.digest), "b")]
    assert failures == []
    assert not is_there(context, ONE)
    assert pull(context, "c").digest == TWO.digest


def test_an_untagged_image_is_told_of_by_its_digest(context: Context) -> None:
    push(context, ONE)
    assert delete(context, by_digest(ONE)) == ([by_digest(ONE)], [])
    assert not is_there(context, ONE)


def test_a_tag_with_its_digest_goes_alone(context: Context) -> None:
    push(context, ONE, "1")
    put(context, ONE, "2")
    both = ImageId(str(ONE.digest), "1")
    assert delete(context, both) == ([both], [])
    assert pull(context, "2").digest == ONE.digest


def test_an_id_that_names_nothing_deletes_nothing(context: Context) -> None:
    push(context, ONE, "1")
    push(context, TWO, "2")
    deleted, failures = delete(context, *(image_id for image_id, _ in FAILURES), ImageId(tag="2"))
    assert failures == [failed(image_id, why) for image_id, why in FAILURES]
    assert deleted == [ImageId(str(TWO.digest), "2")]
    assert pull(context, "1").digest == ONE.digest


@pytest.mark.parametrize("image_id", [by_digest(ONE), ImageId(tag="1")])
def test_the_same_id_twice_is_not_found_the_second_time(
    context: Context, image_id: ImageId
) -> None:
    push(context, ONE, "1")
    deleted, failures = delete(context, image_id, image_id)
    assert deleted == [ImageId(str(ONE.digest), "1")]
    assert failures == [failed(image_id, NOT_FOUND)]


def test_an_image_is_only_deleted_where_it_was_asked(context: Context) -> None:
    create_repository(context, "other")
    push(context, ONE, "1")
    push(context, ONE, "1", "other")
    delete(context, by_digest(ONE))
    assert pull(context, "1", "other").digest == ONE.digest


def test_an_image_that_an_index_refers_to_stays(context: Context) -> None:
    outer = oci_index([ONE], annotations={"an": "other"})
    push(context, INDEX, "index")
    push(context, outer)
    put(context, ONE, "1")
    assert delete(context, by_digest(ONE)) == ([], [referenced(ONE, INDEX, outer)])
    # Its last tag would take it along.
    deleted, [failure] = delete(context, ImageId(tag="1"))
    assert deleted == []
    assert (failure.id, failure.code) == (ImageId(tag="1"), "ImageReferencedByManifestList")
    assert pull(context, "1").digest == ONE.digest


def test_a_tag_of_an_image_in_an_index_goes_while_it_has_another(context: Context) -> None:
    push(context, INDEX, "index")
    put(context, ONE, "1")
    put(context, ONE, "2")
    assert delete(context, ImageId(tag="1")) == ([ImageId(str(ONE.digest), "1")], [])
    assert is_there(context, ONE)


def test_an_index_and_its_images_go_together_if_it_comes_first(context: Context) -> None:
    push(context, INDEX, "index")
    ids = [by_digest(INDEX), by_digest(ONE), by_digest(TWO)]
    deleted, failures = delete(context, by_digest(ONE), *ids)
    assert failures == [referenced(ONE, INDEX)]
    assert deleted == [ImageId(str(INDEX.digest), "index"), by_digest(ONE), by_digest(TWO)]
    assert not any(is_there(context, image) for image in (INDEX, ONE, TWO))


def test_the_images_of_a_deleted_index_stay(context: Context) -> None:
    push(context, INDEX, "index")
    delete(context, by_digest(INDEX))
    assert is_there(context, ONE)
    assert is_there(context, TWO)


def test_an_index_elsewhere_keeps_no_image_here(context: Context) -> None:
    create_repository(context, "other")
    push(context, INDEX, None, "other")
    push(context, ONE)
    assert delete(context, by_digest(ONE)) == ([by_digest(ONE)], [])


def test_a_referrer_keeps_no_subject(context: Context) -> None:
    referrer = artifact("one", subject=ONE)
    push(context, ONE)
    push(context, referrer)
    assert delete(context, by_digest(ONE)) == ([by_digest(ONE)], [])
    assert is_there(context, referrer)


def test_an_image_can_be_pushed_again_after_it_was_deleted(context: Context) -> None:
    push(context, INDEX, "1")
    delete(context, by_digest(INDEX), by_digest(ONE), by_digest(TWO))
    push(context, INDEX, "1")
    assert pull(context, "1").content == INDEX.content


def test_of_many_who_delete_an_image_one_does(context: Context) -> None:
    push(context, ONE, "1")
    done = at_once([partial(delete, context, by_digest(ONE))] * 6)
    assert sorted(len(deleted) for deleted, _ in done) == [0] * 5 + [1]


# --- One at a time --------------------------------------------------------------------------------


def delete_one(context: Context, image_id: ImageId, *, keep_image: bool = False) -> None:
    image_batches.delete_one(context, REGISTRY, REPOSITORY, image_id, keep_image=keep_image)


def test_an_untagged_image_may_be_kept(context: Context) -> None:
    push(context, ONE, "1")
    delete_one(context, ImageId(tag="1"), keep_image=True)
    assert is_there(context, ONE)
    put(context, ONE, "1")
    delete_one(context, ImageId(tag="1"))
    assert not is_there(context, ONE)


def test_the_tag_of_an_image_in_an_index_may_go_where_the_image_is_kept(context: Context) -> None:
    push(context, INDEX)
    put(context, ONE, "1")
    with pytest.raises(InvalidParameter) as refusal:
        delete_one(context, ImageId(tag="1"))
    assert refusal.value.message == referenced(ONE, INDEX).reason
    delete_one(context, ImageId(tag="1"), keep_image=True)
    assert is_there(context, ONE)


@pytest.mark.parametrize("image_id", [ImageId(tag="2"), ImageId(NOBODY)])
def test_an_image_that_is_not_there_cannot_be_deleted(context: Context, image_id: ImageId) -> None:
    with pytest.raises(RequestedImageNotFound) as refusal:
        delete_one(context, image_id)
    assert refusal.value.message == "Requested image not found"


def test_an_image_in_an_index_cannot_be_deleted(context: Context) -> None:
    push(context, INDEX)
    with pytest.raises(InvalidParameter) as refusal:
        delete_one(replace(context), by_digest(ONE))
    assert refusal.value.message == referenced(ONE, INDEX).reason
    delete_one(context, by_digest(INDEX))
    delete_one(context, by_digest(ONE))
    assert not is_there(context, ONE)
