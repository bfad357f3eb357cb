"""The audit trail: a file that every server process appends to, and that is rotated by its size."""

from __future__ import annotations

import fcntl
import logging
import os
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)

_READABLE_BY_OWNER = 0o600


class Record(Protocol):
    """Something that the trail can tell of."""

    def as_line(self) -> bytes:
        """Return it as one line of JSON, the line's end included."""


class Trail:
    """Where audit records go.

    A record is in the file when `write` returns, whole and on a line of its own, whatever other
    processes write: it outlives the process, though not a power cut. What can't be written is
    told of in the server's log, and the answer to the request stays what it is.

    Of a record that a full disk cuts short nothing stays but a blank line. Whoever was cut short
    makes it one, where the piece is: so it doesn't matter what others have appended meanwhile, nor
    that the disk is full. A process that is killed as it writes may leave a piece, too: the kernel
    stops between two pages of the file. Whoever opens the file after that begins a new line. Who
    has it open already doesn't look, which would take a system call for each record: its next one
    may stand behind the piece, on the same line.

    Args:
        file: the file, or None for no file. When it is full it gets the suffix `.1`, the one that
            had that gets `.2`, and so on.
        largest: the size at which the file is full, in bytes.
        kept: how many full files are kept.
        to_stdout: whether records are also printed on standard output.
    """

    def __init__(
        self, file: Path | None, *, largest: int, kept: int, to_stdout: bool = False
    ) -> None:
        self._file = file
        self._largest = largest
        self._kept = kept
        self._to_stdout = to_stdout
        self._descriptor: int | None = None
        # Device and number of the file that is open.
        self._opened = (0, 0)
        # What a full disk has left of lines in the file that is open: where, and how many bytes.
        self._pieces: list[tuple[int, int]] = []
        # Whether the file, as far as is known, ends amid a line.
        self._is_torn = False
        self._lock = threading.Lock()

    def write(self, record: Record) -> None:
        """Append a record."""
        if self._file is None and not self._to_stdout:
            return
        line = b""
        try:
            line = record.as_line()
            self.append(line)
        except Exception:  # noqa: BLE001 - whoever asked gets their answer all the same
            told = line.decode().rstrip() or "there is none"
            _log.exception("an audit record could not be written: %s", told)

    def append(self, lines: bytes) -> None:
        """Append whole lines, which stay together.

        Raises:
            OSError: they can't be written.
        """
        if self._to_stdout:
            sys.stdout.buffer.write(lines)
            sys.stdout.buffer.flush()
        if self._file is not None:
            with self._lock:
                self._append(self._file, lines)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._forget()

    def _append(self, file: Path, line: bytes) -> None:
        if self._is_full(file, line):
            with _alone_in(file.parent):
                # Another process may have been quicker.
                if self._is_full(file, line):
                    self._rotate(file)
            self._size(file)
        if self._pieces:
            self._blank()
        if self._is_torn:
            # Half a line is at its end, and nobody can read one that begins in the middle of it.
            line = b"\n" + line
        # One call appends one line, between those of other processes (POSIX, write: O_APPEND).
        written = os.write(cast("int", self._descriptor), line)
        self._is_torn = written < len(line)
        if self._is_torn:
            self._withdraw(written)
            raise OSError(f"{file} took {written} of {len(line)} bytes")

    def _withdraw(self, length: int) -> None:
        """Blank the piece of a line that was just written, at once or before the next line."""
        # A pipe has no place that could be written again.
        with suppress(OSError):
            end = os.lseek(cast("int", self._descriptor), 0, os.SEEK_CUR)
            self._pieces.append((end - length, length))
            self._blank()

    def _blank(self) -> None:
        """Make a blank line of each piece that is left, as far as the disk lets that be done.

        To cut the file off there would take with it what others have appended since.
        """
        descriptor = cast("int", self._descriptor)
        with suppress(OSError), _anywhere(descriptor):
            while self._pieces:
                start, length = self._pieces[-1]
                if os.pwrite(descriptor, b" " * (length - 1) + b"\n", start) < length:
                    return
                self._pieces.pop()
            self._is_torn = False

    def _is_full(self, file: Path, line: bytes) -> bool:
        size = self._size(file)
        return size > 0 and size + len(line) > self._largest

    def _size(self, file: Path) -> int:
        """Return the size of the file that has the name now, and have that one open.

        Another process may have rotated the one that was open until now.
        """
        if self._descriptor is None:
            return self._open(file)
        try:
            # One call of the kernel tells both.
            found = os.stat(file)  # noqa: PTH116 - `Path.stat` takes twice as long
        except FileNotFoundError:
            return self._open(file)
        is_open = (found.st_dev, found.st_ino) == self._opened
        return found.st_size if is_open else self._open(file)

    def _open(self, file: Path) -> int:
        self._forget()
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(file, flags, _READABLE_BY_OWNER)
        found = os.fstat(self._descriptor)
        self._opened = found.st_dev, found.st_ino
        self._is_torn = found.st_size > 0 and not _ends_a_line(file, found.st_size)
        return found.st_size

    def _rotate(self, file: Path) -> None:
        for number in range(self._kept, 1, -1):
            younger = _numbered(file, number - 1)
            if younger.exists():
                younger.replace(_numbered(file, number))
        if self._kept:
            file.replace(_numbered(file, 1))
        else:
            file.unlink()

    def _forget(self) -> None:
        if self._descriptor is not None:
            if self._pieces:
                self._blank()
            self._pieces.clear()
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def _anywhere(descriptor: int) -> Iterator[None]:
    """Let a file that is open for appending be written anywhere; nobody else may use it then."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~os.O_APPEND)
    try:
        yield
    finally:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)


def _ends_a_line(file: Path, size: int) -> bool:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        # It may be writable and no more. A line's end too many does no harm.
        return False
    try:
        return os.pread(descriptor, 1, size - 1) == b"\n"
    finally:
        os.close(descriptor)


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Keep other processes from rotating what is in a directory."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _numbered(file: Path, number: int) -> Path:
    return file.with_name(f"{file.name}.{number}")
