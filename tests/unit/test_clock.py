from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from longshore.clock import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Horizon,
    as_datetime,
    has_come,
    system_clock,
    this_second,
)
from tests.support.clock import FakeClock


def test_the_clock_tells_whole_milliseconds_since_1970() -> None:
    before = time.time_ns() // 10**6
    now = system_clock()
    after = time.time_ns() // 10**6
    assert isinstance(now, int)
    assert before <= now <= after


def test_the_units_are_what_they_are_called() -> None:
    assert timedelta(milliseconds=SECOND) == timedelta(seconds=1)
    assert timedelta(milliseconds=MINUTE) == timedelta(minutes=1)
    assert timedelta(milliseconds=HOUR) == timedelta(hours=1)
    assert timedelta(milliseconds=DAY) == timedelta(days=1)


def test_a_moment_is_a_time_in_utc() -> None:
    assert as_datetime(0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert as_datetime(1_700_000_000_123) == datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=UTC)
    assert as_datetime(0).tzinfo is UTC


@given(moment=st.integers(0, 4_102_444_800_000))
def test_no_millisecond_is_lost(moment: int) -> None:
    since_1970 = as_datetime(moment) - datetime(1970, 1, 1, tzinfo=UTC)
    assert since_1970 // timedelta(milliseconds=1) == moment
    assert since_1970 % timedelta(milliseconds=1) == timedelta()


@given(st.integers(-5, 5), st.lists(st.integers(-5, 5)), st.integers(-5, 5))
def test_what_was_found_before_a_horizon_is_found_again_up_to_it(
    now: int, moments: list[int], later: int
) -> None:
    clock = FakeClock(now)
    horizon = Horizon(clock)
    found = [has_come(horizon, moment) for moment in moments]
    assert found == [now >= moment for moment in moments]

    clock.now = later
    if horizon.until is None or later < horizon.until:
        assert [has_come(clock, moment) for moment in moments] == found
    else:
        assert any(moment <= max(now, later) for moment in moments)


@given(st.integers(0, 3 * SECOND), st.integers(0, 3 * SECOND))
def test_a_second_is_told_alike_until_it_ends(now: int, later: int) -> None:
    clock = FakeClock(now)
    horizon = Horizon(clock)
    assert this_second(horizon) == this_second(clock) == now - now % SECOND

    clock.now = now + later
    assert horizon.until is not None
    assert (clock.now < horizon.until) is (this_second(clock) == now - now % SECOND)


def test_of_two_horizons_the_nearer_counts() -> None:
    clock = FakeClock(SECOND)
    horizon = Horizon(clock)
    assert not horizon.has_come(SECOND + 1)
    assert this_second(horizon) == SECOND
    assert horizon.until == SECOND + 1
    horizon.begin()
    assert this_second(horizon) == SECOND
    assert not horizon.has_come(3 * SECOND)
    assert horizon.until == 2 * SECOND


def test_who_is_told_the_time_has_no_horizon_but_this_moment() -> None:
    clock = FakeClock()
    horizon = Horizon(clock)
    assert not horizon.has_come(clock.now + 1)
    assert horizon.until == clock.now + 1
    assert horizon() == clock.now
    assert horizon.until is not None
    assert horizon.until < 0
    horizon.begin()
    assert horizon.until is None
