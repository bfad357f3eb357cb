"""Slowing down those who guess: who fails to authenticate again and again has to wait.

Failures are counted for each address, and nobody elsewhere has to wait for them. At one address,
what counts is how many different credentials fail, and how often the same ones do; credentials
that were good there before aren't held up by others that fail. Each server process counts for
itself.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from longshore.clock import MINUTE
from longshore.errors import (
    InvalidIdentityToken,
    InvalidSignature,
    TooManyFailures,
    UnrecognizedClient,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from longshore.clock import Clock, Millis

# An address, or the credentials that come from it.
_Who: TypeAlias = "str | tuple[str, str]"

# Some hundred bytes each. Whoever has more addresses than that isn't slowed down by any table.
_MOST_KNOWN = 20_000
# What one customer of a provider has (RFC 6177): who has one address of it has them all.
_IPV6_NETWORK = 64

_FAILURES = (UnrecognizedClient, InvalidSignature, InvalidIdentityToken)


class Attempts:
    """The failures to authenticate of late.

    Args:
        burst: how many may come at once; 0 to count none.
        per_minute: how many more are forgotten each minute.
        clock: tells how much time has passed.
        on_failure: is called at each failure, whether or not it counts here.
    """

    def __init__(
        self,
        burst: int,
        per_minute: float,
        clock: Clock,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_failure = on_failure
        self._burst = burst
        self._per_minute = per_minute
        self._clock = clock
        # How many failures aren't forgotten yet, and since when.
        self._failures: OrderedDict[_Who, tuple[float, Millis]] = OrderedDict()
        self._good: OrderedDict[_Who, None] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def watch(self, address: str, credentials: str) -> Iterator[None]:
        """Count the failure of what the block does: to find out who sends a request.

        Args:
            address: where the request comes from, "" for this machine.
            credentials: what the request claims to be signed with, such as the id of an access
                key or a digest of a password.

        Raises:
            TooManyFailures: so much has failed that not even good credentials are looked at.
        """
        source = _network(address)
        pair = (source, credentials)
        if self._failures:
            self._check(source, pair)
        try:
            yield
        except _FAILURES:
            self._on_failure()
            if self._burst:
                self._fail(source, pair)
            raise
        if self._burst and pair not in self._good:
            self._remember(pair)

    def _check(self, source: str, pair: tuple[str, str]) -> None:
        with self._lock:
            is_held_up = self._left(source) < 1 and pair not in self._good
            if is_held_up or self._left(pair) < 1:
                raise TooManyFailures

    def _fail(self, source: str, pair: tuple[str, str]) -> None:
        with self._lock:
            # What has failed before is no new guess.
            if self._level(pair) == 0:
                self._count(source)
            self._count(pair)

    def _remember(self, pair: tuple[str, str]) -> None:
        with self._lock:
            self._good[pair] = None
            if len(self._good) > _MOST_KNOWN:
                self._good.popitem(last=False)

    def _left(self, who: _Who) -> float:
        return self._burst - self._level(who)

    def _level(self, who: _Who) -> float:
        level, since = self._failures.get(who, (0.0, 0))
        return max(0.0, level - self._per_minute * max(0, self._clock() - since) / MINUTE)

    def _count(self, who: _Who) -> None:
        self._failures[who] = (self._level(who) + 1, self._clock())
        self._failures.move_to_end(who)
        if len(self._failures) > _MOST_KNOWN:
            self._failures.popitem(last=False)


@lru_cache(maxsize=4_096)
def _network(address: str) -> str:
    """Return what stands for whoever has an address: for IPv6, all of their addresses."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), _IPV6_NETWORK), strict=False))
    return address
