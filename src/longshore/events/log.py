"""The log of events: what happened, in an order, for as long as it is kept.

An event is written in the transaction that makes it happen, and costs it one statement. It gets its
place in the log afterwards, from one process at a time: so whoever has read up to a place has
missed nothing before it, although transactions end in another order than they begin. Two events
about one image are in the order in which they happened, because who changes an image has locked its
repository.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, func, insert, select, update

from longshore.metadata import schema
from longshore.metadata.prepared import Prepared
from longshore.metadata.statements import batches, lock_for_one

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from longshore.clock import Millis
    from longshore.events.shapes import Event

_TABLE = schema.events
_BATCH = 1_000
_INSERT = Prepared(insert(_TABLE))
# Any number that nobody else in the database uses.
_LOCK = 0x10C6E7


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in the log.

    Attributes:
        position: its place; the one after it has the next number.
        event_id: its id.
        document: the event as EventBridge delivers it, JSON.
    """

    position: int
    event_id: str
    document: str


def emit(tx: Connection, events: Iterable[Event]) -> None:
    """Say what this transaction makes happen, in order."""
    rows = (
        {"event_id": event.id, "occurred_at": event.at, "document": event.as_json()}
        for event in events
    )
    for batch in batches(rows, _BATCH):
        _INSERT.run_for_each(tx, batch)


def has_new(tx: Connection) -> bool:
    """Tell whether events wait for their place."""
    query = select(_TABLE.c.id).where(_TABLE.c.position.is_(None)).limit(1)
    return tx.execute(query).first() is not None


def place(tx: Connection, most: int) -> bool:
    """Give new events their places, and drop the oldest beyond the newest `most`.

    Returns:
        Whether there may be more. It does nothing while another process does the same.
    """
    if not lock_for_one(tx, _LOCK):
        return False
    new = tx.execute(
        select(_TABLE.c.id).where(_TABLE.c.position.is_(None)).order_by(_TABLE.c.id).limit(_BATCH)
    ).scalars()
    last = newest(tx)
    places = [{"of": row_id, "at": last + n} for n, row_id in enumerate(new, 1)]
    if places:
        tx.execute(
            update(_TABLE).where(_TABLE.c.id == bindparam("of")).values(position=bindparam("at")),
            places,
        )
        tx.execute(delete(_TABLE).where(_TABLE.c.position <= last + len(places) - most))
    return len(places) == _BATCH


def newest(tx: Connection) -> int:
    """Return the last place that was given; 0 before the first."""
    return tx.execute(select(func.max(_TABLE.c.position))).scalar_one() or 0


def after(tx: Connection, position: int, limit: int) -> list[Entry]:
    """Return up to `limit` events behind a place, in order; dropped ones aren't there."""
    rows = tx.execute(
        select(_TABLE.c.position, _TABLE.c.event_id, _TABLE.c.document)
        .where(_TABLE.c.position > position)
        .order_by(_TABLE.c.position)
        .limit(limit)
    )
    return [Entry(row.position, row.event_id, row.document) for row in rows]


def forget(tx: Connection, before: Millis) -> int:
    """Drop the events that happened before a moment; return how many those were.

    The newest stays, whatever its age: places are counted from it.
    """
    return tx.execute(
        delete(_TABLE).where(_TABLE.c.occurred_at < before, _TABLE.c.position < newest(tx))
    ).rowcount
