from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from longshore.clock import DAY, SECOND
from longshore.jobs import ledger, queue
from longshore.jobs.queue import State, Terms
from longshore.metadata import schema
from longshore.metadata.statements import upsert
from longshore.registry import account_settings
from longshore.work.runner import Handler, Runner, Work
from tests.support.pushing import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from longshore.jobs.ledger import Entry
    from longshore.registry.context import Context
    from tests.support.clock import FakeClock

TERMS = Terms(lease=30 * SECOND, attempts=2, first_delay=10 * SECOND)
# Nothing takes so long; a test that waits for it hangs no longer than this.
FAR_TOO_LONG = 60
QUICK = 0.001


def enqueue(context: Context, kind: str = "work", key: str | None = None, **payload: object) -> int:
    with context.database.write() as tx:
        return queue.enqueue(tx, kind, payload, now=context.clock(), key=key)


def entries(context: Context) -> list[Entry]:
    with context.database.read() as tx:
        return ledger.list_some(tx)


def runner_of(context: Context, run: Callable[[Work], None], **handler: object) -> Runner:
    handlers = {"work": Handler(run, terms=TERMS, **handler)}  # type: ignore[arg-type] # its own
    return Runner(context, handlers, worker="host:1", poll=QUICK, jitter=lambda: 0.0)


@pytest.fixture
def running() -> Iterator[list[Runner]]:
    """Runners that are stopped when the test is over."""
    started: list[Runner] = []
    yield started
    for runner in started:
        runner.stop()


def test_a_job_is_done_and_then_gone(context: Context) -> None:
    done: list[object] = []
    enqueue(context, n=1)
    enqueue(context, n=2)
    enqueue(context, kind="somebody else's")
    runner = runner_of(context, lambda work: done.append(work.job.payload["n"]))
    assert runner.run_due() == 2
    assert done == [1, 2]
    assert [entry.kind for entry in entries(context)] == ["somebody else's"]
    assert runner.run_due() == 0


def test_a_job_that_makes_jobs_has_them_done_too(context: Context) -> None:
    def countdown(work: Work) -> None:
        if (n := work.job.payload["n"]) > 0:
            with context.database.write() as tx:
                queue.enqueue(tx, "work", {"n": n - 1}, now=context.clock())
                work.finish(tx)

    enqueue(context, n=3)
    assert runner_of(context, countdown).run_due() == 4


def test_a_job_that_fails_is_tried_again_and_then_shown_to_the_operator(
    context: Context, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Work) -> None:
        raise ValueError("the disk is on fire")

    job_id = enqueue(context)
    runner = runner_of(context, fail)
    assert runner.run_due() == 1
    assert runner.run_due() == 0
    told = "ValueError: the disk is on fire"
    assert caplog.messages == [
        f"job {job_id} (work) failed and will be tried again in 5.0 s: {told}"
    ]
    clock.advance(5 * SECOND)
    assert runner.run_due() == 1
    assert caplog.messages[1:] == [f"job {job_id} (work) is dead: {told}"]
    [entry] = entries(context)
    assert (entry.state, entry.error) == (State.DEAD, told)


def test_a_wait_of_less_than_a_second_is_told_as_what_it_is(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Work) -> None:
        raise ValueError

    enqueue(context)
    handler = Handler(fail, terms=Terms(first_delay=SECOND))
    assert Runner(context, {"work": handler}, jitter=lambda: 0.0).run_due() == 1
    assert "will be tried again in 0.5 s:" in caplog.text


def test_what_is_written_with_the_end_of_a_job_is_undone_where_the_job_was_lost(
    context: Context, clock: FakeClock
) -> None:
    def change(work: Work, value: str) -> None:
        with context.database.write() as tx:
            upsert(
                tx,
                schema.account_settings,
                {
                    "account": REGISTRY.account,
                    "region": REGISTRY.region,
                    "name": account_settings.BLOB_MOUNTING,
                },
                {"value": value},
            )
            work.finish(tx)

    quick = runner_of(context, lambda work: change(work, "ENABLED"))

    def be_slow(work: Work) -> None:
        clock.advance(TERMS.lease)
        assert quick.run_due() == 1
        change(work, "DISABLED")

    enqueue(context)
    assert runner_of(context, be_slow).run_due() == 1
    with context.database.read() as tx:
        assert account_settings.read(tx, REGISTRY, account_settings.BLOB_MOUNTING) == "ENABLED"
    assert entries(context) == []


def test_a_failure_of_who_has_lost_the_job_changes_nothing(
    context: Context, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    quick = runner_of(context, lambda _: None)

    def fail_late(_: Work) -> None:
        clock.advance(TERMS.lease)
        assert quick.run_due() == 1
        raise ValueError("too late")

    job_id = enqueue(context)
    runner_of(context, fail_late).run_due()
    assert entries(context) == []
    [message] = caplog.messages
    assert message == (
        f"somebody else has job {job_id} (work), or it was cancelled; "
        "here it failed: ValueError: too late"
    )


def test_no_more_of_a_kind_run_at_once_than_its_handler_says(
    context: Context, running: list[Runner]
) -> None:
    full, leave = threading.Barrier(3, timeout=FAR_TOO_LONG), threading.Event()
    at_once, most = 0, 0
    lock, done = threading.Lock(), threading.Semaphore(0)

    def run(_: Work) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        if not leave.is_set():
            full.wait()
            assert leave.wait(FAR_TOO_LONG)
        with lock:
            at_once -= 1
        done.release()

    for _ in range(6):
        enqueue(context)
    runner = runner_of(context, run, concurrency=2)
    running.append(runner)
    runner.start()
    full.wait()
    leave.set()
    assert all(done.acquire(timeout=FAR_TOO_LONG) for _ in range(6))
    assert most == 2


def test_the_lease_of_a_job_that_takes_long_is_renewed(
    context: Context, clock: FakeClock, running: list[Runner]
) -> None:
    renewed = threading.Event()

    def take_long(_: Work) -> None:
        begun = clock()
        clock.advance(TERMS.lease // 3)
        while entries(context)[0].due_at == begun + TERMS.lease:
            pass
        renewed.set()

    enqueue(context)
    runner = runner_of(context, take_long)
    running.append(runner)
    runner.start()
    assert renewed.wait(FAR_TOO_LONG)


def test_a_job_that_was_cancelled_leaves_off(context: Context, running: list[Runner]) -> None:
    left_off = threading.Event()

    def work_for_ever(work: Work) -> None:
        with context.database.write() as tx:
            queue.cancel(tx, work.job.id)
        clock_of(context).advance(TERMS.lease // 3)
        try:
            while True:
                work.check()
        finally:
            left_off.set()

    enqueue(context)
    runner = runner_of(context, work_for_ever)
    running.append(runner)
    runner.start()
    assert left_off.wait(FAR_TOO_LONG)


def clock_of(context: Context) -> FakeClock:
    clock: FakeClock = context.clock  # type: ignore[assignment] # that of the tests
    return clock


def test_a_runner_that_stops_gives_its_jobs_back(context: Context) -> None:
    begun = threading.Event()

    def work_for_ever(work: Work) -> None:
        begun.set()
        while True:
            work.check()

    job_id = enqueue(context)
    runner = runner_of(context, work_for_ever)
    runner.start()
    assert begun.wait(FAR_TOO_LONG)
    runner.stop()
    [entry] = entries(context)
    assert (entry.id, entry.state, entry.attempts) == (job_id, State.WAITING, 0)
    assert not {thread.name for thread in threading.enumerate()} & {"jobs", "job_0"}


def test_sources_are_looked_at_and_one_that_fails_stops_nothing(
    context: Context, running: list[Runner], caplog: pytest.LogCaptureFixture
) -> None:
    done = threading.Event()

    class Broken:
        def look(self) -> None:
            raise ValueError("nothing to see")

    class Source:
        def look(self) -> None:
            with context.database.write() as tx:
                queue.enqueue(tx, "work", {}, now=context.clock(), key="")

    handlers = {"work": Handler(lambda _: done.set())}
    runner = Runner(context, handlers, [Broken(), Source()], poll=QUICK)
    running.append(runner)
    runner.start()
    assert done.wait(FAR_TOO_LONG)
    assert "nothing to see" in caplog.text


def test_a_runner_with_nothing_to_do_writes_nothing(context: Context, clock: FakeClock) -> None:
    enqueue(context, kind="somebody else's")
    runner = runner_of(context, lambda _: None)
    context.database.generation()
    before = context.database.generation()
    clock.advance(DAY)
    assert runner.run_due() == 0
    assert context.database.generation() == before
