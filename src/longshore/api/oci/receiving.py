"""Receiving the bytes of an upload: off the event loop, in large pieces, with few hops.

What comes is gathered in a large piece before a thread hashes and writes it, and the next one is
read while it does: one hop for each small one would cost more than the hashing. The thread that
writes the last piece also does what follows on it.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from longshore.api.http import ClientDisconnected
from longshore.api.oci.buffers import pages
from longshore.api.workers import settled
from longshore.registry import uploads
from longshore.registry.upload_parts import Part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from longshore.api.oci.calls import Call
    from longshore.clock import Millis
    from longshore.registry.uploads import Upload

Result = TypeVar("Result")

PIECE = 2 * 1024 * 1024
"""How much of a body is gathered, in bytes."""


async def receive(
    call: Call,
    find: Callable[[Millis], Upload],
    announced: Callable[[Upload], int | None],
    finish: Callable[[Part], Result],
) -> Result:
    """Append the body of the request to an upload.

    A small body is received before the upload is held, so that one thread does all the rest in one
    go. A client that asks before it sends is told first whether it may.

    Args:
        call: the request.
        find: finds the upload, in a thread, unless somebody has added to it since a moment.
        announced: tells how many bytes there must be, or None where any number may come.
        finish: what follows on the last byte, in a thread: it gets the part that the body is.

    Returns:
        What `finish` returns.

    Raises:
        InvalidLayerPart: another number of bytes came than was announced; none of them counts.
        ClientDisconnected: the client broke off; what came until then counts.
    """
    reception = _Reception(call, find, announced, finish)
    request, run = call.request, call.workers.run
    if request.content_length == 0:
        return await run(reception.finish_without_body)
    if request.asks_first or (request.content_length or 0) > PIECE:
        return await _receive_into(call, reception, None)
    with call.buffers.lent(request.content_length or PIECE) as buffer:
        begin = await _first_piece(call, buffer, reception.keep)
        if request.is_read:
            return await run(reception.append_whole, begin)
        return await _receive_into(call, reception, begin)


async def _receive_into(
    call: Call, reception: _Reception[Result], begin: memoryview | None
) -> Result:
    """Hold the upload while the body comes; `begin` has come already."""
    async with _held(call, reception.hold) as (part, expected):
        rest = await _append_all(call, part, begin)
        return await call.workers.run(reception.append_last, part, rest, expected)


class _Reception(Generic[Result]):
    """What threads do for one body; see `receive` for its members."""

    def __init__(
        self,
        call: Call,
        find: Callable[[Millis], Upload],
        announced: Callable[[Upload], int | None],
        finish: Callable[[Part], Result],
    ) -> None:
        self._context = call.context
        self._began_at = call.context.clock()
        self._find = find
        self._announced = announced
        self._finish = finish

    def hold(self) -> tuple[Part, int | None]:
        """Hold the upload; return the part that the body is, and how many bytes there must be."""
        part, expected = self._find_part()
        return part.__enter__(), expected

    def append_last(self, part: Part, rest: memoryview, expected: int | None) -> Result:
        """Append the rest of the body, and do what follows on it."""
        part.append(rest)
        if expected is not None and part.received != expected:
            part.abandon()
            uploads.refuse_part(
                part.upload, f"It has {part.received} bytes and announced {expected}"
            )
        return self._finish(part)

    def append_whole(self, body: memoryview) -> Result:
        """Hold the upload, append all of the body, and do what follows on it."""
        part, expected = self._find_part()
        with part:
            return self.append_last(part, body, expected)

    def keep(self, begin: memoryview) -> None:
        """Append what has come of a body that broke off."""
        part, _ = self._find_part()
        with part:
            part.append(begin)

    def finish_without_body(self) -> Result:
        """Do what follows where no byte is to come."""
        part, _ = self._find_part()
        return self._finish(part)

    def _find_part(self) -> tuple[Part, int | None]:
        upload = self._find(self._began_at)
        return Part(self._context, upload), self._announced(upload)


async def _first_piece(
    call: Call, buffer: memoryview, keep: Callable[[memoryview], None]
) -> memoryview:
    """Receive the body, or as much of it as the buffer takes; `keep` what came if it breaks off."""
    try:
        count = await call.request.read_into(buffer)
    except ClientDisconnected as error:
        # Kept: the client may resume from here.
        if error.received:
            await call.workers.run(keep, buffer[: error.received])
        raise
    return buffer[:count]


@asynccontextmanager
async def _held(
    call: Call, hold: Callable[[], tuple[Part, int | None]]
) -> AsyncIterator[tuple[Part, int | None]]:
    """Hold the upload; it is let go when nothing writes to it any more, and not before."""
    opening = asyncio.ensure_future(call.workers.run(hold))
    try:
        yield await asyncio.shield(opening)
    finally:
        await settled(opening)
        if not opening.cancelled() and opening.exception() is None:
            part, _ = opening.result()
            if not part.is_closed:
                closing = asyncio.ensure_future(call.workers.run(part.close))
                await settled(closing)
                closing.result()


async def _append_all(call: Call, part: Part, begin: memoryview | None) -> memoryview:
    """Append the body but for its last piece, which is returned; `begin` has come already."""
    size = min(call.request.content_length or PIECE, PIECE)
    buffer, other = pages(size), memoryview(b"")
    writing: asyncio.Future[None] | None = None
    if begin is not None:
        writing = asyncio.ensure_future(call.workers.run(part.append, begin))
    try:
        while True:
            count = await call.request.read_into(buffer)
            if writing is not None:
                await asyncio.shield(writing)
            if call.request.is_read:
                return buffer[:count]
            writing = asyncio.ensure_future(call.workers.run(part.append, buffer))
            # While one is written, the other one is filled.
            buffer, other = other or pages(size), buffer
    except ClientDisconnected as error:
        # Kept: the client may resume from here.
        if writing is not None:
            await asyncio.shield(writing)
        await call.workers.run(part.append, buffer[: error.received])
        raise
    finally:
        if writing is not None:
            await settled(writing)
