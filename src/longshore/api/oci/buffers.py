"""Memory for the bodies of uploads, kept for the next one while there are many.

Python fills with zeros what it hands out, and the kernel has to find a page for every 4 KiB that
was given back before: for a layer of 1 MiB both take as long as to receive it.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from mmap import ACCESS_COPY, mmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Less isn't worth keeping.
_WORTH_KEEPING = 128 * 1024


def pages(size: int) -> memoryview:
    """Return memory that begins with a page, as the blob store likes it."""
    return memoryview(mmap(-1, size, access=ACCESS_COPY))


class Buffers:
    """Buffers of one size. They belong to the event loop.

    Args:
        size: of each, in bytes.
        most: how many are kept for others.
        seconds: after how long without use they are given back to the system.
    """

    def __init__(self, size: int, most: int = 8, seconds: float = 5.0) -> None:
        self.size = size
        self._most = most
        self._seconds = seconds
        self._idle: list[memoryview] = []
        self._used_at = 0.0
        self._looking: asyncio.TimerHandle | None = None

    @property
    def kept(self) -> int:
        """How many are kept for others now."""
        return len(self._idle)

    @contextmanager
    def lent(self, size: int) -> Iterator[memoryview]:
        """Lend `size` bytes, or as many as a buffer has, for the time of the block."""
        if size < _WORTH_KEEPING:
            yield memoryview(bytearray(size))
            return
        buffer = self._idle.pop() if self._idle else pages(self.size)
        try:
            yield buffer[:size]
        finally:
            self._take_back(buffer)

    def _take_back(self, buffer: memoryview) -> None:
        if len(self._idle) >= self._most:
            return
        loop = asyncio.get_running_loop()
        self._idle.append(buffer)
        self._used_at = loop.time()
        if self._looking is None:
            self._looking = loop.call_later(self._seconds, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        left = self._used_at + self._seconds - loop.time()
        if left > 0:
            self._looking = loop.call_later(left, self._look, loop)
        else:
            self._looking = None
            self._idle.clear()
