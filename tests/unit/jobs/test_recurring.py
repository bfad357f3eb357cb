from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.clock import DAY, HOUR
from longshore.jobs import ledger, recurring
from tests.support.threads import at_once

if TYPE_CHECKING:
    from longshore.metadata.database import Database
    from tests.support.clock import FakeClock

KIND = "sweeping"


def advance(database: Database, now: int, interval: int = HOUR) -> bool:
    with database.write() as tx:
        return recurring.advance(tx, KIND, interval, now)


def is_noticed(database: Database, now: int, interval: int = HOUR) -> bool:
    with database.read() as tx:
        return recurring.to_advance(tx, {KIND: interval}, now) == [KIND]


def waiting(database: Database) -> int:
    with database.read() as tx:
        return len(ledger.list_some(tx))


def test_a_round_comes_an_interval_after_the_one_before(
    database: Database, clock: FakeClock
) -> None:
    assert is_noticed(database, clock())
    assert not advance(database, clock())
    for _ in range(3):
        clock.advance(HOUR - 1)
        assert not is_noticed(database, clock())
        assert not advance(database, clock())
        clock.advance(1)
        assert is_noticed(database, clock())
        assert advance(database, clock())
        assert not is_noticed(database, clock())
        assert not advance(database, clock())


def test_of_many_processes_one_enqueues_a_round(database: Database, clock: FakeClock) -> None:
    at_once([lambda: advance(database, clock())] * 4)
    clock.advance(HOUR)
    assert sorted(at_once([lambda: advance(database, clock())] * 8)) == [False] * 7 + [True]
    assert waiting(database) == 1


def test_rounds_that_were_missed_are_not_made_up_for(database: Database, clock: FakeClock) -> None:
    advance(database, clock())
    clock.advance(30 * DAY)
    assert advance(database, clock())
    assert not advance(database, clock())


def test_a_round_that_nobody_has_begun_is_not_enqueued_again(
    database: Database, clock: FakeClock
) -> None:
    advance(database, clock())
    for _ in range(3):
        clock.advance(HOUR)
        assert advance(database, clock())
    assert waiting(database) == 1


def test_a_shorter_interval_counts_at_once(database: Database, clock: FakeClock) -> None:
    advance(database, clock(), DAY)
    assert is_noticed(database, clock(), HOUR)
    assert not advance(database, clock(), HOUR)
    assert not is_noticed(database, clock(), HOUR)
    clock.advance(HOUR)
    assert advance(database, clock(), HOUR)


def test_a_clock_that_is_set_back_stops_nothing(database: Database, clock: FakeClock) -> None:
    advance(database, clock())
    clock.advance(-365 * DAY)
    assert not advance(database, clock())
    clock.advance(HOUR)
    assert advance(database, clock())
