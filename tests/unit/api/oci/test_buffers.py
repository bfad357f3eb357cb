from __future__ import annotations

import asyncio

from longshore.api.oci.buffers import Buffers

SIZE = 256 * 1024


def test_a_buffer_is_lent_again_and_to_one_at_a_time() -> None:
    async def run() -> None:
        buffers = Buffers(SIZE)
        with buffers.lent(SIZE) as first, buffers.lent(SIZE) as second:
            assert first.obj is not second.obj
            memories = {id(first.obj), id(second.obj)}
        with buffers.lent(SIZE) as third, buffers.lent(SIZE // 2) as fourth:
            assert {id(third.obj), id(fourth.obj)} == memories
            assert (len(third), len(fourth)) == (SIZE, SIZE // 2)

    asyncio.run(run())


def test_only_so_many_are_kept() -> None:
    async def run() -> None:
        buffers = Buffers(SIZE, most=2)
        with buffers.lent(SIZE), buffers.lent(SIZE), buffers.lent(SIZE):
            assert buffers.kept == 0
        assert buffers.kept == 2

    asyncio.run(run())


def test_a_few_bytes_have_memory_of_their_own() -> None:
    async def run() -> None:
        buffers = Buffers(SIZE)
        with buffers.lent(3) as few:
            assert bytes(few) == bytes(3)
        assert buffers.kept == 0

    asyncio.run(run())


def test_buffers_that_nobody_uses_are_given_back() -> None:
    async def run() -> None:
        buffers = Buffers(SIZE, seconds=0)
        with buffers.lent(SIZE):
            pass
        while buffers.kept:  # noqa: ASYNC110 - it is a timer that is waited for
            await asyncio.sleep(0)
        with buffers.lent(SIZE) as buffer:
            assert len(buffer) == SIZE

    asyncio.run(run())
