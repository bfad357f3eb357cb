"""Workers that die at a step of a move, each at the one it is told; run by `test_archive.py`.

    archive_worker.py DATABASE HOME

HOME has the data directory, the archive directory, and the file `now` with the time. For each
number on standard input a process is forked that does the archive's jobs which are due, and is
killed before that step of theirs: a statement, a commit, or a change of a directory. On standard
output comes `killed`, or `done` where there were fewer steps.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import event

from longshore.access.sealing import ServerKey
from longshore.blobs.archive_directory import ArchiveDirectory
from longshore.blobs.filesystem import FilesystemBlobStore
from longshore.metadata.database import Database
from longshore.registry.context import Context
from longshore.work import archive
from longshore.work.runner import Handler, Runner
from tests.support.statements import tell_before_each

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.work.runner import Work

# What changes a directory, of all that Python tells.
_CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.truncate"}
_WRITING = os.O_CREAT | os.O_RDWR | os.O_WRONLY


class Fate:
    """Counts steps, and kills this process before one of them."""

    def __init__(self, last: int) -> None:
        self._left = last
        self._has_begun = False

    def threaten(self, handler: Callable[[Context, Work], None], context: Context) -> Handler:
        """Let steps count from where the handler has a job."""

        def run(work: Work) -> None:
            self._has_begun = True
            handler(context, work)

        return Handler(run)

    def step(self, *_: object) -> None:
        self._left -= self._has_begun
        if self._has_begun and self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, database: Database) -> None:
        tell_before_each(database, self.step)
        event.listen(database._engine, "commit", self.step)
        sys.addaudithook(self._hear)

    def _hear(self, name: str, details: tuple[object, ...]) -> None:
        if name == "os.mkdir" and Path(str(details[0])).exists():
            # It only makes sure.
            return
        if name in _CHANGES or (name == "open" and int(str(details[2] or 0)) & _WRITING):
            self.step()


def work(url: str, home: Path, last: int) -> None:
    clock = home / "now"
    database = Database(url)
    context = Context(
        database=database,
        blobs=FilesystemBlobStore(home / "data"),
        archive=ArchiveDirectory(home / "cold", home / "data" / "database.id"),
        server_key=ServerKey(bytes(32)),
        clock=lambda: int(clock.read_text()),
    )
    fate = Fate(last)
    fate.watch(database)
    handlers = {archive.MOVE: archive.move, archive.RESTORATION: archive.restore}
    Runner(
        context, {kind: fate.threaten(handler, context) for kind, handler in handlers.items()}
    ).run_due()


def main(url: str, home: str) -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                work(url, Path(home), int(line))
            except BaseException:  # noqa: BLE001 - a forked process must not go on as its parent
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        ends = {0: "done", signal.SIGKILL: "killed"}
        sys.stdout.write(ends.get(status, f"failed: {status}") + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
