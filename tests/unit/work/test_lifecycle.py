from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select, update

from longshore.audit.trail import Trail
from longshore.clock import DAY, HOUR
from longshore.housekeeping import create_runner
from longshore.jobs import ledger
from longshore.jobs.queue import LeaseLost, State, take
from longshore.metadata import schema
from longshore.registry import lifecycle_policies, lifecycle_previews, repositories
from longshore.registry.lifecycle_previews import Status
from longshore.settings import Settings
from longshore.work import lifecycle
from longshore.work.runner import Interrupted, Work
from tests.support.images import layer, oci_image, oci_index
from tests.support.lifecycle import policy, rule
from tests.support.pushing import ACCOUNT, REGISTRY, REPOSITORY, create_repository, push

if TYPE_CHECKING:
    from pathlib import Path

    from longshore.jobs.ledger import Entry
    from longshore.jobs.queue import Job
    from longshore.registry.context import Context
    from longshore.work.runner import Runner
    from tests.support.clock import FakeClock

SHARED = layer("what all images stand on")
NOWHERE = Trail(None, largest=1, kept=0)
KEEP_ONE = policy(rule(7, more_than=1))


@pytest.fixture
def runner(context: Context, tmp_path: Path) -> Runner:
    """Does jobs; policies are run each hour."""
    settings = Settings(data=tmp_path, collect_interval=0, lifecycle_interval=3600)
    return create_runner(settings, context)


def audited(tmp_path: Path) -> list[dict[str, Any]]:
    lines = (tmp_path / "audit.json").read_text().splitlines()
    return [json.loads(line) for line in lines]


def fill(context: Context, clock: FakeClock, repository: str = REPOSITORY) -> None:
    """Make a repository of two images, of which the policy keeps one."""
    create_repository(context, repository)
    for name in ("old", "new"):
        push(context, oci_image(name, layers=[SHARED]), name, repository)
        clock.advance(HOUR // 100)


def put_policy(context: Context, repository: str = REPOSITORY, text: str = KEEP_ONE) -> None:
    lifecycle_policies.put(context, REGISTRY, repository, text)


def tags(context: Context) -> list[str]:
    with context.database.read() as tx:
        return list(tx.execute(select(schema.tags.c.name)).scalars())


def jobs(context: Context) -> list[Entry]:
    with context.database.read() as tx:
        return ledger.list_some(tx)


def preview_status(context: Context) -> Status:
    preview, _ = lifecycle_previews.get(context, REGISTRY, REPOSITORY, limit=1)
    return preview.status


def test_each_interval_every_policy_is_run(
    context: Context, clock: FakeClock, runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("demo/a", "demo/b", "demo/without"):
        fill(context, clock, name)
    put_policy(context, "demo/a")
    put_policy(context, "demo/b")
    runner.run_due()
    assert tags(context).count("old") == 3
    clock.advance(HOUR)
    with caplog.at_level(logging.INFO, "longshore.work.lifecycle"):
        runner.run_due()
    assert sorted(tags(context)) == ["new", "new", "new", "old"]
    assert jobs(context) == []
    arn, old = REGISTRY.repository_arn("demo/a"), oci_image("old", layers=[SHARED]).digest
    assert f"lifecycle rule 7 of {arn} has expired {old} (old)" in caplog.messages
    assert (
        f"lifecycle run of {arn}: 1 images expired, 0 archived, 0 are kept by an index"
        in caplog.messages
    )
    # There is nothing more to do, and nothing more is said.
    caplog.clear()
    clock.advance(HOUR)
    runner.run_due()
    assert caplog.messages == []


def test_the_audit_tells_what_a_run_did_by_which_rule(
    context: Context, clock: FakeClock, runner: Runner, tmp_path: Path
) -> None:
    pushed_at = clock.now
    fill(context, clock)
    put_policy(context)
    runner.run_due()
    clock.advance(HOUR)
    began_at = clock.now
    runner.run_due()

    [record] = audited(tmp_path)
    arn = REGISTRY.repository_arn(REPOSITORY)
    told = record["serviceEventDetails"]
    assert record["eventName"] == "PolicyExecutionEvent"
    assert record["eventType"] == "AwsServiceEvent"
    assert record["eventSource"] == "ecr.amazonaws.com"
    assert record["userIdentity"] == {"accountId": ACCOUNT, "invokedBy": "AWS Internal"}
    assert record["awsRegion"] == REGISTRY.region
    assert record["resources"] == [{"ARN": arn, "accountId": ACCOUNT}]
    assert told["repositoryName"] == REPOSITORY
    assert told["lifecycleEventPolicy"].pop("policyId")
    assert told["lifecycleEventPolicy"] == {
        "lifecycleEventRules": [
            {
                "rulePriority": 7,
                "lifecycleEventSelection": {
                    "tagStatus": "Any",
                    "tagPrefixList": [],
                    "tagPatternList": [],
                    "storageClass": "Standard",
                    "countType": "Image count more than",
                    "countNumber": 1,
                },
                "action": "expire",
            }
        ],
        "lastEvaluatedAt": 0,
    }
    image = {
        "digest": str(oci_image("old", layers=[SHARED]).digest),
        "tagStatus": "Tagged",
        "tagList": ["old"],
        "pushedAt": pushed_at,
    }
    assert told["lifecycleEventImageActions"] == [{"lifecycleEventImage": image, "rulePriority": 7}]
    assert told["lifecycleEventFailureDetails"] == []
    # The next one that has something to tell says when this one was.
    push(context, oci_image("newest", layers=[SHARED]))
    clock.advance(HOUR)
    runner.run_due()
    [_, record] = audited(tmp_path)
    told = record["serviceEventDetails"]
    assert told["lifecycleEventPolicy"]["lastEvaluatedAt"] == began_at


def test_the_log_and_the_audit_tell_what_a_run_archived(
    context: Context,
    clock: FakeClock,
    runner: Runner,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fill(context, clock)
    expiring = rule(3, patterns=["nothing"], days=1)
    put_policy(context, text=policy(expiring, rule(7, more_than=1, action="transition")))
    runner.run_due()
    clock.advance(HOUR)
    with caplog.at_level(logging.INFO, "longshore.work.lifecycle"):
        runner.run_due()

    arn, old = REGISTRY.repository_arn(REPOSITORY), oci_image("old", layers=[SHARED]).digest
    assert caplog.messages == [
        f"lifecycle rule 7 of {arn} has archived {old} (old)",
        f"lifecycle run of {arn}: 0 images expired, 1 archived, 0 are kept by an index",
    ]
    [record] = audited(tmp_path)
    told = record["serviceEventDetails"]
    rules = told["lifecycleEventPolicy"]["lifecycleEventRules"]
    assert {each["rulePriority"]: each["action"] for each in rules} == {
        3: "expire",
        7: "transition",
    }
    [action] = told["lifecycleEventImageActions"]
    assert action["rulePriority"] == 7
    assert action["lifecycleEventImage"]["digest"] == str(old)
    assert sorted(tags(context)) == ["new", "old"]


def test_the_audit_has_ten_images_to_a_record_and_some_of_those_that_indexes_keep(
    context: Context, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "_MOST_FAILURES_TOLD", 2)
    create_repository(context)
    children = [oci_image(f"child {number}", layers=[SHARED]) for number in range(4)]
    push(context, oci_index(children), "index")
    for number in range(12):
        push(context, oci_image(str(number), layers=[SHARED]))
    clock.advance(2 * DAY)
    put_policy(context, text=policy(rule(status="untagged", days=1)))
    trail = Trail(tmp_path / "audit.json", largest=2**20, kept=0)

    outcomes = list(lifecycle.carry_out(context, REGISTRY, REPOSITORY, trail=trail))
    trail.close()

    assert len(outcomes) == 16
    details = [record["serviceEventDetails"] for record in audited(tmp_path)]
    counted = [
        (len(each["lifecycleEventImageActions"]), len(each["lifecycleEventFailureDetails"]))
        for each in details
    ]
    assert counted == [(0, 2), (10, 0), (2, 0)]
    failure = details[0]["lifecycleEventFailureDetails"][0]
    assert failure["failureCode"] == "ImageReferencedByManifestList"


def test_the_audit_tells_what_a_preview_found_by_which_rule(
    context: Context, clock: FakeClock, runner: Runner, tmp_path: Path
) -> None:
    pushed_at = clock.now
    fill(context, clock)
    lifecycle_previews.start(context, REGISTRY, REPOSITORY, KEEP_ONE)
    runner.run_due()
    put_policy(context)
    runner.run_due()
    clock.advance(HOUR)
    runner.run_due()

    [previewed, run] = audited(tmp_path)
    assert [previewed["eventName"], run["eventName"]] == ["DryRunEvent", "PolicyExecutionEvent"]
    image = {
        "digest": str(oci_image("old", layers=[SHARED]).digest),
        "tagStatus": "Tagged",
        "tagList": ["old"],
        "pushedAt": pushed_at,
    }
    told = previewed["serviceEventDetails"]
    assert told["lifecycleEventImageActions"] == [{"lifecycleEventImage": image, "rulePriority": 7}]
    # The run did what the preview had shown, by the same policy, and says it in the same form.
    differing = {"eventName", "eventID", "eventTime"}
    assert {name: run[name] for name in run.keys() - differing} == {
        name: previewed[name] for name in previewed.keys() - differing
    }


def test_a_preview_that_finds_nothing_leaves_a_record(
    context: Context, clock: FakeClock, runner: Runner, tmp_path: Path
) -> None:
    fill(context, clock)
    lifecycle_previews.start(context, REGISTRY, REPOSITORY, policy(rule(7, more_than=2)))
    runner.run_due()
    [record] = audited(tmp_path)
    assert record["eventName"] == "DryRunEvent"
    assert record["serviceEventDetails"]["lifecycleEventImageActions"] == []


def test_of_a_preview_the_audit_has_ten_images_to_a_record_and_only_the_first(
    context: Context, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "_MOST_PREVIEWED_TOLD", 12)
    create_repository(context)
    for number in range(15):
        push(context, oci_image(str(number), layers=[SHARED]), str(number))
        clock.advance(HOUR)
    lifecycle_previews.start(context, REGISTRY, REPOSITORY, KEEP_ONE)
    create_runner(Settings(data=tmp_path, lifecycle_interval=0), context).run_due()

    actions = [
        record["serviceEventDetails"]["lifecycleEventImageActions"] for record in audited(tmp_path)
    ]
    assert [len(each) for each in actions] == [10, 2]
    told = [each["lifecycleEventImage"]["digest"] for each in (*actions[0], *actions[1])]
    _, found = lifecycle_previews.get(context, REGISTRY, REPOSITORY, limit=100)
    assert told == [image.digest for image in found.items[:12]]
    assert len(found.items) == 14


def test_a_preview_whose_worker_died_before_the_audit_was_told_is_told_of_all_the_same(
    context: Context, clock: FakeClock, runner: Runner, tmp_path: Path
) -> None:
    fill(context, clock)
    preview = lifecycle_previews.start(context, REGISTRY, REPOSITORY, KEEP_ONE)
    lifecycle_previews.fill(context, REGISTRY, REPOSITORY, preview.id)
    assert preview_status(context) is Status.COMPLETE
    runner.run_due()
    [record] = audited(tmp_path)
    assert record["eventName"] == "DryRunEvent"


def test_a_preview_of_a_repository_that_is_gone_leaves_no_record(
    context: Context, clock: FakeClock, runner: Runner, tmp_path: Path
) -> None:
    fill(context, clock)
    lifecycle_previews.start(context, REGISTRY, REPOSITORY, KEEP_ONE)
    repositories.remove(context, REGISTRY, REPOSITORY, force=True)
    runner.run_due()
    assert jobs(context) == []
    assert not (tmp_path / "audit.json").exists()


def test_a_run_tells_what_indexes_keep(
    context: Context, clock: FakeClock, runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    create_repository(context)
    push(context, oci_index([oci_image("child", layers=[SHARED])]), "index")
    put_policy(context, text=policy(rule(status="untagged", days=1)))
    runner.run_due()
    clock.advance(2 * DAY)
    with caplog.at_level(logging.INFO, "longshore.work.lifecycle"):
        runner.run_due()
    arn = REGISTRY.repository_arn(REPOSITORY)
    assert caplog.messages == [
        f"lifecycle run of {arn}: 0 images expired, 0 archived, 1 are kept by an index"
    ]


def test_many_repositories_are_gone_through_page_by_page(
    context: Context, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "_PAGE", 2)
    for number in range(5):
        create_repository(context, f"demo/{number}")
        put_policy(context, f"demo/{number}")
    work = Work(job_of(context), threading.Event(), clock.now)
    lifecycle.enqueue_runs(context, work)
    found = [job for job in jobs(context) if job.kind == lifecycle.RUN]
    assert {job.payload["repository"] for job in found} == {f"demo/{each}" for each in range(5)}
    # Those that wait already do the work of the next round, too.
    lifecycle.enqueue_runs(context, work)
    assert len([job for job in jobs(context) if job.kind == lifecycle.RUN]) == 5


def job_of(context: Context) -> Job:
    """Return a job that was taken, for a handler that is called by hand."""
    from longshore.jobs import queue  # noqa: PLC0415

    with context.database.write() as tx:
        queue.enqueue(tx, "by hand", {}, now=context.clock())
        job = queue.take(tx, "by hand", queue.Terms(), "here", context.clock())
    assert job is not None
    return job


def test_nothing_is_run_where_there_is_no_interval(context: Context, clock: FakeClock) -> None:
    runner = create_runner(Settings(collect_interval=0, lifecycle_interval=0), context)
    fill(context, clock)
    put_policy(context)
    for _ in range(3):
        runner.run_due()
        clock.advance(DAY)
    assert sorted(tags(context)) == ["new", "old"]


def test_a_run_whose_repository_or_policy_is_gone_is_done(
    context: Context, clock: FakeClock, runner: Runner
) -> None:
    for name in ("demo/a", "demo/b"):
        fill(context, clock, name)
        put_policy(context, name)
    work = Work(job_of(context), threading.Event(), clock.now)
    lifecycle.enqueue_runs(context, work)
    repositories.remove(context, REGISTRY, "demo/a", force=True)
    lifecycle_policies.remove(context, REGISTRY, "demo/b")
    runner.run_due()
    assert [job.kind for job in jobs(context)] == ["by hand"]
    assert sorted(tags(context)) == ["new", "old"]


def test_a_process_that_stops_leaves_a_run_off(context: Context, clock: FakeClock) -> None:
    fill(context, clock)
    put_policy(context)
    lifecycle.enqueue_runs(context, Work(job_of(context), threading.Event(), clock.now))
    stopping = threading.Event()
    stopping.set()
    [_, entry] = jobs(context)
    job = job_of(context)
    work = Work(
        type(job)(entry.id, entry.kind, None, entry.payload, 1, clock.now, ""), stopping, clock.now
    )
    with pytest.raises(Interrupted):
        lifecycle.run(context, NOWHERE, work)


def test_a_preview_is_made_by_a_job(context: Context, clock: FakeClock, runner: Runner) -> None:
    fill(context, clock)
    lifecycle_previews.start(context, REGISTRY, REPOSITORY, KEEP_ONE)
    assert preview_status(context) is Status.IN_PROGRESS
    runner.run_due()
    assert preview_status(context) is Status.COMPLETE
    assert jobs(context) == []


def test_a_worker_that_has_lost_its_job_completes_no_preview(
    context: Context, clock: FakeClock
) -> None:
    def take_it() -> Work:
        with context.database.write() as tx:
            job = take(tx, lifecycle.PREVIEW, lifecycle.TERMS_OF_PREVIEW, "w", clock.now)
        assert job is not None
        return Work(job, threading.Event(), clock.now)

    fill(context, clock)
    lifecycle_previews.start(context, REGISTRY, REPOSITORY, KEEP_ONE)
    late = take_it()
    clock.advance(lifecycle.TERMS_OF_PREVIEW.lease)
    other = take_it()
    # The other one has begun anew by now, and what this one has found may be gone.
    with pytest.raises(LeaseLost):
        lifecycle.fill_preview(context, NOWHERE, late)
    assert preview_status(context) is Status.IN_PROGRESS
    lifecycle.fill_preview(context, NOWHERE, other)
    preview, found = lifecycle_previews.get(context, REGISTRY, REPOSITORY, limit=9)
    assert (preview.status, preview.expiring) == (Status.COMPLETE, 1)
    assert [image.tags for image in found.items] == [("old",)]


def test_a_preview_that_fails_too_often_says_so(
    context: Context, clock: FakeClock, runner: Runner
) -> None:
    fill(context, clock)
    lifecycle_previews.start(context, REGISTRY, REPOSITORY, KEEP_ONE)
    # As a later version may have written it.
    with context.database.write() as tx:
        tx.execute(update(schema.lifecycle_previews).values(document='{"rules":[]}'))
    for attempt in range(1, 4):
        runner.run_due()
        is_last = attempt == 3
        assert preview_status(context) is (Status.FAILED if is_last else Status.IN_PROGRESS)
        [job] = jobs(context)
        assert job.state is (State.DEAD if is_last else State.WAITING)
        clock.advance(HOUR // 60)


def test_a_round_forgets_previews_that_have_expired(
    context: Context, clock: FakeClock, runner: Runner
) -> None:
    fill(context, clock)
    lifecycle_previews.start(context, REGISTRY, REPOSITORY, KEEP_ONE)
    runner.run_due()
    clock.advance(DAY)
    runner.run_due()
    assert preview_status(context) is Status.EXPIRED
    with context.database.read() as tx:
        assert tx.execute(select(schema.lifecycle_preview_images)).all() == []


def test_a_policy_that_cannot_be_read_is_a_dead_job_in_the_end(
    context: Context, clock: FakeClock, runner: Runner
) -> None:
    fill(context, clock)
    with context.database.write() as tx:
        repository = repositories.find(tx, REGISTRY, REPOSITORY)
        tx.execute(
            insert(schema.lifecycle_policies).values(
                repository_id=repository.id,
                document="{}",
            )
        )
    lifecycle.enqueue_runs(context, Work(job_of(context), threading.Event(), clock.now))
    for _ in range(3):
        runner.run_due()
        clock.advance(HOUR // 60)
    [dead] = [job for job in jobs(context) if job.kind == lifecycle.RUN]
    assert dead.state is State.DEAD
    assert "Lifecycle policy validation failure" in (dead.error or "")
    assert sorted(tags(context)) == ["new", "old"]
