"""The queue: each row is a piece of work, written in the transaction that is its cause.

A job waits until it is due, is taken by a worker, and is gone when it is done. Whoever takes it
has it on lease: a worker that dies stops renewing the lease, and when it is over another one takes
the job. A worker that was only slow finds out when it wants to finish, and its transaction is
undone: effects that a handler writes in the transaction that finishes the job happen once.

A job that fails waits longer each time, and when it has failed too often it is dead: it stays for
an operator to see, to retry or to cancel (`longshore.jobs.ledger`).

Every function works in the caller's transaction.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, exists, false, or_, select, update

from longshore.clock import MINUTE, SECOND
from longshore.metadata import schema
from longshore.metadata.statements import insert_if_absent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Connection, Row

    from longshore.clock import Millis

_TABLE = schema.jobs
_LONGEST_ERROR = 2_000


class State(StrEnum):
    """What becomes of a job."""

    WAITING = "waiting"
    RUNNING = "running"
    DEAD = "dead"


class LeaseLost(Exception):
    """Somebody else has the job by now, or an operator has cancelled it."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"somebody else has job {job.id} ({job.kind}), or it was cancelled")


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a worker has a job of some kind, and what happens if it fails.

    Attributes:
        lease: how long a job is left to a worker that says nothing, in milliseconds.
        attempts: how often it is begun before it is dead; None for no end.
        first_delay: how long it waits after its first failure; each time twice as long.
        longest_delay: but never longer than this.
    """

    lease: Millis = 30 * SECOND
    attempts: int | None = 8
    first_delay: Millis = 5 * SECOND
    longest_delay: Millis = 15 * MINUTE

    def delay(self, attempts: int, random: float) -> Millis:
        """Return how long a job waits that was begun `attempts` times.

        Args:
            attempts: at least 1.
            random: at least 0 and below 1; spreads jobs that failed together.
        """
        # Above 40 doublings nothing is shorter than the longest delay.
        whole = min(self.first_delay << min(attempts - 1, 40), self.longest_delay)
        return whole // 2 + int(random * (whole - whole // 2 + 1))

    def are_over(self, attempts: int) -> bool:
        """Tell whether a job that was begun so often isn't begun again."""
        return self.attempts is not None and attempts >= self.attempts


@dataclass(frozen=True, slots=True)
class Job:
    """A job that a worker has taken.

    Attributes:
        id: its number.
        kind: what is to be done; names the handler.
        key: what it is to be done to, where jobs of one kind and key do the same work.
        payload: what the handler has to know; JSON.
        attempts: how often it was begun, this time included.
        enqueued_at: when its cause was.
        lease: tells this run from every other one.
    """

    id: int
    kind: str
    key: str | None
    payload: Mapping[str, Any] = field(repr=False)
    attempts: int
    enqueued_at: Millis
    lease: str


def enqueue(
    tx: Connection,
    kind: str,
    payload: Mapping[str, Any],
    *,
    now: Millis,
    run_at: Millis | None = None,
    key: str | None = None,
) -> int:
    """Let something be done after this transaction, if it is committed.

    Args:
        tx: the transaction of the cause.
        kind: what is to be done.
        payload: what the handler has to know, as JSON has it.
        now: the time.
        run_at: when it may begin; at once by default.
        key: what it is to be done to. At most one job of a kind and key waits: it does what the
            new one would have done, and sees what this transaction has written. Who enqueues
            several keys does so in their order, lest two wait for each other.

    Returns:
        The number of the job, or of the one that waits already.
    """
    due_at = now if run_at is None else run_at
    row = {
        "kind": kind,
        "key": key,
        "payload": dict(payload),
        "state": State.WAITING,
        "due_at": due_at,
        "enqueued_at": now,
        "attempts": 0,
    }
    if key is None:
        return _insert(tx, row)
    same = and_(_TABLE.c.kind == kind, _TABLE.c.key == key, _TABLE.c.state == State.WAITING)
    while True:
        # Locked, it can't be taken by a worker that wouldn't see this transaction.
        waiting = tx.execute(
            select(_TABLE.c.id, _TABLE.c.due_at, _TABLE.c.attempts).where(same).with_for_update()
        ).one_or_none()
        if waiting is not None:
            # What has failed waits its time, whatever happens meanwhile.
            if waiting.attempts == 0 and due_at < waiting.due_at:
                tx.execute(update(_TABLE).where(_TABLE.c.id == waiting.id).values(due_at=due_at))
            return int(waiting.id)
        if insert_if_absent(tx, _TABLE, **row):
            return int(tx.execute(select(_TABLE.c.id).where(same)).scalar_one())


def due_kinds(tx: Connection, terms: Mapping[str, Terms], now: Millis) -> set[str]:
    """Return those of the kinds that have jobs to be taken."""
    due = or_(false(), *(_is_due(kind, its, now) for kind, its in terms.items()))
    return set(tx.execute(select(_TABLE.c.kind).where(due).distinct()).scalars())


def take(tx: Connection, kind: str, terms: Terms, worker: str, now: Millis) -> Job | None:
    """Take the job of a kind that has been due for longest, if there is any.

    A job whose last worker died counts as begun. When it was begun too often, it is dead instead:
    it may be the job that kills its workers.

    Args:
        tx: a writing transaction, which holds up no other worker.
        kind: what the worker can do.
        terms: on which terms it has the job.
        worker: who it is, for people.
        now: the time.
    """
    other = _TABLE.alias()
    is_running_already = exists().where(
        other.c.kind == _TABLE.c.kind,
        other.c.key == _TABLE.c.key,
        other.c.state == State.RUNNING,
        other.c.id != _TABLE.c.id,
    )
    query = (
        select(_TABLE)
        .where(_is_due(kind, terms, now), ~is_running_already)
        .order_by(_TABLE.c.due_at, _TABLE.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    while (row := tx.execute(query).one_or_none()) is not None:
        if row.state == State.RUNNING and terms.are_over(row.attempts):
            _bury(tx, row, "Its worker died or lost the database.", now)
            continue
        lease = str(uuid.uuid4())
        tx.execute(
            update(_TABLE)
            .where(_TABLE.c.id == row.id)
            .values(
                state=State.RUNNING,
                due_at=now + terms.lease,
                attempts=row.attempts + 1,
                worker=worker,
                lease=lease,
            )
        )
        return Job(row.id, row.kind, row.key, row.payload, row.attempts + 1, row.enqueued_at, lease)
    return None


def renew(tx: Connection, job: Job, until: Millis) -> bool:
    """Renew the lease of a job; tell whether it is still its worker's."""
    return tx.execute(update(_TABLE).where(_is_held(job)).values(due_at=until)).rowcount == 1


def hold(tx: Connection, job: Job) -> None:
    """Make sure, until the transaction ends, that a job is still its worker's.

    Raises:
        LeaseLost: somebody else has it by now. The transaction must be undone.
    """
    if _locked(tx, job) is None:
        raise LeaseLost(job)


def finish(tx: Connection, job: Job) -> None:
    """Say that a job is done; what else this transaction writes happens once.

    Raises:
        LeaseLost: somebody else has it by now. The transaction must be undone.
    """
    if tx.execute(delete(_TABLE).where(_is_held(job))).rowcount == 0:
        raise LeaseLost(job)


def release(tx: Connection, job: Job, now: Millis) -> None:
    """Give a job back as it was before it was taken: its worker has to stop."""
    row = _locked(tx, job)
    if row is not None:
        _put_back(tx, row, due_at=now, attempts=row.attempts - 1)


def fail(
    tx: Connection, job: Job, terms: Terms, error: str, *, now: Millis, random: float
) -> Millis | None:
    """Say that a job has failed: it waits for another attempt, or is dead.

    If another job of its kind and key waits by now, that one is the next attempt.

    Args:
        tx: a writing transaction.
        job: the job.
        terms: those on which it was taken.
        error: what went wrong, for people, without secrets.
        now: the time.
        random: at least 0 and below 1; spreads jobs that failed together.

    Returns:
        When the next attempt is due; None if there is none.

    Raises:
        LeaseLost: somebody else has it by now.
    """
    row = _locked(tx, job)
    if row is None:
        raise LeaseLost(job)
    if terms.are_over(row.attempts):
        _bury(tx, row, error, now)
        return None
    due_at = now + terms.delay(row.attempts, random)
    told = {"error": error[:_LONGEST_ERROR], "failed_at": now}
    _put_back(tx, row, due_at=due_at, attempts=row.attempts, **told)
    return due_at


def revive(tx: Connection, job_id: int, now: Millis) -> bool:
    """Let a dead job, or one that waits, begin at once, as if for the first time.

    Returns:
        Whether it does; False where it runs, and where there is none of this number.
    """
    row = tx.execute(
        select(_TABLE)
        .where(_TABLE.c.id == job_id, _TABLE.c.state != State.RUNNING)
        .with_for_update()
    ).one_or_none()
    if row is None:
        return False
    _put_back(tx, row, due_at=now, attempts=0)
    return True


def cancel(tx: Connection, job_id: int) -> bool:
    """Forget a job, whatever its state; tell whether there was one.

    The worker of one that is running finds out when it renews its lease, or when it finishes.
    """
    return tx.execute(delete(_TABLE).where(_TABLE.c.id == job_id)).rowcount == 1


def is_pending(kind: str, key: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that a job of a kind and key waits or runs, for a query of others."""
    live = (State.WAITING, State.RUNNING)
    return exists().where(_TABLE.c.kind == kind, _TABLE.c.key == key, _TABLE.c.state.in_(live))


def _insert(tx: Connection, row: Mapping[str, Any]) -> int:
    identity: int = tx.execute(_TABLE.insert().values(row).returning(_TABLE.c.id)).scalar_one()
    return identity


def _is_due(kind: str, terms: Terms, now: Millis) -> ColumnElement[bool]:
    # No lease ends so late but one that was taken before the clock was set back.
    impossible = and_(_TABLE.c.state == State.RUNNING, _TABLE.c.due_at > now + 2 * terms.lease)
    return and_(_TABLE.c.kind == kind, or_(_TABLE.c.due_at <= now, impossible))


def _locked(tx: Connection, job: Job) -> Row[Any] | None:
    return tx.execute(select(_TABLE).where(_is_held(job)).with_for_update()).one_or_none()


def _is_held(job: Job) -> ColumnElement[bool]:
    return and_(_TABLE.c.id == job.id, _TABLE.c.lease == job.lease)


def _put_back(tx: Connection, row: Row[Any], **changed: object) -> None:
    """Let a job wait again; one of its key that waits already takes its place."""
    tx.execute(delete(_TABLE).where(_TABLE.c.id == row.id))
    waiting = {"state": State.WAITING, "lease": None, "worker": None}
    same = and_(_TABLE.c.kind == row.kind, _TABLE.c.key == row.key, _TABLE.c.state == State.WAITING)
    while not insert_if_absent(tx, _TABLE, **(row._asdict() | waiting | changed)):
        if tx.execute(update(_TABLE).where(same).values(changed)).rowcount:
            return


def _bury(tx: Connection, row: Row[Any], error: str, now: Millis) -> None:
    """Let a job be dead, in the place of another one of its key."""
    if row.key is not None:
        of_key = and_(_TABLE.c.kind == row.kind, _TABLE.c.key == row.key)
        tx.execute(delete(_TABLE).where(of_key, _TABLE.c.state == State.DEAD))
    tx.execute(
        update(_TABLE)
        .where(_TABLE.c.id == row.id)
        .values(
            state=State.DEAD,
            due_at=None,
            lease=None,
            worker=None,
            error=error[:_LONGEST_ERROR],
            failed_at=now,
        )
    )
