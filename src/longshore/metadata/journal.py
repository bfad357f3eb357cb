"""Group commit for SQLite: one sync of the write-ahead log for all who wait for one.

SQLite would sync the log inside of each transaction, while every other writer waits. Here it leaves
that (`synchronous = NORMAL`), and whoever needs a durable commit waits for a sync that began after
it, with the database free for others. What SQLite still syncs by itself keeps its file whole: the
log's header, and the log and the file at each checkpoint (sqlite.org/wal.html).
"""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# The log's size is as new as its data then, and its times don't matter. macOS has only the other.
_sync = getattr(os, "fdatasync", os.fsync)


class JournalLost(OSError):
    """The disk failed to keep what was committed; nothing can be promised from here on."""


class Journal:
    """The write-ahead log of one database, as this process syncs it.

    Args:
        file: where it is.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._syncing = Lock()
        self._commits = 0
        self._durable = 0
        self._failure: OSError | None = None

    def committed(self) -> int:
        """Count a commit, in the order of commits, and return its number."""
        self._commits += 1
        return self._commits

    def make_durable(self, commit: int | None) -> None:
        """Wait until a commit and all before it survive a power cut.

        Args:
            commit: its number; None for whatever any process has committed until now.

        Raises:
            JournalLost: a sync failed, this one or an earlier one. The kernel may have dropped
                what it couldn't write, and would report success to whoever tries again.
        """
        with self._syncing:
            if commit is not None and self._durable >= commit:
                return
            if self._failure is not None:
                raise JournalLost(f"{self._file} can't be synced") from self._failure
            # All that were counted until now are in the log.
            newest = self._commits
            try:
                self._sync()
            except OSError as error:
                self._failure = error
                raise JournalLost(f"{self._file} can't be synced") from error
            self._durable = newest

    def _sync(self) -> None:
        file = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _sync(file)
        finally:
            os.close(file)
