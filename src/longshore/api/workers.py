"""Worker threads: where the rules run, away from the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
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
        """Call `function` in a thread and return what it returns."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: function(*args, **kwargs))

    def close(self) -> None:
        """Wait for what is running and stop."""
        self._pool.shutdown()
