"""Work that comes round: one row for each kind says when, to all processes on all nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from longshore.jobs.queue import enqueue
from longshore.metadata import schema
from longshore.metadata.statements import insert_if_absent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from longshore.clock import Millis

_TABLE = schema.recurring_jobs


def to_advance(tx: Connection, intervals: Mapping[str, Millis], now: Millis) -> list[str]:
    """Return those of the kinds that `advance` has something to do for.

    Args:
        tx: a transaction that may be one that only reads.
        intervals: how far apart the rounds of each kind are.
        now: the time.
    """
    next_at = {row.kind: row.next_at for row in tx.execute(select(_TABLE))}
    return [
        kind
        for kind, interval in intervals.items()
        if kind not in next_at or not now < next_at[kind] <= now + interval
    ]


def advance(tx: Connection, kind: str, interval: Millis, now: Millis) -> bool:
    """Enqueue the next round of a kind if it is due, and say when the one after it is.

    Of several processes that see a round become due, one enqueues it. Rounds that were missed
    aren't made up for. The first round is an interval after a process first asked for it; one that
    is further away than an interval, because the interval was longer or the clock later, comes
    nearer.

    Returns:
        Whether this call has enqueued a round.
    """
    if insert_if_absent(tx, _TABLE, kind=kind, next_at=now + interval):
        return False
    this = _TABLE.c.kind == kind
    due = tx.execute(
        update(_TABLE).where(this, _TABLE.c.next_at <= now).values(next_at=now + interval)
    ).rowcount
    if due:
        enqueue(tx, kind, {}, now=now, key="")
        return True
    tx.execute(
        update(_TABLE).where(this, _TABLE.c.next_at > now + interval).values(next_at=now + interval)
    )
    return False
