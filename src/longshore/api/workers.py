"""Worker threads: where the rules run, away from the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Workers:
    """A pool of threads.

    Args:
        count: how many there may be. They wait for disks and databases more than they compute.
    """

    def __init__(self, count: int = 32) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="longshore")

    async def run(
        self,
        function: Callable[Parameters, Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Call `function` in a thread and return what it returns.

        Once begun, it is waited for, even by a task that is cancelled: what it works on must not
        be closed under it.
        """
        # The thread knows for which request it works, and so what it logs does.
        context = copy_context()
        called = self._pool.submit(lambda: context.run(function, *args, **kwargs))
        answer = asyncio.wrap_future(called)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            if not called.cancel():
                await settled(answer)
            raise

    def close(self) -> None:
        """Wait for what is running and stop."""
        self._pool.shutdown()


async def settled(future: asyncio.Future[Result]) -> None:
    """Wait until `future` is done, however often the waiting task is cancelled meanwhile."""
    while not future.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([future])
