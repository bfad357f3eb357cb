from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from longshore.clock import DAY, SECOND
from longshore.errors import (
    ImageNotFound,
    ImageNotInRecycleBin,
    LayersNotFound,
    RepositoryNotEmpty,
)
from longshore.metadata import schema
from longshore.names import Digest, Registry
from longshore.registry import (
    bin_contents,
    image_archive,
    image_batches,
    layers,
    lifecycle_policies,
    lifecycle_runs,
    recycle_bin,
    repositories,
)
from longshore.registry.bin_contents import Contents
from longshore.registry.image_batches import ImageId
from longshore.registry.lifecycle_rules import StorageClass
from longshore.registry.recycle_bin import Deletion
from longshore.work.collector import Collector
from tests.support.images import artifact, layer, oci_image, oci_index
from tests.support.lifecycle import policy, rule
from tests.support.pushing import (
    CALLER,
    REGISTRY,
    REPOSITORY,
    create_repository,
    pull,
    push,
    put,
    read_layer,
    upload,
)
from tests.support.recycle_bin import DAYS, bin_rows, delete, entries, with_bin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from longshore.registry.context import Context
    from tests.support.clock import FakeClock

pytestmark = pytest.mark.usefixtures("repository")
SHARED = layer("shared")
IMAGE = oci_image("thrown away")
OTHER = oci_image("other")
INDEX = oci_index([IMAGE, OTHER])
SIGNATURE = artifact("signature", subject=IMAGE)


@pytest.fixture
def context(context: Context) -> Context:
    """A store that has a bin."""
    return with_bin(context)


def without_bin(context: Context) -> Context:
    return with_bin(context, days=0)


def digests(context: Context) -> list[str]:
    return [entry.digest for entry in entries(context)]


def collect(context: Context) -> list[tuple[str, str]]:
    return [(garbage.kind.value, garbage.name) for garbage in Collector(context).run()]


def test_an_entry_tells_what_was_deleted_when_by_whom_and_until_when(
    context: Context, clock: FakeClock
) -> None:
    pushed_at = clock.now
    push(context, SIGNATURE, "b")
    put(context, SIGNATURE, "a")
    clock.advance(DAY)
    delete(context, SIGNATURE)
    [entry] = entries(context)
    assert (entry.registry, entry.repository) == (REGISTRY, REPOSITORY)
    assert (entry.digest, entry.tags) == (str(SIGNATURE.digest), ("a", "b"))
    assert entry.media_type == SIGNATURE.media_type
    assert (entry.subject, entry.storage_class) == (str(IMAGE.digest), "STANDARD")
    assert entry.size == sum(len(blob.content) for blob in SIGNATURE.blobs)
    assert entry.pushed_at == pushed_at
    assert entry.deleted_at == pushed_at + DAY
    assert entry.expires_at == pushed_at + DAY + DAYS * DAY
    assert entry.deletion == Deletion(CALLER.arn)


def test_an_image_comes_in_with_its_last_tag_and_with_all_that_the_same_request_took(
    context: Context,
) -> None:
    push(context, IMAGE, "1")
    for tag in ("2", "3"):
        put(context, IMAGE, tag)
    delete(context, "1")
    assert entries(context) == []
    delete(context, "2", "3")
    assert [entry.tags for entry in entries(context)] == [("2", "3")]


def test_a_tag_that_goes_alone_brings_nothing_in(context: Context) -> None:
    push(context, IMAGE, "1")
    image_batches.delete_one(context, REGISTRY, REPOSITORY, ImageId(tag="1"), keep_image=True)
    push(context, OTHER, "2")
    push(context, IMAGE, "2")
    assert entries(context) == []
    image_batches.delete_one(
        *(context, REGISTRY, REPOSITORY, ImageId(tag="2")), keep_image=False, deleted_by="somebody"
    )
    [entry] = entries(context)
    assert (entry.digest, entry.tags, entry.deletion.by) == (
        (str(IMAGE.digest), ("2",), "somebody")
    )


def test_all_images_of_a_repository_come_in_that_is_deleted(context: Context) -> None:
    push(context, INDEX, "index")
    push(context, SIGNATURE)
    create_repository(context, "test/other")
    push(context, oci_image("elsewhere"), "1", "test/other")
    with pytest.raises(RepositoryNotEmpty):
        repositories.remove(context, REGISTRY, REPOSITORY, force=False)
    assert entries(context) == []
    repositories.remove(context, REGISTRY, REPOSITORY, force=True, deleted_by=CALLER.arn)
    assert {entry.digest: entry.tags for entry in entries(context, None)} == {
        str(INDEX.digest): ("index",),
        str(IMAGE.digest): (),
        str(OTHER.digest): (),
        str(SIGNATURE.digest): (),
    }
    assert {entry.deletion for entry in entries(context)} == {Deletion(CALLER.arn)}


def test_what_a_lifecycle_policy_takes_comes_in_with_its_rule(
    context: Context, clock: FakeClock
) -> None:
    push(context, IMAGE, "1")
    push(context, SIGNATURE)
    clock.advance(SECOND)
    push(context, OTHER, "2")
    lifecycle_policies.put(context, REGISTRY, REPOSITORY, policy(rule(7, more_than=1)))
    list(lifecycle_runs.run(context, REGISTRY, REPOSITORY))
    assert {entry.digest: entry.deletion for entry in entries(context)} == {
        str(digest): Deletion(rule_priority=7) for digest in (IMAGE.digest, SIGNATURE.digest)
    }


def test_an_archived_image_comes_in_as_one(context: Context) -> None:
    push(context, IMAGE, "1")
    image_archive.update_storage_class(
        context, REGISTRY, REPOSITORY, ImageId(tag="1"), StorageClass.ARCHIVE
    )
    delete(context, IMAGE)
    assert [entry.storage_class for entry in entries(context)] == ["ARCHIVE"]


def test_an_image_that_was_deleted_twice_is_there_once_as_it_was_last(
    context: Context, clock: FakeClock
) -> None:
    for tag in ("first", "second"):
        push(context, IMAGE, tag)
        clock.advance(DAY)
        delete(context, IMAGE)
    [entry] = entries(context)
    assert (entry.tags, entry.deleted_at) == (("second",), clock.now)
    # Another repository's is another one.
    create_repository(context, "test/other")
    push(context, IMAGE, "third", "test/other")
    delete(context, IMAGE, repository="test/other")
    assert [entry.tags for entry in entries(context, None)] == [("third",), ("second",)]


@contextmanager
def statements(context: Context) -> Iterator[list[str]]:
    told: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        told.append(statement)

    engine = context.database._engine
    event.listen(engine, "before_cursor_execute", note)
    yield told
    event.remove(engine, "before_cursor_execute", note)


def test_without_a_bin_nobody_asks_for_it_and_nothing_comes_in(context: Context) -> None:
    off = without_bin(context)
    with statements(context) as told:
        push(off, INDEX, "1")
        delete(off, "1")
        push(off, SIGNATURE, "2")
        delete(off, SIGNATURE)
        push(off, INDEX, "3")
        with pytest.raises(LayersNotFound):
            put(off, oci_image("never uploaded"))
        repositories.remove(off, REGISTRY, REPOSITORY, force=True)
    assert told
    assert [statement for statement in told if "binned" in statement] == []
    assert bin_rows(context) == 0


def test_the_setting_of_the_deletion_decides_for_how_long(
    context: Context, clock: FakeClock
) -> None:
    for image, days in ((IMAGE, 2), (OTHER, 5)):
        push(context, image)
        delete(with_bin(context, days), image)
    assert [entry.expires_at - clock.now for entry in entries(without_bin(context))] == [
        5 * DAY,
        2 * DAY,
    ]
    clock.advance(2 * DAY)
    assert digests(context) == [str(OTHER.digest)]


def test_to_clients_a_binned_image_and_its_layers_are_gone(context: Context) -> None:
    image = oci_image("one", layers=[SHARED, layer("secret")])
    push(context, image, "1")
    push(context, oci_image("two", layers=[SHARED]), "2")
    create_repository(context, "test/other")
    delete(context, image)
    for reference in ("1", str(image.digest)):
        with pytest.raises(ImageNotFound):
            pull(context, reference)
    config, _, secret = image.blobs
    for blob in (config, secret):
        with pytest.raises(LayersNotFound):
            read_layer(context, blob.digest)
        with pytest.raises(LayersNotFound):
            layers.find_referenced(context, REGISTRY, REPOSITORY, blob.digest)
        for store in (
            context,
            replace(context, dialect=replace(context.dialect, mounts_freely=True)),
        ):
            assert not layers.mount(store, REGISTRY, "test/other", REPOSITORY, blob.digest)
    assert read_layer(context, SHARED.digest) == SHARED.content
    asked = [blob.digest for blob in image.blobs]
    assert layers.check(context, REGISTRY, REPOSITORY, asked).keys() == {SHARED.digest}
    # Nobody is told that a layer is there already which nobody can have.
    upload(context, secret)
    assert read_layer(context, secret.digest) == secret.content


def test_who_was_told_that_a_layer_is_there_finds_it_when_the_manifest_comes(
    context: Context, clock: FakeClock
) -> None:
    push(context, IMAGE)
    base = IMAGE.blobs[1]
    mine = oci_image("built on it", layers=[base])
    upload(context, mine.blobs[0])
    delete(context, IMAGE)
    clock.advance(DAY)
    put(context, mine, "mine")
    assert read_layer(context, base.digest) == base.content

    # Nobody remembers longer than a lease lasts, nor in another repository.
    delete(context, mine)
    upload(context, mine.blobs[0])
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)
    create_repository(context)
    upload(context, mine.blobs[0])
    with pytest.raises(LayersNotFound):
        put(context, mine)
    upload(context, base)
    put(context, mine)
    delete(context, mine)
    clock.advance(DAY + SECOND)
    upload(context, mine.blobs[0])
    with pytest.raises(LayersNotFound):
        put(context, mine)


def test_the_collector_leaves_what_the_bin_needs_until_its_time_is_over(
    context: Context, clock: FakeClock
) -> None:
    push(context, IMAGE, "1")
    push(context, OTHER, "2")
    delete(context, IMAGE)
    clock.advance(2 * DAY)
    assert collect(context) == []
    clock.advance(DAYS * DAY - 2 * DAY - 1)
    assert recycle_bin.purge_expired(context, lambda: None) == 0
    assert collect(context) == []
    clock.advance(1)
    assert recycle_bin.purge_expired(context, lambda: None) == 1
    assert sorted(collect(context)) == sorted(("blob", str(blob.digest)) for blob in IMAGE.blobs)
    assert bin_rows(context) == 0
    assert pull(context, "2").content == OTHER.content


def test_the_collector_leaves_what_only_some_repository_needs(context: Context) -> None:
    create_repository(context, "test/other")
    for name in (REPOSITORY, "test/other"):
        push(context, IMAGE, "1", name)
    delete(context, IMAGE)
    recycle_bin.purge(context, REGISTRY, REPOSITORY, IMAGE.digest)
    assert collect(context) == []
    assert read_layer(context, IMAGE.blobs[1].digest, "test/other") == IMAGE.blobs[1].content


def test_what_is_purged_is_gone_for_good(context: Context) -> None:
    push(context, IMAGE, "1")
    delete(context, IMAGE)
    assert recycle_bin.purge(context, REGISTRY, REPOSITORY, IMAGE.digest).tags == ("1",)
    assert bin_rows(context) == 0
    with pytest.raises(ImageNotInRecycleBin):
        recycle_bin.purge(context, REGISTRY, REPOSITORY, IMAGE.digest)
    # Nobody who knows its digests can have it by a push, either.
    with pytest.raises(LayersNotFound):
        put(context, IMAGE)
    assert len(collect(context)) == len(IMAGE.blobs)


def test_all_of_a_repository_can_be_purged_and_nothing_else_goes(context: Context) -> None:
    create_repository(context, "test/other")
    push(context, INDEX)
    push(context, IMAGE, None, "test/other")
    delete(context, IMAGE, repository="test/other")
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)
    purged = [each.digest for batch in recycle_bin.purge_all(context, REGISTRY, REPOSITORY)
              for each in batch]  # fmt: skip
    assert sorted(purged) == sorted(str(each.digest) for each in (INDEX, IMAGE, OTHER))
    assert [entry.repository for entry in entries(context, None)] == ["test/other"]
    assert list(recycle_bin.purge_all(context, REGISTRY, REPOSITORY)) == []


def test_what_is_not_in_the_bin_is_said_so(context: Context, clock: FakeClock) -> None:
    push(context, IMAGE)
    delete(context, IMAGE)
    unknown = Digest.of(b"unknown")

    def found(name: str, digest: Digest) -> str:
        with context.database.read() as tx, pytest.raises(ImageNotInRecycleBin) as refusal:
            recycle_bin.find(tx, REGISTRY, name, digest, now=clock.now)
        return refusal.value.message

    assert found(REPOSITORY, unknown) == (
        f"The recycle bin has no image {unknown} of the repository 'demo/app'."
    )
    assert found("test/other", IMAGE.digest) == (
        f"The recycle bin has no image {IMAGE.digest} of the repository 'test/other'. "
        "It is there as an image of 'demo/app'."
    )
    [entry] = entries(context)
    clock.now = entry.expires_at
    assert found(REPOSITORY, IMAGE.digest).startswith(
        f"The image {IMAGE.digest} of the repository 'demo/app' could be restored until "
    )
    elsewhere = Registry(REGISTRY.account, "eu-central-1")
    with context.database.read() as tx, pytest.raises(ImageNotInRecycleBin, match="has no image"):
        recycle_bin.find(tx, elsewhere, REPOSITORY, IMAGE.digest, now=None)


def test_the_bin_is_listed_in_slices_the_last_deleted_first(
    context: Context, clock: FakeClock
) -> None:
    images = [oci_image(f"number {number}", layers=[SHARED]) for number in range(5)]
    for image in images:
        push(context, image)
    for image in images[:3]:
        delete(context, image)
        clock.advance(DAY)
    # Two at one moment.
    delete(context, *images[3:])
    listed, after = [], None
    while True:
        with context.database.read() as tx:
            page = recycle_bin.list_some(tx, REGISTRY, clock.now, after=after, limit=2)
        listed.append([entry.digest for entry in page.items])
        after = page.next
        if after is None:
            break
    assert [len(each) for each in listed] == [2, 2, 1]
    expected = [str(image.digest) for image in reversed(images)]
    assert [digest for each in listed for digest in each] == expected
    with context.database.read() as tx:
        late = recycle_bin.list_some(tx, REGISTRY, clock.now, since=clock.now - DAY, limit=9)
    assert [entry.digest for entry in late.items] == expected[:3]


def test_what_the_bin_holds_is_counted_once_and_only_if_nobody_else_needs_it(
    context: Context,
) -> None:
    ones = [oci_image(name, layers=[SHARED, layer("of both")]) for name in ("a", "b")]
    for image in (*ones, oci_image("c", layers=[SHARED])):
        push(context, image)
    with context.database.read() as tx:
        assert bin_contents.take_stock(tx) == Contents(0, 0, 0)
    delete(context, *ones)
    alone = {blob.digest: len(blob.content) for image in ones for blob in image.blobs}
    del alone[SHARED.digest]
    manifests = sum(len(image.content) for image in ones)
    with context.database.read() as tx:
        contents = bin_contents.take_stock(tx)
    assert contents == Contents(2, manifests, sum(alone.values()))
    assert contents.size == manifests + sum(alone.values())


def test_an_entry_has_all_that_an_image_has() -> None:
    of_image = {column.name for column in schema.images.c} - {"repository_id"}
    assert of_image <= {column.name for column in schema.binned_images.c}


def test_many_are_taken_in_several_transactions_and_a_run_can_be_left_off(
    context: Context, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recycle_bin, "_BATCH", 2)
    for number in range(5):
        push(context, oci_image(f"number {number}", layers=[SHARED]))
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)
    clock.advance(DAYS * DAY)

    class Left(Exception):
        pass

    def leave() -> None:
        raise Left

    with pytest.raises(Left):
        recycle_bin.purge_expired(context, leave)
    assert recycle_bin.purge_expired(context, lambda: None) == 3
    assert bin_rows(context) == 0
