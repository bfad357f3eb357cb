"""Worker threads: where the rules run, away from the event loop.

What `concurrent.futures` and `asyncio.wrap_future` do for a call takes longer than many a rule: two
futures, three callbacks, and a lock with a condition for each. Here a call is one object, taken by
a thread and handed back to the event loop.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Workers:
    """A pool of threads, each begun when it is needed first.

    Args:
        count: how many there may be. They wait for disks and databases more than they compute.
    """

    def __init__(self, count: int = 32) -> None:
        self._count = count
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads: list[Thread] = []
        # How many calls the threads have room for: those that wait for one, less those that wait
        # for a thread.
        self._room = 0
        self._changing = Lock()
        self._is_closed = False

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
        call = _Call(function, args, kwargs)
        self._hand_over(call)
        try:
            return cast("Result", await call.answer)
        except asyncio.CancelledError:
            if not call.is_answered and not call.take():
                await settled(call.ended())
            raise

    def close(self) -> None:
        """Wait for what is running and for what waits to run, and stop."""
        with self._changing:
            self._is_closed = True
            threads, self._threads = self._threads, []
            for _ in threads:
                self._calls.put(None)
        for thread in threads:
            thread.join()

    def _hand_over(self, call: _Call) -> None:
        with self._changing:
            if self._is_closed:
                raise RuntimeError("the workers were sent home")
            if self._room <= 0 and len(self._threads) < self._count:
                self._begin_thread()
            self._room -= 1
            self._calls.put(call)

    def _begin_thread(self) -> None:
        name = f"longshore_{len(self._threads)}"
        # Nobody is to wait at the interpreter's end for workers that nobody has closed.
        thread = Thread(target=self._work, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The system has no more of them; those that there are will do.
            if not self._threads:
                raise
        else:
            self._threads.append(thread)
            self._room += 1

    def _work(self) -> None:
        while True:
            call = self._calls.get()
            if call is None:
                return
            is_own = call.take()
            if is_own:
                call.run()
            # Before whoever waits for the answer hands over the next one.
            with self._changing:
                self._room += 1
            if is_own:
                call.hand_back()
            # A thread that waits for the next one must keep nothing of the last one alive.
            del call


class _Call:
    """A call of a function, made on the event loop and run by a thread.

    Attributes:
        answer: what the function returns or raises.
        is_answered: whether the event loop knows that the function has ended.
    """

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Any] = self._loop.create_future()
        self.is_answered = False
        self._call = function, args, kwargs
        # The thread knows for which request it works, and so what it logs does.
        self._context = copy_context()
        self._untaken = Lock()
        self._result: object = None
        self._error: BaseException | None = None
        self._end: asyncio.Future[None] | None = None

    def take(self) -> bool:
        """Tell whether the call is one's own: a thread's, to run it, or the task's, to drop it."""
        return self._untaken.acquire(blocking=False)

    def run(self) -> None:
        """Call the function, in a thread."""
        function, args, kwargs = self._call
        try:
            self._result = self._context.run(function, *args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - it is for whoever waits for the answer
            self._error = error

    def hand_back(self) -> None:
        """Let the event loop have what the function returned or raised."""
        # A loop that was closed meanwhile has nobody who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._settle)

    def ended(self) -> asyncio.Future[None]:
        """Return what is done when the function has ended, whoever has cancelled its answer."""
        if self._end is None:
            self._end = self._loop.create_future()
        return self._end

    def _settle(self) -> None:
        self.is_answered = True
        if self._end is not None:
            self._end.set_result(None)
        # An error knows the frame of `run`, and that this call: neither may keep the other alive.
        error, self._error = self._error, None
        answer = self.answer
        del self.answer
        if answer.done():
            return
        if error is None:
            answer.set_result(self._result)
        else:
            answer.set_exception(error)


async def settled(future: asyncio.Future[Result]) -> None:
    """Wait until `future` is done, however often the waiting task is cancelled meanwhile."""
    while not future.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([future])
