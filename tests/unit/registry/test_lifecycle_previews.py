from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select

from longshore.clock import DAY
from longshore.errors import (
    InvalidParameter,
    LifecyclePolicyNotFound,
    LifecyclePolicyPreviewInProgress,
    LifecyclePolicyPreviewNotFound,
    RepositoryNotFound,
)
from longshore.jobs import ledger, queue
from longshore.metadata import schema
from longshore.registry import (
    lifecycle_images,
    lifecycle_policies,
    lifecycle_previews,
    lifecycle_runs,
    repositories,
)
from longshore.registry.image_batches import ImageId
from longshore.registry.lifecycle_previews import Preview, PreviewImage, Status
from longshore.registry.lifecycle_rules import Action, StorageClass, TagStatus
from longshore.registry.slices import Slice
from tests.support.images import artifact, layer, oci_image, oci_index
from tests.support.lifecycle import policy, rule
from tests.support.lifecycle_oracle import outcomes
from tests.support.pushing import REGISTRY, REPOSITORY, create_repository, push, put

if TYPE_CHECKING:
    from longshore.jobs.ledger import Entry
    from longshore.registry.context import Context
    from longshore.registry.repositories import Repository
    from longshore.registry.slices import Position
    from tests.support.clock import FakeClock
    from tests.support.images import Image

SHARED = layer("what all images stand on")
KEEP_ONE = policy(rule(7, more_than=1))


@pytest.fixture(autouse=True)
def repository(context: Context) -> Repository:
    """The repository that everything is in."""
    return create_repository(context)


def plain(name: str) -> Image:
    return oci_image(name, layers=[SHARED])


def push_daily(context: Context, clock: FakeClock, *names: str) -> None:
    for name in names:
        push(context, plain(name), name)
        clock.advance(DAY)


def start(context: Context, text: str | None = KEEP_ONE) -> Preview:
    return lifecycle_previews.start(context, REGISTRY, REPOSITORY, text)


def fill(context: Context, preview: Preview) -> None:
    lifecycle_previews.fill(context, REGISTRY, REPOSITORY, preview.id)


def made(context: Context, text: str | None = KEEP_ONE) -> Preview:
    preview = start(context, text)
    fill(context, preview)
    return preview


def get(context: Context, **chosen: Any) -> tuple[Preview, Slice[PreviewImage]]:
    return lifecycle_previews.get(context, REGISTRY, REPOSITORY, **{"limit": 100} | chosen)


def status(context: Context) -> Status:
    preview, _ = get(context)
    return preview.status


def names_of(found: Slice[PreviewImage]) -> list[str]:
    return [tag for image in found.items for tag in image.tags]


def test_a_preview_tells_what_would_be_done_by_which_rule_and_does_nothing(
    context: Context, clock: FakeClock
) -> None:
    pushed_at = clock.now
    push_daily(context, clock, "a", "b")
    put(context, plain("a"), "another")
    before = image_rows(context)

    preview = made(context)

    expected = Preview(preview.id, KEEP_ONE, Status.COMPLETE, expiring=1, transitioning=0)
    image = PreviewImage(
        str(plain("a").digest),
        ("a", "another"),
        pushed_at,
        StorageClass.STANDARD,
        Action.EXPIRE,
        rule_priority=7,
    )
    assert get(context) == (expected, Slice((image,)))
    assert image_rows(context) == before


def image_rows(context: Context) -> list[Any]:
    with context.database.read() as tx:
        return [
            tuple(row)
            for table in (schema.images, schema.tags)
            for row in tx.execute(select(table))
        ]


def test_a_preview_goes_by_the_repositorys_policy_where_none_is_given(
    context: Context, clock: FakeClock
) -> None:
    push_daily(context, clock, "a", "b")
    with pytest.raises(LifecyclePolicyNotFound):
        start(context, None)
    text = lifecycle_policies.put(context, REGISTRY, REPOSITORY, KEEP_ONE).text
    made(context, None)
    preview, found = get(context)
    assert (preview.text, names_of(found)) == (text, ["a"])


def test_a_preview_needs_a_policy_that_is_one_and_may_archive(
    context: Context, clock: FakeClock
) -> None:
    with pytest.raises(InvalidParameter):
        start(context, "{}")
    with pytest.raises(LifecyclePolicyPreviewNotFound):
        get(context)
    push_daily(context, clock, "a", "b")
    made(context, policy(rule(days=1, action="transition")))
    preview, found = get(context)
    assert (preview.expiring, preview.transitioning) == (0, 1)
    assert [(image.action, image.storage_class) for image in found.items] == [
        (Action.TRANSITION, StorageClass.STANDARD)
    ]


def test_there_is_no_preview_without_a_repository(context: Context) -> None:
    with pytest.raises(RepositoryNotFound):
        lifecycle_previews.start(context, REGISTRY, "no/such", KEEP_ONE)
    with pytest.raises(RepositoryNotFound):
        lifecycle_previews.get(context, REGISTRY, "no/such", limit=1)


def test_a_preview_is_a_job_from_its_start(context: Context, clock: FakeClock) -> None:
    preview = start(context)
    with context.database.read() as tx:
        [job] = ledger.list_some(tx)
    assert (job.kind, job.due_at) == ("lifecycle preview", clock.now)
    assert job.payload == {
        "account": REGISTRY.account,
        "region": REGISTRY.region,
        "repository": REPOSITORY,
        "preview": preview.id,
    }


def test_nothing_is_shown_before_a_preview_is_complete_and_no_other_is_begun(
    context: Context, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_daily(context, clock, "a", "b", "c")
    monkeypatch.setattr(lifecycle_previews, "_BATCH", 1)
    preview = start(context)
    nothing: Slice[PreviewImage] = Slice(())
    expected = (replace(preview, status=Status.IN_PROGRESS), nothing)
    looks: list[object] = []

    def look() -> None:
        looks.append(get(context))
        with pytest.raises(LifecyclePolicyPreviewInProgress):
            start(context)

    look()
    lifecycle_previews.fill(context, REGISTRY, REPOSITORY, preview.id, check=look)

    assert looks == [expected] * 3
    assert names_of(get(context)[1]) == ["b", "a"]
    # It isn't done twice.
    lifecycle_previews.fill(context, REGISTRY, REPOSITORY, preview.id, check=look)
    assert len(looks) == 3


def test_a_preview_that_was_cut_short_is_begun_anew(
    context: Context, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_daily(context, clock, "a", "b", "c")
    monkeypatch.setattr(lifecycle_previews, "_BATCH", 1)
    preview = start(context)

    def kill() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lifecycle_previews.fill(context, REGISTRY, REPOSITORY, preview.id, check=kill)
    fill(context, preview)
    assert names_of(get(context)[1]) == ["b", "a"]


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_a_preview_whose_job_is_dead_or_cancelled_has_failed_and_another_one_can_be_begun(
    context: Context, clock: FakeClock, *, is_cancelled: bool
) -> None:
    push_daily(context, clock, "a", "b")
    preview = start(context)
    [job] = jobs(context)
    lose(context, job.id, is_cancelled=is_cancelled)
    assert get(context) == (replace(preview, status=Status.FAILED), Slice(()))
    clock.advance(DAY)
    assert status(context) is Status.FAILED
    second = start(context, policy(rule(more_than=2)))
    # Who comes late changes nothing.
    fill(context, preview)
    assert status(context) is Status.IN_PROGRESS
    fill(context, second)
    lose(context, jobs(context)[-1].id, is_cancelled=is_cancelled)
    assert status(context) is Status.COMPLETE


def test_a_preview_whose_job_is_let_begin_anew_is_in_progress_again(
    context: Context, clock: FakeClock
) -> None:
    push_daily(context, clock, "a", "b")
    preview = start(context)
    [job] = jobs(context)
    lose(context, job.id, is_cancelled=False)
    with context.database.write() as tx:
        assert queue.revive(tx, job.id, clock.now)
    assert status(context) is Status.IN_PROGRESS
    fill(context, preview)
    assert names_of(get(context)[1]) == ["a"]


def jobs(context: Context) -> list[Entry]:
    with context.database.read() as tx:
        return ledger.list_some(tx)


def lose(context: Context, job_id: int, *, is_cancelled: bool) -> None:
    """Let a job be done by nobody any more."""
    with context.database.write() as tx:
        if is_cancelled:
            assert queue.cancel(tx, job_id)
            return
        only_one = queue.Terms(attempts=1)
        job = queue.take(tx, lifecycle_previews.JOB, only_one, "here", context.clock())
        assert job is not None
        assert job.id == job_id
        queue.fail(tx, job, only_one, "it failed", now=context.clock(), random=0)


@pytest.mark.parametrize("is_complete", [True, False])
def test_a_preview_expires_after_a_day(
    context: Context, clock: FakeClock, *, is_complete: bool
) -> None:
    push_daily(context, clock, "a", "b")
    preview = made(context) if is_complete else start(context)
    clock.advance(DAY - 1)
    lifecycle_previews.forget_expired(context)
    assert len(get(context)[1].items) == is_complete
    clock.advance(1)
    assert status(context) is Status.EXPIRED
    assert get(context)[1].items == ()
    lifecycle_previews.forget_expired(context)
    assert status(context) is Status.EXPIRED
    with context.database.read() as tx:
        assert tx.execute(select(schema.lifecycle_preview_images)).all() == []
    # The policy is told all the same.
    assert get(context)[0].text == preview.text
    made(context)
    assert len(get(context)[1].items) == 1


def test_a_preview_takes_the_place_of_the_one_before(context: Context, clock: FakeClock) -> None:
    push_daily(context, clock, "a", "b", "c")
    first = made(context)
    second = start(context, policy(rule(more_than=2)))
    # A job of the first one that comes too late.
    fill(context, first)
    assert status(context) is Status.IN_PROGRESS
    fill(context, second)
    assert names_of(get(context)[1]) == ["a"]


def test_a_preview_goes_with_its_repository(context: Context, clock: FakeClock) -> None:
    push_daily(context, clock, "a", "b")
    complete = made(context)
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)
    fill(context, complete)
    create_repository(context)
    with pytest.raises(LifecyclePolicyPreviewNotFound):
        get(context)
    fill(context, complete)
    with context.database.read() as tx:
        assert tx.execute(select(schema.lifecycle_preview_images)).all() == []


def test_a_preview_is_shown_slice_by_slice(context: Context, clock: FakeClock) -> None:
    push_daily(context, clock, *"abcdefg")
    made(context)
    seen: list[str] = []
    after: Position | None = None
    while True:
        _, found = get(context, limit=2, after=after)
        assert len(found.items) <= 2
        seen += names_of(found)
        if found.next is None:
            break
        after = found.next
    assert seen == list("fedcba")


def test_a_preview_is_filtered_by_tags(context: Context, clock: FakeClock) -> None:
    push_daily(context, clock, "a")
    push(context, plain("untagged"))
    clock.advance(DAY)
    push_daily(context, clock, "z")
    made(context)
    digests = {
        each: [image.digest for image in get(context, status=each)[1].items] for each in TagStatus
    }
    tagged, untagged = str(plain("a").digest), str(plain("untagged").digest)
    assert digests == {
        TagStatus.ANY: [untagged, tagged],
        TagStatus.TAGGED: [tagged],
        TagStatus.UNTAGGED: [untagged],
    }


def test_a_preview_is_filtered_by_image_ids(context: Context, clock: FakeClock) -> None:
    push_daily(context, clock, "a_b", "axb", "c", "youngest")
    put(context, plain("a_b"), "more")
    made(context)

    def found(*ids: ImageId) -> list[str]:
        return [image.tags[0] for image in get(context, ids=ids)[1].items]

    digest = str(plain("c").digest)
    assert found(ImageId(tag="a_b")) == ["a_b"]
    assert found(ImageId(tag="more")) == ["a_b"]
    assert found(ImageId(tag="a")) == []
    assert found(ImageId(tag="%")) == []
    assert found(ImageId(digest)) == ["c"]
    assert found(ImageId(digest, "c")) == ["c"]
    assert found(ImageId(digest, "axb")) == []
    assert found(ImageId(digest), ImageId(tag="axb"), ImageId(tag="axb")) == ["c", "axb"]
    # Nothing would be done to it, or it isn't there, or it isn't named.
    assert found(ImageId(tag="youngest")) == []
    assert found(ImageId(tag="no-such")) == []
    assert found(ImageId()) == []


def test_referrers_are_in_the_preview_and_children_of_indexes_that_stay_are_not(
    context: Context, clock: FakeClock
) -> None:
    subject, child = plain("subject"), plain("child")
    push(context, subject)
    push(context, artifact("signature", subject=subject))
    push(context, oci_index([child]), "index")
    clock.advance(2 * DAY)
    made(context, policy(rule(5, status="untagged", days=1)))
    _, found = get(context)
    assert [(image.digest, image.rule_priority) for image in found.items] == [
        (str(subject.digest), 5),
        (str(artifact("signature", subject=subject).digest), 5),
    ]


# --- Against the oracle ---------------------------------------------------------------------------

TAGS = ["a", "ab", "b", "b-a"]


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw the images of a repository: each may refer to those before it, or to no image."""
    drawn: list[dict[str, Any]] = []
    free = list(TAGS)
    for number in range(1, draw(st.integers(2, 10))):
        others = st.lists(st.integers(0, number - 1), unique=True, max_size=2)
        tags = draw(st.lists(st.sampled_from(free), unique=True, max_size=2)) if free else []
        free = [tag for tag in free if tag not in tags]
        archived = draw(st.sampled_from([None, None, None, 89, 91]))
        drawn.append(
            {
                "tags": tags,
                "days": draw(st.integers(0, 8)),
                "restored": draw(st.none() | st.none() | st.integers(0, 4)),
                "archived": archived,
                "children": draw(st.just([]) | others),
                "subject": draw(st.none() | st.integers(0, number - 1)),
            }
        )
    return drawn


POLICIES = [
    policy(rule(1, more_than=2)),
    policy(rule(1, days=3)),
    policy(rule(1, status="untagged", days=2), rule(2, patterns=["a*"], more_than=1)),
    policy(rule(1, patterns=["*a"], more_than=1), rule(2, prefixes=["b"], days=1), rule(3, days=5)),
    policy(
        rule(1, status="untagged", more_than=1),
        rule(2, more_than=3),
        rule(3, since="sinceImageTransitioned", days=90, storage_class="archive"),
    ),
]


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(drawn=rows(), text=st.sampled_from(POLICIES), batch=st.sampled_from([1, 2, 100]))
def test_the_preview_is_what_a_run_does_and_what_the_oracle_expects(
    context: Context,
    repository: Repository,
    clock: FakeClock,
    *,
    drawn: list[dict[str, Any]],
    text: str,
    batch: int,
) -> None:
    ids = insert_rows(context, repository, clock, drawn)
    shown = list(lifecycle_images.all_of(context.database.read, repository))
    assert sorted(image.id for image in shown) == sorted(ids.values())
    expected = outcomes(text, shown, clock.now)
    digests = {image.id: image.digest for image in shown}
    by_digest = {digests[each]: priority for each, (_, priority) in expected.items()}

    made(context, text)
    _, found = get(context)
    assert {image.digest: image.rule_priority for image in found.items} == by_digest

    lifecycle_policies.put(context, REGISTRY, REPOSITORY, text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lifecycle_runs, "_BATCH", batch)
        ran = list(lifecycle_runs.run(context, REGISTRY, REPOSITORY))
    done = [outcome for outcome in ran if outcome.failure is None]
    assert {outcome.digest: outcome.rule_priority for outcome in done} == by_digest
    assert len(done) == len(by_digest)
    with context.database.read() as tx:
        left = set(tx.execute(select(schema.images.c.digest)).scalars())
    assert left == set(digests.values()) - by_digest.keys()


def insert_rows(
    context: Context, repository: Repository, clock: FakeClock, drawn: list[dict[str, Any]]
) -> dict[int, int]:
    """Write drawn images into the database as they are, whatever a push would say to them."""
    images, now = schema.images, clock.now
    ids: dict[int, int] = {}
    with context.database.write(durable=False) as tx:
        tx.execute(delete(images))
        for number, row in enumerate(drawn, 1):
            restored, archived = row["restored"], row["archived"]
            ids[number] = tx.execute(
                insert(images)
                .values(
                    repository_id=repository.id,
                    digest=digest_of(number),
                    media_type="application/vnd.oci.image.manifest.v1+json",
                    manifest_size=1,
                    size=1,
                    subject=None if row["subject"] is None else digest_of(row["subject"]),
                    pushed_at=now - row["days"] * DAY - 1,
                    activated_at=None if restored is None else now - restored * DAY - 1,
                    storage_class="STANDARD" if archived is None else "ARCHIVE",
                    archived_at=None if archived is None else now - archived * DAY - 1,
                )
                .returning(images.c.id)
            ).scalar_one()
            for child in row["children"]:
                tx.execute(
                    insert(schema.image_children).values(
                        image_id=ids[number],
                        repository_id=repository.id,
                        digest=digest_of(child),
                    )
                )
            for tag in row["tags"]:
                tx.execute(
                    insert(schema.tags).values(
                        repository_id=repository.id, name=tag, image_id=ids[number], tagged_at=now
                    )
                )
        assert tx.execute(select(func.count()).select_from(images)).scalar_one() == len(drawn)
    return ids


def digest_of(number: int) -> str:
    return f"sha256:{number:064x}"
