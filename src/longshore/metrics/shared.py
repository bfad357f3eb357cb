"""Numbers of several processes in memory that all of them see.

Each process has a row of its own and is the only one to write to it, so that counting needs no
lock and no call of the kernel. The row of a process that dies goes to the one that takes its place
and counts on from there: sums never fall while the server runs.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
from multiprocessing.reduction import DupFd
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# In bytes.
_NUMBER = 8


class SharedRows:
    """Rows of floating-point numbers in a file without a name, which is gone with its processes.

    A process that is started by this one with `multiprocessing` may be handed the object.

    Args:
        descriptor: of the file, which belongs to the object from now on.
        count: how many rows there are.
        length: how many numbers a row has.
    """

    def __init__(self, descriptor: int, count: int, length: int) -> None:
        self._descriptor = descriptor
        self._count = count
        self._length = length
        self._memory = mmap.mmap(descriptor, count * length * _NUMBER)
        self._numbers = memoryview(self._memory).cast("d")

    @classmethod
    def create(cls, directory: Path, count: int, length: int) -> SharedRows:
        """Make rows of zeros.

        Args:
            directory: on the file system that is to have the file.
            count: how many rows there are.
            length: how many numbers a row has.

        Raises:
            OSError: there can be no such file.
        """
        with tempfile.TemporaryFile(dir=directory) as file:
            file.truncate(count * length * _NUMBER)
            return cls(os.dup(file.fileno()), count, length)

    def __reduce__(self) -> tuple[Callable[..., SharedRows], tuple[Any, ...]]:
        return _inherited, (DupFd(self._descriptor), self._count, self._length)

    def claim(self) -> memoryview[float]:
        """Return a row that is this process's alone until it ends.

        Raises:
            LookupError: every row has a process.
        """
        for number in range(self._count):
            try:
                # The kernel gives it back however the process ends.
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
            except OSError:
                continue
            return self._row(number)
        raise LookupError(f"each of the {self._count} rows has a process")

    def rows(self) -> Iterator[memoryview[float]]:
        """Yield all rows, those of other processes as they are at the moment."""
        return map(self._row, range(self._count))

    def close(self) -> None:
        """Give the row back that was claimed, which has been released, and the memory."""
        self._numbers.release()
        self._memory.close()
        os.close(self._descriptor)

    def _row(self, number: int) -> memoryview[float]:
        return self._numbers[number * self._length : (number + 1) * self._length]


def _inherited(descriptor: Any, count: int, length: int) -> SharedRows:  # noqa: ANN401 - a DupFd
    return SharedRows(descriptor.detach(), count, length)
