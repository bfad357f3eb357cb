"""Reading and sending pieces of files without waiting where that can be had."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import BinaryIO

_PIECE = 256 * 1024
# Linux has it.
_IN_MEMORY_ONLY: int | None = getattr(os, "RWF_NOWAIT", None)
# A file system that can't do it says one of these.
_NO_SENDFILE = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


class FilePiece(Protocol):
    """A piece of an open file; who sends it closes the file."""

    @property
    def file(self) -> BinaryIO:
        """The file."""

    @property
    def offset(self) -> int:
        """The first byte."""

    @property
    def length(self) -> int:
        """The number of bytes."""


def read_at_once(file: int, offset: int, length: int) -> bytes | None:
    """Read what the kernel has in memory; None where the disk would have to be waited for."""
    if _IN_MEMORY_ONLY is None:
        return None
    content = bytearray(length)
    try:
        count = os.preadv(file, [content], offset, _IN_MEMORY_ONLY)
    except OSError:
        # It isn't there, or this file system can't tell.
        return None
    return bytes(content) if count == length else None


def is_in_memory(file: int, offset: int, length: int) -> bool:
    """Tell whether a piece of a file can be sent now without waiting for the disk."""
    if _IN_MEMORY_ONLY is None:
        return False
    # To look is to read; this one buffer stays in the core's cache meanwhile.
    looked_at = memoryview(bytearray(min(length, _PIECE)))
    try:
        while length > 0:
            count = os.preadv(file, [looked_at[:length]], offset, _IN_MEMORY_ONLY)
            if count < min(length, _PIECE):
                return False
            offset += count
            length -= count
    except OSError:
        return False
    return True


def send_what_fits(client: int, file: int, offset: int, count: int) -> int:
    """Send up to `count` bytes of `file`; return how many the socket had room for.

    Raises:
        EOFError: the file has fewer.
        OSError: the client is gone, or the disk failed.
    """
    sent = 0
    while sent < count:
        try:
            step = _send_some(client, file, offset + sent, count - sent)
        except BlockingIOError:
            break
        if step == 0:
            raise EOFError(f"a file ends {count - sent} bytes early")
        sent += step
    return sent


def _send_some(client: int, file: int, offset: int, count: int) -> int:
    try:
        return os.sendfile(client, file, offset, count)
    except OSError as error:
        if error.errno not in _NO_SENDFILE:
            raise
    piece = os.pread(file, min(count, _PIECE), offset)
    return os.write(client, piece) if piece else 0
