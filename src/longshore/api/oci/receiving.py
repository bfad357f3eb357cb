"""Receiving the bytes of an upload: off the event loop, in large pieces, with few hops.

What comes is gathered in a large piece before a thread hashes and writes it, and the next one is
read while it does: one hop for each small one would cost more than the hashing. The thread that
writes the last piece also does what follows on it.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from mmap import ACCESS_COPY, mmap
from typing import TYPE_CHECKING, TypeVar

from longshore.api.http import ClientDisconnected
from longshore.api.workers import settled
from longshore.registry import uploads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from longshore.api.oci.calls import Call
    from longshore.registry.uploads import Part, Upload

Result = TypeVar("Result")

_PIECE = 2 * 1024 * 1024


async def receive(
    call: Call,
    find: Callable[[], Upload],
    announced: Callable[[Upload], int | None],
    finish: Callable[[Upload], Result],
) -> Result:
    """Append the body of the request to an upload.

    Args:
        call: the request.
        find: finds the upload, in a thread.
        announced: tells how many bytes there must be, or None where any number may come.
        finish: what follows on the last byte, in a thread: it gets the upload as it is then.

    Returns:
        What `finish` returns.

    Raises:
        InvalidLayerPart: another number of bytes came than was announced; none of them counts.
        ClientDisconnected: the client broke off; what came until then counts.
    """

    def open_part() -> tuple[Part, int | None]:
        upload = find()
        expected = announced(upload)
        return uploads.Part(call.context, upload).__enter__(), expected

    def close_part(part: Part, rest: memoryview, expected: int | None) -> Result:
        part.append(rest)
        if expected is not None and part.received != expected:
            part.abandon()
            uploads.refuse_part(
                part.upload, f"It has {part.received} bytes and announced {expected}"
            )
        return finish(part.close())

    if call.request.content_length == 0:
        return await call.workers.run(_finish_at_once, find, announced, finish)
    async with _opened(call, open_part) as (part, expected):
        rest = await _append_all(call, part)
        return await call.workers.run(close_part, part, rest, expected)


def _finish_at_once(
    find: Callable[[], Upload],
    announced: Callable[[Upload], int | None],
    finish: Callable[[Upload], Result],
) -> Result:
    upload = find()
    announced(upload)
    return finish(upload)


@asynccontextmanager
async def _opened(
    call: Call, open_part: Callable[[], tuple[Part, int | None]]
) -> AsyncIterator[tuple[Part, int | None]]:
    """Hold the upload; it is let go when nothing writes to it any more, and not before."""
    opening = asyncio.ensure_future(call.workers.run(open_part))
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


def _memory(size: int) -> memoryview:
    """Return memory for a piece; that of a whole one begins with a page, as the store likes it."""
    if size < _PIECE:
        return memoryview(bytearray(size))
    return memoryview(mmap(-1, size, access=ACCESS_COPY))


async def _append_all(call: Call, part: Part) -> memoryview:
    """Append the body but for its last piece, which is returned."""
    size = min(call.request.content_length or _PIECE, _PIECE)
    buffer, other = _memory(size), memoryview(b"")
    writing: asyncio.Future[None] | None = None
    try:
        while True:
            count = await call.request.read_into(buffer)
            if writing is not None:
                await asyncio.shield(writing)
            if call.request.is_read:
                return buffer[:count]
            writing = asyncio.ensure_future(call.workers.run(part.append, buffer))
            # While one is written, the other one is filled.
            buffer, other = other or _memory(size), buffer
    except ClientDisconnected as error:
        # Kept: the client may resume from here.
        if writing is not None:
            await asyncio.shield(writing)
        await call.workers.run(part.append, buffer[: error.received])
        raise
    finally:
        if writing is not None:
            await settled(writing)
