"""How far each receiver is in the log, and what became of the last deliveries to it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select, update

from longshore.events import log
from longshore.metadata import schema
from longshore.metadata.statements import insert_if_absent

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from longshore.clock import Millis

_RECEIVERS = schema.event_receivers
_DELIVERIES = schema.event_deliveries
_LONGEST_ANSWER = 500
# Of each receiver; older ones are forgotten.
KEPT_DELIVERIES = 1_000


class Outcome(StrEnum):
    """What became of a delivery."""

    DELIVERED = "delivered"
    # It will be tried again.
    FAILED = "failed"
    # The receiver doesn't want it: it was tried often enough.
    REFUSED = "refused"
    # It was kept for as long as events are, and never delivered.
    DROPPED = "dropped"


class Overtaken(Exception):
    """Another process has delivered the same events meanwhile."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a receiver is.

    Attributes:
        name: the receiver's.
        position: the place in the log up to which it has everything, or it was dropped.
        refusals: how often it refused the next event.
    """

    name: str
    position: int
    refusals: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """An attempt to deliver events.

    Attributes:
        receiver: to whom.
        at: when.
        outcome: what became of it.
        event_id: the first of the events, unless they were dropped.
        events: how many there were.
        answer: what the receiver answered, or why it wasn't reached.
    """

    receiver: str
    at: Millis
    outcome: Outcome
    event_id: str | None
    events: int
    answer: str


def unknown(tx: Connection, names: Collection[str]) -> list[str]:
    """Return those of the receivers that `begin` has something to do for."""
    known = set(tx.execute(select(_RECEIVERS.c.name)).scalars())
    return [name for name in names if name not in known]


def begin(tx: Connection, name: str) -> None:
    """Let a new receiver have what gets its place from now on."""
    insert_if_absent(tx, _RECEIVERS, name=name, position=log.newest(tx), refusals=0)


def behind(tx: Connection, names: Collection[str]) -> list[str]:
    """Return those of the receivers that don't have everything yet."""
    query = select(_RECEIVERS.c.name).where(
        _RECEIVERS.c.name.in_(names), _RECEIVERS.c.position < log.newest(tx)
    )
    return list(tx.execute(query).scalars())


def read(tx: Connection, name: str) -> Progress:
    """Return how far a receiver is that has begun."""
    return Progress(*tx.execute(select(_RECEIVERS).where(_RECEIVERS.c.name == name)).one())


def read_all(tx: Connection) -> list[Progress]:
    """Return how far every receiver is that ever began, by name."""
    rows = tx.execute(select(_RECEIVERS).order_by(_RECEIVERS.c.name))
    return [Progress(row.name, row.position, row.refusals) for row in rows]


def advance(tx: Connection, before: Progress, position: int, refusals: int = 0) -> None:
    """Write down that a receiver is further.

    Args:
        tx: a writing transaction.
        before: how far it was when the delivery began.
        position: how far it is.
        refusals: how often it has refused the event after that.

    Raises:
        Overtaken: another process was quicker. The transaction must be undone.
    """
    same = (_RECEIVERS.c.name == before.name) & (_RECEIVERS.c.position == before.position)
    changed = update(_RECEIVERS).where(same).values(position=position, refusals=refusals)
    if tx.execute(changed).rowcount == 0:
        raise Overtaken(before.name)


def forget(tx: Connection, name: str) -> bool:
    """Forget a receiver and what was delivered to it; tell whether there was one."""
    tx.execute(delete(_DELIVERIES).where(_DELIVERIES.c.receiver == name))
    return tx.execute(delete(_RECEIVERS).where(_RECEIVERS.c.name == name)).rowcount == 1


def record(tx: Connection, delivery: Delivery) -> None:
    """Write down what became of a delivery, and forget the oldest one beyond those kept."""
    tx.execute(
        insert(_DELIVERIES).values(
            receiver=delivery.receiver,
            at=delivery.at,
            outcome=delivery.outcome.value,
            event_id=delivery.event_id,
            events=delivery.events,
            answer=delivery.answer[:_LONGEST_ANSWER],
        )
    )
    of_receiver = _DELIVERIES.c.receiver == delivery.receiver
    oldest_kept = (
        select(_DELIVERIES.c.id)
        .where(of_receiver)
        .order_by(_DELIVERIES.c.id.desc())
        .offset(KEPT_DELIVERIES - 1)
        .limit(1)
        .scalar_subquery()
    )
    tx.execute(delete(_DELIVERIES).where(of_receiver, _DELIVERIES.c.id < oldest_kept))


def deliveries(tx: Connection, receiver: str | None, limit: int) -> list[Delivery]:
    """Return the newest deliveries, to one receiver or to all, the newest first."""
    query = select(_DELIVERIES).order_by(_DELIVERIES.c.id.desc()).limit(limit)
    if receiver is not None:
        query = query.where(_DELIVERIES.c.receiver == receiver)
    return [
        Delivery(row.receiver, row.at, Outcome(row.outcome), row.event_id, row.events, row.answer)
        for row in tx.execute(query)
    ]


def backlog(tx: Connection, progress: Progress) -> int:
    """Return how many events a receiver is waiting for."""
    table = schema.events
    query = select(func.count()).where(table.c.position > progress.position)
    return tx.execute(query).scalar_one()
