"""Workers that do every kind of job, and die by SIGKILL in the middle of one: processes.

The runner is the one of `longshore worker`, of the same settings. Its time is a number that the
parent moves.

A moment of a job is any that another process could see it at: before each statement and each
commit, before each access to a file and each request, and when it is over.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from longshore import server
from longshore.housekeeping import create_runner
from longshore.settings import Settings
from tests.support.statements import tell_before_each

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ctypes import c_longlong
    from pathlib import Path

    from longshore.jobs.queue import Job, Terms
    from longshore.registry.context import Context
    from longshore.work.runner import Runner, Work

_SEEN_OUTSIDE = {"open", "os.rename", "os.remove", "os.link", "os.mkdir", "socket.connect"}
# The parent waits for each round to be over.
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Doom:
    """When a worker dies.

    Attributes:
        kind: in a job of this kind.
        moment: at so many moments of such jobs, counted from 1.
    """

    kind: str
    moment: int


class Fate:
    """Counts the moments of a worker, and ends it.

    No job is made to look as if it were what kills its workers, for it would be given up: a worker
    lives on while one of its jobs is at its last attempt.

    Args:
        doom: when; None for never.
        terms: those of each kind.
        deaths: the file that a worker writes its last moment into, a line.
    """

    def __init__(self, doom: Doom | None, terms: Mapping[str, Terms], deaths: Path) -> None:
        self._doom = doom
        self._terms = terms
        self._deaths = os.open(deaths, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        self._moments = 0
        self._thread = threading.local()
        self._taking = threading.Lock()
        self._last_attempts: set[Work] = set()

    def take(self, take: Callable[[], list[Work]]) -> list[Work]:
        """Have jobs taken."""
        with self._taking:
            works = take()
            self._last_attempts.update(work for work in works if self._is_last_attempt(work.job))
        return works

    def perform(self, perform: Callable[[Work], None], work: Work) -> None:
        """Have a job done in this thread."""
        self._thread.kind = work.job.kind
        perform(work)
        self.moment("over")
        self._thread.kind = None
        self._last_attempts.discard(work)

    def moment(self, what: str) -> None:
        """Count a moment, which may be the last."""
        doom = self._doom
        if doom is None or getattr(self._thread, "kind", None) != doom.kind:
            return
        self._moments += 1
        # Whoever is taking jobs may wait for what this thread has locked.
        if self._moments < doom.moment or not self._taking.acquire(blocking=False):
            return
        if not self._last_attempts:
            line = " ".join(f"{doom.kind}: {what}".split())
            os.write(self._deaths, f"{line}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)
        self._taking.release()

    def _is_last_attempt(self, job: Job) -> bool:
        return self._terms[job.kind].are_over(job.attempts)


def work(options: Mapping[str, Any], clock: c_longlong, doom: Doom | None, deaths: Path) -> None:
    """Do what is to be done, and never end by itself.

    Args:
        options: the settings.
        clock: the time.
        doom: when to die, if ever.
        deaths: see `Fate`.
    """
    settings = Settings(**options)
    context = replace(server.open_context(settings), clock=lambda: clock.value)
    runner = create_runner(settings, context)
    runner._poll = _POLL_SECONDS
    _doom(runner, context, Fate(doom, runner._terms, deaths))
    runner.start()
    threading.Event().wait()


def _doom(runner: Runner, context: Context, fate: Fate) -> None:
    """Tell a fate of all the moments. There is no other way into a runner."""
    runner._take = partial(fate.take, runner._take)  # type: ignore[method-assign]
    runner._perform = partial(fate.perform, runner._perform)  # type: ignore[method-assign]
    tell_before_each(context.database, fate.moment)
    event.listen(context.database._engine, "commit", lambda _: fate.moment("COMMIT"))

    def auditing(name: str, arguments: tuple[object, ...]) -> None:
        if name in _SEEN_OUTSIDE:
            fate.moment(f"{name} {arguments[0]!r}")

    sys.addaudithook(auditing)
