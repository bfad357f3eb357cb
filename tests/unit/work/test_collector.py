from __future__ import annotations

import itertools
import uuid
from contextlib import suppress
from dataclasses import replace
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from longshore.blobs.filesystem import FilesystemBlobStore
from longshore.clock import DAY, HOUR
from longshore.errors import (
    ImageAlreadyExists,
    LayersNotFound,
    RepositoryNotFound,
    UploadNotFound,
)
from longshore.metadata import schema
from longshore.metadata.database import Database
from longshore.names import Digest
from longshore.registry import (
    completion,
    image_batches,
    layers,
    repositories,
    upload_parts,
    uploads,
)
from longshore.registry.context import Retention
from longshore.registry.image_batches import ImageId
from longshore.work.collector import Collector, Garbage, Kind
from tests.support.images import layer, oci_image, oci_index
from tests.support.interruptions import before_statement
from tests.support.pushing import (
    CALLER,
    REGISTRY,
    REPOSITORY,
    begin,
    create_repository,
    pull,
    push,
    put,
    read_layer,
    upload,
)
from tests.support.threads import at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from longshore.blobs.store import Location
    from longshore.registry.context import Context
    from longshore.registry.uploads import Upload
    from tests.support.clock import FakeClock
    from tests.support.images import Image

NOBODYS = "0f14d0ab-9605-4a62-a9e4-5ed26688389b"
LAYER = layer("a layer")


@pytest.fixture(autouse=True)
def repository(context: Context) -> None:
    """The repository that everything is in."""
    create_repository(context)


@pytest.fixture
def twin(context: Context, tmp_path: Path) -> Iterator[Context]:
    """The same store as another process has it."""
    database = Database(context.database.url.render_as_string(hide_password=False))
    yield replace(context, database=database, blobs=FilesystemBlobStore(tmp_path / "data"))
    database.close()


def collect(context: Context, *, dry_run: bool = False) -> list[Garbage]:
    return list(Collector(context, dry_run=dry_run).run())


def kinds(garbage: list[Garbage]) -> dict[Kind, set[str]]:
    return {kind: {each.name for each in garbage if each.kind is kind} for kind in Kind}


def contents(context: Context) -> tuple[object, ...]:
    """Return everything that there is, in SQL and in the blob store."""
    with context.database.read() as tx:
        rows = {
            table.name: sorted(map(repr, tx.execute(select(table))))
            for table in schema.metadata.sorted_tables
        }
    return rows, sorted(context.blobs.locations()), sorted(context.blobs.uploads())


def staged(context: Context, upload_id: str) -> str:
    """Leave bytes behind, as a process does that was killed."""
    with context.blobs.writer(upload_id, 0) as writer:
        writer.append(b"bytes of nobody")
    return upload_id


def committed(context: Context, upload: Upload, content: bytes) -> Location:
    """Make a blob of an upload and die."""
    return context.blobs.commit(upload.id, len(content), "aes256", Digest.of(content))


def delete(context: Context, image: Image, repository: str = REPOSITORY) -> None:
    image_batches.delete(context, REGISTRY, repository, [ImageId(str(image.digest))])


# --- What is taken, and when ----------------------------------------------------------------------


def test_an_empty_store_has_no_garbage(context: Context) -> None:
    assert collect(context) == []


def test_nothing_is_taken_that_somebody_needs_or_may_need_yet(
    context: Context, clock: FakeClock
) -> None:
    image = oci_index([oci_image("one"), oci_image("two")])
    push(context, image, "1")
    clock.advance(100 * DAY)
    upload(context, LAYER)
    started = begin(context, b"half of it")
    untouched = uploads.start(context, CALLER, REGISTRY, REPOSITORY)
    clock.advance(DAY)
    before = contents(context)
    assert collect(context) == []
    assert contents(context) == before
    assert pull(context, "1").content == image.content
    assert read_layer(context, LAYER.digest) == LAYER.content
    for each in (started, untouched):
        assert uploads.find(context, CALLER, REGISTRY, REPOSITORY, each.id) == each


def test_an_upload_that_was_left_alone_is_taken_with_its_bytes(
    context: Context, clock: FakeClock
) -> None:
    old = begin(context, b"half of it")
    empty = uploads.start(context, CALLER, REGISTRY, REPOSITORY)
    clock.advance(1)
    young = begin(context, b"more")
    clock.advance(DAY)
    assert sorted(collect(context), key=lambda garbage: -garbage.size) == [
        Garbage(Kind.UPLOAD, old.id, 10, "never completed and left alone since"),
        Garbage(Kind.UPLOAD, empty.id, 0, "never completed and left alone since"),
    ]
    assert list(context.blobs.uploads()) == [young.id]
    with pytest.raises(UploadNotFound):
        upload_parts.append_part(context, old, 10, 13, b"more")
    with pytest.raises(UploadNotFound):
        completion.complete(context, CALLER, old, Digest.of(b"half of it"))


def test_a_layer_that_no_image_refers_to_is_taken_after_its_lease(
    context: Context, clock: FakeClock
) -> None:
    upload(context, LAYER)
    clock.advance(DAY + 1)
    assert collect(context) == [
        Garbage(Kind.LAYER, str(LAYER.digest), 0, "no image of its repository refers to it"),
        Garbage(Kind.BLOB, str(LAYER.digest), len(LAYER.content), "no repository needs it"),
    ]
    assert layers.check(context, REGISTRY, REPOSITORY, [LAYER.digest]) == {}
    assert list(context.blobs.locations()) == []


def test_the_two_grace_times_are_the_operators_choice(context: Context, clock: FakeClock) -> None:
    hasty = replace(context, retention=Retention(unreferenced_layers=HOUR, unfinished_uploads=1))
    started = begin(hasty, b"half of it")
    upload(hasty, LAYER)
    clock.advance(2)
    assert kinds(collect(hasty))[Kind.UPLOAD] == {started.id}
    clock.advance(HOUR - 2)
    assert collect(hasty) == []
    clock.advance(1)
    assert kinds(collect(hasty))[Kind.LAYER] == {str(LAYER.digest)}


def test_a_blob_stays_while_one_repository_holds_it(context: Context, clock: FakeClock) -> None:
    create_repository(context, "other")
    image = oci_image("one", layers=[LAYER])
    upload(context, LAYER)
    push(context, image, "1", "other")
    clock.advance(2 * DAY)
    assert [garbage.kind for garbage in collect(context)] == [Kind.LAYER]
    assert read_layer(context, LAYER.digest, "other") == LAYER.content
    delete(context, image, "other")
    clock.advance(2 * DAY)
    assert kinds(collect(context))[Kind.BLOB] == {str(blob.digest) for blob in image.blobs}
    assert list(context.blobs.locations()) == []


def test_all_of_a_deleted_repository_is_taken_at_once(context: Context) -> None:
    image = oci_image("one")
    push(context, image, "1")
    started = begin(context, b"half of it")
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)
    found = kinds(collect(context))
    assert found[Kind.BLOB] == {str(blob.digest) for blob in image.blobs}
    assert found[Kind.STRAY] == {started.id}
    assert list(context.blobs.locations()) == list(context.blobs.uploads()) == []


def test_what_was_taken_can_be_pushed_again(context: Context, clock: FakeClock) -> None:
    image = oci_image("one")
    for _ in range(2):
        push(context, image, "1")
        assert read_layer(context, image.blobs[1].digest) == image.blobs[1].content
        delete(context, image)
        clock.advance(2 * DAY)
        collect(context)
        assert list(context.blobs.locations()) == []


def test_however_much_there_is_all_of_it_is_taken(context: Context, clock: FakeClock) -> None:
    with context.database.read() as tx:
        repository_id = tx.execute(select(schema.repositories.c.id)).scalar_one()
    numbers = range(1, 1002)
    digests = [f"sha256:{number:064x}" for number in numbers]
    with context.database.write() as tx:
        tx.execute(
            insert(schema.uploads),
            [
                {
                    "id": str(uuid.UUID(int=number)),
                    "repository_id": repository_id,
                    "principal_arn": CALLER.arn,
                    "started_at": clock.now,
                    "touched_at": clock.now,
                    "size": 1,
                    "parts": 1,
                    "last_part_size": 1,
                    "has_small_part": False,
                }
                for number in numbers
            ],
        )
        tx.execute(
            insert(schema.blobs),
            [
                {
                    "id": number,
                    "encryption_context": "aes256",
                    "digest": digest,
                    "size": 1,
                    "location": (
                        f"blobs/aes256/sha256/00/{digest.removeprefix('sha256:')}"
                        f".{uuid.UUID(int=number)}"
                    ),
                    "stored_at": clock.now,
                }
                for number, digest in zip(numbers, digests, strict=True)
            ],
        )
        tx.execute(
            insert(schema.layers),
            [
                {
                    "repository_id": repository_id,
                    "digest": digest,
                    "blob_id": number,
                    "leased_at": clock.now,
                }
                for number, digest in zip(numbers, digests, strict=True)
            ],
        )
    clock.advance(2 * DAY)
    taken = kinds(collect(context))
    assert taken[Kind.LAYER] == taken[Kind.BLOB] == set(digests)
    assert taken[Kind.UPLOAD] == {str(uuid.UUID(int=number)) for number in numbers}
    assert collect(context) == []


# --- Strays ---------------------------------------------------------------------------------------


def test_bytes_without_an_upload_are_taken(context: Context) -> None:
    started = begin(context, b"half of it")
    staged(context, NOBODYS)
    assert collect(context) == [Garbage(Kind.STRAY, NOBODYS, 0, "bytes of an upload that is over")]
    assert list(context.blobs.uploads()) == [started.id]


def test_blobs_without_a_row_are_taken(context: Context) -> None:
    upload(context, LAYER)
    [known] = context.blobs.locations()
    staged(context, NOBODYS)
    stray = context.blobs.commit(NOBODYS, 15, "aes256", Digest.of(b"bytes of nobody"))
    assert collect(context) == [Garbage(Kind.STRAY, stray, 0, "bytes that no row names")]
    assert list(context.blobs.locations()) == [known]


def test_a_blob_whose_upload_is_not_over_stays_until_that_is(
    context: Context, clock: FakeClock
) -> None:
    started = begin(context, b"bytes")
    location = committed(context, started, b"bytes")
    assert collect(context) == []
    clock.advance(DAY + 1)
    assert (
        kinds(collect(context, dry_run=True))
        == kinds(collect(context))
        == {
            Kind.UPLOAD: {started.id},
            Kind.LAYER: set(),
            Kind.BLOB: set(),
            Kind.STRAY: {location},
        }
    )
    assert list(context.blobs.locations()) == []


def test_what_is_no_upload_and_no_blob_is_left_alone(context: Context, tmp_path: Path) -> None:
    for path in ("uploads/notes.txt", "blobs/notes.txt", "blobs/aes256/notes.txt"):
        file = tmp_path / "data" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("the operator's")
    assert collect(context) == []
    assert len(list((tmp_path / "data").rglob("notes.txt"))) == 3


# --- A dry run ------------------------------------------------------------------------------------


def leave_some_of_everything(context: Context, clock: FakeClock) -> None:
    """Fill the store with garbage of every kind, and with what is none."""
    create_repository(context, "other")
    create_repository(context, "gone")
    image = oci_image("old")
    push(context, image, "1")
    push(context, image, "1", "other")
    push(context, oci_image("gone"), "1", "gone")
    begin(context, b"left alone")
    begin(context, b"left behind", "gone")
    committed(context, begin(context, b"died"), b"died")
    upload(context, LAYER)
    upload(context, layer("needed elsewhere"))
    upload(context, layer("needed elsewhere"), "other")
    repositories.remove(context, REGISTRY, "gone", force=True)
    delete(context, image)
    clock.advance(DAY + 1)
    upload(context, layer("new"))
    layers.check(context, REGISTRY, "other", [layer("needed elsewhere").digest])
    begin(context, b"new")
    staged(context, NOBODYS)


def test_a_dry_run_takes_nothing_and_tells_what_a_run_takes(
    context: Context, clock: FakeClock
) -> None:
    leave_some_of_everything(context, clock)
    before = contents(context)
    told = collect(context, dry_run=True)
    assert contents(context) == before
    assert all(names for names in kinds(told).values())
    assert {(each.kind, each.name, each.size, each.reason) for each in collect(context)} == {
        (each.kind, each.name, each.size, each.reason) for each in told
    }
    assert collect(context) == collect(context, dry_run=True) == []


IMAGES = [oci_image(f"image {number}", layers=[LAYER]) for number in range(3)]
NAMES = [f"demo/{number}" for number in range(3)]
STEPS: dict[str, Callable[[Context, FakeClock, int], object]] = {
    "begin": lambda context, _, n: begin(context, b"half of it", NAMES[n]),
    "upload": lambda context, _, n: upload(context, IMAGES[n].blobs[0], NAMES[n]),
    "push": lambda context, _, n: push(context, IMAGES[n], "1", NAMES[n]),
    "push elsewhere": lambda context, _, n: push(context, IMAGES[n], "2", NAMES[n - 1]),
    "delete": lambda context, _, n: delete(context, IMAGES[n], NAMES[n]),
    "remove": lambda context, _, n: repositories.remove(context, REGISTRY, NAMES[n], force=True),
    "die": lambda context, _, n: committed(context, begin(context, b"died", NAMES[n]), b"died"),
    "read": lambda context, _, n: layers.check(context, REGISTRY, NAMES[n], [LAYER.digest]),
    "wait": lambda _, clock, n: clock.advance(DAY * (n + 1) // 2),
}


def check_images(context: Context, name: str) -> None:
    """Check that every image of a repository is whole."""
    by_digest = {str(image.digest): image for image in IMAGES}
    ids = [ImageId(digest) for digest in by_digest]
    found, _ = image_batches.get(context, REGISTRY, name, ids, ())
    for manifest in found:
        for blob in by_digest[str(manifest.digest)].blobs:
            assert read_layer(context, blob.digest, name) == blob.content


@given(steps=st.lists(st.tuples(st.sampled_from([*STEPS]), st.integers(0, 2)), max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
def test_whatever_happened_a_dry_run_tells_what_a_run_takes(
    context: Context, clock: FakeClock, steps: list[tuple[str, int]]
) -> None:
    for name in NAMES:
        create_repository(context, name)
    for step, number in steps:
        with suppress(ImageAlreadyExists, RepositoryNotFound):
            STEPS[step](context, clock, number)
    told = collect(context, dry_run=True)
    assert set(collect(context)) == set(told)
    assert collect(context) == []
    for name in NAMES:
        with suppress(RepositoryNotFound):
            check_images(context, name)
            repositories.remove(context, REGISTRY, name, force=True)
    # Nothing of one example is left for the next.
    collect(context)
    assert list(context.blobs.locations()) == []


# --- While others work ----------------------------------------------------------------------------


def test_an_upload_that_goes_on_is_not_taken(context: Context, clock: FakeClock) -> None:
    begun = [begin(context, b"half of it") for _ in range(2)]
    clock.advance(DAY + 1)
    run = Collector(context).run()
    taken = next(run).name
    [other] = [each for each in begun if each.id != taken]
    upload_parts.append_part(context, other, 10, 13, b"more")
    assert list(run) == []
    content = b"half of itmore"
    found = uploads.find(context, CALLER, REGISTRY, REPOSITORY, other.id)
    completion.complete(context, CALLER, found, Digest.of(content))
    assert read_layer(context, Digest.of(content)) == content


def test_a_layer_that_somebody_asks_for_is_not_taken(context: Context, clock: FakeClock) -> None:
    create_repository(context, "other")
    first, second = upload(context, layer("first")), upload(context, layer("second"), "other")
    clock.advance(DAY + 1)
    run = Collector(context).run()
    assert next(run).name == str(first)
    assert layers.check(context, REGISTRY, "other", [second])
    assert {garbage.name for garbage in run} == {str(first)}
    assert read_layer(context, second, "other") == b"second"


@pytest.mark.parametrize(
    "act",
    [
        lambda context: layers.check(context, REGISTRY, REPOSITORY, [LAYER.digest]),
        lambda context: upload(context, LAYER),
        lambda context: put(context, oci_image("one", layers=[LAYER]), "1"),
    ],
    ids=["asked for", "uploaded", "pushed"],
)
def test_a_layer_that_is_wanted_at_the_last_moment_is_not_taken(
    context: Context, twin: Context, clock: FakeClock, act: partial[object]
) -> None:
    for blob in oci_image("one", layers=[LAYER]).blobs:
        upload(context, blob)
    clock.advance(DAY + 1)
    # On both databases it is the first statement of the transaction that takes layers.
    first = "BEGIN IMMEDIATE" if context.database.is_sqlite else "SELECT repositories.id"
    with before_statement(context.database, first, partial(act, twin)):
        taken = collect(context)
    assert str(LAYER.digest) not in {garbage.name for garbage in taken}
    assert read_layer(context, LAYER.digest) == LAYER.content


def test_a_blob_that_is_wanted_at_the_last_moment_is_not_taken(
    context: Context, twin: Context
) -> None:
    create_repository(context, "other")
    upload(context, LAYER, "other")
    repositories.remove(context, REGISTRY, "other", force=True)
    is_sqlite = context.database.is_sqlite
    first = "BEGIN IMMEDIATE" if is_sqlite else "SELECT blobs.id \nFROM blobs \nWHERE"
    with before_statement(context.database, first, partial(upload, twin, LAYER)):
        assert collect(context) == []
    assert read_layer(context, LAYER.digest) == LAYER.content


@pytest.mark.parametrize("statement", ["SELECT uploads.id", "SELECT blobs.location"])
def test_an_upload_that_is_completed_during_the_search_for_strays_is_none(
    context: Context, statement: str
) -> None:
    started = begin(context, b"bytes")
    # The bytes are at their place and the row isn't.
    committed(context, started, b"bytes")
    complete = partial(completion.complete, context, CALLER, started, Digest.of(b"bytes"))
    with before_statement(context.database, statement, complete):
        assert collect(context) == []
    assert read_layer(context, Digest.of(b"bytes")) == b"bytes"


def test_several_may_collect_at_once(context: Context, twin: Context, clock: FakeClock) -> None:
    leave_some_of_everything(context, clock)
    expected = {each for each in collect(context, dry_run=True) if each.kind is not Kind.STRAY}
    taken = at_once([partial(collect, each) for each in (context, twin, context, twin)])
    rows = [each for part in taken for each in part if each.kind is not Kind.STRAY]
    # What has a row is taken by one of them alone; the bytes it leaves may be met by several.
    assert len(rows) == len(set(rows))
    assert set(rows) == expected
    assert collect(context) == []


# --- Under load -----------------------------------------------------------------------------------

WORKERS = range(4)
SHARED = [layer(f"shared {number}") for number in range(2)]
KEPT, DELETED = (0, 2, 4), (1, 3, 5)


def image_of(worker: int, number: int) -> Image:
    """Make an image that shares layers with all the others."""
    own = layer(f"layer {number} of {worker}")
    return oci_image(f"image {number} of {worker}", layers=[*SHARED, own])


def push_patiently(context: Context, image: Image, name: str) -> None:
    """Push, and begin again where a layer is told to be missing, as a client does."""
    while True:
        with suppress(LayersNotFound):
            push(context, image, None, name)
            return


def push_and_delete(context: Context, worker: int, name: str) -> None:
    for number in sorted((*KEPT, *DELETED)):
        push_patiently(context, image_of(worker, number), name)
        if number in DELETED:
            delete(context, image_of(worker, number), name)


def test_nothing_that_was_acknowledged_is_taken_from_under_a_push(
    context: Context, twin: Context
) -> None:
    # Each look at the clock takes a millisecond: leases are over all the time.
    tick = itertools.count(context.clock()).__next__
    hasty = Retention(unreferenced_layers=40)
    processes = [replace(each, clock=tick, retention=hasty) for each in (context, twin)]
    names = ["demo/a", "demo/b"]
    for name in names:
        create_repository(context, name)
    is_over = Event()

    def push_all() -> None:
        try:
            at_once(
                [
                    partial(push_and_delete, processes[worker // 2], worker, names[worker % 2])
                    for worker in WORKERS
                ]
            )
        finally:
            is_over.set()

    def sweep() -> None:
        while not is_over.is_set():
            collect(processes[0])

    at_once([push_all, sweep])
    kept = {(worker, number): image_of(worker, number) for worker in WORKERS for number in KEPT}
    for (worker, _), image in kept.items():
        name = names[worker % 2]
        assert pull(context, str(image.digest), name).content == image.content
        for blob in image.blobs:
            assert read_layer(context, blob.digest, name) == blob.content
    for _ in range(hasty.unreferenced_layers):
        tick()
    collect(processes[0])
    needed = {str(blob.digest) for image in kept.values() for blob in image.blobs}
    with context.database.read() as tx:
        assert set(tx.execute(select(schema.blobs.c.digest)).scalars()) == needed
    assert len(list(context.blobs.locations())) == len(needed)
    assert list(context.blobs.uploads()) == []
