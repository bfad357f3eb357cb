from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, insert, select

from longshore.clock import DAY, HOUR
from longshore.events import log
from longshore.housekeeping import create_runner
from longshore.jobs import ledger
from longshore.metadata import schema
from longshore.names import Digest
from longshore.registry import (
    image_archive,
    image_batches,
    image_listings,
    late_referrers,
    repositories,
)
from longshore.registry.image_batches import ImageId
from longshore.registry.lifecycle_rules import StorageClass
from longshore.settings import Settings
from longshore.work import archive as working
from longshore.work.runner import Handler, Runner
from tests.support.images import artifact, oci_image, oci_index
from tests.support.pushing import REGISTRY, REPOSITORY, pull, push

if TYPE_CHECKING:
    from longshore.registry.context import Context
    from longshore.registry.repositories import Repository
    from tests.support.clock import FakeClock
    from tests.support.images import Image

pytestmark = pytest.mark.usefixtures("repository")
IMAGE = oci_image("image")
SIGNATURE = artifact("signature", subject=IMAGE)
OF_SIGNATURE = artifact("of the signature", subject=SIGNATURE)


@pytest.fixture
def runner(context: Context) -> Runner:
    """Has seen that rounds come round, each hour."""
    runner = create_runner(Settings(collect_interval=0, lifecycle_interval=0), context)
    runner.run_due()
    return runner


def move(context: Context, target: StorageClass, *images: Image) -> None:
    for image in images:
        image_archive.update_storage_class(
            context, REGISTRY, REPOSITORY, ImageId(str(image.digest)), target
        )


def statuses(context: Context, *images: Image) -> list[str]:
    describe = partial(image_listings.describe, context, REGISTRY, REPOSITORY)
    return [describe([ImageId(str(image.digest))])[0].status.value for image in images]


def test_a_referrer_that_comes_later_follows_its_subject(
    context: Context, clock: FakeClock, runner: Runner
) -> None:
    push(context, IMAGE)
    move(context, StorageClass.ARCHIVE, IMAGE)
    clock.advance(DAY)
    for image in (SIGNATURE, OF_SIGNATURE):
        push(context, image)
        assert pull(context, str(image.digest)).content == image.content
    with context.database.write() as tx:
        tx.execute(schema.events.delete())
    clock.advance(HOUR)
    runner.run_due()
    assert statuses(context, SIGNATURE, OF_SIGNATURE) == ["ARCHIVED"] * 2
    with context.database.read() as tx:
        assert ledger.list_some(tx) == []
        told = [json.loads(each.document) for each in log.after(tx, 0, 10)]
    assert [(each["detail-type"], each["detail"]["image-digest"]) for each in told] == [
        ("ECR Referrer Action", str(image.digest)) for image in (SIGNATURE, OF_SIGNATURE)
    ]
    move(context, StorageClass.STANDARD, IMAGE)
    runner.run_due()
    assert statuses(context, IMAGE, SIGNATURE, OF_SIGNATURE) == ["ACTIVE"] * 3


def test_a_referrer_of_what_is_not_in_the_archive_stays(
    context: Context, clock: FakeClock, runner: Runner
) -> None:
    other = oci_image("other")
    of_others = [artifact("of the other", subject=other), artifact("of none", subject=IMAGE)]
    for image in (other, *of_others):
        push(context, image)
    clock.advance(HOUR)
    runner.run_due()
    assert statuses(context, *of_others) == ["ACTIVE"] * 2


def test_a_referrer_follows_when_the_index_is_gone_that_kept_it(
    context: Context, clock: FakeClock, runner: Runner
) -> None:
    index = oci_index([SIGNATURE])
    for image in (IMAGE, index):
        push(context, image)
    move(context, StorageClass.ARCHIVE, IMAGE)
    for _ in range(2):
        clock.advance(HOUR)
        runner.run_due()
        assert statuses(context, SIGNATURE) == ["ACTIVE"]
    image_batches.delete(context, REGISTRY, REPOSITORY, [ImageId(str(index.digest))])
    clock.advance(HOUR)
    runner.run_due()
    assert statuses(context, SIGNATURE) == ["ARCHIVED"]


def test_a_referrer_that_was_restored_alone_stays_until_its_subject_goes_again(
    context: Context, clock: FakeClock, runner: Runner
) -> None:
    for image in (IMAGE, SIGNATURE):
        push(context, image)
    move(context, StorageClass.ARCHIVE, IMAGE)
    clock.advance(DAY)
    move(context, StorageClass.STANDARD, SIGNATURE)
    for _ in range(2):
        runner.run_due()
        assert statuses(context, IMAGE, SIGNATURE) == ["ARCHIVED", "ACTIVE"]
        clock.advance(HOUR)
    move(context, StorageClass.STANDARD, IMAGE)
    runner.run_due()
    move(context, StorageClass.ARCHIVE, IMAGE)
    assert statuses(context, IMAGE, SIGNATURE) == ["ARCHIVED"] * 2


def test_who_has_come_back_in_the_meantime_is_left_alone(
    context: Context, repository: Repository
) -> None:
    push(context, IMAGE)
    move(context, StorageClass.ARCHIVE, IMAGE)
    push(context, SIGNATURE)
    with context.database.read() as tx:
        [straggler] = late_referrers.stragglers(tx)
    assert straggler == (REGISTRY, REPOSITORY, SIGNATURE.digest)
    move(context, StorageClass.STANDARD, IMAGE)
    with context.database.write() as tx:
        late_referrers.follow(tx, context, repository, SIGNATURE.digest)
    assert statuses(context, SIGNATURE) == ["ACTIVE"]


# PostgreSQL takes more parameters, in the same statements.
@pytest.mark.slow
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_any_number_of_referrers_goes_there_and_back(context: Context) -> None:
    # More than parameters in a statement of SQLite.
    count = 33_000
    push(context, IMAGE)
    with context.database.write() as tx:
        found = repositories.find(tx, REGISTRY, REPOSITORY)
        row = {
            "repository_id": found.id,
            "media_type": SIGNATURE.media_type,
            "subject": str(IMAGE.digest),
            "manifest_size": 1,
            "size": 1,
            "pushed_at": 1,
        }
        tx.execute(
            insert(schema.images),
            [{**row, "digest": str(Digest.of(b"%d" % n))} for n in range(count)],
        )

    def by_class() -> dict[str, int]:
        column = schema.images.c.storage_class
        with context.database.read() as tx:
            rows = tx.execute(select(column, func.count()).group_by(column)).all()
            return {row[0]: row[1] for row in rows}

    move(context, StorageClass.ARCHIVE, IMAGE)
    assert by_class() == {"ARCHIVE": count + 1}
    move(context, StorageClass.STANDARD, IMAGE)
    # Alone: to tell of all the events takes longer.
    Runner(context, {working.RESTORATION: Handler(partial(working.restore, context))}).run_due()
    assert by_class() == {"STANDARD": count + 1}
