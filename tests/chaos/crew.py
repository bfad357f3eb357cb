"""Workers, each with its doom, and who takes the place of one that has died."""

from __future__ import annotations

import multiprocessing
import random
import socket
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from sqlalchemy import update

from longshore.jobs.queue import State
from longshore.metadata import schema
from tests.chaos import doomed
from tests.chaos.doomed import Doom

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from ctypes import c_longlong
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

    from longshore.metadata.database import Database

# Forks of a process that has imported everything: a worker comes to be in no time.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([doomed.__name__])

_WORKERS = 3
_LATEST_MOMENT = 20


class Crew:
    """Some workers.

    Args:
        options: their settings.
        clock: their time.
        home: where it is written how they died.
        kinds: the kinds of jobs; at each a few workers die.
        deaths: how many workers die at each.
        seed: of what is left to chance.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        clock: c_longlong,
        home: Path,
        *,
        kinds: Collection[str],
        deaths: int,
        seed: int,
    ) -> None:
        self._options, self._clock = options, clock
        self._file = home / "deaths"
        rng = random.Random(seed)
        dooms = [
            # Early moments are as likely as late ones, of which some jobs have many and some few.
            Doom(kind, round(_LATEST_MOMENT ** rng.random()))
            for kind in sorted(kinds)
            for _ in range(deaths)
        ]
        rng.shuffle(dooms)
        self._dooms = deque(dooms)
        self._workers: list[ForkServerProcess] = []
        self._living_dooms = 0

    @property
    def is_doomed(self) -> bool:
        """Whether somebody has yet to die."""
        return bool(self._dooms) or self._living_dooms > 0

    def hire(self) -> None:
        """Let there be as many workers as there should be."""
        while len(self._workers) < _WORKERS:
            doom = self._dooms.popleft() if self._dooms else None
            self._living_dooms += doom is not None
            arguments = (self._options, self._clock, doom, self._file)
            worker = PROCESSES.Process(target=doomed.work, args=arguments)
            worker.start()
            self._workers.append(worker)

    def replace_dead(self, database: Database) -> None:
        """Hire somebody for each who has died, and let others have the jobs of the dead."""
        for worker in [worker for worker in self._workers if not worker.is_alive()]:
            assert worker.exitcode == -9, f"a worker ended by itself: {worker.exitcode}"
            _end_leases(database, f"{socket.gethostname()}:{worker.pid}")
            self._living_dooms -= 1
            self._workers.remove(worker)
            worker.close()
        self.hire()

    def deaths(self) -> Counter[str]:
        """Return how many workers have died, by the kind of job that they were at."""
        return Counter(line.partition(":")[0] for line in self.told().splitlines())

    def told(self) -> str:
        """Return where workers have died, a line each: the kind of job, and the moment."""
        return self._file.read_text(encoding="utf-8")

    def put_away(self) -> None:
        """Leave nobody behind, however it went."""
        for worker in self._workers:
            worker.kill()
            worker.join()
            worker.close()
        self._workers.clear()


def _end_leases(database: Database, worker: str) -> None:
    """End the leases of a worker, as if their time had passed, and nobody else's."""
    jobs = schema.jobs
    with database.write() as tx:
        tx.execute(
            update(jobs)
            .where(jobs.c.worker == worker, jobs.c.state == State.RUNNING)
            .values(due_at=0)
        )
