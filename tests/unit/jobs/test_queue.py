from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from longshore.clock import DAY, MINUTE, SECOND
from longshore.jobs import ledger, queue
from longshore.jobs.queue import LeaseLost, State, Terms
from longshore.metadata import schema
from tests.support.threads import at_once, until_done_or_waiting

if TYPE_CHECKING:
    from longshore.jobs.ledger import Entry
    from longshore.jobs.queue import Job
    from longshore.metadata.database import Database
    from tests.support.clock import FakeClock

TERMS = Terms(lease=30 * SECOND, attempts=3, first_delay=10 * SECOND, longest_delay=15 * SECOND)


class Desk:
    """The queue of a database, and a clock."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.database = database
        self.clock = clock

    def enqueue(self, key: str | None = None, *, after: int = 0, kind: str = "work") -> int:
        now = self.clock()
        with self.database.write() as tx:
            return queue.enqueue(tx, kind, {"n": 1}, now=now, run_at=now + after, key=key)

    def take(self, terms: Terms = TERMS) -> Job | None:
        with self.database.write() as tx:
            return queue.take(tx, "work", terms, "worker", self.clock())

    def taken(self, terms: Terms = TERMS) -> Job:
        job = self.take(terms)
        assert job is not None
        return job

    def finish(self, job: Job) -> None:
        with self.database.write() as tx:
            queue.finish(tx, job)

    def fail(self, job: Job, error: str = "no", terms: Terms = TERMS) -> int | None:
        with self.database.write() as tx:
            return queue.fail(tx, job, terms, error, now=self.clock(), random=0.5)

    def release(self, job: Job) -> None:
        with self.database.write() as tx:
            queue.release(tx, job, self.clock())

    def revive(self, job_id: int) -> bool:
        with self.database.write() as tx:
            return queue.revive(tx, job_id, self.clock())

    def cancel(self, job_id: int) -> bool:
        with self.database.write() as tx:
            return queue.cancel(tx, job_id)

    def entries(self) -> list[Entry]:
        with self.database.read() as tx:
            return ledger.list_some(tx)

    def kill_one(self, key: str | None = None) -> int:
        """Enqueue a job and let it fail until it is dead."""
        job_id = self.enqueue(key)
        for _ in range(3):
            self.fail(self.taken(), "it can't be done")
            self.clock.advance(MINUTE)
        return job_id


@pytest.fixture
def desk(database: Database, clock: FakeClock) -> Desk:
    """An empty queue."""
    return Desk(database, clock)


# --- The way of a job -----------------------------------------------------------------------------


def test_a_job_is_taken_once_and_gone_when_it_is_done(desk: Desk) -> None:
    job_id = desk.enqueue("repository")
    job = desk.taken()
    assert (job.id, job.kind, job.key, job.payload) == (job_id, "work", "repository", {"n": 1})
    assert job.attempts == 1
    assert desk.take() is None
    desk.finish(job)
    assert desk.entries() == []


def test_a_job_belongs_to_the_transaction_of_its_cause(desk: Desk) -> None:
    def cause() -> None:
        with desk.database.write() as tx:
            queue.enqueue(tx, "work", {}, now=desk.clock())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cause()
    assert desk.take() is None


def test_jobs_are_taken_when_they_are_due_and_in_that_order(desk: Desk) -> None:
    late, early, now = desk.enqueue(after=2), desk.enqueue(after=1), desk.enqueue()
    assert desk.taken().id == now
    assert desk.take() is None
    desk.clock.advance(2)
    assert [desk.taken().id, desk.taken().id] == [early, late]


def test_a_worker_is_told_only_of_kinds_that_it_knows_and_that_are_due(desk: Desk) -> None:
    desk.enqueue()
    desk.enqueue(kind="other")
    desk.enqueue(kind="unknown")
    desk.enqueue(kind="later", after=1)
    terms = dict.fromkeys(("work", "other", "later", "nothing"), TERMS)
    with desk.database.read() as tx:
        assert queue.due_kinds(tx, terms, desk.clock()) == {"work", "other"}
        assert queue.due_kinds(tx, {}, desk.clock()) == set()


def test_many_workers_take_each_job_once(desk: Desk) -> None:
    ids = [desk.enqueue() for _ in range(20)]

    def work() -> list[int]:
        taken = []
        while (job := desk.take()) is not None:
            taken.append(job.id)
        return taken

    assert sorted(chain.from_iterable(at_once([work] * 4))) == ids


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_worker_that_takes_a_job_holds_up_no_other_one(desk: Desk) -> None:
    first, second = desk.enqueue(), desk.enqueue()
    with desk.database.write() as tx:
        job = queue.take(tx, "work", TERMS, "slow", desk.clock())
        assert job is not None
        assert job.id == first
        assert desk.taken().id == second


# --- Keys -----------------------------------------------------------------------------------------


def test_of_a_key_one_job_waits_and_one_runs(desk: Desk) -> None:
    first = desk.enqueue("a")
    assert desk.enqueue("a") == first
    assert desk.enqueue("b") != first
    running = desk.taken()
    second = desk.enqueue("a")
    assert second != first
    assert desk.enqueue("a") == second
    # The job of "b" is free, the second one of "a" has to wait for the first.
    assert desk.taken().key == "b"
    assert desk.take() is None
    desk.finish(running)
    assert desk.taken().id == second


def test_a_job_that_waits_comes_forward_for_a_cause_that_is_due_sooner(desk: Desk) -> None:
    job_id = desk.enqueue("a", after=DAY)
    desk.enqueue("a", after=2 * DAY)
    assert desk.take() is None
    desk.enqueue("a")
    assert desk.taken().id == job_id


def test_a_job_without_a_key_has_nothing_to_do_with_others(desk: Desk) -> None:
    assert desk.enqueue() != desk.enqueue()
    assert desk.taken().id != desk.taken().id


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_job_that_waits_is_not_taken_before_its_new_cause_can_be_seen(desk: Desk) -> None:
    desk.enqueue("a")
    with desk.database.write() as tx:
        queue.enqueue(tx, "work", {}, now=desk.clock(), key="a")
        assert desk.take() is None
    assert desk.taken().key == "a"


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_cause_waits_for_the_worker_that_is_taking_the_job_and_gets_another(desk: Desk) -> None:
    first = desk.enqueue("a")
    with ThreadPoolExecutor(1) as pool:
        with desk.database.write() as tx:
            assert queue.take(tx, "work", TERMS, "worker", desk.clock()) is not None
            enqueued = pool.submit(desk.enqueue, "a")
            until_done_or_waiting(desk.database, enqueued)
        assert enqueued.result() != first
    assert [entry.state for entry in desk.entries()] == [State.RUNNING, State.WAITING]


def test_two_causes_at_once_make_one_job(desk: Desk) -> None:
    assert len(set(at_once([lambda: desk.enqueue("a")] * 8))) == 1
    assert len(desk.entries()) == 1


# --- Failures -------------------------------------------------------------------------------------


def test_a_job_that_fails_waits_longer_each_time_and_dies_in_the_end(desk: Desk) -> None:
    job_id = desk.enqueue()
    assert desk.fail(desk.taken(), "first") == desk.clock() + 7_500
    assert desk.take() is None
    desk.clock.advance(7_500)
    # Twice as long, but no longer than the longest delay.
    assert desk.fail(desk.taken(), "second") == desk.clock() + 11_250
    desk.clock.advance(11_250)
    assert desk.fail(desk.taken(), "third") is None

    [entry] = desk.entries()
    assert (entry.id, entry.state, entry.attempts) == (job_id, State.DEAD, 3)
    assert (entry.error, entry.failed_at) == ("third", desk.clock())
    desk.clock.advance(365 * DAY)
    assert desk.take() is None


def test_delays_are_spread_over_the_upper_half() -> None:
    terms = Terms(first_delay=1000, longest_delay=60_000)
    for attempts, whole in ((1, 1000), (2, 2000), (6, 32_000), (7, 60_000), (10_000, 60_000)):
        assert terms.delay(attempts, 0.0) == whole // 2
        assert terms.delay(attempts, 0.999_999_999) == whole


def test_a_kind_can_be_tried_for_ever(desk: Desk) -> None:
    terms = Terms(attempts=None)
    desk.enqueue()
    for _ in range(20):
        assert desk.fail(desk.taken(terms), terms=terms) is not None
        desk.clock.advance(DAY)


def test_a_long_error_is_cut(desk: Desk) -> None:
    desk.enqueue()
    desk.fail(desk.taken(), "x" * 1_000_000)
    [entry] = desk.entries()
    assert entry.error == "x" * 2_000


def test_a_job_that_fails_hands_its_failure_to_another_of_its_key(desk: Desk) -> None:
    desk.enqueue("a")
    job = desk.taken()
    other = desk.enqueue("a")
    due_at = desk.fail(job, "no")
    [entry] = desk.entries()
    assert (entry.id, entry.state, entry.attempts) == (other, State.WAITING, 1)
    assert (entry.due_at, entry.error) == (due_at, "no")
    # However often its cause comes back, what fails is tried no sooner and no more often.
    desk.enqueue("a")
    assert desk.take() is None
    desk.clock.advance(MINUTE)
    desk.fail(desk.taken())
    desk.clock.advance(MINUTE)
    assert desk.fail(desk.taken()) is None


def test_of_a_key_one_job_is_dead_and_it_is_the_newest(desk: Desk) -> None:
    desk.kill_one("a")
    newest = desk.kill_one("a")
    assert [(entry.id, entry.state) for entry in desk.entries()] == [(newest, State.DEAD)]


def test_jobs_without_a_key_are_dead_each_for_itself(desk: Desk) -> None:
    ids = [desk.kill_one(), desk.kill_one()]
    assert [(entry.id, entry.state) for entry in desk.entries()] == [
        (job_id, State.DEAD) for job_id in ids
    ]


# --- Leases ---------------------------------------------------------------------------------------


def test_a_job_whose_worker_died_is_taken_again_when_its_lease_is_over(desk: Desk) -> None:
    desk.enqueue("a")
    dead = desk.taken()
    desk.clock.advance(TERMS.lease - 1)
    assert desk.take() is None
    desk.clock.advance(1)
    again = desk.taken()
    assert (again.id, again.attempts) == (dead.id, 2)
    # It wasn't dead, only slow: nothing that it does to the job counts any more.
    with pytest.raises(LeaseLost):
        desk.finish(dead)
    with pytest.raises(LeaseLost):
        desk.fail(dead)
    desk.release(dead)
    with desk.database.write() as tx:
        assert not queue.renew(tx, dead, desk.clock() + DAY)
    desk.finish(again)


def test_a_worker_that_lives_keeps_its_job(desk: Desk) -> None:
    desk.enqueue()
    job = desk.taken()
    for _ in range(5):
        desk.clock.advance(TERMS.lease - 1)
        with desk.database.write() as tx:
            assert queue.renew(tx, job, desk.clock() + TERMS.lease)
        assert desk.take() is None
    desk.finish(job)


def test_what_a_transaction_writes_that_has_lost_the_job_is_undone(desk: Desk) -> None:
    desk.enqueue()
    slow = desk.taken()
    desk.clock.advance(TERMS.lease)
    quick = desk.taken()
    for job, lost in ((quick, False), (slow, True)):
        try:
            with desk.database.write() as tx:
                tx.execute(
                    schema.account_settings.insert().values(
                        account="1" * 12, region="r", name=job.lease, value="done"
                    )
                )
                queue.finish(tx, job)
        except LeaseLost:
            assert lost
    with desk.database.read() as tx:
        assert tx.execute(select(schema.account_settings.c.name)).scalars().all() == [quick.lease]


def test_a_job_that_kills_its_workers_dies(desk: Desk) -> None:
    deadly = desk.enqueue()
    for _ in range(3):
        assert desk.taken().id == deadly
        desk.clock.advance(TERMS.lease)
    harmless = desk.enqueue()
    assert desk.taken().id == harmless
    [entry, _] = desk.entries()
    assert (entry.state, entry.error) == (State.DEAD, "Its worker died or lost the database.")


def test_a_clock_that_is_set_back_leaves_no_job_to_the_dead(desk: Desk) -> None:
    desk.enqueue()
    desk.taken()
    desk.clock.advance(-365 * DAY)
    assert desk.taken().attempts == 2


def test_clocks_that_differ_a_little_take_nothing_from_the_living(desk: Desk) -> None:
    desk.enqueue()
    desk.taken()
    desk.clock.advance(-TERMS.lease)
    assert desk.take() is None


def test_a_job_that_is_given_back_is_as_it_was(desk: Desk) -> None:
    desk.enqueue("a")
    desk.release(desk.taken())
    assert desk.taken().attempts == 1


# --- Operators ------------------------------------------------------------------------------------


def test_a_dead_job_is_retried_as_if_for_the_first_time(desk: Desk) -> None:
    job_id = desk.kill_one("a")
    assert desk.revive(job_id)
    job = desk.taken()
    assert (job.id, job.attempts, job.payload) == (job_id, 1, {"n": 1})
    # While it runs, there is nothing to retry.
    assert not desk.revive(job_id)


def test_a_job_that_waits_for_another_attempt_can_be_hurried(desk: Desk) -> None:
    job_id = desk.enqueue()
    desk.fail(desk.taken())
    assert desk.take() is None
    assert desk.revive(job_id)
    assert desk.taken().id == job_id


def test_a_dead_job_gives_way_to_one_of_its_key_that_waits(desk: Desk) -> None:
    dead = desk.kill_one("a")
    waiting = desk.enqueue("a")
    assert desk.revive(dead)
    assert [entry.id for entry in desk.entries()] == [waiting]


def test_a_job_can_be_cancelled_in_whatever_state(desk: Desk) -> None:
    dead = desk.kill_one()
    running = desk.enqueue()
    job = desk.taken()
    waiting = desk.enqueue()
    assert [desk.cancel(each) for each in (dead, running, waiting)] == [True] * 3
    assert desk.entries() == []
    with pytest.raises(LeaseLost):
        desk.finish(job)
    assert not desk.cancel(waiting)
    assert not desk.revive(waiting)
