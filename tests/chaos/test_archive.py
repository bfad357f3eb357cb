"""SIGKILL to a worker at each step of moving layers to the archive, and of bringing them back."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Literal, TypeAlias

import pytest
from sqlalchemy import func, select

from longshore.access.sealing import ServerKey
from longshore.blobs.filesystem import FilesystemBlobStore
from longshore.clock import DAY, MINUTE
from longshore.errors import ImageInaccessible
from longshore.metadata import schema
from longshore.metadata.database import Database
from longshore.metadata.migrate import migrate
from longshore.registry import image_archive
from longshore.registry.context import Context
from longshore.registry.image_batches import ImageId
from longshore.registry.lifecycle_rules import StorageClass
from longshore.work.collector import Collector
from tests.docs.pages import REPOSITORY as DIRECTORY
from tests.support.clock import FakeClock
from tests.support.cold import files_in, open_archive
from tests.support.images import layer, oci_image, oci_index
from tests.support.pushing import REGISTRY, REPOSITORY, create_repository, pull, push, read_layer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.images import Image

Way: TypeAlias = Literal["there", "back"]

# One blob is compressed, the other one isn't.
IMAGE = oci_image("image", layers=[layer("compressed " * 500)])
INDEX = oci_index([IMAGE])
ACTIVE = oci_image("active")


@pytest.fixture
def context(database_url: str, tmp_path: Path) -> Iterator[Context]:
    """A store that other processes have, too: with an index and its image in the archive."""
    context = Context(
        database=Database(database_url),
        blobs=FilesystemBlobStore(tmp_path / "data"),
        archive=open_archive(tmp_path),
        server_key=ServerKey(bytes(32)),
        clock=FakeClock(),
    )
    migrate(context.database)
    create_repository(context)
    for image in (INDEX, ACTIVE):
        push(context, image)
    yield context
    context.database.close()


@pytest.fixture
def workers(context: Context, database_url: str, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(database_url, tmp_path, context)
    yield workers
    workers.end()


class Workers:
    """Processes that do the jobs that are due."""

    def __init__(self, url: str, home: Path, context: Context) -> None:
        assert isinstance(context.clock, FakeClock)
        self._clock = context.clock
        self._now = home / "now"
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.archive_worker", url, str(home)],
            cwd=DIRECTORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def work(self, last_step: int = 0) -> str:
        """Let one work until it is done, or until it is killed before a step."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._now.write_text(str(self._clock.now))
        self._parent.stdin.write(f"{last_step}\n")
        self._parent.stdin.flush()
        return self._parent.stdout.readline().strip()

    def end(self) -> None:
        self._parent.communicate()


def move(context: Context, target: StorageClass, *images: Image) -> None:
    for image in images:
        image_archive.update_storage_class(
            context, REGISTRY, REPOSITORY, ImageId(str(image.digest)), target
        )


def archive(context: Context, clock: FakeClock) -> None:
    move(context, StorageClass.ARCHIVE, INDEX, IMAGE)
    clock.advance(DAY + 1)


def count_cold(context: Context) -> int:
    in_archive = schema.blobs.c.archived_size.is_not(None)
    with context.database.read() as tx:
        return tx.execute(
            select(func.count()).select_from(schema.blobs).where(in_archive)
        ).scalar_one()


def check_pull(context: Context, *images: Image) -> None:
    for image in images:
        assert pull(context, str(image.digest)).content == image.content
        assert [read_layer(context, each.digest) for each in image.blobs] == [
            each.content for each in image.blobs
        ]


def check(context: Context, home: Path) -> None:
    """What is active is whole, and no row leads to nothing."""
    check_pull(context, ACTIVE)
    for image in (INDEX, IMAGE):
        try:
            pull(context, str(image.digest))
        except ImageInaccessible:
            continue
        check_pull(context, INDEX, IMAGE)
    with context.database.read() as tx:
        rows = tx.execute(select(schema.blobs)).all()
    for row in rows:
        in_archive = row.archived_size is not None
        place = home / "cold" if in_archive else home / "data"
        path = place / row.location.removeprefix("archive/")
        assert path.stat().st_size == (row.archived_size if in_archive else row.size)


@pytest.mark.parametrize("way", ["there", "back"])
def test_a_worker_that_dies_at_any_step_loses_nothing(
    context: Context, workers: Workers, tmp_path: Path, way: Way
) -> None:
    clock = context.clock
    assert isinstance(clock, FakeClock)
    blobs = len(IMAGE.blobs)
    step = killed = 0
    while True:
        step += 1
        archive(context, clock)
        if way == "back":
            assert workers.work() == "done"
            assert count_cold(context) == blobs
            move(context, StorageClass.STANDARD, INDEX)
            clock.advance(1)
        ended = workers.work(step)
        check(context, tmp_path)
        if ended == "done":
            break
        assert ended == "killed"
        killed += 1
        # What a killed worker left is garbage at most, even while its lease isn't over.
        list(Collector(context).run())
        check(context, tmp_path)
        clock.advance(MINUTE)
        assert workers.work() == "done"
        assert count_cold(context) == (blobs if way == "there" else 0)
        move(context, StorageClass.STANDARD, INDEX)
        clock.advance(1)
        assert workers.work() == "done"
        check_pull(context, INDEX, IMAGE)
    # More than a statement, a file and a commit for each blob.
    assert killed > 3 * blobs
    clock.advance(2 * DAY)
    list(Collector(context).run())
    check(context, tmp_path)
    files = files_in(tmp_path / "data" / "blobs") | files_in(tmp_path / "cold")
    assert len(files) == len(IMAGE.blobs) + len(ACTIVE.blobs)
