"""What an operator sees of the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from longshore.jobs.queue import State
from longshore.metadata import schema

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import Connection, Row

    from longshore.clock import Millis

_TABLE = schema.jobs


@dataclass(frozen=True, slots=True)
class Entry:
    """A job as it stands in the queue.

    Attributes:
        id: its number.
        kind: what is to be done.
        key: what it is to be done to, where that is one thing.
        payload: what the handler has to know; JSON.
        state: what becomes of it.
        due_at: when it may begin, where it waits; when its lease is over, where it runs.
        enqueued_at: when its cause was.
        attempts: how often it was begun.
        worker: who runs it.
        error: why the last attempt failed.
        failed_at: when it did.
    """

    id: int
    kind: str
    key: str | None
    payload: Mapping[str, Any]
    state: State
    due_at: Millis | None
    enqueued_at: Millis
    attempts: int
    worker: str | None
    error: str | None
    failed_at: Millis | None


@dataclass(frozen=True, slots=True)
class Depth:
    """How many jobs of a kind are in a state, and when the cause of the oldest of them was."""

    kind: str
    state: State
    count: int
    oldest: Millis


def list_some(
    tx: Connection,
    *,
    state: State | None = None,
    kind: str | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[Entry]:
    """Return jobs in the order in which they were enqueued.

    Args:
        tx: a transaction.
        state: only those in it.
        kind: only those of it.
        after: only those with a higher number.
        limit: how many at most.
    """
    query = select(_TABLE).where(_TABLE.c.id > after).order_by(_TABLE.c.id).limit(limit)
    if state is not None:
        query = query.where(_TABLE.c.state == state)
    if kind is not None:
        query = query.where(_TABLE.c.kind == kind)
    return [_entry(row) for row in tx.execute(query)]


def find(tx: Connection, job_id: int) -> Entry | None:
    """Return the job of this number, unless it is done or was cancelled."""
    row = tx.execute(select(_TABLE).where(_TABLE.c.id == job_id)).one_or_none()
    return None if row is None else _entry(row)


def busy_keys(tx: Connection, kind: str) -> set[str]:
    """Return the keys of a kind that have a job which waits or runs."""
    query = select(_TABLE.c.key).where(
        _TABLE.c.kind == kind, _TABLE.c.key.is_not(None), _TABLE.c.state != State.DEAD
    )
    return set(tx.execute(query).scalars())


def leases(tx: Connection, among: Collection[str]) -> set[str]:
    """Return those of `among` that are leases of jobs which run."""
    return set(tx.execute(select(_TABLE.c.lease).where(_TABLE.c.lease.in_(among))).scalars())


def depths(tx: Connection) -> list[Depth]:
    """Return how many jobs there are, by kind and state."""
    kind, state = _TABLE.c.kind, _TABLE.c.state
    rows = tx.execute(
        select(kind, state, func.count(), func.min(_TABLE.c.enqueued_at))
        .group_by(kind, state)
        .order_by(kind, state)
    )
    return [Depth(row[0], State(row[1]), row[2], row[3]) for row in rows]


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        id=row.id,
        kind=row.kind,
        key=row.key,
        payload=row.payload,
        state=State(row.state),
        due_at=row.due_at,
        enqueued_at=row.enqueued_at,
        attempts=row.attempts,
        worker=row.worker,
        error=row.error,
        failed_at=row.failed_at,
    )
