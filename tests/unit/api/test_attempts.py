from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.api.attempts import Attempts
from longshore.clock import MINUTE, SECOND
from longshore.errors import (
    AccessDenied,
    ExpiredToken,
    InvalidIdentityToken,
    InvalidSignature,
    RegistryError,
    TooManyFailures,
    UnrecognizedClient,
)
from longshore.registry.memory import NotInMemory
from tests.support.clock import FakeClock
from tests.support.threads import at_once, outcome

HERE, THERE = "192.0.2.7", "198.51.100.7"


@pytest.fixture
def attempts(clock: FakeClock) -> Attempts:
    return Attempts(burst=5, per_minute=10, clock=clock)


def fail(attempts: Attempts, address: str = HERE, credentials: str = "guess") -> bool:
    """Tell whether a wrong guess is looked at."""
    wrong = UnrecognizedClient()
    with suppress(UnrecognizedClient):
        try:
            with attempts.watch(address, credentials):
                raise wrong
        except TooManyFailures:
            return False
    return True


def succeed(attempts: Attempts, address: str = HERE, credentials: str = "good") -> bool:
    """Tell whether good credentials are looked at."""
    try:
        with attempts.watch(address, credentials):
            return True
    except TooManyFailures:
        return False


def guess(attempts: Attempts, count: int, address: str = HERE) -> int:
    """Return how many of so many different guesses are looked at."""
    return sum(fail(attempts, address, f"guess {number}") for number in range(count))


def test_who_guesses_waits_after_a_burst(attempts: Attempts, clock: FakeClock) -> None:
    assert guess(attempts, 20) == 5
    clock.advance(6 * SECOND - 1)
    assert guess(attempts, 20) == 0
    clock.advance(1)
    assert guess(attempts, 20) == 1
    clock.advance(60 * MINUTE)
    assert guess(attempts, 20) == 5


def test_nobody_elsewhere_waits(attempts: Attempts) -> None:
    for number in range(50):
        fail(attempts, HERE, "AKIAGOOD")
        fail(attempts, HERE, f"AKIA{number}")
    assert succeed(attempts, THERE, "AKIAGOOD")
    assert guess(attempts, 20, THERE) == 5


def test_credentials_that_were_good_before_go_on(attempts: Attempts) -> None:
    assert succeed(attempts, HERE, "good")
    guess(attempts, 20)
    assert succeed(attempts, HERE, "good")
    # Nobody knows yet what these are.
    assert not succeed(attempts, HERE, "good too")


def test_who_guesses_the_secret_of_a_known_key_waits(attempts: Attempts, clock: FakeClock) -> None:
    succeed(attempts, HERE, "AKIAGOOD")
    assert sum(fail(attempts, HERE, "AKIAGOOD") for _ in range(20)) == 5
    clock.advance(6 * SECOND)
    assert sum(fail(attempts, HERE, "AKIAGOOD") for _ in range(20)) == 1


def test_a_client_that_repeats_itself_holds_nobody_up(attempts: Attempts) -> None:
    assert sum(fail(attempts, HERE, "old password") for _ in range(100)) == 5
    assert succeed(attempts, HERE, "new password")
    assert guess(attempts, 20) == 4


@pytest.mark.parametrize(
    ("refusal", "counts"),
    [
        (UnrecognizedClient(), True),
        (InvalidSignature("wrong"), True),
        (InvalidIdentityToken("forged"), True),
        (ExpiredToken(), False),
        (AccessDenied("known, and may not"), False),
    ],
)
def test_what_counts_as_a_guess(attempts: Attempts, refusal: RegistryError, counts: bool) -> None:
    for _ in range(20):
        with pytest.raises(RegistryError), attempts.watch(HERE, "credentials"):
            raise refusal
    assert succeed(attempts, HERE, "credentials") is not counts


def test_who_has_to_ask_the_database_has_not_failed(attempts: Attempts) -> None:
    for _ in range(20):
        with pytest.raises(NotInMemory), attempts.watch(HERE, "credentials"):
            raise NotInMemory
    assert succeed(attempts, HERE, "others")


def test_what_is_not_known_to_be_good_is_not_remembered_as_such(attempts: Attempts) -> None:
    with pytest.raises(NotInMemory), attempts.watch(HERE, "unknown"):
        raise NotInMemory
    guess(attempts, 20)
    assert not succeed(attempts, HERE, "unknown")


def test_the_refusal_says_what_to_do(attempts: Attempts) -> None:
    guess(attempts, 20)
    with pytest.raises(TooManyFailures, match="Check the credentials") as refusal:
        attempts.watch(HERE, "x").__enter__()
    assert refusal.value.code == "ThrottlingException"


def test_all_addresses_of_a_network_of_ipv6_are_one(attempts: Attempts) -> None:
    assert sum(guess(attempts, 5, f"2001:db8:0:1::{host:x}") for host in range(5)) == 5
    assert guess(attempts, 5, "2001:db8:0:2::1") == 5


def test_an_ipv4_address_is_the_same_in_the_dress_of_ipv6(attempts: Attempts) -> None:
    guess(attempts, 5, HERE)
    assert guess(attempts, 5, f"::ffff:{HERE}") == 0
    assert guess(attempts, 5, f"::ffff:{THERE}") == 5


def test_an_address_that_is_none_is_counted_too(attempts: Attempts) -> None:
    assert guess(attempts, 20, "") == 5


def test_nothing_is_counted_where_nobody_wants_it(clock: FakeClock) -> None:
    assert guess(Attempts(0, 10, clock), 100) == 100


def test_the_tables_stay_small(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longshore.api.attempts._MOST_KNOWN", 100)
    attempts = Attempts(5, 10, clock)
    for number in range(1_000):
        fail(attempts, f"10.0.{number // 250}.{number % 250}", "x")
        succeed(attempts, f"10.1.{number // 250}.{number % 250}", "x")
    assert len(attempts._failures) == len(attempts._good) == 100
    # Those of late are the ones that are kept.
    assert succeed(attempts, "10.1.3.249", "x")


def test_a_clock_that_is_set_back_forgets_nothing(attempts: Attempts, clock: FakeClock) -> None:
    guess(attempts, 5)
    clock.advance(-60 * MINUTE)
    assert guess(attempts, 5) == 0


@given(steps=st.lists(st.tuples(st.integers(0, 20 * SECOND), st.integers(0, 20)), max_size=20))
def test_no_more_guesses_are_ever_looked_at_than_the_rate_allows(
    steps: list[tuple[int, int]],
) -> None:
    clock = FakeClock()
    attempts, elapsed, total = Attempts(5, 10, clock), 0, 0
    for step, (pause, guesses) in enumerate(steps):
        clock.advance(pause)
        elapsed += pause
        total += sum(fail(attempts, HERE, f"{step} {number}") for number in range(guesses))
        assert total <= 5 + 10 * elapsed / MINUTE + 1e-6


def test_threads_count_together(attempts: Attempts) -> None:
    def attempt(number: int) -> None:
        with attempts.watch(HERE, str(number)):
            raise UnrecognizedClient

    outcomes = at_once([outcome(lambda number=number: attempt(number)) for number in range(8)])  # type: ignore[misc]
    assert set(outcomes) <= {"UnrecognizedClient", "TooManyFailures"}
    assert guess(attempts, 5) == 0
