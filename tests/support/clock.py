"""A clock that stands still until a test moves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from longshore.clock import Millis


class FakeClock:
    """Tells the time that it was set to, in milliseconds since 1970."""

    def __init__(self, now: Millis = 1_700_000_000_000) -> None:
        self.now = now

    def __call__(self) -> Millis:
        return self.now

    def advance(self, by: Millis) -> None:
        """Let time pass."""
        self.now += by
