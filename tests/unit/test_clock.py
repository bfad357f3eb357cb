from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from longshore.clock import DAY, HOUR, MINUTE, SECOND, as_datetime, system_clock


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
