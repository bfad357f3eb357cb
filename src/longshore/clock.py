"""The one clock.

Whatever needs the time is handed a `Clock`, so that tests state days instead of waiting for them.
Times are whole milliseconds since 1970 (UTC), the precision that ECR answers with.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

Millis: TypeAlias = int
Clock: TypeAlias = Callable[[], Millis]

SECOND: Millis = 1_000
MINUTE: Millis = 60 * SECOND
HOUR: Millis = 60 * MINUTE
DAY: Millis = 24 * HOUR

# Before all others.
_NO_MOMENT: Millis = -(2**63)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def system_clock() -> Millis:
    """Read the machine's clock."""
    return time.time_ns() // 1_000_000


class Horizon:
    """A clock that notes how long what is found with its help holds.

    Whoever is told the time may conclude anything from it, and what they find holds for nothing but
    this moment. Whoever asks by `has_come` is told no more than that a moment is still to come, and
    what they find holds until then; by `this_second` no more than the second, which ends.

    Args:
        clock: tells the time.

    Attributes:
        until: before which moment all that was found since `begin` would be found again; None where
            nothing depends on the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.until: Millis | None = None

    def begin(self) -> None:
        """Forget what was asked until now."""
        self.until = None

    def __call__(self) -> Millis:
        """Tell the time."""
        self.until = _NO_MOMENT
        return self._clock()

    def has_come(self, moment: Millis) -> bool:
        """Tell whether a moment has come."""
        if self._clock() >= moment:
            self.until = _NO_MOMENT
            return True
        self._holds_until(moment)
        return False

    def this_second(self) -> Millis:
        """Tell when this second began."""
        second = _second_of(self._clock())
        self._holds_until(second + SECOND)
        return second

    def _holds_until(self, moment: Millis) -> None:
        self.until = moment if self.until is None else min(self.until, moment)


def has_come(clock: Clock, moment: Millis) -> bool:
    """Tell whether a moment has come; a `Horizon` takes note that nothing else was asked."""
    return clock.has_come(moment) if isinstance(clock, Horizon) else clock() >= moment


def this_second(clock: Clock) -> Millis:
    """Tell when this second began; a `Horizon` takes note that nothing else was asked."""
    return clock.this_second() if isinstance(clock, Horizon) else _second_of(clock())


def as_datetime(moment: Millis) -> datetime:
    """Return `moment` as an aware datetime in UTC, exactly."""
    return _EPOCH + timedelta(milliseconds=moment)


def _second_of(moment: Millis) -> Millis:
    return moment // SECOND * SECOND
