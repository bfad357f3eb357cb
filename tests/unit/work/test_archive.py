from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from longshore.clock import MINUTE
from longshore.errors import ImageInaccessible
from longshore.housekeeping import create_runner
from longshore.jobs import ledger
from longshore.jobs.queue import take
from longshore.metadata import schema
from longshore.registry import image_archive, image_batches, repositories
from longshore.registry.image_batches import ImageId
from longshore.registry.lifecycle_rules import StorageClass
from longshore.settings import Settings
from longshore.work import archive
from tests.support.images import artifact, oci_image, oci_index
from tests.support.pushing import REGISTRY, REPOSITORY, create_repository, pull, push

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.registry.context import Context
    from longshore.work.runner import Runner
    from tests.support.clock import FakeClock

IMAGE = oci_image("image")
SIGNATURE = artifact("signature", subject=IMAGE)
INDEX = oci_index([IMAGE])


@pytest.fixture
def runner(context: Context) -> Runner:
    """Does jobs, and nothing comes round."""
    return create_runner(Settings(collect_interval=0, lifecycle_interval=0), context)


@pytest.fixture(autouse=True)
def restoring(context: Context) -> None:
    """An index, its image and the image's signature are on their way back."""
    create_repository(context)
    for image in (INDEX, SIGNATURE):
        push(context, image, "1")
    for image in (INDEX, IMAGE):
        move(context, StorageClass.ARCHIVE, str(image.digest))
    move(context, StorageClass.STANDARD)


def move(context: Context, target: StorageClass, digest: str = str(INDEX.digest)) -> None:
    image_archive.update_storage_class(context, REGISTRY, REPOSITORY, ImageId(digest), target)


def classes(context: Context) -> set[tuple[str, bool]]:
    """Return in which storage classes images are, and whether they are on their way back."""
    image = schema.images.c
    with context.database.read() as tx:
        rows = tx.execute(select(image.storage_class, image.restoring_since)).all()
    return {(row.storage_class, row.restoring_since is not None) for row in rows}


def count_jobs(context: Context) -> int:
    with context.database.read() as tx:
        return len([job for job in ledger.list_some(tx) if job.kind == archive.RESTORATION])


def test_a_job_makes_an_image_active_with_all_that_come_with_it(
    context: Context, runner: Runner
) -> None:
    assert classes(context) == {("ARCHIVE", True)}
    with pytest.raises(ImageInaccessible, match="being restored"):
        pull(context, "1")
    runner.run_due()
    assert classes(context) == {("STANDARD", False)}
    assert count_jobs(context) == 0
    for image in (INDEX, IMAGE, SIGNATURE):
        assert pull(context, str(image.digest)).content == image.content


def test_a_job_whose_worker_died_is_done_by_another_one(
    context: Context, clock: FakeClock, runner: Runner
) -> None:
    with context.database.write() as tx:
        terms = archive.TERMS_OF_RESTORATION
        assert take(tx, archive.RESTORATION, terms, "who dies", clock.now) is not None
    runner.run_due()
    assert classes(context) == {("ARCHIVE", True)}
    clock.advance(MINUTE)
    runner.run_due()
    assert classes(context) == {("STANDARD", False)}


def delete_the_image(context: Context) -> None:
    image_batches.delete(context, REGISTRY, REPOSITORY, [ImageId(str(INDEX.digest))])


def replace_the_repository(context: Context) -> None:
    delete_the_repository(context)
    create_repository(context)
    push(context, INDEX)
    for image in (INDEX, IMAGE):
        move(context, StorageClass.ARCHIVE, str(image.digest))


def delete_the_repository(context: Context) -> None:
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)


@pytest.mark.parametrize(
    ("meanwhile", "left"),
    [
        # What came with it comes alone.
        (delete_the_image, {("STANDARD", False)}),
        (delete_the_repository, set()),
        (replace_the_repository, {("ARCHIVE", False)}),
        (lambda context: push(context, INDEX), {("STANDARD", False)}),
    ],
    ids=["deleted", "repository deleted", "repository replaced", "pushed again"],
)
def test_a_job_does_what_is_left_to_do(
    context: Context,
    runner: Runner,
    meanwhile: Callable[[Context], object],
    left: set[tuple[str, bool]],
) -> None:
    meanwhile(context)
    runner.run_due()
    assert count_jobs(context) == 0
    assert classes(context) == left
