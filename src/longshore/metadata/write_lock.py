"""The lock of whoever writes into SQLite: one of all threads, and one of all processes.

SQLite has such a lock itself, but whoever finds it taken sleeps and looks again, each time for
longer, up to a tenth of a second; a transaction takes a fraction of a millisecond. Here the kernel
wakes up who waits.
"""

from __future__ import annotations

import fcntl
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class WriteLock:
    """Lets one thread of one process write into a database at a time.

    Args:
        file: what is locked, and made where it isn't there. It can't be the database itself: to
            close a descriptor of that would drop the locks that SQLite has on it in this process.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._of_threads = threading.Lock()
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Wait until nobody writes."""
        self._of_threads.acquire()
        try:
            if self._descriptor is None:
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
                self._descriptor = os.open(self._file, flags, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        except BaseException:
            self._of_threads.release()
            raise

    def release(self) -> None:
        """Let the next one write."""
        try:
            if self._descriptor is not None:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        finally:
            self._of_threads.release()

    def close(self) -> None:
        """Do without it until somebody writes again."""
        with self._of_threads:
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                os.close(descriptor)
