"""SIGKILL to workers in the middle of jobs: nothing is lost, and nothing that counts done twice."""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import pytest
from sqlalchemy import select

from longshore.access.sealing import ServerKey
from longshore.blobs.filesystem import FilesystemBlobStore
from longshore.clock import DAY
from longshore.errors import LifecyclePolicyPreviewInProgress
from longshore.events import log, progress, shapes
from longshore.jobs import ledger, queue
from longshore.metadata.database import Database
from longshore.metadata.migrate import migrate
from longshore.registry import lifecycle_previews
from longshore.registry.context import Context
from longshore.registry.lifecycle_previews import Status
from longshore.work import lifecycle
from tests.chaos.job_effects import EFFECTS, KIND, LEASE
from tests.docs.pages import REPOSITORY
from tests.support.images import oci_image
from tests.support.lifecycle import policy, rule
from tests.support.pushing import REGISTRY, create_repository, push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WORKERS = 2
EFFECT_STEPS = {"taken", "written", "finished", "committed"}
DELIVERY_STEPS = {"sending", "sent"}
IN_TRANSACTION = {"written", "finished"}


@dataclass(frozen=True)
class Plan:
    """How many jobs there are, and how likely a worker dies at each step of one."""

    jobs: int
    danger: float
    seed: int


class Worker:
    """A process that does jobs, as far as it is let."""

    def __init__(self, what: str, url: str, directory: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.job_worker", what, url, str(directory)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def step(self) -> str:
        """Wait until it asks whether to go on, and tell where it is."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def go_on(self) -> None:
        """Let it take one more step."""
        stdin: IO[str] | None = self._process.stdin
        assert stdin is not None
        stdin.write("\n")
        stdin.flush()

    def kill(self) -> None:
        """Kill it where it stands."""
        self._process.kill()
        with suppress(BrokenPipeError):
            self._process.communicate()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database of the test's own, with a table of effects in it."""
    database = Database(database_url)
    migrate(database)
    with database.write() as tx:
        EFFECTS.create(tx)
    yield database
    database.close()


class Ordeal:
    """Workers that are killed again and again, and a clock that tells when they have been.

    They take turns, each as far as where it holds no lock: SQLite has one writer. So a worker is
    killed while others have jobs, and some find out too late that their lease is over.
    """

    def __init__(self, what: str, url: str, home: Path, plan: Plan) -> None:
        self._what, self._url, self._home, self._plan = what, url, home, plan
        self._random = random.Random(plan.seed)
        self._now = 1_000_000
        self._pass(0)
        # At which steps workers were killed, each as often as it happened.
        self.killed: list[str] = []

    def run(self, is_over: Callable[[], bool]) -> None:
        """Have workers work, and kill them, until it is over."""
        workers = [self._hire() for _ in range(WORKERS)]
        try:
            while not is_over():
                turn = self._random.randrange(WORKERS)
                if not self._drive(workers[turn]):
                    workers[turn].kill()
                    workers[turn] = self._hire()
                    self._pass(LEASE)
        finally:
            for worker in workers:
                worker.kill()

    def _hire(self) -> Worker:
        return Worker(self._what, self._url, self._home)

    def _drive(self, worker: Worker) -> bool:
        """Let a worker come to where it holds no lock; tell whether it survived that."""
        while True:
            worker.go_on()
            step = worker.step()
            assert step, "a worker died by itself"
            if step != "idle" and self._is_fatal(step):
                self.killed.append(step)
                return False
            if step not in IN_TRANSACTION:
                return True

    def _is_fatal(self, step: str) -> bool:
        # Each place once for certain, and then by chance.
        return step not in self.killed or self._random.random() < self._plan.danger

    def _pass(self, time: int) -> None:
        self._now += time
        set_time(self._home, self._now)


def set_time(home: Path, now: int) -> None:
    """Let it be this time for the workers."""
    new = home / "new"
    new.write_text(str(now))
    new.replace(home / "now")


PLAN = Plan(jobs=30, danger=0.1, seed=2)


def test_workers_that_are_killed_lose_nothing_and_do_nothing_twice(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    def is_over() -> bool:
        with database.read() as tx:
            return not ledger.list_some(tx)

    with database.write() as tx:
        for n in range(PLAN.jobs):
            queue.enqueue(tx, KIND, {"n": n}, now=0)
    ordeal = Ordeal("effects", database_url, tmp_path, PLAN)
    ordeal.run(is_over)
    assert set(ordeal.killed) == EFFECT_STEPS
    with database.read() as tx:
        effects = tx.execute(select(EFFECTS.c.n)).scalars().all()
    assert sorted(effects) == list(range(PLAN.jobs))


def test_workers_that_are_killed_deliver_every_event_and_in_order(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    def is_over() -> bool:
        with database.read() as tx:
            has_all = not progress.behind(tx, ["file"]) and not log.has_new(tx)
            return has_all and not ledger.list_some(tx)

    names = [f"event/{n}" for n in range(PLAN.jobs)]
    events = [shapes.image_pushed(REGISTRY, 0, name, "sha256:0", None) for name in names]
    with database.write() as tx:
        progress.begin(tx, "file")
        log.emit(tx, events)
    ordeal = Ordeal("events", database_url, tmp_path, PLAN)
    ordeal.run(is_over)
    assert set(ordeal.killed) == DELIVERY_STEPS
    delivered = (tmp_path / "delivered").read_text().split()
    # One that was sent and not written down is sent once more, and so is one that is sent by a
    # worker which finds out too late that its lease was over.
    assert list(dict.fromkeys(delivered)) == names
    assert len(delivered) - len(names) <= len(ordeal.killed)


def test_a_preview_whose_workers_were_all_killed_has_failed_and_another_one_is_made(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    now = DAY
    context = Context(
        database, FilesystemBlobStore(tmp_path), ServerKey(bytes(32)), clock=lambda: now
    )
    name = create_repository(context).name
    for number in range(3):
        push(context, oci_image(str(number)), str(number))
    text = policy(rule(more_than=1))

    def status() -> Status:
        preview, _ = lifecycle_previews.get(context, REGISTRY, name, limit=1)
        return preview.status

    def worker_at(step: str) -> Worker:
        set_time(tmp_path, now)
        worker = Worker("previews", database_url, tmp_path)
        worker.go_on()
        assert worker.step() == step
        return worker

    terms = lifecycle.TERMS_OF_PREVIEW
    lifecycle_previews.start(context, REGISTRY, name, text)
    for _ in range(terms.attempts or 0):
        worker_at("taken").kill()
        assert status() is Status.IN_PROGRESS
        with pytest.raises(LifecyclePolicyPreviewInProgress):
            lifecycle_previews.start(context, REGISTRY, name, text)
        now += terms.lease
    # Whoever looks for work next finds that the lease of the last one is over.
    worker_at("idle").kill()
    assert status() is Status.FAILED
    with database.read() as tx:
        [job] = ledger.list_some(tx)
    assert (job.state, job.attempts) == (queue.State.DEAD, terms.attempts)

    lifecycle_previews.start(context, REGISTRY, name, text)
    worker = worker_at("taken")
    worker.go_on()
    assert worker.step() == "made"
    worker.kill()
    assert status() is Status.COMPLETE
