from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.api.throttle import Throttle
from longshore.clock import SECOND
from longshore.errors import Throttling
from longshore.names import Registry
from tests.support.clock import FakeClock
from tests.support.threads import at_once, outcome

HERE, THERE = Registry("000000000000", "us-east-1"), Registry("000000000000", "eu-west-1")


def admitted(throttle: Throttle, requests: int, operation: str = "PutImage") -> int:
    """Return how many of so many requests are admitted."""
    count = 0
    for _ in range(requests):
        try:
            throttle.count(operation, HERE)
        except Throttling:
            continue
        count += 1
    return count


def test_what_is_not_named_has_no_limit(clock: FakeClock) -> None:
    throttle = Throttle({"PutImage": 1}, clock)

    assert admitted(throttle, 1000, "BatchGetImage") == 1000


def test_a_second_s_worth_is_admitted_at_once_and_no_more(clock: FakeClock) -> None:
    assert admitted(Throttle({"PutImage": 10}, clock), 25) == 10


def test_what_was_used_comes_back_with_time(clock: FakeClock) -> None:
    throttle = Throttle({"PutImage": 10}, clock)
    admitted(throttle, 10)

    clock.advance(300)
    assert admitted(throttle, 25) == 3
    clock.advance(99)
    assert admitted(throttle, 25) == 0
    clock.advance(1)
    assert admitted(throttle, 25) == 1
    clock.advance(60 * SECOND)
    assert admitted(throttle, 25) == 10


def test_less_than_one_a_second_is_one_now_and_then(clock: FakeClock) -> None:
    throttle = Throttle({"PutImage": 0.5}, clock)

    assert admitted(throttle, 5) == 1
    clock.advance(1 * SECOND)
    assert admitted(throttle, 5) == 0
    clock.advance(1 * SECOND)
    assert admitted(throttle, 5) == 1


def test_each_registry_and_each_operation_is_counted_by_itself(clock: FakeClock) -> None:
    throttle = Throttle({"PutImage": 1, "BatchGetImage": 1}, clock)
    admitted(throttle, 1)

    throttle.count("PutImage", THERE)
    throttle.count("BatchGetImage", HERE)
    with pytest.raises(Throttling, match="Rate exceeded"):
        throttle.count("PutImage", HERE)


def test_a_clock_that_is_set_back_gives_nothing(clock: FakeClock) -> None:
    throttle = Throttle({"PutImage": 10}, clock)
    admitted(throttle, 10)

    clock.advance(-60 * SECOND)

    assert admitted(throttle, 5) == 0


@given(
    rate=st.floats(0.1, 50),
    steps=st.lists(st.tuples(st.integers(0, 3 * SECOND), st.integers(0, 40)), max_size=20),
)
def test_no_more_is_ever_admitted_than_the_rate_allows(
    rate: float, steps: list[tuple[int, int]]
) -> None:
    clock = FakeClock()
    throttle, elapsed, total = Throttle({"PutImage": rate}, clock), 0, 0
    for pause, requests in steps:
        clock.advance(pause)
        elapsed += pause
        total += admitted(throttle, requests)
        assert total <= max(rate, 1) + rate * elapsed / SECOND + 1e-6


def test_threads_share_the_bucket(clock: FakeClock) -> None:
    throttle = Throttle({"PutImage": 8}, clock)
    requests = [outcome(lambda: throttle.count("PutImage", HERE)) for _ in range(16)]

    assert sorted(at_once(requests)) == ["Throttling"] * 8 + ["done"] * 8


def test_the_table_of_buckets_ends_and_those_in_use_stay(clock: FakeClock) -> None:
    throttle = Throttle({"PutImage": 2}, clock)
    throttle.count("PutImage", THERE)
    throttle.count("PutImage", HERE)
    for number in range(20_000):
        throttle.count("PutImage", Registry(f"{number:012}", "eu-west-2"))
        if number == 10_000:
            throttle.count("PutImage", HERE)

    assert admitted(throttle, 5) == 0
    throttle.count("PutImage", THERE)
    throttle.count("PutImage", THERE)
