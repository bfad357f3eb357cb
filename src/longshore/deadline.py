"""Deadlines: what is done when something hasn't happened in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Deadline:
    """A time after which something is done, unless it is put off or cleared, which costs nothing.

    There is one timer of the event loop at most, and it looks for itself whether it came too early.

    Args:
        loop: the event loop.
        seconds: how long after `set` it is.
        act: what is done.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, act: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._seconds = seconds
        self._act = act
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        """Whether it counts."""
        return self._due is not None

    def set(self) -> None:
        """Let it count from now on."""
        self._due = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._look)

    def clear(self) -> None:
        """Let it count no more."""
        self._due = None

    def end(self) -> None:
        """Clear it for good."""
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._due is None:
            return
        left = self._due - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._due = None
            self._act()
