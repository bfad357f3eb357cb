"""Writing to the disk past the kernel's cache (`O_DIRECT`, open(2)), where that can be done."""

from __future__ import annotations

import errno
import fcntl
import os

BLOCK = 4096
"""What offsets, lengths and addresses have to be multiples of, in bytes: no disk asks for more."""

# Linux has it.
_O_DIRECT: int = getattr(os, "O_DIRECT", 0)


def write(file: int, content: memoryview, offset: int) -> int:
    """Write the whole blocks of `content` to a file of ours alone.

    Returns:
        How many bytes were written: 0 where `offset`, or the memory, begins within a block, and
        where the file system knows only the kernel's cache.

    Raises:
        OSError: the disk failed, or is full.
    """
    blocks = len(content) // BLOCK * BLOCK
    if not _O_DIRECT or not blocks or offset % BLOCK:
        return 0
    flags = fcntl.fcntl(file, fcntl.F_GETFL)
    try:
        fcntl.fcntl(file, fcntl.F_SETFL, flags | _O_DIRECT)
        return os.pwrite(file, content[:blocks], offset)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return 0
        raise
    finally:
        fcntl.fcntl(file, fcntl.F_SETFL, flags)
