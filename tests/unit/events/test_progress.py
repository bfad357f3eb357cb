from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.events import log, progress, shapes
from longshore.events.progress import KEPT_DELIVERIES, Delivery, Outcome, Overtaken, Progress
from tests.support.pushing import REGISTRY

if TYPE_CHECKING:
    from longshore.metadata.database import Database


def happen(database: Database, count: int) -> None:
    event = shapes.image_pushed(REGISTRY, 0, "a", "sha256:0", None)
    with database.write() as tx:
        log.emit(tx, [event] * count)
        log.place(tx, 1_000)


def begin(database: Database, name: str) -> Progress:
    with database.write() as tx:
        progress.begin(tx, name)
        return progress.read(tx, name)


def test_a_receiver_has_what_happens_after_it_began(database: Database) -> None:
    happen(database, 2)
    with database.read() as tx:
        assert progress.unknown(tx, ["a", "b"]) == ["a", "b"]
    assert begin(database, "a") == Progress("a", 2, 0)
    happen(database, 1)
    # To begin again changes nothing.
    assert begin(database, "a") == Progress("a", 2, 0)
    begin(database, "b")
    with database.read() as tx:
        assert progress.unknown(tx, ["a", "b", "c"]) == ["c"]
        assert progress.behind(tx, ["a", "b", "c"]) == ["a"]
        assert progress.behind(tx, ["b"]) == []
        assert progress.backlog(tx, progress.read(tx, "a")) == 1
        assert progress.read_all(tx) == [Progress("a", 2, 0), Progress("b", 3, 0)]


def test_of_two_that_deliver_the_same_one_writes_it_down(database: Database) -> None:
    happen(database, 1)
    before = begin(database, "a")
    happen(database, 2)
    with database.write() as tx:
        progress.advance(tx, before, 2)
    with pytest.raises(Overtaken), database.write() as tx:
        progress.advance(tx, before, 3)
    with database.read() as tx:
        assert progress.read(tx, "a") == Progress("a", 2, 0)


def test_of_each_receiver_the_newest_deliveries_are_kept(database: Database) -> None:
    def delivery(receiver: str, at: int) -> Delivery:
        return Delivery(receiver, at, Outcome.FAILED, "an id", 1, "no" * 1_000)

    with database.write() as tx:
        progress.record(tx, delivery("b", 0))
        for at in range(KEPT_DELIVERIES + 5):
            progress.record(tx, delivery("a", at))
    with database.read() as tx:
        kept = progress.deliveries(tx, "a", KEPT_DELIVERIES * 2)
        assert len(progress.deliveries(tx, None, KEPT_DELIVERIES * 2)) == KEPT_DELIVERIES + 1
        assert [each.at for each in progress.deliveries(tx, "a", 2)] == [
            KEPT_DELIVERIES + 4,
            KEPT_DELIVERIES + 3,
        ]
    assert len(kept) == KEPT_DELIVERIES
    assert kept[-1] == Delivery("a", 5, Outcome.FAILED, "an id", 1, "no" * 250)


def test_a_receiver_can_be_forgotten(database: Database) -> None:
    begin(database, "a")
    with database.write() as tx:
        progress.record(tx, Delivery("a", 0, Outcome.DROPPED, None, 5, ""))
        assert progress.forget(tx, "a")
        assert not progress.forget(tx, "a")
        assert progress.deliveries(tx, None, 10) == []
