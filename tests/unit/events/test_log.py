from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from longshore.clock import DAY
from longshore.events import log, shapes
from longshore.metadata import schema
from tests.support.pushing import REGISTRY
from tests.support.threads import at_once

if TYPE_CHECKING:
    from longshore.events.shapes import Event
    from longshore.metadata.database import Database

ALL = 1_000_000


def event(n: int, at: int = 0) -> Event:
    return shapes.image_pushed(REGISTRY, at, f"repository/{n}", "sha256:0", None)


def emit(database: Database, *numbers: int, at: int = 0) -> None:
    with database.write() as tx:
        log.emit(tx, [event(n, at) for n in numbers])


def place(database: Database, most: int = ALL) -> bool:
    with database.write() as tx:
        return log.place(tx, most)


def read(database: Database, after: int = 0, limit: int = ALL) -> list[tuple[int, str]]:
    """Return the places and the last parts of the repositories' names."""
    with database.read() as tx:
        return [
            (entry.position, entry.document.partition("repository/")[2].partition('"')[0])
            for entry in log.after(tx, after, limit)
        ]


def test_events_get_their_places_in_the_order_in_which_they_happened(database: Database) -> None:
    emit(database, 1, 2)
    emit(database, 3)
    assert read(database) == []
    with database.read() as tx:
        assert log.has_new(tx)
        assert log.newest(tx) == 0
    assert not place(database)
    with database.read() as tx:
        assert not log.has_new(tx)
        assert log.newest(tx) == 3
    assert read(database) == [(1, "1"), (2, "2"), (3, "3")]
    assert read(database, after=1, limit=1) == [(2, "2")]
    emit(database, 4)
    place(database)
    assert read(database, after=3) == [(4, "4")]


def test_what_is_undone_has_not_happened(database: Database) -> None:
    def fail() -> None:
        with database.write() as tx:
            log.emit(tx, [event(1)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.read() as tx:
        assert not log.has_new(tx)


def test_nothing_emitted_is_nothing_written(database: Database) -> None:
    with database.write() as tx:
        log.emit(tx, [])
    assert not place(database)


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_no_event_gets_a_place_before_one_that_was_read(database: Database) -> None:
    with database.write() as tx:
        # Begun first, committed last: its row has the lower number.
        log.emit(tx, [event(1)])
        emit(database, 2)
        place(database)
        assert read(database) == [(1, "2")]
    place(database)
    assert read(database) == [(1, "2"), (2, "1")]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_one_process_at_a_time_gives_places(database: Database) -> None:
    emit(database, 1)
    with database.write() as tx:
        log.place(tx, ALL)
        emit(database, 2)
        # It waits for nobody.
        assert not place(database)
    place(database)
    assert read(database) == [(1, "1"), (2, "2")]


def test_many_processes_give_every_event_one_place(database: Database) -> None:
    emit(database, *range(50))
    at_once([lambda: place(database)] * 4)
    assert [position for position, _ in read(database)] == list(range(1, 51))


def test_many_events_get_their_places_in_steps(database: Database) -> None:
    emit(database, *range(1_001))
    assert place(database)
    assert len(read(database)) == 1_000
    assert not place(database)
    assert read(database, after=1_000) == [(1_001, "1000")]


def test_the_oldest_events_are_dropped_beyond_the_newest(database: Database) -> None:
    for n in range(1, 8):
        emit(database, n)
        place(database, most=3)
    assert read(database) == [(5, "5"), (6, "6"), (7, "7")]


def test_old_events_are_forgotten_but_for_the_newest_of_all(database: Database) -> None:
    emit(database, 1, at=0)
    emit(database, 2, at=DAY)
    place(database)
    emit(database, 3, at=0)
    with database.write() as tx:
        assert log.forget(tx, DAY) == 1
        assert log.forget(tx, 2 * DAY) == 0
    place(database)
    # Places go on from where they were.
    assert read(database) == [(2, "2"), (3, "3")]
    with database.read() as tx:
        assert len(tx.execute(select(schema.events.c.id)).all()) == 2
