"""The body of a request as the parser finds it, put into its reader's memory at once.

ASGI's messages would gather its pieces, copy them and wake the reader for each: this is for bodies
whose length nobody knows beforehand, and for those that come encrypted.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from longshore.direct_body import wake

if TYPE_CHECKING:
    from uvicorn.protocols.http.flow_control import FlowControl

_NOWHERE = memoryview(bytearray())


class ParsedBody:
    """What is left of a request's body.

    The reader is woken when its memory is full, or nothing more will come. While nobody reads,
    what comes is held, and the client is soon made to wait.

    Args:
        loop: the event loop.
        flow: makes the client wait.

    Attributes:
        read: how many bytes were read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, flow: FlowControl) -> None:
        self.read = 0
        self._loop = loop
        self._flow = flow
        self._has_ended = False
        self._is_broken = False
        self._held: list[memoryview] = []
        self._room = _NOWHERE
        self._filled = 0
        self._reader: asyncio.Future[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether all of it has been read."""
        return self._has_ended and not self._held

    # What the parser and the connection call.

    def take(self, piece: bytes) -> None:
        """Add a piece."""
        end = self._filled + len(piece)
        if end < len(self._room):
            # Most of them. While there is room, nothing is held.
            self._room[self._filled : end] = piece
            self._filled = end
            return
        self._take(memoryview(piece))
        if self._held:
            self._flow.pause_reading()
        if self._filled == len(self._room):
            wake(self._reader)

    def end(self) -> None:
        """Say that all has come."""
        self._has_ended = True
        wake(self._reader)

    def break_off(self) -> None:
        """Say that the connection is lost."""
        self._is_broken = True
        wake(self._reader)

    # What its reader calls.

    async def read_into(self, buffer: memoryview, patience: float) -> int:
        """Fill `buffer` with what follows of the body; less only at its end.

        Returns:
            How many bytes it was.

        Raises:
            TimeoutError: no byte came for `patience` seconds.
            ConnectionError: the client broke off. What it had sent has been counted in `read`.
        """
        self._room = buffer
        try:
            held, self._held = self._held, []
            for piece in held:
                self._take(piece)
            while self._filled < len(buffer) and not self._has_ended:
                await self._wait(patience)
        finally:
            filled, self._filled, self._room = self._filled, 0, _NOWHERE
            self.read += filled
        return filled

    def _take(self, piece: memoryview) -> None:
        begin = self._filled
        end = self._filled = min(begin + len(piece), len(self._room))
        self._room[begin:end] = piece[: end - begin]
        if end - begin < len(piece):
            self._held.append(piece[end - begin :])

    async def _wait(self, patience: float) -> None:
        if self._is_broken:
            raise ConnectionResetError("the body ends early")
        before = self._filled
        self._reader = self._loop.create_future()
        self._flow.resume_reading()
        try:
            async with asyncio.timeout(patience):
                await self._reader
        except TimeoutError:
            if self._filled == before:
                raise
        finally:
            self._reader = None
