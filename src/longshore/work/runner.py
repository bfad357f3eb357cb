"""The runner: takes jobs off the queue and has them done, a few of each kind at a time.

One thread looks: at what comes round, at what is due, at the leases of what is running. The jobs
run in threads of their own, at most so many of a kind as its handler says. Any number of processes
on any number of machines may have a runner, over one database.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from longshore.clock import SECOND
from longshore.jobs import queue
from longshore.jobs.queue import Job, LeaseLost, Terms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from longshore.clock import Millis
    from longshore.registry.context import Context

_log = logging.getLogger(__name__)


class Interrupted(Exception):
    """A job has to leave off: its process stops, or somebody else has the job by now."""


class Source(Protocol):
    """Finds that there is work which nobody has enqueued yet."""

    def look(self) -> None:
        """Enqueue it. Called again and again: where there is none, it writes nothing."""


@dataclass(frozen=True, slots=True)
class Handler:
    """How a kind of job is done.

    Attributes:
        run: does one. It may be called again for the same job, after a failure or a kill: what it
            writes in the transaction in which it calls `Work.finish` happens once, and all else
            has to bear being done again.
        concurrency: how many of the kind a process runs at once. Jobs of one key never run at
            once, in whatever process.
        terms: the lease, and what happens after failures.
    """

    run: Callable[[Work], None]
    concurrency: int = 1
    terms: Terms = field(default_factory=Terms)


class Work:
    """A job in the hands of its handler.

    Attributes:
        job: what is to be done.
        renewed_at: when its lease began or was renewed.
    """

    def __init__(self, job: Job, stopping: threading.Event, now: Millis) -> None:
        self.job = job
        self.renewed_at = now
        self._stopping = stopping
        self._lost = threading.Event()
        self._finished = False

    def check(self) -> None:
        """Leave off where that is wanted; long work calls this every now and then.

        Raises:
            Interrupted: the process stops, or the job is somebody else's by now.
        """
        if self._stopping.is_set() or self._lost.is_set():
            raise Interrupted

    def hold(self, tx: Connection) -> None:
        """Make sure, in a transaction that writes some effects, that the job is still ours.

        Raises:
            LeaseLost: it is somebody else's by now; the transaction must be undone.
        """
        queue.hold(tx, self.job)

    def finish(self, tx: Connection) -> None:
        """Say, in the transaction that writes the last of its effects, that the job is done.

        A handler that never does so is done when it returns.

        Raises:
            LeaseLost: it is somebody else's by now; the transaction must be undone.
        """
        queue.finish(tx, self.job)
        self._finished = True

    def lose(self) -> None:
        """Say that the job is somebody else's by now."""
        self._lost.set()

    @property
    def is_finished(self) -> bool:
        """Whether `finish` was called."""
        return self._finished


class Runner:
    """Has jobs done.

    Args:
        context: the store.
        handlers: how each kind is done; others are left to other processes.
        sources: what else makes work.
        poll: how long the runner waits where there is nothing to do, in seconds.
        worker: who this is, for people.
        jitter: returns at least 0 and less than 1.

    Attributes:
        worker: who this is, for people.
        kinds: what it can do.
    """

    def __init__(
        self,
        context: Context,
        handlers: Mapping[str, Handler],
        sources: Sequence[Source] = (),
        *,
        poll: float = 1.0,
        worker: str | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._context = context
        self._handlers = handlers
        self.kinds = frozenset(handlers)
        self._terms = {kind: handler.terms for kind, handler in handlers.items()}
        self._sources = sources
        self._poll = poll
        self.worker = worker or f"{socket.gethostname()}:{os.getpid()}"
        self._jitter = jitter
        self._running: set[Work] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="jobs", daemon=True)
        self._pool = ThreadPoolExecutor(
            max(1, sum(handler.concurrency for handler in handlers.values())),
            thread_name_prefix="job",
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Take no further job, let those that are running leave off, and wait for them."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown()

    def run_due(self) -> int:
        """Do everything that is due now, in this thread; return how many jobs were begun."""
        begun = 0
        while True:
            for source in self._sources:
                source.look()
            works = self._take()
            if not works:
                return begun
            for work in works:
                self._perform(work)
            begun += len(works)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            for source in self._sources:
                self._try(source.look)
            self._try(self._renew)
            self._try(self._submit)
            self._wake.wait(self._poll)
            self._wake.clear()

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception:  # noqa: BLE001 - the next round may go better
            _log.exception("a look at the queue of jobs failed; there will be another")

    def _submit(self) -> None:
        for work in self._take():
            self._pool.submit(self._perform, work)

    def _take(self) -> list[Work]:
        """Take what is due and what there is room for."""
        context = self._context
        # Most of the time nothing is due, and to find that out nobody is kept from writing.
        with context.database.read() as tx:
            due = queue.due_kinds(tx, self._terms, context.clock())
        return [work for kind in sorted(due) for work in self._take_kind(kind)]

    def _take_kind(self, kind: str) -> list[Work]:
        handler, context = self._handlers[kind], self._context
        with self._lock:
            busy = sum(work.job.kind == kind for work in self._running)
        taken: list[Work] = []
        for _ in range(handler.concurrency - busy):
            now = context.clock()
            # What a power cut undoes of this, it undoes of the work as well.
            with context.database.write(durable=False, content_only=True) as tx:
                job = queue.take(tx, kind, handler.terms, self.worker, now)
            if job is None:
                break
            taken.append(Work(job, self._stopping, now))
        with self._lock:
            self._running.update(taken)
        return taken

    def _renew(self) -> None:
        """Renew the leases of which a third is over, and those of before the clock was set back."""
        now = self._context.clock()
        with self._lock:
            stale = [
                work
                for work in self._running
                if not 0 <= now - work.renewed_at < self._terms[work.job.kind].lease // 3
            ]
        if not stale:
            return
        with self._context.database.write(durable=False, content_only=True) as tx:
            held = {
                work
                for work in stale
                if queue.renew(tx, work.job, now + self._terms[work.job.kind].lease)
            }
        for work in stale:
            if work in held:
                work.renewed_at = now
            else:
                work.lose()

    def _perform(self, work: Work) -> None:
        try:
            self._run(work)
        except Exception:  # noqa: BLE001 - when its lease is over, somebody takes it again
            _log.exception("the end of job %d couldn't be written down", work.job.id)
        finally:
            with self._lock:
                self._running.remove(work)
            self._wake.set()

    def _run(self, work: Work) -> None:
        job, database = work.job, self._context.database
        try:
            self._handlers[job.kind].run(work)
            if not work.is_finished:
                with database.write(content_only=True) as tx:
                    work.finish(tx)
        except (Interrupted, LeaseLost):
            with database.write(content_only=True) as tx:
                queue.release(tx, job, self._context.clock())
        except Exception as error:  # noqa: BLE001 - whatever it is, the job has failed
            self._fail(job, error)

    def _fail(self, job: Job, error: Exception) -> None:
        terms, now = self._terms[job.kind], self._context.clock()
        try:
            with self._context.database.write(content_only=True) as tx:
                due_at = queue.fail(tx, job, terms, _told(error), now=now, random=self._jitter())
        except LeaseLost as lost:
            _log.warning("%s; here it failed: %s", lost, _told(error))
            return
        if due_at is None:
            _log.error("job %d (%s) is dead: %s", job.id, job.kind, _told(error), exc_info=error)
        else:
            _log.warning(
                "job %d (%s) failed and will be tried again in %.1f s: %s",
                *(job.id, job.kind, (due_at - now) / SECOND, _told(error)),
            )


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
