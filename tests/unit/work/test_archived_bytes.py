"""The bytes of archived layers on their way: to the archive directory, and back."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from longshore.clock import DAY, HOUR, MINUTE
from longshore.errors import (
    ImageAlreadyExists,
    ImageInaccessible,
    ImageNotFound,
    LayerInaccessible,
    LayersNotFound,
    ReferencedImagesNotFound,
    RepositoryNotFound,
)
from longshore.housekeeping import create_runner
from longshore.jobs import ledger, queue
from longshore.jobs.queue import State
from longshore.metadata import schema
from longshore.names import Registry
from longshore.registry import (
    account_settings,
    image_archive,
    image_batches,
    image_listings,
    layers,
    repositories,
)
from longshore.registry.dialect import OCI
from longshore.registry.image_batches import ImageId
from longshore.registry.lifecycle_rules import StorageClass
from longshore.registry.statistics import take_stock
from longshore.settings import Settings
from longshore.work import archive as working
from longshore.work.collector import Collector, Garbage, Kind
from tests.support.cold import InterruptedArchive, files_in, with_archive
from tests.support.images import artifact, layer, oci_image, oci_index
from tests.support.pushing import (
    REGISTRY,
    REPOSITORY,
    create_repository,
    pull,
    put,
    read_layer,
    upload,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from longshore.registry.context import Context
    from longshore.work.runner import Runner
    from tests.support.clock import FakeClock
    from tests.support.images import Image

OTHER = "demo/other"
SHARED = layer("what many images stand on " * 100)
IMAGE = oci_image("image", layers=[SHARED, layer("its own")])
NEIGHBOUR = oci_image("neighbour", layers=[SHARED])
SIGNATURE = artifact("signature", subject=IMAGE)
INDEX = oci_index([IMAGE])


@pytest.fixture
def context(context: Context, tmp_path: Path) -> Context:
    """A store with an archive directory and two repositories."""
    context = with_archive(context, tmp_path)
    for name in (REPOSITORY, OTHER):
        create_repository(context, name)
    return context


@pytest.fixture
def archive(context: Context) -> InterruptedArchive:
    assert isinstance(context.archive, InterruptedArchive)
    return context.archive


@pytest.fixture
def runner(context: Context) -> Runner:
    return create_runner(_SETTINGS, context)


_SETTINGS = Settings(collect_interval=0, lifecycle_interval=0)


class Disks:
    """The files of both directories."""

    def __init__(self, home: Path) -> None:
        self.data = home / "data"
        self.archive = home / "cold"

    def warm(self) -> set[str]:
        """Return the digests (hex) of the files in the data directory."""
        return self._digests(self.data / "blobs")

    def cold(self) -> set[str]:
        """Return the digests (hex) of the files in the archive directory."""
        return self._digests(self.archive)

    @staticmethod
    def _digests(directory: Path) -> set[str]:
        return {name.rpartition("/")[2].partition(".")[0] for name in files_in(directory)}


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    return Disks(tmp_path)


def hexes(*images: Image) -> set[str]:
    return {blob.digest.hex for image in images for blob in image.blobs}


def push(
    context: Context, image: Image, tag: str | None = None, repository: str = REPOSITORY
) -> None:
    """Push as clients do: what can't be had from the repository is uploaded."""
    for child in image.children:
        with suppress(ImageAlreadyExists):
            push(context, child, None, repository)
    for blob in image.blobs:
        held = layers.check(context, REGISTRY, repository, [blob.digest]).get(blob.digest)
        if held is None or held.is_archived:
            upload(context, blob, repository)
    put(context, image, tag, repository)


def move(
    context: Context, target: StorageClass, *images: Image, repository: str = REPOSITORY
) -> None:
    for image in images:
        image_archive.update_storage_class(
            context, REGISTRY, repository, ImageId(str(image.digest)), target
        )


def archive_images(context: Context, *images: Image, repository: str = REPOSITORY) -> None:
    move(context, StorageClass.ARCHIVE, *images, repository=repository)


def restore_images(context: Context, *images: Image) -> None:
    move(context, StorageClass.STANDARD, *images)


def rest(context: Context, clock: FakeClock, *images: Image) -> None:
    """Push images, archive them, and have their bytes moved."""
    for image in images:
        push(context, image)
    archive_images(context, *images)
    let_move(context, clock)


def let_move(context: Context, clock: FakeClock) -> None:
    clock.advance(DAY + 1)
    create_runner(_SETTINGS, context).run_due()


def delete(context: Context, *images: Image, repository: str = REPOSITORY) -> None:
    ids = [ImageId(str(image.digest)) for image in images]
    _, failures = image_batches.delete(context, REGISTRY, repository, ids)
    assert not failures


def check_pull(context: Context, *images: Image, repository: str = REPOSITORY) -> None:
    """An image can be pulled bit for bit."""
    for image in images:
        assert pull(context, str(image.digest), repository).content == image.content
        for blob in image.blobs:
            assert read_layer(context, blob.digest, repository) == blob.content
        check_pull(context, *image.children, repository=repository)


def check_if_active(context: Context, image: Image, repository: str) -> None:
    """An image can be pulled bit for bit, unless it isn't there or in the archive."""
    try:
        pull(context, str(image.digest), repository)
    except (ImageNotFound, RepositoryNotFound):
        return
    check_pull(context, image, repository=repository)


def status(context: Context, image: Image) -> str:
    [found] = image_listings.describe(context, REGISTRY, REPOSITORY, [ImageId(str(image.digest))])
    return found.status.value


def collect(context: Context, *, dry_run: bool = False) -> list[Garbage]:
    return list(Collector(context, dry_run=dry_run).run())


def jobs(context: Context, kind: str) -> list[ledger.Entry]:
    with context.database.read() as tx:
        return [job for job in ledger.list_some(tx) if job.kind == kind]


def check_store(context: Context, disks: Disks) -> None:
    """Each row's bytes lie where it says, and nothing else does once garbage is collected."""
    collect(context)
    with context.database.read() as tx:
        rows = tx.execute(select(schema.blobs)).all()
    there = {
        row.location if row.archived_size is None else row.location.removeprefix("archive/"): row
        for row in rows
    }
    assert files_in(disks.data) == {
        location for location, row in there.items() if row.archived_size is None
    }
    assert files_in(disks.archive) == {
        location for location, row in there.items() if row.archived_size is not None
    }


# --- There and back -------------------------------------------------------------------------------


def test_bytes_go_when_their_lease_is_over_and_come_back_before_the_image_is_active(
    context: Context, clock: FakeClock, runner: Runner, disks: Disks
) -> None:
    push(context, IMAGE, "1")
    clock.advance(30 * DAY)
    archive_images(context, IMAGE)
    runner.run_due()
    clock.advance(DAY)
    runner.run_due()
    assert (disks.warm(), disks.cold()) == (hexes(IMAGE), set())
    clock.advance(1)
    runner.run_due()
    assert (disks.warm(), disks.cold()) == (set(), hexes(IMAGE))
    stock = take_stock(context)
    on_disk = sum(path.stat().st_size for path in disks.archive.rglob("*.*") if len(path.name) > 64)
    assert 0 < stock.archived_bytes == on_disk < stock.logical_bytes - len(IMAGE.content)
    assert stock.stored_bytes == len(IMAGE.content)
    assert not jobs(context, working.MOVE)
    restore_images(context, IMAGE)
    assert status(context, IMAGE) == "ACTIVATING"
    with pytest.raises(ImageInaccessible):
        pull(context, "1")
    runner.run_due()
    check_pull(context, IMAGE)
    assert (disks.warm(), disks.cold()) == (hexes(IMAGE), set())
    check_store(context, disks)


def test_what_somebody_else_needs_stays(context: Context, clock: FakeClock, disks: Disks) -> None:
    kept = oci_image("kept")
    elsewhere = Registry("111111111111", "us-east-1")
    create_repository(context, registry=elsewhere)
    for image in (IMAGE, NEIGHBOUR, kept):
        push(context, image)
    push(context, IMAGE, None, OTHER)
    archive_images(context, IMAGE, kept)
    let_move(context, clock)
    # Of the image all is another repository's, too.
    assert (disks.warm(), disks.cold()) == (hexes(IMAGE, NEIGHBOUR), hexes(kept))
    archive_images(context, IMAGE, repository=OTHER)
    let_move(context, clock)
    check_pull(context, NEIGHBOUR)
    assert disks.warm() == hexes(NEIGHBOUR)
    archive_images(context, NEIGHBOUR)
    let_move(context, clock)
    assert disks.warm() == set()


def test_what_nobody_refers_to_yet_or_what_is_being_restored_stays(
    context: Context, clock: FakeClock, disks: Disks
) -> None:
    push(context, IMAGE)
    upload(context, SHARED, OTHER)
    archive_images(context, IMAGE)
    restore_images(context, IMAGE)
    with context.database.write() as tx:
        for job in ledger.list_some(tx):
            if job.kind == working.RESTORATION:
                queue.cancel(tx, job.id)
    let_move(context, clock)
    assert disks.warm() == hexes(IMAGE)
    archive_images(context, IMAGE)
    let_move(context, clock)
    # Its lease is over, but the collector hasn't been there.
    assert disks.warm() == {SHARED.digest.hex}
    collect(context)
    clock.advance(HOUR)
    create_runner(_SETTINGS, context).run_due()
    assert disks.warm() == set()


def test_a_place_that_comes_later_is_filled_with_what_was_archived_before(
    context: Context, clock: FakeClock, disks: Disks
) -> None:
    without = replace(context, archive=None)
    push(without, IMAGE)
    archive_images(without, IMAGE)
    let_move(without, clock)
    assert not jobs(without, working.MOVE)
    assert disks.cold() == set()
    runner = create_runner(_SETTINGS, context)
    runner.run_due()
    clock.advance(HOUR)
    runner.run_due()
    assert disks.cold() == hexes(IMAGE)


# --- Becoming needed again ------------------------------------------------------------------------


def test_a_layer_in_the_archive_is_nowhere_said_to_be_there(
    context: Context, clock: FakeClock
) -> None:
    rest(context, clock, IMAGE)
    account_settings.put(context, REGISTRY, account_settings.BLOB_MOUNTING, "ENABLED")

    def check_refusals() -> None:
        [held] = layers.check(context, REGISTRY, REPOSITORY, [SHARED.digest]).values()
        assert held.is_archived
        for refused in (
            lambda: layers.find(context, REGISTRY, REPOSITORY, SHARED.digest),
            lambda: layers.find_referenced(context, REGISTRY, REPOSITORY, SHARED.digest),
            lambda: read_layer(context, SHARED.digest),
        ):
            with pytest.raises(LayerInaccessible):
                refused()
        for store in (context, replace(context, dialect=OCI)):
            assert not layers.mount(store, REGISTRY, OTHER, REPOSITORY, SHARED.digest)
        with pytest.raises(LayersNotFound, match=SHARED.digest.hex):
            put(context, oci_image("of what is there", layers=[SHARED]))

    check_refusals()
    delete(context, IMAGE)
    # Now no image refers to it, and its lease isn't over.
    check_refusals()


@pytest.mark.parametrize("repository", [REPOSITORY, OTHER])
def test_who_uploads_a_layer_again_brings_its_bytes_back(
    context: Context, clock: FakeClock, disks: Disks, repository: str
) -> None:
    rest(context, clock, IMAGE)
    push(context, NEIGHBOUR, None, repository)
    check_pull(context, NEIGHBOUR, repository=repository)
    assert status(context, IMAGE) == "ARCHIVED"
    check_store(context, disks)
    assert (disks.warm(), disks.cold()) == (hexes(NEIGHBOUR), hexes(IMAGE) - {SHARED.digest.hex})
    restore_images(context, IMAGE)
    create_runner(_SETTINGS, context).run_due()
    check_pull(context, IMAGE)
    check_store(context, disks)


def test_what_was_uploaded_again_stays_for_its_lease(
    context: Context, clock: FakeClock, disks: Disks
) -> None:
    rest(context, clock, IMAGE)
    upload(context, SHARED)
    runner = create_runner(_SETTINGS, context)
    for _ in range(23):
        clock.advance(HOUR)
        runner.run_due()
    assert disks.warm() == {SHARED.digest.hex}
    let_move(context, clock)
    assert disks.warm() == set()


def test_a_push_of_the_same_image_restores_it_at_once(
    context: Context, clock: FakeClock, disks: Disks
) -> None:
    rest(context, clock, IMAGE)
    with pytest.raises(LayersNotFound, match=SHARED.digest.hex):
        put(context, IMAGE, "1")
    assert status(context, IMAGE) == "ARCHIVED"
    push(context, IMAGE, "1")
    check_pull(context, IMAGE)
    check_store(context, disks)


def test_a_push_of_an_index_needs_its_images(
    context: Context, clock: FakeClock, disks: Disks
) -> None:
    push(context, INDEX)
    archive_images(context, INDEX, IMAGE)
    let_move(context, clock)
    with pytest.raises(ReferencedImagesNotFound, match=str(IMAGE.digest)):
        put(context, INDEX, "1")
    assert status(context, INDEX) == "ARCHIVED"
    push(context, INDEX, "1")
    check_pull(context, INDEX)
    check_store(context, disks)


def test_where_images_may_be_missing_those_of_an_index_come_after_it(
    context: Context, clock: FakeClock
) -> None:
    oci = replace(context, dialect=OCI)
    push(oci, INDEX)
    archive_images(oci, INDEX, IMAGE)
    let_move(oci, clock)
    put(oci, INDEX, "1")
    assert pull(oci, "1").content == INDEX.content
    assert status(oci, IMAGE) == "ACTIVATING"
    create_runner(_SETTINGS, oci).run_due()
    check_pull(oci, INDEX)


def test_the_referrers_of_an_image_that_is_pushed_again_come_after_it(
    context: Context, clock: FakeClock
) -> None:
    push(context, IMAGE)
    rest(context, clock, SIGNATURE)
    archive_images(context, IMAGE)
    put(context, IMAGE)
    check_pull(context, IMAGE)
    assert status(context, SIGNATURE) == "ACTIVATING"
    create_runner(_SETTINGS, context).run_due()
    check_pull(context, SIGNATURE)


# --- Garbage --------------------------------------------------------------------------------------


def test_garbage_is_taken_from_the_archive_too(
    context: Context, clock: FakeClock, disks: Disks
) -> None:
    rest(context, clock, IMAGE)
    sizes = {
        path.name.partition(".")[0]: path.stat().st_size
        for path in disks.archive.rglob(f"*.{'?' * 36}")
    }
    delete(context, IMAGE)
    assert collect(context) == []
    clock.advance(DAY + 1)
    for dry_run in (True, False):
        taken = collect(context, dry_run=dry_run)
        blobs = {each.name.partition(":")[2]: each.size for each in taken if each.kind is Kind.BLOB}
        assert blobs == sizes
        assert (disks.cold() == set()) is not dry_run
    assert collect(context) == []


def test_bytes_that_a_dead_job_left_are_taken_and_those_of_a_running_one_are_not(
    context: Context,
    clock: FakeClock,
    archive: InterruptedArchive,
    disks: Disks,
) -> None:
    push(context, IMAGE)
    archive_images(context, IMAGE)
    clock.advance(DAY + 1)
    with context.database.write() as tx:
        job = queue.take(tx, working.MOVE, queue.Terms(), "who dies", clock.now)
    assert job is not None
    archive.put(lambda: [SHARED.content], "aes256", SHARED.digest, job.lease)
    with context.blobs.writer(job.lease, 0) as writer:
        writer.append(b"on its way back")
    assert collect(context) == []
    clock.advance(MINUTE)
    create_runner(_SETTINGS, context).run_due()
    assert {each.kind for each in collect(context, dry_run=True)} == {Kind.STRAY}
    assert len(collect(context)) == 2
    assert disks.cold() == hexes(IMAGE)
    assert list(context.blobs.uploads()) == []


# --- What goes wrong ------------------------------------------------------------------------------


def test_without_its_directory_nothing_moves_and_nothing_is_lost(
    context: Context, clock: FakeClock, runner: Runner, disks: Disks
) -> None:
    rest(context, clock, IMAGE)
    other = oci_image("other")
    push(context, other)
    disks.archive.rename(disks.archive.with_name("away"))
    archive_images(context, other)
    clock.advance(DAY + 1)
    runner.run_due()
    restore_images(context, IMAGE)
    runner.run_due()
    for kind in (working.MOVE, working.RESTORATION):
        for job in jobs(context, kind):
            assert job.state is State.WAITING
            assert "Mount the disk" in str(job.error)
    # Whose bytes are there comes back all the same.
    restore_images(context, other)
    clock.advance(MINUTE)
    runner.run_due()
    check_pull(context, other)
    assert status(context, IMAGE) == "ACTIVATING"
    for _ in range(10):
        clock.advance(HOUR // 2)
        runner.run_due()
    assert {job.state for job in jobs(context, working.RESTORATION)} == {State.DEAD}
    disks.archive.with_name("away").rename(disks.archive)
    with context.database.write() as tx:
        for job in ledger.list_some(tx, state=State.DEAD):
            queue.revive(tx, job.id, clock.now)
    runner.run_due()
    check_pull(context, IMAGE, other)
    check_store(context, disks)


def test_a_process_without_the_setting_brings_nothing_back(
    context: Context, clock: FakeClock
) -> None:
    rest(context, clock, IMAGE)
    restore_images(context, IMAGE)
    without = replace(context, archive=None)
    create_runner(_SETTINGS, without).run_due()
    [job] = jobs(context, working.RESTORATION)
    assert "archive_directory" in str(job.error)


def test_a_damaged_layer_holds_up_its_own_image_alone(
    context: Context, clock: FakeClock, disks: Disks
) -> None:
    # Too little to be compressed: nothing but the digest tells.
    damaged = oci_image("damaged", layers=[layer("x")])
    rest(context, clock, IMAGE, damaged)
    [path] = disks.archive.rglob(f"{layer('x').digest.hex}.*")
    path.write_bytes(b"y")
    restore_images(context, IMAGE, damaged)
    create_runner(_SETTINGS, context).run_due()
    check_pull(context, IMAGE)
    assert status(context, damaged) == "ACTIVATING"
    [job] = jobs(context, working.RESTORATION)
    assert f"{layer('x').digest} in the archive directory are damaged" in str(job.error)
    push(context, damaged)
    check_pull(context, damaged)
    clock.advance(MINUTE)
    create_runner(_SETTINGS, context).run_due()
    assert not jobs(context, working.RESTORATION)
    check_store(context, disks)


def test_damaged_bytes_are_not_taken_to_the_archive(
    context: Context, clock: FakeClock, disks: Disks
) -> None:
    push(context, IMAGE)
    archive_images(context, IMAGE)
    [path] = disks.data.rglob(f"{SHARED.digest.hex}.*")
    path.write_bytes(b"something else")
    let_move(context, clock)
    assert disks.cold() == hexes(IMAGE) - {SHARED.digest.hex}
    assert path.exists()
    [job] = jobs(context, working.MOVE)
    assert "in the data directory are damaged" in str(job.error)


# --- In between -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda context: push(context, NEIGHBOUR, None, OTHER),
        lambda context: push(context, NEIGHBOUR),
        lambda context: push(context, IMAGE),
        lambda context: restore_images(context, IMAGE),
        lambda context: delete(context, IMAGE),
        lambda context: repositories.remove(context, REGISTRY, REPOSITORY, force=True),
        lambda context: create_runner(_SETTINGS, context).run_due(),
        collect,
    ],
    ids=[
        *("uploaded elsewhere", "uploaded here", "pushed again", "being restored", "deleted"),
        *("repository deleted", "others move it", "garbage collected"),
    ],
)
def test_whatever_happens_while_bytes_are_copied_nothing_is_lost(
    context: Context,
    clock: FakeClock,
    archive: InterruptedArchive,
    disks: Disks,
    meanwhile: Callable[[Context], object],
) -> None:
    push(context, IMAGE)
    archive_images(context, IMAGE)
    archive.after_put = lambda: meanwhile(context)
    let_move(context, clock)
    for name in (REPOSITORY, OTHER):
        for image in (IMAGE, NEIGHBOUR):
            check_if_active(context, image, name)
    check_store(context, disks)
    with suppress(ImageAlreadyExists):
        push(context, IMAGE, None, OTHER)
    check_pull(context, IMAGE, repository=OTHER)
    check_store(context, disks)
