from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select, update

from longshore.clock import DAY
from longshore.errors import (
    ImageInaccessible,
    ImageNotFound,
    LifecyclePolicyNotFound,
    RepositoryNotFound,
)
from longshore.metadata import schema
from longshore.registry import (
    image_batches,
    images,
    lifecycle_images,
    lifecycle_policies,
    lifecycle_runs,
    repositories,
    storage_classes,
)
from longshore.registry.image_batches import ImageId
from longshore.registry.lifecycle_rules import Action
from longshore.registry.lifecycle_runs import REFERENCED, Outcome
from longshore.registry.mutability import Mode, TagMutability
from longshore.registry.pulls import PulledImage
from tests.support.images import artifact, layer, oci_image, oci_index
from tests.support.lifecycle import policy, rule
from tests.support.pushing import REGISTRY, REPOSITORY, create_repository, pull, push, put
from tests.support.threads import at_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.registry.context import Context
    from longshore.registry.repositories import Repository
    from tests.support.clock import FakeClock
    from tests.support.images import Image

SHARED = layer("what all images stand on")
KEEP_ONE = policy(rule(7, more_than=1))


@pytest.fixture(autouse=True)
def repository(context: Context) -> Repository:
    """The repository that everything is in."""
    return create_repository(context)


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run takes one image in a transaction, so that a test can come between two of them."""
    monkeypatch.setattr(lifecycle_runs, "_BATCH", 1)


def plain(name: str, **more: Any) -> Image:
    return oci_image(name, layers=[SHARED], **more)


def push_daily(context: Context, clock: FakeClock, *names: str, tagged: bool = False) -> None:
    """Push images, one a day; the last one is a day old then."""
    for name in names:
        push(context, plain(name), name if tagged else None)
        clock.advance(DAY)


def put_policy(context: Context, text: str) -> None:
    lifecycle_policies.put(context, REGISTRY, REPOSITORY, text)


def run(context: Context) -> list[Outcome]:
    return list(lifecycle_runs.run(context, REGISTRY, REPOSITORY))


def digests(context: Context) -> set[str]:
    with context.database.read() as tx:
        return set(tx.execute(select(schema.images.c.digest)).scalars())


def those(*wanted: Image) -> set[str]:
    return {str(image.digest) for image in wanted}


def restore(context: Context, image: Image) -> None:
    with context.database.write() as tx:
        found = repositories.find(tx, REGISTRY, REPOSITORY, lock=True)
        storage_classes.restore_at_once(tx, context, found, image.digest)


def delete(context: Context, image: Image) -> None:
    image_batches.delete(context, REGISTRY, REPOSITORY, [ImageId(str(image.digest))])


def test_a_run_takes_what_the_policy_has_done_with_and_names_the_rule(
    context: Context, clock: FakeClock
) -> None:
    pushed_at = clock.now
    push(context, plain("a"), "1")
    put(context, plain("a"), "old")
    clock.advance(DAY)
    push(context, plain("b"), "2")
    put_policy(context, KEEP_ONE)

    [outcome] = run(context)

    assert outcome == Outcome(
        str(plain("a").digest), ("1", "old"), pushed_at, Action.EXPIRE, 7, failure=None
    )
    assert digests(context) == those(plain("b"))
    for reference in ("1", "old", str(plain("a").digest)):
        with pytest.raises(ImageNotFound):
            pull(context, reference)
    assert run(context) == []


def test_what_a_run_took_can_be_pushed_again(context: Context, clock: FakeClock) -> None:
    push_daily(context, clock, "a", "b", tagged=True)
    put_policy(context, KEEP_ONE)
    run(context)
    # Its layers are on lease.
    put(context, plain("a"), "a")
    assert digests(context) == those(plain("a"), plain("b"))


def test_tags_that_are_immutable_expire_all_the_same(context: Context, clock: FakeClock) -> None:
    push_daily(context, clock, "a", "b", tagged=True)
    repositories.put_tag_mutability(context, REGISTRY, REPOSITORY, TagMutability(Mode.IMMUTABLE))
    put_policy(context, KEEP_ONE)
    assert [outcome.tags for outcome in run(context)] == [("a",)]


def test_a_run_is_remembered_with_the_time_at_which_it_began(
    context: Context, clock: FakeClock
) -> None:
    get = partial(lifecycle_policies.get, context, REGISTRY, REPOSITORY)
    put_policy(context, KEEP_ONE)
    assert get().evaluated_at is None
    clock.advance(DAY)
    run(context)
    assert get().evaluated_at == clock.now
    # It was another policy.
    put_policy(context, KEEP_ONE)
    assert get().evaluated_at is None


def test_there_is_nothing_to_run_without_a_policy_or_without_a_repository(
    context: Context,
) -> None:
    with pytest.raises(LifecyclePolicyNotFound):
        run(context)
    with pytest.raises(RepositoryNotFound):
        list(lifecycle_runs.run(context, REGISTRY, "no/such"))


def test_a_rule_that_archives_takes_images_with_their_referrers_and_the_next_run_none(
    context: Context, clock: FakeClock
) -> None:
    signature = artifact("signature", subject=plain("a"))
    push(context, plain("a"), "1")
    push(context, signature)
    clock.advance(DAY)
    push(context, plain("b"), "2")
    put_policy(context, policy(rule(7, more_than=1, action="transition")))

    outcomes = run(context)

    assert [(each.digest, each.tags, each.action, each.failure) for each in outcomes] == [
        (str(plain("a").digest), ("1",), Action.TRANSITION, None),
        (str(signature.digest), (), Action.TRANSITION, None),
    ]
    assert digests(context) == those(plain("a"), signature, plain("b"))
    for reference in ("1", str(signature.digest)):
        with pytest.raises(ImageInaccessible):
            pull(context, reference)
    assert pull(context, "2").digest == plain("b").digest
    assert run(context) == []


def test_an_image_is_archived_so_many_days_after_it_was_pulled_or_restored_last(
    context: Context, clock: FakeClock
) -> None:
    push_daily(context, clock, "pulled", "left", tagged=True)
    put_policy(context, policy(rule(days=3, since="sinceImagePulled", action="transition")))
    clock.advance(2 * DAY)
    context.pulls.note(PulledImage(REGISTRY, REPOSITORY, plain("pulled").digest), "", clock.now)
    context.pulls.write(context)
    clock.advance(DAY)
    assert [outcome.tags for outcome in run(context)] == [("left",)]
    restore(context, plain("left"))
    assert run(context) == []
    clock.advance(2 * DAY + 1)
    assert [outcome.tags for outcome in run(context)] == [("pulled",)]
    clock.advance(DAY)
    assert [outcome.tags for outcome in run(context)] == [("left",)]


def test_what_was_archived_expires_after_ninety_days_and_what_is_being_restored_does_not(
    context: Context, clock: FakeClock
) -> None:
    push_daily(context, clock, "a", "b", tagged=True)
    archiving = rule(1, days=1, action="transition")
    expiring = rule(2, since="sinceImageTransitioned", days=90, storage_class="archive")
    put_policy(context, policy(archiving, expiring))
    clock.advance(1)
    assert {outcome.action for outcome in run(context)} == {Action.TRANSITION}
    clock.advance(90 * DAY)
    assert run(context) == []
    with context.database.write() as tx:
        found = repositories.find(tx, REGISTRY, REPOSITORY, lock=True)
        storage_classes.restore(tx, context, found, plain("b").digest)
    clock.advance(1)
    assert [(outcome.tags, outcome.action) for outcome in run(context)] == [(("a",), Action.EXPIRE)]


@pytest.mark.usefixtures("one_by_one")
def test_members_and_their_signatures_are_archived_after_the_index(
    context: Context, clock: FakeClock
) -> None:
    child = plain("child")
    index = oci_index([child])
    push(context, index, "index")
    clock.advance(2 * DAY)
    put_policy(context, policy(rule(1, status="untagged", days=1, action="transition")))
    assert [(outcome.digest, outcome.failure) for outcome in run(context)] == [
        (str(child.digest), REFERENCED)
    ]
    put_policy(context, policy(rule(1, days=1, action="transition")))
    foreseen = list(lifecycle_runs.foresee(context, REGISTRY, REPOSITORY))
    assert foreseen == run(context)
    assert [(outcome.digest, outcome.failure) for outcome in foreseen] == [
        (str(index.digest), None),
        (str(child.digest), None),
    ]


@pytest.mark.usefixtures("one_by_one")
def test_a_referrer_that_an_index_keeps_is_archived_when_the_index_is(
    context: Context, clock: FakeClock
) -> None:
    subject = plain("subject")
    signature = artifact("signature", subject=subject)
    index = oci_index([signature])
    push(context, index, "index")
    clock.advance(DAY)
    push(context, subject)
    clock.advance(2 * DAY)
    put_policy(context, policy(rule(days=1, action="transition")))
    done = [outcome.digest for outcome in run(context) if outcome.failure is None]
    assert done == [str(each.digest) for each in (subject, index, signature)]


@pytest.mark.usefixtures("one_by_one")
def test_a_referrer_stays_whose_subject_comes_back_under_a_run(
    context: Context, clock: FakeClock
) -> None:
    subject = plain("subject")
    signature = artifact("signature", subject=subject)
    index = oci_index([signature])
    push(context, index, "index")
    clock.advance(DAY)
    push(context, subject)
    clock.advance(2 * DAY)
    put_policy(context, policy(rule(days=1, action="transition")))
    running = lifecycle_runs.run(context, REGISTRY, REPOSITORY)
    assert next(running).digest == str(subject.digest)
    restore(context, subject)
    assert {outcome.digest for outcome in running if outcome.failure is None} == those(index)


def test_archived_images_expire_by_the_time_of_their_archiving(
    context: Context, clock: FakeClock
) -> None:
    push_daily(context, clock, "a", "b", "c")
    archived = {plain("a"): clock.now - 91 * DAY, plain("b"): clock.now - 90 * DAY}
    table = schema.images
    with context.database.write() as tx:
        for image, moment in archived.items():
            tx.execute(
                update(table)
                .where(table.c.digest == str(image.digest))
                .values(storage_class="ARCHIVE", archived_at=moment)
            )
    text = policy(
        rule(1, more_than=1),
        rule(2, since="sinceImageTransitioned", days=90, storage_class="archive"),
    )
    put_policy(context, text)
    assert {outcome.digest for outcome in run(context)} == those(plain("a"))


# --- Indexes and referrers ------------------------------------------------------------------------


def test_images_go_with_the_last_index_that_refers_to_them(
    context: Context, clock: FakeClock
) -> None:
    shared, own = plain("shared"), plain("own")
    old, new = oci_index([shared, own]), oci_index([shared])
    push(context, old, "old")
    clock.advance(DAY)
    push(context, new, "new")
    clock.advance(10 * DAY)
    text = policy(rule(1, prefixes=["old"], days=5), rule(2, status="untagged", days=5))
    put_policy(context, text)

    outcomes = run(context)

    assert digests(context) == those(new, shared)
    assert {outcome.digest for outcome in outcomes if outcome.failure is None} == those(old, own)
    assert {outcome.digest: outcome.failure for outcome in outcomes if outcome.failure} == {
        str(shared.digest): REFERENCED
    }


@pytest.mark.usefixtures("one_by_one")
def test_referrers_go_with_their_subject_in_one_transaction(
    context: Context, clock: FakeClock
) -> None:
    subject = plain("subject")
    sbom = artifact("sbom", subject=subject)
    signature = artifact("signature", subject=sbom)
    other = plain("other")
    kept = artifact("kept", subject=other)
    for image in (subject, sbom, signature, other, kept):
        push(context, image)
        clock.advance(DAY)
    put_policy(context, KEEP_ONE)

    running = lifecycle_runs.run(context, REGISTRY, REPOSITORY)
    first = next(running)
    # Nobody ever sees a referrer whose subject expired.
    assert digests(context) == those(other, kept)
    assert {outcome.digest for outcome in [first, *running]} == those(subject, sbom, signature)
    assert run(context) == []


@pytest.mark.usefixtures("one_by_one")
def test_a_referrer_that_an_index_keeps_goes_when_the_index_goes(
    context: Context, clock: FakeClock
) -> None:
    subject = plain("subject")
    signature = artifact("signature", subject=subject)
    index = oci_index([signature])
    push(context, index, "index")
    clock.advance(DAY)
    push(context, subject)
    clock.advance(DAY)
    put_policy(context, policy(rule(days=1)))
    clock.advance(DAY)
    assert [(outcome.digest, outcome.failure) for outcome in run(context)] == [
        (str(subject.digest), None),
        (str(signature.digest), REFERENCED),
        (str(index.digest), None),
        (str(signature.digest), None),
    ]
    assert digests(context) == set()


def test_a_referrer_of_a_subject_that_is_elsewhere_is_an_image_like_any_other(
    context: Context, clock: FakeClock
) -> None:
    push(context, artifact("a", subject=plain("elsewhere")))
    clock.advance(DAY)
    push(context, artifact("b", subject=plain("elsewhere")))
    put_policy(context, KEEP_ONE)
    assert len(run(context)) == 1


# --- While others go on ---------------------------------------------------------------------------
# The policy keeps one image, of "a" to "d" the youngest, "d". A run takes "c" first.


def replace_the_policy(context: Context) -> None:
    put_policy(context, policy(rule(more_than=2)))


def take_the_policy_away(context: Context) -> None:
    lifecycle_policies.remove(context, REGISTRY, REPOSITORY)


def replace_the_repository(context: Context) -> None:
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)
    create_repository(context)
    push(context, plain("b"))
    push(context, plain("a"))
    put_policy(context, KEEP_ONE)


@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize(
    ("meanwhile", "left"),
    [
        # The youngest goes: the next one takes its place.
        (lambda context: delete(context, plain("d")), "b"),
        (lambda context: push(context, plain("e")), "de"),
        # An index may keep what it refers to, and is itself the youngest.
        (lambda context: put(context, oci_index([plain("b")]), "index"), "bd+"),
        (lambda context: put(context, plain("d"), "again"), "d"),
        (lambda context: delete(context, plain("b")), "d"),
        (replace_the_policy, "abd"),
        (take_the_policy_away, "abd"),
        (replace_the_repository, "ab"),
    ],
    ids=[
        "the youngest is deleted",
        "a younger one is pushed",
        "an index refers to the next one",
        "the youngest gets another tag",
        "somebody else deletes the next one",
        "the policy is replaced",
        "the policy is taken away",
        "the repository is replaced",
    ],
)
def test_each_image_is_judged_as_things_are_when_it_goes(
    context: Context,
    clock: FakeClock,
    meanwhile: Callable[[Context], object],
    left: str,
) -> None:
    push_daily(context, clock, "a", "b", "c", "d")
    put_policy(context, KEEP_ONE)
    running = lifecycle_runs.run(context, REGISTRY, REPOSITORY)
    assert next(running).digest == str(plain("c").digest)

    meanwhile(context)
    rest = list(running)

    expected = those(*(plain(name) for name in left.removesuffix("+")))
    if left.endswith("+"):
        expected |= those(oci_index([plain("b")]))
    if left == "de":
        # "e" came too late to count, and "d" was never suggested.
        assert {outcome.digest for outcome in rest} == those(plain("a"), plain("b"))
    assert digests(context) == expected


@pytest.mark.usefixtures("one_by_one")
def test_what_the_run_itself_takes_counts_on(context: Context, clock: FakeClock) -> None:
    push_daily(context, clock, "a", tagged=True)
    push_daily(context, clock, "b", "c", "d", "e")
    # The second rule keeps the three youngest: "c" to "e", of which the first one takes two.
    put_policy(context, policy(rule(1, status="untagged", more_than=1), rule(2, more_than=3)))
    taken = {outcome.tags or outcome.digest: outcome.rule_priority for outcome in run(context)}
    assert taken == {
        str(plain("d").digest): 1,
        str(plain("c").digest): 1,
        str(plain("b").digest): 1,
        ("a",): 2,
    }


@pytest.mark.usefixtures("one_by_one")
def test_what_others_take_counts_no_longer(context: Context, clock: FakeClock) -> None:
    push_daily(context, clock, "a", tagged=True)
    push_daily(context, clock, "b", "c", "d", "e")
    put_policy(context, policy(rule(1, status="untagged", more_than=1), rule(2, more_than=3)))
    running = lifecycle_runs.run(context, REGISTRY, REPOSITORY)
    assert next(running).digest == str(plain("d").digest)
    delete(context, plain("e"))
    delete(context, plain("c"))
    # "a" has moved up: of the three that are younger only "d" was the run's to take.
    assert list(running) == []
    assert digests(context) == those(plain("a"), plain("b"))


@pytest.mark.usefixtures("one_by_one")
def test_an_image_that_gets_a_tag_of_another_rule_stays(context: Context, clock: FakeClock) -> None:
    push_daily(context, clock, "old-1", "old-2", "old-3", tagged=True)
    text = policy(rule(1, patterns=["keep*"], days=1_000), rule(2, patterns=["old*"], days=1))
    put_policy(context, text)
    clock.advance(DAY)
    running = lifecycle_runs.run(context, REGISTRY, REPOSITORY)
    next(running)
    put(context, plain("old-1"), "keep-this")
    list(running)
    assert digests(context) == those(plain("old-1"))


@pytest.mark.usefixtures("one_by_one")
def test_a_tag_that_moves_to_an_older_image_keeps_that(context: Context, clock: FakeClock) -> None:
    push_daily(context, clock, "live-1", "live-2", "live-3", tagged=True)
    put_policy(context, policy(rule(1, prefixes=["live"], more_than=1)))
    running = lifecycle_runs.run(context, REGISTRY, REPOSITORY)
    next(running)
    # A rollback: what was live before is live again, and nothing else is.
    put(context, plain("live-1"), "live-3")
    list(running)
    assert pull(context, "live-3").digest == plain("live-1").digest


@pytest.mark.usefixtures("one_by_one")
def test_an_image_that_becomes_a_referrer_of_one_that_came_stays(
    context: Context, clock: FakeClock
) -> None:
    subject = plain("subject")
    signature = artifact("signature", subject=subject)
    push(context, signature)
    clock.advance(DAY)
    push_daily(context, clock, "b", "c")
    put_policy(context, KEEP_ONE)
    running = lifecycle_runs.run(context, REGISTRY, REPOSITORY)
    next(running)
    push(context, subject)
    list(running)
    assert digests(context) == those(plain("c"), subject, signature)


def test_several_runs_at_once_take_each_image_once(context: Context, clock: FakeClock) -> None:
    push_daily(context, clock, *"abcdefgh")
    put_policy(context, KEEP_ONE)
    outcomes = at_once([partial(run, context)] * 3)
    taken = [outcome.digest for part in outcomes for outcome in part]
    assert sorted(taken) == sorted(those(*(plain(name) for name in "abcdefg")))


def test_many_images_are_read_page_by_page_and_taken_in_many_transactions(
    context: Context, repository: Repository, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle_images, "_PAGE", 40)
    monkeypatch.setattr(lifecycle_runs, "_BATCH", 30)
    count, keep = 234, 110
    rows = [
        {
            "repository_id": repository.id,
            "digest": f"sha256:{number:064x}",
            "media_type": "application/vnd.oci.image.manifest.v1+json",
            "manifest_size": 2,
            "size": 2,
            # Some are as old as others, and every fifth was restored from the archive.
            "pushed_at": clock.now + number // 3,
            "activated_at": clock.now + 2 * number if number % 5 == 0 else None,
        }
        for number in range(count)
    ]
    with context.database.write(durable=False) as tx:
        tx.execute(insert(schema.images), rows)
    put_policy(context, policy(rule(more_than=keep)))

    outcomes = run(context)

    def age(row: dict[str, Any]) -> tuple[int, int]:
        since = row["pushed_at"] if row["activated_at"] is None else row["activated_at"]
        return since, rows.index(row)

    kept = sorted(rows, key=age, reverse=True)[:keep]
    assert digests(context) == {row["digest"] for row in kept}
    assert len(outcomes) == count - keep


def test_an_image_of_another_repository_is_nobodys_business(
    context: Context, clock: FakeClock
) -> None:
    create_repository(context, "other")
    push(context, plain("a"), "1", "other")
    push(context, plain("b"), "2", "other")
    push_daily(context, clock, "a", "b")
    # The other repository's index, and its referrer, count there alone.
    push(context, oci_index([plain("a")]), "index", "other")
    push(context, artifact("s", subject=plain("a")), None, "other")
    put_policy(context, KEEP_ONE)
    assert {outcome.digest for outcome in run(context)} == those(plain("a"))
    assert images.get_by_tag(context, REGISTRY, "other", "1").digest == plain("a").digest
