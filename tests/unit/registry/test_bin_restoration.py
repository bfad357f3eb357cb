from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from longshore.clock import DAY
from longshore.errors import (
    ImageNotFound,
    ImageNotInRecycleBin,
    InvalidParameter,
    LimitExceeded,
    ReferencedImagesNotFound,
    RepositoryNotFound,
)
from longshore.housekeeping import create_runner
from longshore.metadata import schema
from longshore.registry import (
    image_archive,
    layers,
    recycle_bin,
    repositories,
)
from longshore.registry.image_batches import ImageId
from longshore.registry.image_listings import TagStatus, list_images
from longshore.registry.image_status import Status
from longshore.registry.lifecycle_rules import StorageClass
from longshore.registry.limits import Limits
from longshore.registry.mutability import Mode, TagMutability
from longshore.settings import Settings
from longshore.work.collector import Collector
from tests.support.cold import files_in, with_archive
from tests.support.images import artifact, layer, oci_image, oci_index
from tests.support.pushing import (
    REGISTRY,
    REPOSITORY,
    create_repository,
    pull,
    push,
    put,
    read_layer,
)
from tests.support.recycle_bin import DAYS, bin_rows, content, delete, entries, restore, with_bin
from tests.support.threads import at_once, outcome
from tests.unit.registry.test_events import happened

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from longshore.registry.context import Context
    from tests.support.clock import FakeClock
    from tests.support.images import Image

pytestmark = pytest.mark.usefixtures("repository")
SHARED = layer("shared")
IMAGE = oci_image("comes back")
OTHER = oci_image("other")
INDEX = oci_index([IMAGE, OTHER])
SIGNATURE = artifact("signature", subject=INDEX)
OF_SIGNATURE = artifact("of the signature", subject=SIGNATURE)


@pytest.fixture
def context(context: Context) -> Context:
    """A store that has a bin."""
    return with_bin(context)


def archive(context: Context, image: Image) -> None:
    image_archive.update_storage_class(
        context, REGISTRY, REPOSITORY, ImageId(str(image.digest)), StorageClass.ARCHIVE
    )


def statuses(context: Context) -> dict[str, Status]:
    listed = list_images(
        *(context, REGISTRY, REPOSITORY),
        status=TagStatus.ANY,
        image_status=None,
        after=None,
        limit=100,
    )
    return {str(image.digest): image.status for image in listed.items}


def test_an_image_comes_back_as_it_was(context: Context, clock: FakeClock) -> None:
    push(context, OTHER, "before")
    push(context, IMAGE, "a")
    clock.advance(DAY)
    put(context, IMAGE, "b")
    push(context, oci_image("after", layers=[SHARED]), "after")
    before = content(context)
    clock.advance(DAY)
    delete(context, IMAGE)
    assert content(context) != before
    clock.advance(DAYS * DAY - 1)
    list(Collector(context).run())
    [restored] = restore(context, IMAGE)
    assert (restored.tags, dict(restored.taken), restored.was_there) == (("a", "b"), {}, False)
    assert content(context) == before
    assert bin_rows(context) == 0
    assert pull(context, "a").content == IMAGE.content
    assert [read_layer(context, blob.digest) for blob in IMAGE.blobs] == [
        blob.content for blob in IMAGE.blobs
    ]


def test_all_that_belongs_together_comes_back_with_one(context: Context) -> None:
    push(context, INDEX, "index")
    push(context, SIGNATURE, "signature")
    push(context, OF_SIGNATURE)
    push(context, artifact("of another", subject=oci_image("another")))
    before = content(context)
    delete(context, OF_SIGNATURE, SIGNATURE, INDEX, OTHER, IMAGE)
    restored = restore(context, INDEX)
    assert restored[0].image.digest == str(INDEX.digest)
    assert {each.image.digest for each in restored} == {
        str(each.digest) for each in (INDEX, IMAGE, OTHER, SIGNATURE, OF_SIGNATURE)
    }
    assert content(context) == before


def test_what_a_child_belongs_to_stays_in_the_bin(context: Context) -> None:
    push(context, INDEX, "index")
    delete(context, INDEX, IMAGE)
    assert [each.image.digest for each in restore(context, IMAGE)] == [str(IMAGE.digest)]
    assert [entry.digest for entry in entries(context)] == [str(INDEX.digest)]
    restore(context, INDEX)
    assert pull(context, "index").content == INDEX.content


def test_an_index_does_not_come_back_without_its_images(context: Context) -> None:
    push(context, INDEX, "index")
    delete(context, INDEX, IMAGE)
    recycle_bin.purge(context, REGISTRY, REPOSITORY, IMAGE.digest)
    before, in_bin = content(context), bin_rows(context)
    with pytest.raises(ReferencedImagesNotFound, match=str(IMAGE.digest)):
        restore(context, INDEX)
    assert (content(context), bin_rows(context)) == (before, in_bin)
    # Where an index may be without them, it may come back without them, too.
    oci = replace(context, dialect=replace(context.dialect, accepts_missing_children=True))
    restore(oci, INDEX)
    assert pull(context, "index").content == INDEX.content


def test_a_tag_that_stands_for_another_image_stays_with_it(context: Context) -> None:
    push(context, IMAGE, "latest")
    put(context, IMAGE, "1.0")
    delete(context, IMAGE)
    push(context, OTHER, "latest")
    [restored] = restore(context, IMAGE)
    assert restored.tags == ("1.0",)
    assert restored.taken == {"latest": str(OTHER.digest)}
    assert pull(context, "latest").content == OTHER.content
    assert pull(context, "1.0").content == IMAGE.content


def test_immutable_tags_that_are_free_come_back_and_others_stay(context: Context) -> None:
    name = "immutable"
    create_repository(context, name, mutability=TagMutability(Mode.IMMUTABLE))
    push(context, IMAGE, "1", name)
    put(context, IMAGE, "2", name)
    delete(context, IMAGE, repository=name)
    push(context, OTHER, "2", name)
    [restored] = restore(context, IMAGE, repository=name)
    assert (restored.tags, set(restored.taken)) == (("1",), {"2"})
    assert pull(context, "2", name).content == OTHER.content


def test_an_image_can_come_back_under_another_tag(context: Context) -> None:
    push(context, IMAGE, "1")
    push(context, OTHER, "2")
    delete(context, IMAGE)
    before, in_bin = content(context), bin_rows(context)
    with pytest.raises(InvalidParameter, match=f"The tag '2' stands for {OTHER.digest}"):
        restore(context, IMAGE, tag="2")
    with pytest.raises(InvalidParameter, match="can't be a tag"):
        restore(context, IMAGE, tag="-no-tag-")
    assert (content(context), bin_rows(context)) == (before, in_bin)
    assert restore(context, IMAGE, tag="3")[0].tags == ("3",)
    assert pull(context, "3").content == IMAGE.content
    with pytest.raises(ImageNotFound):
        pull(context, "1")


def test_an_image_that_was_pushed_again_gets_the_tags_it_had(context: Context) -> None:
    push(context, IMAGE, "old")
    put(context, IMAGE, "both")
    delete(context, IMAGE)
    push(context, IMAGE, "new")
    push(context, OTHER, "both")
    before = content(context)
    [restored] = restore(context, IMAGE)
    assert (restored.was_there, restored.tags, set(restored.taken)) == (True, ("old",), {"both"})
    after = content(context)
    assert after.pop("tags") != before.pop("tags")
    assert after == before
    assert bin_rows(context) == 0
    assert [pull(context, tag).digest for tag in ("old", "new")] == [IMAGE.digest] * 2


def test_images_come_back_into_a_repository_of_the_same_name(context: Context) -> None:
    push(context, INDEX, "index")
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)
    list(Collector(context).run())
    with pytest.raises(RepositoryNotFound):
        restore(context, INDEX)
    create_repository(context)
    assert len(restore(context, INDEX)) == 3
    assert pull(context, "index").content == INDEX.content
    for blob in IMAGE.blobs:
        assert read_layer(context, blob.digest) == blob.content
        [layer_of_it] = layers.check(context, REGISTRY, REPOSITORY, [blob.digest]).values()
        assert layer_of_it.media_type == blob.media_type


def test_bytes_of_another_encryption_do_not_come_back(context: Context) -> None:
    push(context, IMAGE)
    delete(context, IMAGE)
    with context.database.write() as tx:
        tx.execute(update(schema.repositories).values(encryption_context="another"))
    with pytest.raises(InvalidParameter, match="encrypted in another way"):
        restore(context, IMAGE)


def test_an_archived_image_comes_back_archived(context: Context) -> None:
    push(context, IMAGE, "1")
    push(context, OTHER, "2")
    archive(context, IMAGE)
    archive(context, OTHER)
    # On its way back when it is deleted.
    image_archive.update_storage_class(
        context, REGISTRY, REPOSITORY, ImageId(str(OTHER.digest)), StorageClass.STANDARD
    )
    delete(context, IMAGE, OTHER)
    restore(context, IMAGE)
    restore(context, OTHER)
    assert set(statuses(context).values()) == {Status.ARCHIVED}


def test_an_index_that_can_be_pulled_brings_its_images_out_of_the_archive(
    context: Context,
) -> None:
    push(context, INDEX, "index")
    delete(context, INDEX)
    archive(context, IMAGE)
    archive(context, OTHER)
    delete(context, OTHER)
    restore(context, INDEX)
    assert Status.ARCHIVED not in statuses(context).values()
    create_runner(Settings(), context).run_due()
    assert set(statuses(context).values()) == {Status.ACTIVE}
    assert len(statuses(context)) == 3


def test_an_image_comes_back_from_wherever_its_layers_are(
    context: Context, clock: FakeClock, tmp_path: Path
) -> None:
    context = with_archive(context, tmp_path)
    runner = create_runner(Settings(), context)
    push(context, IMAGE, "active")
    push(context, OTHER, "archived")
    archive(context, OTHER)
    clock.advance(DAY + 1)
    runner.run_due()
    assert files_in(tmp_path / "cold")
    delete(context, IMAGE, OTHER)
    clock.advance(DAY + 1)
    runner.run_due()
    restore(context, IMAGE)
    restore(context, OTHER)
    assert statuses(context) == {
        str(IMAGE.digest): Status.ACTIVE,
        str(OTHER.digest): Status.ARCHIVED,
    }
    image_archive.update_storage_class(
        context, REGISTRY, REPOSITORY, ImageId(str(OTHER.digest)), StorageClass.STANDARD
    )
    runner.run_due()
    for image in (IMAGE, OTHER):
        assert pull(context, str(image.digest)).content == image.content
        for blob in image.blobs:
            assert read_layer(context, blob.digest) == blob.content


def test_the_layers_of_an_active_image_in_the_bin_stay_out_of_the_archive(
    context: Context, clock: FakeClock, tmp_path: Path
) -> None:
    context = with_archive(context, tmp_path)
    runner = create_runner(Settings(), context)
    shares, keeps = oci_image("shares", layers=[SHARED]), oci_image("keeps", layers=[SHARED])
    push(context, shares, "1")
    push(context, keeps, "2")
    archive(context, keeps)
    delete(context, shares)
    clock.advance(DAY + 1)
    runner.run_due()
    restore(context, shares)
    assert read_layer(context, SHARED.digest) == SHARED.content


def test_quotas_hold(context: Context) -> None:
    push(context, INDEX, "index")
    delete(context, INDEX, IMAGE)
    before = content(context)
    small = replace(context, limits=Limits(images_per_repository=2))
    with pytest.raises(
        LimitExceeded, match="already has 1 images, may have 2 and is to get 2 more"
    ):
        restore(small, INDEX)
    assert content(context) == before
    restore(small, IMAGE)

    for tag in ("1", "2"):
        put(context, IMAGE, tag)
    delete(context, IMAGE)
    few = replace(context, limits=Limits(tags_per_image=1))
    with pytest.raises(LimitExceeded, match="at most 1 tags"):
        restore(few, IMAGE)
    restore(context, IMAGE)


def test_what_comes_back_is_told_as_a_push(context: Context) -> None:
    push(context, IMAGE, "b")
    put(context, IMAGE, "a")
    push(context, SIGNATURE_OF_IMAGE)
    delete(context, SIGNATURE_OF_IMAGE, IMAGE)
    happened(context)
    restore(context, IMAGE)
    assert happened(context) == [
        ("PUSH", str(IMAGE.digest), "a"),
        ("PUSH", str(IMAGE.digest), "b"),
        ("PUSH", str(SIGNATURE_OF_IMAGE.digest), None),
    ]
    delete(context, IMAGE)
    push(context, IMAGE, "a")
    happened(context)
    restore(context, IMAGE)
    assert happened(context) == [
        ("PUSH", str(IMAGE.digest), "a"),
        ("PUSH", str(IMAGE.digest), "b"),
    ]


SIGNATURE_OF_IMAGE = artifact("signature", subject=IMAGE)


def test_after_its_time_nothing_comes_back(context: Context, clock: FakeClock) -> None:
    push(context, IMAGE, "1")
    delete(context, IMAGE)
    clock.advance(DAYS * DAY)
    with pytest.raises(ImageNotInRecycleBin, match="could be restored until"):
        restore(context, IMAGE)
    assert entries(context) == []


def test_a_referrer_whose_time_is_over_stays_behind(context: Context, clock: FakeClock) -> None:
    push(context, IMAGE, "1")
    push(context, SIGNATURE_OF_IMAGE)
    delete(context, SIGNATURE_OF_IMAGE)
    clock.advance(DAY)
    delete(context, IMAGE)
    clock.advance(DAYS * DAY - 1)
    assert [each.image.digest for each in restore(context, IMAGE)] == [str(IMAGE.digest)]


def test_a_restoration_is_a_part_of_the_transaction_that_it_is_in(context: Context) -> None:
    push(context, IMAGE, "1")
    delete(context, IMAGE)
    before = content(context)

    def restore_and_fail() -> None:
        with context.database.write() as tx:
            restore(context.within(tx), IMAGE)
            raise KeyError

    with pytest.raises(KeyError):
        restore_and_fail()
    assert content(context) == before
    restore(context, IMAGE)


def remove_repository(context: Context) -> None:
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)


@pytest.mark.parametrize("round_", range(3))
@pytest.mark.parametrize("is_restoration", [True, False], ids=["another", "a purge"])
def test_of_a_restoration_and_what_takes_the_entry_one_wins(
    context: Context, is_restoration: bool, round_: int
) -> None:
    def against(context: Context) -> object:
        if is_restoration:
            return restore(context, INDEX)
        return recycle_bin.purge(context, REGISTRY, REPOSITORY, INDEX.digest)

    push(context, INDEX, f"round-{round_}")
    delete(context, INDEX, IMAGE)
    outcomes = at_once(
        [outcome(partial(restore, context, INDEX)), outcome(partial(against, context))]
    )
    assert sorted(outcomes) == ["ImageNotInRecycleBin", "done"]
    is_there = str(INDEX.digest) in {row["digest"] for row in content(context)["images"]}
    assert is_there == (outcomes[0] == "done" or is_restoration)
    # What wasn't brought back, and nobody threw away, is still in the bin.
    left = [] if is_there else [str(IMAGE.digest)]
    assert [entry.digest for entry in entries(context)] == left


@pytest.mark.parametrize("round_", range(3))
def test_expiry_collection_and_restorations_leave_whole_images_or_none(
    context: Context, clock: FakeClock, round_: int
) -> None:
    push(context, INDEX, f"round-{round_}")
    delete(context, INDEX, OTHER, IMAGE)
    [*_, entry] = entries(context)
    clock.now = entry.expires_at
    # Whoever looked at the clock before comes in time.
    early = replace(context, clock=lambda: entry.expires_at - 1)

    def clean() -> None:
        recycle_bin.purge_expired(context, lambda: None)
        list(Collector(context).run())

    outcomes = at_once([outcome(partial(restore, early, INDEX)), outcome(clean), outcome(clean)])
    assert outcomes[1:] == ["done", "done"]
    assert outcomes[0] in {"done", "ImageNotInRecycleBin", "ReferencedImagesNotFound"}
    list(Collector(context).run())
    if outcomes[0] == "done":
        assert pull(context, f"round-{round_}").content == INDEX.content
        for image in INDEX.children:
            assert pull(context, str(image.digest)).content == image.content
            for blob in image.blobs:
                assert read_layer(context, blob.digest) == blob.content
    else:
        assert content(context)["images"] == []


@pytest.mark.parametrize("round_", range(3))
@pytest.mark.parametrize(
    "against",
    [
        lambda context: push(context, INDEX, "pushed"),
        lambda context: delete(context, OTHER),
        remove_repository,
    ],
    ids=["a push", "a deletion", "a deletion of the repository"],
)
def test_whatever_else_happens_nothing_is_lost(
    context: Context, against: Callable[[Context], object], round_: int
) -> None:
    push(context, INDEX, f"round-{round_}")
    push(context, oci_image("stays", layers=[SHARED]), "stays")
    delete(context, INDEX)
    outcomes = at_once(
        [outcome(partial(restore, context, INDEX)), outcome(partial(against, context))]
    )
    # The index came too late to keep its image, or the image too late to go.
    assert outcomes in (
        ["done", "done"],
        ["RepositoryNotFound", "done"],
        ["done", "AssertionError"],
    )
    in_bin = {entry.digest for entry in entries(context)}
    in_store = {row["digest"] for row in content(context)["images"]}
    assert in_bin | in_store >= {str(each.digest) for each in (INDEX, IMAGE, OTHER)}
    list(Collector(context).run())
    if against is remove_repository:
        create_repository(context)
    for image in (INDEX, IMAGE, OTHER):
        if str(image.digest) in {entry.digest for entry in entries(context)}:
            restore(context, image)
    for image in (INDEX, IMAGE, OTHER):
        assert pull(context, str(image.digest)).content == image.content
        for blob in image.blobs:
            assert read_layer(context, blob.digest) == blob.content
