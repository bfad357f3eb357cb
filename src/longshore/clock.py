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

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def system_clock() -> Millis:
    """Read the machine's clock."""
    return time.time_ns() // 1_000_000


def as_datetime(moment: Millis) -> datetime:
    """Return `moment` as an aware datetime in UTC, exactly."""
    return _EPOCH + timedelta(milliseconds=moment)
