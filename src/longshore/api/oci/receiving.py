"""Receiving the bytes of an upload: off the event loop, in large pieces.

Small pieces from the network are gathered before a thread hashes and writes them, and the next
ones are read while it does: one hop per piece would cost more than the hashing.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from longshore.api.http import ClientDisconnected
from longshore.api.workers import settled
from longshore.registry import uploads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from longshore.api.oci.calls import Call
    from longshore.registry.uploads import Part, Upload

_PIECE = 2 * 1024 * 1024


async def receive(call: Call, upload: Upload, announced: int | None = None) -> int:
    """Append the body of the request to an upload.

    Args:
        call: the request.
        upload: where its bytes go.
        announced: how many there must be, where that is known.

    Returns:
        The size of the upload after that, in bytes.

    Raises:
        InvalidLayerPart: another number of bytes came than was announced; none of them counts.
        ClientDisconnected: the client broke off; what came until then counts.
    """
    if call.request.content_length == 0:
        return upload.size
    async with _opened(call, upload) as part:
        await _append_all(call, part)
        if announced is not None and part.size - upload.size != announced:
            part.abandon()
            uploads.refuse_part(
                upload, f"It has {part.size - upload.size} bytes and announced {announced}"
            )
        return part.size


@asynccontextmanager
async def _opened(call: Call, upload: Upload) -> AsyncIterator[Part]:
    """Hold the upload; it is let go when nothing writes to it any more, and not before."""
    part = uploads.Part(call.context, upload)
    opening = asyncio.ensure_future(call.workers.run(part.__enter__))
    try:
        await asyncio.shield(opening)
        yield part
    finally:
        await settled(opening)
        if not opening.cancelled() and opening.exception() is None:
            closing = asyncio.ensure_future(call.workers.run(part.__exit__))
            await settled(closing)
            closing.result()


async def _append_all(call: Call, part: Part) -> None:
    writing: asyncio.Future[None] | None = None
    gathered: list[bytes] = []
    size = 0
    try:
        async for chunk in call.request.chunks():
            gathered.append(chunk)
            size += len(chunk)
            if size >= _PIECE:
                if writing is not None:
                    await asyncio.shield(writing)
                writing = asyncio.ensure_future(call.workers.run(_append, part, gathered))
                gathered, size = [], 0
    except ClientDisconnected:
        # Kept: the client may resume from here.
        if writing is not None:
            await asyncio.shield(writing)
        await call.workers.run(_append, part, gathered)
        raise
    finally:
        if writing is not None:
            await settled(writing)
    if writing is not None:
        writing.result()
    await call.workers.run(_append, part, gathered)


def _append(part: Part, chunks: list[bytes]) -> None:
    for chunk in chunks:
        part.append(chunk)
