from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from longshore.parsed_body import ParsedBody


class Client:
    """A client that is made to wait, or to go on."""

    def __init__(self) -> None:
        self.waits = False

    def pause_reading(self) -> None:
        self.waits = True

    def resume_reading(self) -> None:
        self.waits = False


@given(
    # Sizes of pieces, and in between, how much is read: 0 for nothing.
    steps=st.lists(
        st.tuples(st.integers(1, 60), st.lists(st.integers(0, 50), max_size=2)), max_size=12
    ),
    last_size=st.integers(1, 100),
)
def test_whatever_comes_whenever_is_read_once_and_in_order(
    steps: list[tuple[int, list[int]]], last_size: int
) -> None:
    async def run() -> None:
        client: Any = Client()
        body = ParsedBody(asyncio.get_running_loop(), client)
        numbers = count()
        sent, read = b"", b""
        for size, reads in steps:
            piece = bytes(next(numbers) % 256 for _ in range(size))
            sent += piece
            body.take(piece)
            for wanted in reads:
                # What is there can be read at once; more would have to be waited for.
                buffer = memoryview(bytearray(min(wanted, len(sent) - len(read))))
                assert await body.read_into(buffer, 60) == len(buffer)
                read += buffer
            assert client.waits or len(read) == len(sent)
        waiting = memoryview(bytearray(len(sent) - len(read) + 10))
        reading = asyncio.ensure_future(body.read_into(waiting, 60))
        await asyncio.sleep(0)
        assert not client.waits
        last = bytes(next(numbers) % 256 for _ in range(last_size))
        body.take(last[: last_size // 2])
        body.take(last[last_size // 2 :])
        body.end()
        read += waiting[: await reading]
        while not body.is_over:
            buffer = memoryview(bytearray(7))
            read += buffer[: await body.read_into(buffer, 60)]
        assert read == sent + last
        assert body.read == len(read)

    asyncio.run(run())
