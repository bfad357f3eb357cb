from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from longshore.errors import (
    ImageAlreadyExists,
    ImageDigestDoesNotMatch,
    ImageNotFound,
    ImageTagAlreadyExists,
    InvalidParameter,
    LayersNotFound,
    LimitExceeded,
    ReferencedImagesNotFound,
    RepositoryNotFound,
)
from longshore.metadata import schema
from longshore.names import Digest, Registry
from longshore.registry import image_batches, image_listings, images, repositories
from longshore.registry.image_batches import ImageId
from longshore.registry.limits import Limits
from longshore.registry.media_types import (
    DOCKER_FOREIGN_LAYER_GZIP,
    OCI_FOREIGN_LAYER_GZIP,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
)
from longshore.registry.mutability import Mode, TagMutability
from tests.support.images import (
    SBOM,
    artifact,
    docker_image,
    docker_list,
    layer,
    oci_image,
    oci_index,
)
from tests.support.pushing import (
    ACCOUNT,
    REGISTRY,
    REPOSITORY,
    create_repository,
    pull,
    push,
    put,
    upload,
)
from tests.support.threads import at_once, outcome

if TYPE_CHECKING:
    from longshore.registry.context import Context
    from longshore.registry.image_listings import Image as Described
    from tests.support.clock import FakeClock
    from tests.support.images import Blob, Image

pytestmark = pytest.mark.usefixtures("repository")

ONE, TWO, THREE = oci_image("one"), oci_image("two"), oci_image("three")
WHERE = "repository with name 'demo/app' in the registry with id '000000000000'"
CATCH_ALL = (
    "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"
)


def put_bytes(
    context: Context,
    content: bytes,
    *,
    media_type: str | None = None,
    tag: str | None = None,
    digest: Digest | None = None,
) -> images.StoredManifest:
    return images.put(
        context, REGISTRY, REPOSITORY, content, media_type=media_type, tag=tag, digest=digest
    )


def describe(context: Context, image: Image) -> Described:
    ids = [ImageId(str(image.digest))]
    return image_listings.describe(context, REGISTRY, REPOSITORY, ids)[0]


def tags(context: Context) -> dict[str, Digest]:
    with context.database.read() as tx:
        rows = tx.execute(
            select(schema.tags.c.name, schema.images.c.digest).join(
                schema.images, schema.images.c.id == schema.tags.c.image_id
            )
        )
        return {row.name: Digest.parse(row.digest) for row in rows}


def make_immutable(context: Context, mode: str = "IMMUTABLE", *exclusions: str) -> None:
    mutability = TagMutability(Mode(mode), exclusions)
    repositories.put_tag_mutability(context, REGISTRY, REPOSITORY, mutability)


# --- Several tags at once -------------------------------------------------------------------------


def put_under(context: Context, image: Image, *names: str) -> None:
    images.put(
        context,
        REGISTRY,
        REPOSITORY,
        image.content,
        media_type=None,
        tag=None,
        digest=image.digest,
        more_tags=names,
    )


def test_many_tags_come_to_stand_for_one_image(context: Context) -> None:
    push(context, ONE, "a")
    push(context, TWO, "b")
    put_under(context, ONE, "a", "b", "c", "c")
    assert tags(context) == dict.fromkeys("abc", ONE.digest)
    with pytest.raises(ImageAlreadyExists):
        put_under(context, ONE, "c", "a")
    put_under(context, TWO, "c", "b")
    assert tags(context) == {"a": ONE.digest, "b": TWO.digest, "c": TWO.digest}


def test_one_tag_that_can_not_move_keeps_all_where_they_are(context: Context) -> None:
    push(context, ONE, "a")
    push(context, TWO)
    make_immutable(context)
    before = tags(context)
    with pytest.raises(ImageTagAlreadyExists):
        put_under(context, TWO, "new", "a")
    with pytest.raises(ImageTagAlreadyExists):
        put_under(context, THREE, "new", "a")
    assert tags(context) == before
    put_under(context, ONE, "a", "new")
    assert tags(context) == {"a": ONE.digest, "new": ONE.digest}


def test_tags_beyond_the_limit_change_nothing(context: Context) -> None:
    few = replace(context, limits=replace(context.limits, tags_per_image=2))
    push(few, ONE, "a")
    with pytest.raises(LimitExceeded):
        put_under(few, ONE, "b", "c")
    assert tags(few) == {"a": ONE.digest}


# --- A manifest as it was pushed ------------------------------------------------------------------


@pytest.mark.parametrize(
    "image",
    [
        ONE,
        docker_image("one"),
        artifact("one"),
        artifact("one", subject=ONE),
        oci_index([ONE, TWO]),
        docker_list([docker_image("one"), docker_image("two")]),
        oci_index([ONE, artifact("one", subject=ONE)], annotations={"a": "b"}),
    ],
    ids=["oci", "docker", "artifact", "referrer", "index", "list", "mixed"],
)
def test_a_manifest_is_kept_to_the_byte(context: Context, image: Image) -> None:
    stored = push(context, image, "1")
    assert stored.content == image.content
    assert stored.digest == image.digest
    assert stored.media_type == image.media_type
    assert pull(context, "1") == stored
    assert pull(context, str(image.digest)) == replace(stored, tag=None)


def test_a_manifest_that_does_not_say_what_it_is_is_what_the_pusher_says(context: Context) -> None:
    document = json.loads(ONE.content)
    del document["mediaType"]
    content = json.dumps(document).encode()
    for blob in ONE.blobs:
        upload(context, blob)
    with pytest.raises(InvalidParameter) as refusal:
        put_bytes(context, content)
    assert refusal.value.message == CATCH_ALL
    assert put_bytes(context, content, media_type=OCI_MANIFEST).media_type == OCI_MANIFEST
    assert pull(context, str(Digest.of(content))).media_type == OCI_MANIFEST


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b"\xff", b"[]", b"null"])
def test_what_is_no_manifest_is_refused_and_changes_nothing(
    context: Context, content: bytes
) -> None:
    with pytest.raises(InvalidParameter) as refusal:
        put_bytes(context, content, media_type=OCI_MANIFEST, tag="1")
    assert refusal.value.message == CATCH_ALL
    assert tags(context) == {}


def test_a_digest_that_is_not_the_manifests_is_refused(context: Context) -> None:
    for blob in ONE.blobs:
        upload(context, blob)
    with pytest.raises(ImageDigestDoesNotMatch) as refusal:
        put_bytes(context, ONE.content, digest=TWO.digest)
    assert refusal.value.message == (
        f"The specified image digest '{TWO.digest}' does not match the digest that Amazon ECR "
        f"calculated for the image: '{ONE.digest}'"
    )
    assert put_bytes(context, ONE.content, digest=ONE.digest).digest == ONE.digest


def test_a_manifest_may_be_named_by_sha512(oci: Context) -> None:
    for blob in ONE.blobs:
        upload(oci, blob)
    digest = Digest.of(ONE.content, "sha512")
    assert put_bytes(oci, ONE.content, digest=digest, tag="1").digest == digest
    assert pull(oci, str(digest)).content == ONE.content
    with pytest.raises(ImageNotFound):
        pull(oci, str(ONE.digest))


def test_a_repository_that_is_not_there_takes_no_manifest(context: Context) -> None:
    with pytest.raises(RepositoryNotFound):
        put(context, ONE, "1", "no/such")
    with pytest.raises(RepositoryNotFound):
        pull(context, "1", "no/such")
    with pytest.raises(RepositoryNotFound):
        pull(context, str(ONE.digest), "no/such")


def test_an_image_is_only_where_it_was_pushed_to(context: Context) -> None:
    create_repository(context, "other")
    create_repository(context, registry=Registry(ACCOUNT, "us-east-1"))
    push(context, ONE, "1")
    with pytest.raises(ImageNotFound) as refusal:
        pull(context, "1", "other")
    assert refusal.value.message == (
        "The image with imageId {imageDigest:'null', imageTag:'1'} does not exist within the "
        "repository with name 'other' in the registry with id '000000000000'"
    )
    with pytest.raises(ImageNotFound) as refusal:
        pull(context, str(ONE.digest), "other")
    assert refusal.value.message == (
        f"The image with imageId {{imageDigest:'{ONE.digest}', imageTag:'null'}} does not exist "
        "within the repository with name 'other' in the registry with id '000000000000'"
    )
    with pytest.raises(ImageNotFound):
        images.get_by_tag(context, Registry(ACCOUNT, "us-east-1"), REPOSITORY, "1")


@pytest.mark.parametrize("tag", ["LATEST", "lates_", "l%", "latest "])
def test_tags_differ_in_every_character(context: Context, tag: str) -> None:
    push(context, ONE, "latest")
    with pytest.raises(ImageNotFound):
        pull(context, tag)


# --- What it refers to ----------------------------------------------------------------------------


def test_every_layer_and_the_config_must_be_there(context: Context) -> None:
    config, first, second = ONE.blobs
    upload(context, first)
    with pytest.raises(LayersNotFound) as refusal:
        put(context, ONE, "1")
    assert refusal.value.message == (
        f"Layers with digests '[{config.digest}, {second.digest}]' required for pushing image "
        f"into {WHERE} do not exist"
    )
    assert tags(context) == {}
    upload(context, second)
    with pytest.raises(LayersNotFound) as refusal:
        put(context, ONE, "1")
    assert refusal.value.message == (
        f"Layers with digests '[{config.digest}]' required for pushing image into {WHERE} "
        "do not exist"
    )
    upload(context, config)
    assert put(context, ONE, "1").digest == ONE.digest


def test_a_layer_that_another_repository_holds_is_not_there(context: Context) -> None:
    create_repository(context, "other")
    push(context, ONE, "1", "other")
    with pytest.raises(LayersNotFound):
        put(context, ONE, "1")


def test_a_missing_layer_that_is_listed_twice_is_told_once(context: Context) -> None:
    image = oci_image("twice", layers=[layer("same"), layer("same")])
    upload(context, image.blobs[0])
    with pytest.raises(LayersNotFound) as refusal:
        put(context, image)
    assert f"'[{layer('same').digest}]'" in refusal.value.message
    push(context, image)
    assert describe(context, image).size == len(image.blobs[0].content) + 2 * len("same")


@pytest.mark.parametrize(
    "foreign",
    [
        layer("foreign", OCI_FOREIGN_LAYER_GZIP),
        layer("foreign", DOCKER_FOREIGN_LAYER_GZIP, urls=["https://example.com/layer"]),
        layer("foreign", OCI_LAYER_GZIP, urls=["https://example.com/layer"]),
    ],
    ids=["oci", "docker", "urls"],
)
def test_a_foreign_layer_may_be_elsewhere(context: Context, foreign: Blob) -> None:
    image = oci_image("with a foreign layer", layers=[layer("own"), foreign])
    for blob in image.blobs[:2]:
        upload(context, blob)
    assert put(context, image, "1").digest == image.digest
    assert describe(context, image).size == sum(len(blob.content) for blob in image.blobs[:2])


def test_a_foreign_layer_that_was_pushed_is_held(context: Context) -> None:
    foreign = layer("foreign", OCI_FOREIGN_LAYER_GZIP)
    image = oci_image("with a foreign layer", layers=[foreign])
    for blob in image.blobs:
        upload(context, blob)
    put(context, image)
    with context.database.read() as tx:
        held = set(tx.execute(select(schema.image_layers.c.digest)).scalars())
    assert held == {str(blob.digest) for blob in image.blobs}


def test_every_child_of_an_index_must_be_there(context: Context) -> None:
    index = oci_index([ONE, TWO, THREE])
    push(context, TWO)
    with pytest.raises(ReferencedImagesNotFound) as refusal:
        put(context, index, "1")
    assert refusal.value.message == (
        f"Images with digests '[{ONE.digest}, {THREE.digest}]' required for pushing image into "
        f"{WHERE} do not exist"
    )
    assert tags(context) == {}
    push(context, ONE)
    push(context, THREE)
    assert put(context, index, "1").digest == index.digest


def test_an_index_may_come_before_its_children_as_oci_has_it(oci: Context) -> None:
    index = oci_index([ONE, TWO])
    assert put(oci, index, "1").digest == index.digest
    push(oci, ONE)
    # The index was there first: what it refers to can't go before it.
    _, failures = image_batches.delete(oci, REGISTRY, REPOSITORY, [ImageId(str(ONE.digest))])
    assert [failure.code for failure in failures] == ["ImageReferencedByManifestList"]


def test_an_index_may_hold_indexes(context: Context) -> None:
    inner = oci_index([ONE])
    outer = oci_index([inner, TWO])
    push(context, outer, "1")
    assert describe(context, outer).size == max(
        describe(context, ONE).size, describe(context, TWO).size
    )


def test_a_subject_need_not_be_there(context: Context) -> None:
    referrer = artifact("one", subject=ONE)
    stored = push(context, referrer)
    assert stored.subject == str(ONE.digest)
    assert pull(context, str(referrer.digest)).subject == str(ONE.digest)
    assert describe(context, referrer).subject == str(ONE.digest)


def test_an_image_without_layers_is_for_oci_alone(context: Context, oci: Context) -> None:
    image = oci_image("bare", layers=[])
    upload(context, image.blobs[0])
    with pytest.raises(InvalidParameter) as refusal:
        put(context, image)
    assert refusal.value.message == (
        "Invalid parameter at 'ImageManifest' failed to satisfy constraint: "
        "'Image has to have at least 1 layer'"
    )
    assert put(oci, image).digest == image.digest


# --- What is known of it --------------------------------------------------------------------------


def test_an_image_is_described_as_ecr_does(context: Context, clock: FakeClock) -> None:
    push(context, ONE, "b")
    clock.advance(1000)
    put(context, ONE, "a")
    described = describe(context, ONE)
    assert described.digest == ONE.digest
    assert described.tags == ("a", "b")
    assert described.media_type == OCI_MANIFEST
    assert described.artifact_media_type == "application/vnd.oci.image.config.v1+json"
    assert described.subject is None
    assert described.size == sum(len(blob.content) for blob in ONE.blobs)
    assert described.pushed_at == clock.now - 1000


@pytest.mark.parametrize(
    ("image", "artifact_media_type"),
    [
        (ONE, "application/vnd.oci.image.config.v1+json"),
        (docker_image("one"), "application/vnd.docker.container.image.v1+json"),
        (artifact("one"), SBOM),
        (oci_index([ONE]), None),
        (oci_index([ONE], artifact_type=SBOM), None),
        (docker_list([docker_image("one")]), None),
    ],
)
def test_an_artifact_media_type_is_the_configs_or_the_artifacts(
    context: Context, image: Image, artifact_media_type: str | None
) -> None:
    push(context, image)
    assert describe(context, image).artifact_media_type == artifact_media_type


def test_an_index_is_as_large_as_its_largest_image(context: Context) -> None:
    large = oci_image("large", layers=[layer("x" * 1000)])
    push(context, oci_index([ONE, large, TWO]), "1")
    assert describe(context, oci_index([ONE, large, TWO])).size == describe(context, large).size


def test_annotations_may_hold_any_character(context: Context) -> None:
    annotations = {"org.example": "é\0\n\"\\'; --\U0001f600", "\0": ""}
    image = artifact("one", subject=ONE, annotations=annotations)
    assert push(context, image).content == image.content
    with context.database.read() as tx:
        [stored] = tx.execute(select(schema.images.c.annotations)).scalars()
    assert stored == annotations


# --- Tags -----------------------------------------------------------------------------------------


def test_an_image_may_have_many_tags_and_none(context: Context) -> None:
    push(context, ONE)
    assert tags(context) == {}
    for tag in ("1", "1.0", "latest"):
        put(context, ONE, tag)
    assert tags(context) == dict.fromkeys(["1", "1.0", "latest"], ONE.digest)


def test_a_tag_that_moves_leaves_the_old_image_untagged(context: Context) -> None:
    push(context, ONE, "latest")
    push(context, TWO, "latest")
    assert tags(context) == {"latest": TWO.digest}
    assert pull(context, str(ONE.digest)).content == ONE.content
    assert describe(context, ONE).tags == ()
    put(context, ONE, "latest")
    assert tags(context) == {"latest": ONE.digest}


@pytest.mark.parametrize("mode", ["MUTABLE", "IMMUTABLE"])
def test_the_same_image_with_the_same_tag_is_there_already(context: Context, mode: str) -> None:
    push(context, ONE, "1")
    make_immutable(context, mode)
    with pytest.raises(ImageAlreadyExists) as refusal:
        put(context, ONE, "1")
    assert refusal.value.message == (
        f"Image with digest '{ONE.digest}' and tag '1' already exists in the repository with name "
        "'demo/app' in registry with id '000000000000'"
    )
    with pytest.raises(ImageAlreadyExists) as refusal:
        put(context, ONE)
    assert refusal.value.message == (
        f"Image with digest '{ONE.digest}' and tag 'null' already exists in the repository with "
        "name 'demo/app' in registry with id '000000000000'"
    )


def test_a_digest_is_compared_before_it_is_told_that_the_image_exists(context: Context) -> None:
    push(context, ONE, "1")
    with pytest.raises(ImageDigestDoesNotMatch):
        put_bytes(context, ONE.content, tag="1", digest=TWO.digest)


@pytest.mark.parametrize(
    ("mode", "exclusions", "tag", "moves"),
    [
        ("MUTABLE", (), "1", True),
        ("IMMUTABLE", (), "1", False),
        ("IMMUTABLE_WITH_EXCLUSION", ("dev-*",), "1", False),
        ("IMMUTABLE_WITH_EXCLUSION", ("dev-*",), "dev-1", True),
        ("MUTABLE_WITH_EXCLUSION", ("v*",), "1", True),
        ("MUTABLE_WITH_EXCLUSION", ("v*",), "v1", False),
    ],
)
def test_an_immutable_tag_stays_with_its_image(
    context: Context, mode: str, exclusions: tuple[str, ...], tag: str, *, moves: bool
) -> None:
    make_immutable(context, mode, *exclusions)
    push(context, ONE, tag)
    push(context, TWO)
    if moves:
        put(context, TWO, tag)
    else:
        with pytest.raises(ImageTagAlreadyExists) as refusal:
            put(context, TWO, tag)
        assert refusal.value.message == (
            f"The image tag '{tag}' already exists in the 'demo/app' repository and cannot be "
            "overwritten because the tag is immutable."
        )
    assert tags(context) == {tag: TWO.digest if moves else ONE.digest}


def test_an_immutable_tag_is_refused_before_an_image_is_stored(context: Context) -> None:
    make_immutable(context)
    push(context, ONE, "1")
    for blob in TWO.blobs:
        upload(context, blob)
    with pytest.raises(ImageTagAlreadyExists):
        put(context, TWO, "1")
    with pytest.raises(ImageNotFound):
        pull(context, str(TWO.digest))


def test_an_immutable_tag_can_be_deleted_and_given_anew(context: Context) -> None:
    make_immutable(context)
    push(context, ONE, "1")
    image_batches.delete(context, REGISTRY, REPOSITORY, [ImageId(tag="1")])
    push(context, TWO, "1")
    assert tags(context) == {"1": TWO.digest}


def test_an_image_gets_new_tags_where_tags_are_immutable(context: Context) -> None:
    make_immutable(context)
    push(context, ONE, "1")
    put(context, ONE, "2")
    assert tags(context) == {"1": ONE.digest, "2": ONE.digest}


# --- Limits ---------------------------------------------------------------------------------------


def test_a_repository_holds_so_many_images_and_no_more(context: Context) -> None:
    small = replace(context, limits=Limits(images_per_repository=2))
    push(small, ONE, "1")
    push(small, TWO, "2")
    with pytest.raises(LimitExceeded) as refusal:
        push(small, THREE, "3")
    assert refusal.value.message == (
        "The repository with name 'demo/app' already has 2 images, the most it may have. Delete "
        "some or raise the limit (limits.images_per_repository)."
    )
    assert tags(context) == {"1": ONE.digest, "2": TWO.digest}
    put(small, ONE, "3")
    create_repository(small, "other")
    push(small, THREE, "3", "other")
    image_batches.delete(small, REGISTRY, REPOSITORY, [ImageId(str(ONE.digest))])
    put(small, THREE, "3")


def test_an_image_has_so_many_tags_and_no_more(context: Context) -> None:
    small = replace(context, limits=Limits(tags_per_image=2))
    push(small, ONE, "1")
    put(small, ONE, "2")
    push(small, TWO, "3")
    for tag in ("3", "4"):
        with pytest.raises(LimitExceeded) as refusal:
            put(small, ONE, tag)
        assert refusal.value.message == "An image may have at most 2 tags, and this one has 2."
    assert tags(context) == {"1": ONE.digest, "2": ONE.digest, "3": TWO.digest}
    with pytest.raises(ImageAlreadyExists):
        put(small, ONE, "1")
    put(small, TWO, "1")
    put(small, ONE, "4")


# --- Many at once ---------------------------------------------------------------------------------


def test_of_many_who_push_the_same_image_one_is_first(context: Context) -> None:
    for blob in ONE.blobs:
        upload(context, blob)
    outcomes = at_once([outcome(partial(put, context, ONE, "1"))] * 8)
    assert sorted(outcomes) == ["ImageAlreadyExists"] * 7 + ["done"]


def test_of_many_who_push_to_an_immutable_tag_one_gets_it(context: Context) -> None:
    make_immutable(context)
    pushed = [oci_image(f"image {number}") for number in range(6)]
    for image in pushed:
        for blob in image.blobs:
            upload(context, blob)
    outcomes = at_once([outcome(partial(put, context, image, "1")) for image in pushed])
    assert sorted(outcomes) == ["ImageTagAlreadyExists"] * 5 + ["done"]
    assert tags(context) == {"1": pushed[outcomes.index("done")].digest}


def test_many_who_move_a_tag_all_do_and_one_is_last(context: Context) -> None:
    pushed = [oci_image(f"image {number}") for number in range(6)]
    for image in pushed:
        push(context, image)
    assert at_once([outcome(partial(put, context, each, "1")) for each in pushed]) == ["done"] * 6
    assert tags(context)["1"] in {image.digest for image in pushed}


def test_images_pushed_at_once_do_not_exceed_the_limit(context: Context) -> None:
    small = replace(context, limits=Limits(images_per_repository=3))
    pushed = [oci_image(f"image {number}") for number in range(6)]
    for image in pushed:
        for blob in image.blobs:
            upload(context, blob)
    outcomes = at_once([outcome(partial(put, small, image)) for image in pushed])
    assert sorted(outcomes) == ["LimitExceeded"] * 3 + ["done"] * 3


def test_an_index_and_the_deletion_of_its_child_do_not_both_succeed(context: Context) -> None:
    for number in range(8):
        child = oci_image(f"child {number}")
        index = oci_index([child])
        push(context, child)

        deletion = partial(
            image_batches.delete_one,
            context,
            REGISTRY,
            REPOSITORY,
            ImageId(str(child.digest)),
            keep_image=False,
        )
        outcomes = at_once([outcome(partial(put, context, index)), outcome(deletion)])
        assert outcomes in (
            ["done", "InvalidParameter"],
            ["ReferencedImagesNotFound", "done"],
        )


def test_what_was_read_before_a_push_is_not_read_after_it(context: Context) -> None:
    push(context, ONE, "latest")
    assert pull(context, "latest").digest == ONE.digest
    push(context, TWO, "latest")
    assert pull(context, "latest").digest == TWO.digest
    image_batches.delete(context, REGISTRY, REPOSITORY, [ImageId(str(TWO.digest))])
    with pytest.raises(ImageNotFound):
        pull(context, "latest")
    with pytest.raises(ImageNotFound):
        pull(context, str(TWO.digest))
