"""A worker whose parent decides how far it gets; run as a program by `test_jobs.py`.

    job_worker.py effects|events|previews DATABASE DIRECTORY

It writes rows, or it delivers events to the file DIRECTORY/delivered, a line each, or it makes
previews of lifecycle policies. At each step of a job it writes a line on standard output, and goes
on when it reads one from standard input. The time is what stands in the file DIRECTORY/now.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import insert

from longshore.access.sealing import ServerKey
from longshore.audit.trail import Trail
from longshore.blobs.filesystem import FilesystemBlobStore
from longshore.clock import DAY
from longshore.jobs.queue import Terms
from longshore.metadata.database import Database
from longshore.registry.context import Context
from longshore.registry.limits import MIB
from longshore.work import event_delivery, lifecycle
from longshore.work.event_delivery import Courier, Keeping, Outbox
from longshore.work.runner import Handler, Runner
from tests.chaos.job_effects import EFFECTS, KIND, LEASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.events.log import Entry
    from longshore.work.runner import Work


def ask(step: str) -> None:
    sys.stdout.write(f"{step}\n")
    sys.stdout.flush()
    sys.stdin.readline()


class Receiver:
    """Writes the last part of each event's repository name to a file."""

    name = "file"
    most = 1

    def __init__(self, file: Path) -> None:
        self._file = file

    def deliver(self, events: Sequence[Entry]) -> str:
        [event] = events
        ask("sending")
        with self._file.open("a") as file:
            file.write(json.loads(event.document)["detail"]["repository-name"] + "\n")
        ask("sent")
        return "written"


def effects(context: Context) -> Runner:
    """Return a runner whose jobs write a row each."""

    def run(work: Work) -> None:
        ask("taken")
        with context.database.write() as tx:
            tx.execute(insert(EFFECTS).values(n=work.job.payload["n"], lease=work.job.lease))
            ask("written")
            work.finish(tx)
            ask("finished")
        ask("committed")

    return Runner(context, {KIND: Handler(run, terms=Terms(lease=LEASE, attempts=None))})


def events(context: Context, directory: Path) -> Runner:
    """Return a runner that delivers events."""
    receiver = Receiver(directory / "delivered")
    handler = Handler(Courier(context, [receiver]).run, terms=event_delivery.TERMS)
    outbox = Outbox(context, [receiver.name], Keeping(most=1_000, age=DAY))
    return Runner(context, {event_delivery.JOB: handler}, [outbox])


def previews(context: Context, directory: Path) -> Runner:
    """Return a runner that makes previews, as servers do but for the steps."""
    trail = Trail(directory / "audit.json", largest=MIB, kept=0)

    def run(work: Work) -> None:
        ask("taken")
        lifecycle.fill_preview(context, trail, work)
        ask("made")

    return Runner(context, {lifecycle.PREVIEW: Handler(run, terms=lifecycle.TERMS_OF_PREVIEW)})


def main(what: str, url: str, directory: str) -> None:
    clock = Path(directory, "now")
    context = Context(
        database=Database(url),
        blobs=FilesystemBlobStore(Path(directory)),
        server_key=ServerKey(bytes(32)),
        clock=lambda: int(clock.read_text()),
    )
    runner = {
        "effects": lambda: effects(context),
        "events": lambda: events(context, Path(directory)),
        "previews": lambda: previews(context, Path(directory)),
    }[what]()
    sys.stdin.readline()
    while True:
        runner.run_due()
        ask("idle")


if __name__ == "__main__":
    main(*sys.argv[1:])
