from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from longshore.clock import DAY
from longshore.errors import (
    ImageAlreadyExists,
    ImageInaccessible,
    ImageNotFound,
    ImageStorageClassUpdateNotSupported,
    ImageTagAlreadyExists,
    InvalidParameter,
    LayerArchived,
    LayerInaccessible,
    ReferencedImagesNotFound,
    RepositoryNotFound,
)
from longshore.events import log
from longshore.jobs import ledger
from longshore.registry import (
    account_settings,
    downloads,
    image_archive,
    image_batches,
    image_listings,
    layers,
    referrers,
    repositories,
    storage_classes,
)
from longshore.registry.image_batches import ImageId
from longshore.registry.image_listings import TagStatus
from longshore.registry.image_status import Status
from longshore.registry.lifecycle_rules import StorageClass
from longshore.registry.mutability import Mode, TagMutability
from tests.support.images import artifact, layer, oci_image, oci_index
from tests.support.pushing import (
    REGISTRY,
    REPOSITORY,
    create_repository,
    pull,
    push,
    put,
    read_layer,
    upload,
)
from tests.support.threads import at_once

if TYPE_CHECKING:
    from longshore.registry.context import Context
    from tests.support.clock import FakeClock
    from tests.support.images import Image

pytestmark = pytest.mark.usefixtures("repository")
SHARED = layer("what all images stand on")
IMAGE, OTHER = oci_image("image"), oci_image("other")
SIGNATURE = artifact("signature", subject=IMAGE)


def move(context: Context, image: Image, target: StorageClass) -> Status:
    _, status = image_archive.update_storage_class(
        context, REGISTRY, REPOSITORY, ImageId(str(image.digest)), target
    )
    return status


def archive(context: Context, image: Image) -> None:
    assert move(context, image, StorageClass.ARCHIVE) is Status.ARCHIVED


def restore(context: Context, image: Image) -> Status:
    return move(context, image, StorageClass.STANDARD)


def finish(context: Context) -> None:
    """Do what the job of a restoration does."""
    with context.database.write() as tx:
        found = repositories.find(tx, REGISTRY, REPOSITORY, lock=True)
        storage_classes.finish_restoring(tx, context, found)


def described(context: Context, image: Image) -> image_listings.Image:
    [found] = image_listings.describe(context, REGISTRY, REPOSITORY, [ImageId(str(image.digest))])
    return found


def statuses(context: Context, *images: Image) -> list[str]:
    return [described(context, image).status.value for image in images]


def told(context: Context) -> list[dict[str, Any]]:
    """Return what has happened since this was asked last."""
    with context.database.write() as tx:
        while log.place(tx, 1_000_000):
            pass
        entries = log.after(tx, 0, 1_000_000)
        tx.execute(log._TABLE.delete())
    return [json.loads(entry.document) for entry in entries]


def keys_of_jobs(context: Context) -> list[str | None]:
    with context.database.read() as tx:
        return [job.key for job in ledger.list_some(tx) if job.kind == storage_classes.RESTORATION]


# --- There and back -------------------------------------------------------------------------------


def test_an_image_goes_to_the_archive_at_once_and_comes_back_by_a_job(
    context: Context, clock: FakeClock
) -> None:
    push(context, IMAGE, "1")
    clock.advance(DAY)
    archived_at = clock.now
    archive(context, IMAGE)
    clock.advance(DAY)
    # Again, it is a success and changes nothing.
    archive(context, IMAGE)
    found = described(context, IMAGE)
    assert (found.status, found.archived_at, found.activated_at) == (
        Status.ARCHIVED,
        archived_at,
        None,
    )
    assert found.tags == ("1",)
    for _ in range(2):
        assert restore(context, IMAGE) is Status.ACTIVATING
        assert described(context, IMAGE).status is Status.ACTIVATING
        assert len(keys_of_jobs(context)) == 1
    clock.advance(DAY)
    finish(context)
    activated_at = clock.now
    clock.advance(DAY)
    finish(context)
    assert restore(context, IMAGE) is Status.ACTIVE
    found = described(context, IMAGE)
    assert (found.status, found.archived_at, found.activated_at) == (
        Status.ACTIVE,
        archived_at,
        activated_at,
    )
    assert pull(context, "1").content == IMAGE.content


def test_an_image_on_its_way_back_can_turn_round(context: Context, clock: FakeClock) -> None:
    push(context, IMAGE)
    archive(context, IMAGE)
    archived_at = clock.now
    restore(context, IMAGE)
    clock.advance(DAY)
    archive(context, IMAGE)
    # The job comes too late.
    finish(context)
    found = described(context, IMAGE)
    assert (found.status, found.archived_at) == (Status.ARCHIVED, archived_at)


def test_what_is_not_there_can_not_be_moved(context: Context) -> None:
    update = partial(image_archive.update_storage_class, context, REGISTRY)
    push(context, IMAGE, "1")
    for image_id in (
        ImageId(),
        ImageId(tag="2"),
        ImageId(str(OTHER.digest)),
        ImageId(str(OTHER.digest), "1"),
    ):
        for target in StorageClass:
            with pytest.raises(ImageNotFound):
                update(REPOSITORY, image_id, target)
    with pytest.raises(InvalidParameter):
        update(REPOSITORY, ImageId("nonsense"), StorageClass.ARCHIVE)
    with pytest.raises(RepositoryNotFound):
        update("no/such", ImageId(tag="1"), StorageClass.ARCHIVE)
    digest, _ = update(REPOSITORY, ImageId(str(IMAGE.digest), "1"), StorageClass.ARCHIVE)
    assert digest == IMAGE.digest


def test_it_is_told_with_the_time_of_the_restoring(context: Context, clock: FakeClock) -> None:
    push(context, IMAGE, "1")
    push(context, SIGNATURE)
    told(context)
    clock.now = 1_760_123_582_740
    archive(context, IMAGE)
    archive(context, IMAGE)
    restore(context, IMAGE)
    finish(context)
    finish(context)
    common = {
        "action-type": "UPDATE_STORAGE_CLASS",
        "repository-name": REPOSITORY,
        "result": "SUCCESS",
        "manifest-media-type": IMAGE.media_type,
    }
    events = told(context)
    assert [(each["detail-type"], each["detail"]["image-digest"]) for each in events] == [
        ("ECR Image Action", str(IMAGE.digest)),
        ("ECR Referrer Action", str(SIGNATURE.digest)),
    ] * 2
    assert events[0]["detail"].items() >= {**common, "target-storage-class": "ARCHIVE"}.items()
    assert (
        events[2]["detail"].items()
        >= {
            **common,
            "target-storage-class": "STANDARD",
            "last-activated-at": "2025-10-10T19:13:02.74Z",
        }.items()
    )
    assert "last-activated-at" not in events[1]["detail"]


# --- What can't be done with an archived image ----------------------------------------------------


def test_an_image_that_is_not_active_can_not_be_pulled(context: Context) -> None:
    push(context, IMAGE, "1")
    archive(context, IMAGE)
    for what in ("archived", "being restored"):
        for reference in ("1", str(IMAGE.digest)):
            with pytest.raises(ImageInaccessible, match=what):
                pull(context, reference)
        ids = [ImageId(tag="1"), ImageId(str(IMAGE.digest))]
        found, failures = image_batches.get(context, REGISTRY, REPOSITORY, ids, ())
        assert found == []
        assert [failure.code for failure in failures] == ["ImageInaccessible"] * 2
        restore(context, IMAGE)


def test_a_layer_can_be_pulled_while_one_active_image_of_its_repository_uses_it(
    context: Context,
) -> None:
    first, second = (oci_image(name, layers=[SHARED]) for name in ("first", "second"))
    create_repository(context, "other")
    for image in (first, second):
        push(context, image)
    push(context, first, None, "other")
    unused = upload(context, layer("nobody's"))
    account_settings.put(context, REGISTRY, account_settings.BLOB_MOUNTING, "ENABLED")
    ticket = downloads.ticket(context, REGISTRY, REPOSITORY, SHARED.digest)
    archive(context, first)
    assert read_layer(context, SHARED.digest) == SHARED.content

    archive(context, second)

    held = layers.check(context, REGISTRY, REPOSITORY, [SHARED.digest, unused])
    assert {digest: each.is_archived for digest, each in held.items()} == {
        SHARED.digest: True,
        unused: False,
    }
    for refused in (
        lambda: layers.find(context, REGISTRY, REPOSITORY, SHARED.digest),
        lambda: read_layer(context, SHARED.digest),
        lambda: downloads.read(context, ticket).open(context),
    ):
        with pytest.raises(LayerArchived, match="used by archived images only"):
            refused()
    with pytest.raises(LayerInaccessible):
        downloads.ticket(context, REGISTRY, REPOSITORY, SHARED.digest)
    create_repository(context, "third")
    assert not layers.mount(context, REGISTRY, "third", REPOSITORY, SHARED.digest)
    assert layers.mount(context, REGISTRY, "third", "other", SHARED.digest)
    # Elsewhere nothing has changed.
    assert read_layer(context, SHARED.digest, "other") == SHARED.content
    restore(context, first)
    finish(context)
    assert read_layer(context, SHARED.digest) == SHARED.content


def test_an_archived_image_can_be_deleted_and_its_tag_moved(context: Context) -> None:
    push(context, IMAGE, "1")
    push(context, OTHER, "2")
    for image in (IMAGE, OTHER):
        archive(context, image)
    deleted, failures = image_batches.delete(
        context, REGISTRY, REPOSITORY, [ImageId(str(IMAGE.digest))]
    )
    assert (deleted, failures) == ([ImageId(str(IMAGE.digest), "1")], [])
    third = oci_image("third")
    push(context, third, "2")
    assert pull(context, "2").digest == third.digest
    assert statuses(context, OTHER) == ["ARCHIVED"]


def test_listings_show_what_is_active_unless_another_status_is_asked_for(
    context: Context,
) -> None:
    images = {"active": IMAGE, "archived": OTHER, "activating": oci_image("third")}
    for tag, image in images.items():
        push(context, image, tag)
    for tag in ("archived", "activating"):
        archive(context, images[tag])
    restore(context, images["activating"])
    shown: dict[Status | None, list[str]] = {
        Status.ACTIVE: ["active"],
        Status.ARCHIVED: ["archived"],
        Status.ACTIVATING: ["activating"],
        None: ["active", "archived", "activating"],
    }
    for status, tags in shown.items():
        choice: dict[str, Any] = {
            "status": TagStatus.TAGGED,
            "image_status": status,
            "after": None,
            "limit": 10,
        }
        ids = image_listings.list_ids(context, REGISTRY, REPOSITORY, **choice)
        assert [each.tag for each in ids.items] == tags
        details = image_listings.list_images(context, REGISTRY, REPOSITORY, **choice)
        assert [each.tags for each in details.items] == [(tag,) for tag in tags]
    names = image_listings.tag_names(context, REGISTRY, REPOSITORY, None, 10)
    assert names.items == ("active",)


# --- What goes together ---------------------------------------------------------------------------


def test_referrers_follow_their_subject_there_and_back(context: Context) -> None:
    of_signature = artifact("of the signature", subject=SIGNATURE)
    kept = artifact("kept", subject=IMAGE)
    elsewhere = artifact("of the other", subject=OTHER)
    of_kept = artifact("of the kept one", subject=kept)
    everything = (IMAGE, SIGNATURE, of_signature, kept, of_kept, elsewhere)
    for image in (IMAGE, OTHER, *everything[1:], oci_index([kept])):
        push(context, image)
    archive(context, IMAGE)
    assert statuses(context, *everything) == ["ARCHIVED"] * 3 + ["ACTIVE"] * 3
    choice: dict[str, Any] = {"artifact_types": [], "after": None, "limit": 10}
    for status, shown in (
        (Status.ACTIVE, [kept]),
        (Status.ARCHIVED, [SIGNATURE]),
        (None, [SIGNATURE, kept]),
    ):
        found = referrers.list_of(
            context, REGISTRY, REPOSITORY, IMAGE.digest, status=status, **choice
        )
        assert [each.digest for each in found.items] == [each.digest for each in shown]
    restore(context, IMAGE)
    assert statuses(context, *everything) == ["ACTIVATING"] * 3 + ["ACTIVE"] * 3
    finish(context)
    assert statuses(context, *everything) == ["ACTIVE"] * 6


def test_a_member_is_archived_after_its_index_and_comes_back_with_it(context: Context) -> None:
    index, signature = oci_index([IMAGE, OTHER]), artifact("of a member", subject=OTHER)
    for image in (index, signature):
        push(context, image)
    members = (IMAGE, OTHER, signature)
    with pytest.raises(ImageStorageClassUpdateNotSupported, match=str(index.digest)):
        archive(context, IMAGE)
    archive(context, index)
    assert statuses(context, *members) == ["ACTIVE"] * 3
    for image in (IMAGE, OTHER):
        archive(context, image)
    # Alone it may come back, and go again.
    restore(context, IMAGE)
    finish(context)
    assert statuses(context, index, *members) == ["ARCHIVED", "ACTIVE"] + ["ARCHIVED"] * 2
    archive(context, IMAGE)
    restore(context, index)
    assert statuses(context, index, *members) == ["ACTIVATING"] * 4
    with pytest.raises(ImageStorageClassUpdateNotSupported):
        archive(context, OTHER)
    finish(context)
    assert statuses(context, index, *members) == ["ACTIVE"] * 4


def test_a_member_comes_back_though_its_index_turns_round(context: Context) -> None:
    index = oci_index([IMAGE])
    push(context, index)
    for image in (index, IMAGE):
        archive(context, image)
    restore(context, index)
    archive(context, index)
    assert statuses(context, index, IMAGE) == ["ARCHIVED", "ACTIVATING"]
    finish(context)
    assert statuses(context, index, IMAGE) == ["ARCHIVED", "ACTIVE"]


def test_an_index_of_archived_images_can_not_be_pushed(context: Context, oci: Context) -> None:
    for image in (IMAGE, OTHER):
        push(context, image)
    archive(context, OTHER)
    index = oci_index([IMAGE, OTHER])
    with pytest.raises(ReferencedImagesNotFound, match=str(OTHER.digest)):
        put(context, index)
    # Where images may be missing, they may be archived.
    put(oci, index, "1")
    assert pull(context, "1").digest == index.digest


# --- Pushing again --------------------------------------------------------------------------------


def test_a_push_restores_at_once(context: Context, clock: FakeClock) -> None:
    index = oci_index([IMAGE])
    push(context, index, "1")
    for is_activating in (False, True):
        for image in (index, IMAGE):
            archive(context, image)
        if is_activating:
            restore(context, index)
        told(context)
        clock.advance(DAY)
        put(context, index, "1")
        assert statuses(context, index, IMAGE) == ["ACTIVE"] * 2
        assert described(context, index).activated_at == clock.now
        assert pull(context, "1").digest == index.digest
        assert [each["detail"]["action-type"] for each in told(context)] == [
            "UPDATE_STORAGE_CLASS",
            "UPDATE_STORAGE_CLASS",
            "PUSH",
        ]
        with pytest.raises(ImageAlreadyExists):
            put(context, index, "1")


def test_a_push_under_another_tag_restores_too_and_one_that_is_refused_does_not(
    context: Context,
) -> None:
    push(context, IMAGE, "1")
    push(context, OTHER, "2")
    archive(context, IMAGE)
    repositories.put_tag_mutability(context, REGISTRY, REPOSITORY, TagMutability(Mode.IMMUTABLE))
    with pytest.raises(ImageTagAlreadyExists):
        put(context, IMAGE, "2")
    assert statuses(context, IMAGE) == ["ARCHIVED"]
    put(context, IMAGE, "3")
    assert described(context, IMAGE).tags == ("1", "3")
    assert statuses(context, IMAGE) == ["ACTIVE"]


def test_many_at_once_agree(context: Context) -> None:
    push(context, IMAGE, "1")
    push(context, SIGNATURE)
    for target, status in (
        (StorageClass.ARCHIVE, Status.ARCHIVED),
        (StorageClass.STANDARD, Status.ACTIVATING),
    ):
        answers = at_once([partial(move, context, IMAGE, target)] * 4)
        assert answers == [status] * 4
    assert len(keys_of_jobs(context)) == 1
    at_once([partial(finish, context)] * 4)
    assert statuses(context, IMAGE, SIGNATURE) == ["ACTIVE"] * 2
