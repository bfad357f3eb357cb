"""Pieces of files on their way to a client.

A small one that the kernel has in memory is sent at once. All others are sent without passing
through Python, in a thread, as the disk may be slow, but over a socket that doesn't block: no
thread ever waits for a client. A full socket ends the thread's turn, and the event loop waits for
room.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from longshore import files
from longshore.api.workers import settled
from longshore.direct_body import wake

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn.protocols.http.flow_control import FlowControl

    from longshore.files import FilePiece

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

# A longer piece isn't sent by the event loop, whatever the kernel has in memory.
_AT_ONCE = 1024 * 1024
# What a thread sends before others have their turn.
_TURN = 8 * 1024 * 1024
# What is copied in one go where that has to be.
_COPIED = 256 * 1024


class FileSender:
    """Sends pieces of files over one connection.

    Args:
        loop: the event loop.
        transport: the connection.
        flow: tells when there is room in it.
        is_encrypted: whether what is sent has to pass through Python.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        flow: FlowControl,
        *,
        is_encrypted: bool,
    ) -> None:
        self._loop = loop
        self._transport = transport
        self._flow = flow
        self._is_encrypted = is_encrypted
        self._writable: asyncio.Future[None] | None = None

    def send_at_once(self, head: bytes, piece: FilePiece) -> int:
        """Send a head and a piece as far as that needs no waiting; return how many bytes went."""
        if piece.length > _AT_ONCE or self._is_encrypted:
            return 0
        if self._transport.get_write_buffer_size() > 0:
            # What is to come before isn't in the socket yet.
            return 0
        file = piece.file.fileno()
        if not files.is_in_memory(file, piece.offset, piece.length):
            return 0
        client = self._transport.get_extra_info("socket").fileno()
        try:
            sent = os.write(client, head)
            if sent == len(head):
                sent += files.send_what_fits(client, file, piece.offset, piece.length)
        except BlockingIOError:
            return 0
        except OSError:
            self._transport.abort()
            return 0
        return sent

    async def send(self, file: int, offset: int, count: int) -> None:
        """Send `count` bytes of `file`, behind all that was written before.

        Raises:
            ConnectionError: the client is gone.
            EOFError: the file has fewer bytes.
        """
        self._check_open()
        if self._is_encrypted:
            await self._copy(file, offset, count)
            return
        await self._flush()
        # A descriptor of our own: the transport may close its one at any time, and its number
        # would be another connection's while a thread is writing to it.
        client = os.dup(self._transport.get_extra_info("socket").fileno())
        try:
            end = offset + count
            while True:
                turn = min(_TURN, end - offset)
                sent = await self._in_thread(files.send_what_fits, client, file, offset, turn)
                offset += sent
                if offset == end:
                    return
                self._check_open()
                if sent < turn:
                    await self._wait_for_room(client)
        finally:
            os.close(client)

    def break_off(self) -> None:
        """Say that the connection is lost."""
        wake(self._writable)

    async def _flush(self) -> None:
        """Wait until the socket has all that was written, the head of the response first of all."""
        self._transport.set_write_buffer_limits(high=0)
        await self._flow.drain()
        self._check_open()
        self._transport.set_write_buffer_limits()

    async def _copy(self, file: int, offset: int, count: int) -> None:
        end = offset + count
        while offset < end:
            piece = await self._in_thread(os.pread, file, min(_COPIED, end - offset), offset)
            if not piece:
                raise EOFError(f"a file ends {end - offset} bytes early")
            self._check_open()
            self._transport.write(piece)
            await self._flow.drain()
            offset += len(piece)

    async def _wait_for_room(self, client: int) -> None:
        self._writable = self._loop.create_future()
        self._loop.add_writer(client, wake, self._writable)
        try:
            await self._writable
        finally:
            self._loop.remove_writer(client)
            self._writable = None

    def _check_open(self) -> None:
        if self._transport.is_closing():
            raise ConnectionResetError

    async def _in_thread(
        self, function: Callable[[*Arguments], Result], *args: *Arguments
    ) -> Result:
        working = self._loop.run_in_executor(None, function, *args)
        try:
            return await asyncio.shield(working)
        finally:
            # Even when cancelled: the descriptors are in use until then.
            await settled(working)
