"""Rate limits: at most so many requests a second for each operation of a registry.

They are off unless the operator sets them (`limits.rates`), and each server process counts for
itself.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from longshore.clock import SECOND
from longshore.errors import Throttling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.clock import Clock, Millis
    from longshore.names import Registry

# A few hundred bytes each; one that is forgotten is full when it is asked for again.
_MOST_BUCKETS = 20_000


class Throttle:
    """A token bucket for each operation of each registry; it holds one second's worth.

    Args:
        rates: requests a second, by operation; an operation that isn't there has no limit.
        clock: tells how much has run back into the buckets.
    """

    def __init__(self, rates: Mapping[str, float], clock: Clock) -> None:
        self._rates = dict(rates)
        self._clock = clock
        # Those asked for last at the end.
        self._buckets: OrderedDict[tuple[str, Registry], tuple[float, Millis]] = OrderedDict()
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
            self._buckets.move_to_end((operation, registry))
            if len(self._buckets) > _MOST_BUCKETS:
                self._buckets.popitem(last=False)
