"""Rate limits: at most so many requests a second for each operation of a registry.

They are off unless the operator sets them (`limits.rates`), and each server process counts for
itself.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from longshore.clock import SECOND
from longshore.errors import Throttling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.clock import Clock, Millis
    from longshore.names import Registry


class Throttle:
    """A token bucket for each operation of each registry; it holds one second's worth.

    Args:
        rates: requests a second, by operation; an operation that isn't there has no limit.
        clock: tells how much has run back into the buckets.
    """

    def __init__(self, rates: Mapping[str, float], clock: Clock) -> None:
        self._rates = dict(rates)
        self._clock = clock
        self._buckets: dict[tuple[str, Registry], tuple[float, Millis]] = {}
        self._lock = threading.Lock()

    def count(self, operation: str, registry: Registry) -> None:
        """Count a request.

        Raises:
            Throttling: the bucket is empty.
        """
        rate = self._rates.get(operation)
        if rate is None:
            return
        now = self._clock()
        full = max(rate, 1.0)
        with self._lock:
            level, since = self._buckets.get((operation, registry), (full, now))
            level = min(full, level + rate * max(0, now - since) / SECOND)
            if level < 1:
                raise Throttling
            self._buckets[operation, registry] = (level - 1, now)
