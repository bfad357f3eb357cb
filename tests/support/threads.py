"""Functions that run at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from longshore.metadata.database import Database

Result = TypeVar("Result")


def at_once(functions: Sequence[Callable[[], Result]]) -> list[Result]:
    """Call each function in a thread of its own, all let go together; return what they return.

    Raises:
        Exception: what the first of them raised.
    """
    ready = Barrier(len(functions))

    def call(function: Callable[[], Result]) -> Result:
        ready.wait()
        return function()

    with ThreadPoolExecutor(len(functions)) as pool:
        return list(pool.map(call, functions))


def outcome(function: Callable[[], object]) -> Callable[[], str]:
    """Return a function that calls this one and returns the name of what it raised, or "done"."""

    def call() -> str:
        try:
            function()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at its name
            return type(error).__name__
        return "done"

    return call


def until_done_or_waiting(database: Database, work: Future[Result]) -> None:
    """Return once `work` is done or waits for a lock of PostgreSQL that somebody else holds."""
    while not work.done():
        with database.read() as tx:
            if tx.execute(text("SELECT 1 FROM pg_locks WHERE NOT granted")).first():
                return
