"""A worker whose parent decides how far it gets; run as a program by `test_jobs.py`.

    job_worker.py DATABASE DIRECTORY

At each step of a job it writes a line on standard output, and goes on when it reads one from
standard input. The time is what stands in the file DIRECTORY/now.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import insert

from longshore.access.sealing import ServerKey
from longshore.blobs.filesystem import FilesystemBlobStore
from longshore.jobs.queue import Terms
from longshore.metadata.database import Database
from longshore.registry.context import Context
from longshore.work.runner import Handler, Runner
from tests.chaos.job_effects import EFFECTS, KIND, LEASE

if TYPE_CHECKING:
    from longshore.work.runner import Work


def ask(step: str) -> None:
    sys.stdout.write(f"{step}\n")
    sys.stdout.flush()
    sys.stdin.readline()


def main(url: str, directory: str) -> None:
    clock = Path(directory, "now")
    context = Context(
        database=Database(url),
        blobs=FilesystemBlobStore(Path(directory)),
        server_key=ServerKey(bytes(32)),
        clock=lambda: int(clock.read_text()),
    )

    def run(work: Work) -> None:
        ask("taken")
        with context.database.write() as tx:
            tx.execute(insert(EFFECTS).values(n=work.job.payload["n"], lease=work.job.lease))
            ask("written")
            work.finish(tx)
            ask("finished")
        ask("committed")

    handlers = {KIND: Handler(run, terms=Terms(lease=LEASE, attempts=None))}
    runner = Runner(context, handlers)
    sys.stdin.readline()
    while True:
        runner.run_due()
        ask("idle")


if __name__ == "__main__":
    main(*sys.argv[1:])
