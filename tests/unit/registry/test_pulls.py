from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from longshore.clock import DAY, MINUTE
from longshore.names import Registry
from longshore.registry import image_batches, image_listings, pull_time_exclusions, repositories
from longshore.registry.image_batches import ImageId
from longshore.registry.pulls import PulledImage, Pulls, counts
from tests.support.images import oci_image
from tests.support.pushing import ACCOUNT, REGISTRY, REPOSITORY, create_repository, push
from tests.support.threads import at_once

if TYPE_CHECKING:
    from longshore.clock import Millis
    from longshore.registry.context import Context
    from tests.support.clock import FakeClock

ONE, OTHER = oci_image("one"), oci_image("other")
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
SCANNER = f"arn:aws:iam::{ACCOUNT}:role/scanner"


def pulled(image: object, repository: str = REPOSITORY) -> PulledImage:
    return PulledImage(REGISTRY, repository, image.digest)  # type: ignore[attr-defined] # an image


def times(context: Context, repository: str = REPOSITORY) -> dict[str, Millis | None]:
    """Return when images were pulled last."""
    found = image_listings.list_images(
        context, REGISTRY, repository, status=image_listings.TagStatus.ANY, after=None, limit=10
    )
    return {str(image.digest): image.last_pulled_at for image in found.items}


@pytest.mark.usefixtures("repository")
def test_pulls_are_written_when_they_are_and_not_before(context: Context, clock: FakeClock) -> None:
    push(context, ONE, "1")
    push(context, OTHER, "2")
    pushed_at = clock()
    clock.advance(5)
    for _ in range(3):
        context.pulls.note(pulled(ONE), ALICE, clock())
    assert times(context) == {str(ONE.digest): None, str(OTHER.digest): None}
    assert counts(context) == {}

    context.pulls.write(context)

    assert times(context) == {str(ONE.digest): pushed_at + 5, str(OTHER.digest): None}
    assert counts(context) == {(REGISTRY, REPOSITORY): 3}
    [described] = image_listings.describe(context, REGISTRY, REPOSITORY, [ImageId(tag="1")])
    assert described.last_pulled_at == pushed_at + 5

    context.pulls.note(pulled(OTHER), "", clock())
    context.pulls.write(context)
    assert times(context)[str(OTHER.digest)] == clock()
    assert counts(context) == {(REGISTRY, REPOSITORY): 4}


@pytest.mark.usefixtures("repository")
def test_where_nothing_was_pulled_nothing_is_written(context: Context) -> None:
    before = context.database.generation()
    context.pulls.write(context)
    assert context.database.generation() == before


@pytest.mark.usefixtures("repository")
def test_a_pull_time_never_goes_back(context: Context, clock: FakeClock) -> None:
    """Whatever the order in which processes write down what they remember."""
    push(context, ONE, "1")
    moments = [clock() + number * MINUTE for number in range(8)]
    shuffled = random.Random(7).sample(moments, len(moments))
    for latest, moment in zip(itertools.accumulate(shuffled, max), shuffled, strict=True):
        process = Pulls()
        process.note(pulled(ONE), ALICE, moment)
        process.note(pulled(ONE), ALICE, moment - 1)
        process.write(context)
        assert times(context) == {str(ONE.digest): latest}
    assert counts(context) == {(REGISTRY, REPOSITORY): 16}


@pytest.mark.usefixtures("repository")
def test_whoever_is_excluded_leaves_no_time_and_is_counted(
    context: Context, clock: FakeClock
) -> None:
    push(context, ONE, "1")
    pull_time_exclusions.register(context, REGISTRY, SCANNER)
    # What another registry excludes is its own affair.
    pull_time_exclusions.register(context, Registry(ACCOUNT, "us-east-1"), ALICE)

    context.pulls.note(pulled(ONE), SCANNER, clock() + DAY)
    context.pulls.write(context)
    assert times(context) == {str(ONE.digest): None}
    context.pulls.note(pulled(ONE), ALICE, clock())
    context.pulls.note(pulled(ONE), SCANNER, clock() + DAY)
    context.pulls.write(context)
    assert times(context) == {str(ONE.digest): clock()}
    assert counts(context) == {(REGISTRY, REPOSITORY): 3}

    pull_time_exclusions.deregister(context, REGISTRY, SCANNER)
    context.pulls.note(pulled(ONE), SCANNER, clock() + DAY)
    context.pulls.write(context)
    assert times(context) == {str(ONE.digest): clock() + DAY}


@pytest.mark.usefixtures("repository")
def test_what_is_gone_by_then_is_forgotten(context: Context, clock: FakeClock) -> None:
    push(context, ONE, "1")
    create_repository(context, "demo/kept")
    push(context, ONE, "1", "demo/kept")
    for name in (REPOSITORY, "demo/kept", "no/such"):
        context.pulls.note(pulled(ONE, name), ALICE, clock())
    context.pulls.note(pulled(OTHER, "demo/kept"), ALICE, clock())
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)

    context.pulls.write(context)

    assert times(context, "demo/kept") == {str(ONE.digest): clock()}
    assert counts(context) == {(REGISTRY, "demo/kept"): 2}


@pytest.mark.usefixtures("repository")
def test_an_image_that_was_pushed_since_was_not_pulled(context: Context, clock: FakeClock) -> None:
    push(context, ONE, "1")
    context.pulls.note(pulled(ONE), ALICE, clock())
    image_batches.delete(context, REGISTRY, REPOSITORY, [ImageId(tag="1")])
    clock.advance(1)
    push(context, ONE, "1")

    context.pulls.write(context)

    assert times(context) == {str(ONE.digest): None}


@pytest.mark.usefixtures("repository")
def test_what_can_not_be_written_is_kept_for_the_next_time(
    context: Context, clock: FakeClock
) -> None:
    push(context, ONE, "1")
    context.pulls.note(pulled(ONE), ALICE, clock() + 5)
    broken = "ALTER TABLE repository_pulls RENAME TO {}"
    with context.database.write() as tx:
        tx.execute(text(broken.format("elsewhere")))
    try:
        with pytest.raises(Exception, match="repository_pulls"):
            context.pulls.write(context)
        context.pulls.note(pulled(ONE), ALICE, clock() + 3)
    finally:
        with context.database.write() as tx:
            tx.execute(text("ALTER TABLE elsewhere RENAME TO repository_pulls"))
    assert times(context) == {str(ONE.digest): None}

    context.pulls.write(context)

    assert times(context) == {str(ONE.digest): clock() + 5}
    assert counts(context) == {(REGISTRY, REPOSITORY): 2}


@pytest.mark.usefixtures("repository")
def test_many_processes_write_at_the_same_time(context: Context, clock: FakeClock) -> None:
    names = [REPOSITORY, *(create_repository(context, f"demo/{n}").name for n in range(4))]
    for name in names:
        push(context, ONE, "1", name)
        push(context, OTHER, "2", name)

    def process(number: int) -> None:
        own = replace(context, pulls=Pulls())
        order = random.Random(number)
        for _ in range(3):
            for name in order.sample(names, len(names)):
                for image in order.sample([ONE, OTHER], 2):
                    own.pulls.note(pulled(image, name), ALICE, clock() + number)
            own.pulls.write(own)

    at_once([lambda number=number: process(number) for number in range(8)])  # type: ignore[misc]

    assert counts(context) == {(REGISTRY, name): 8 * 3 * 2 for name in names}
    for name in names:
        assert set(times(context, name).values()) == {clock() + 7}


@pytest.mark.usefixtures("repository")
def test_pulls_are_noted_while_others_are_written(context: Context, clock: FakeClock) -> None:
    push(context, ONE, "1")

    def note() -> None:
        for _ in range(200):
            context.pulls.note(pulled(ONE), ALICE, clock())

    def write() -> None:
        for _ in range(10):
            context.pulls.write(context)

    at_once([note, note, write, write])
    context.pulls.write(context)

    assert counts(context) == {(REGISTRY, REPOSITORY): 400}


@pytest.mark.usefixtures("repository")
def test_the_manifest_in_another_form_is_the_same_image(context: Context) -> None:
    """What was converted has a digest that no image has."""
    push(context, ONE, "1")
    docker = "application/vnd.docker.distribution.manifest.v2+json"
    [found], _ = image_batches.get(context, REGISTRY, REPOSITORY, [ImageId(tag="1")], [docker])

    assert found.digest != ONE.digest
    assert found.image_digest == ONE.digest
