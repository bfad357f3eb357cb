"""The body of a request, read from the connection's socket into its reader's memory.

uvicorn and its parser would copy it three times on its way.
"""

from __future__ import annotations

import asyncio
import socket

# Less than this isn't worth leaving the parser out for.
WORTH_READING = 256 * 1024
# Less than this isn't worth waking up for; the kernel makes room for it in the socket (tcp(7),
# SO_RCVLOWAT).
_WORTH_WAKING = 1024 * 1024


class DirectBody:
    """What is left of a request's body, as it comes out of the socket.

    Args:
        loop: the event loop.
        client: the connection's socket, which doesn't block.
        size: how many bytes are left.

    Attributes:
        left: how many are left now.
        read: how many were read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, client: socket.socket, size: int) -> None:
        self.left = size
        self.read = 0
        self._loop = loop
        # One of our own, as for files.
        self._client = client.dup()

    @property
    def is_over(self) -> bool:
        """Whether all of it has been read."""
        return self.left == 0

    async def read_into(self, buffer: memoryview, patience: float) -> int:
        """Fill `buffer` with what follows of the body; less only at its end.

        Returns:
            How many bytes it was.

        Raises:
            TimeoutError: no byte came for `patience` seconds.
            ConnectionError: the client broke off. What it had sent has been counted in `read`.
        """
        wanted = min(len(buffer), self.left)
        filled = self._read_what_came(buffer[:wanted])
        while filled < wanted:
            woken = await self._wait_for(min(_WORTH_WAKING, wanted - filled), patience)
            came = self._read_what_came(buffer[filled:wanted])
            if came == 0 and not woken:
                raise TimeoutError
            filled += came
        return filled

    def close(self) -> None:
        """Let go of the socket."""
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self._client.close()

    def _read_what_came(self, buffer: memoryview) -> int:
        try:
            came = self._client.recv_into(buffer)
        except BlockingIOError:
            return 0
        if came == 0:
            raise ConnectionResetError("the body ends early")
        self.left -= came
        self.read += came
        return came

    async def _wait_for(self, size: int, patience: float) -> bool:
        """Wait until `size` bytes have come, or `patience` seconds; tell which it was."""
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
        waiter = self._loop.create_future()
        self._loop.add_reader(self._client, wake, waiter)
        try:
            async with asyncio.timeout(patience):
                await waiter
        except TimeoutError:
            return False
        finally:
            self._loop.remove_reader(self._client)
        return True


def wake(waiter: asyncio.Future[None] | None) -> None:
    """Let go on who waits, if anybody does and wasn't woken yet."""
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
