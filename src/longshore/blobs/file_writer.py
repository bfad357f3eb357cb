"""Writing to the file of an upload: past the kernel's cache or not, and hashed meanwhile."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import sys
from typing import TYPE_CHECKING

from longshore.blobs import direct_io
from longshore.blobs.store import UploadLost
from longshore.errors import StorageFull
from longshore.names import Digest

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from longshore.blobs.hashing import Hasher

USUAL_ALGORITHM = "sha256"
"""What writers hash with what they write: nearly every client names it. (`sha256()` is made in half
of the time that `new` takes.)"""

_READ_SIZE = 1 << 20
# How much is written before the disk begins with it: a large blob has little left to sync then.
_HANDED_OVER = 8 << 20
# How much of a blob stays in the kernel's cache, where the first who pulls it finds it. What
# follows goes past the cache: a large push would drive out what others pull, and the copy takes
# processor time, more than the hash does where the memory is new to a virtual machine.
_CACHED = 16 << 20
_WORTH_A_THREAD = 256 << 10
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class _TellingWhenFull:
    """Says of a full disk that it is full."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise StorageFull from error


TELLING_WHEN_FULL = _TellingWhenFull()
"""Says of a full disk, for the time of a block, that it is full."""


class FileWriter:
    """A `BlobWriter` over the open, locked file of an upload.

    Args:
        file: the file.
        offset: how many of its bytes count.
        hasher: has taken these in; None where nobody knows a hash state.
        hashing: threads to hash in while the disk is waited for.
        is_first: whether nobody has written to the file before.
    """

    def __init__(
        self,
        file: int,
        offset: int,
        hasher: Hasher | None,
        hashing: ThreadPoolExecutor,
        *,
        is_first: bool,
    ) -> None:
        self._file: int | None = file
        self._begin = offset
        self._offset = offset
        self._hasher = hasher
        self._hashing = hashing
        self._may_have_tail = True
        self._handed_over = offset
        self.is_first = is_first

    @property
    def offset(self) -> int:
        """See `BlobWriter`."""
        return self._offset

    def digest(self, upload_id: str, size: int, algorithm: str) -> Digest:
        """Compute the digest of the first `size` bytes, those that were written before included."""
        if self._file is None:
            raise ValueError("digest after the end of the writer")
        if self._hasher is not None and (algorithm, size) == (USUAL_ALGORITHM, self._offset):
            return Digest(algorithm, self._hasher.hexdigest())
        hasher = read_through(upload_id, self._file, size, algorithm)
        return Digest(algorithm, hasher.hexdigest())

    def end(self) -> int:
        """Write no more, forget the hash state, and return the file."""
        if self._file is None:
            raise ValueError("the writer has ended already")
        file, self._file, self._hasher = self._file, None, None
        return file

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of `data`; see `BlobWriter`."""
        if self._file is None:
            raise ValueError("append after the end of the writer")
        if not data:
            return
        with memoryview(data) as view, view.cast("B") as content:
            hashed = self._hash_meanwhile(content)
            try:
                with TELLING_WHEN_FULL:
                    self._write(self._file, content)
            except (OSError, StorageFull):
                self._give_back(self._file)
                raise
            finally:
                if hashed is not None:
                    hashed.result()
            if hashed is None and self._hasher is not None:
                self._hasher.update(content)

    def _hash_meanwhile(self, content: memoryview) -> Future[None] | None:
        """Hash in another thread what goes past the cache, for it waits for the disk."""
        is_worth_it = self._offset >= _CACHED and len(content) >= _WORTH_A_THREAD
        if self._hasher is None or not is_worth_it:
            return None
        return self._hashing.submit(self._hasher.update, content)

    def _write(self, file: int, content: memoryview) -> None:
        if self._may_have_tail and os.fstat(file).st_size > self._offset:
            os.ftruncate(file, self._offset)
        self._may_have_tail = True
        written = 0
        while written < len(content):
            written += self._write_some(file, content[written:], self._offset + written)
        self._may_have_tail = False
        self._offset += written
        if self._offset - self._handed_over >= _HANDED_OVER:
            _begin_writing_back(file, self._handed_over, self._offset)
            self._handed_over = self._offset

    def _write_some(self, file: int, content: memoryview, offset: int) -> int:
        if offset < _CACHED:
            return os.pwrite(file, content[: _CACHED - offset], offset)
        return direct_io.write(file, content, offset) or os.pwrite(file, content, offset)

    def _give_back(self, file: int) -> None:
        self._offset = self._begin
        self._hasher = None
        self._may_have_tail = True
        # Where even this fails it remains a tail, which the next writer cuts off.
        with contextlib.suppress(OSError):
            os.ftruncate(file, self._begin)

    def close(self) -> Hasher | None:
        """Let go of the file, and return the hash state of all its bytes if it is known."""
        self._file = None
        return self._hasher


def _begin_writing_back(file: int, begin: int, end: int) -> None:
    """Let the kernel write to the disk what it has of a file, without waiting for it."""
    if sys.platform == "linux":
        # It can't forget what isn't on the disk, and so begins to put it there (posix_fadvise(2)).
        # A file system that doesn't know the hint leaves all to the sync.
        with contextlib.suppress(OSError):
            os.posix_fadvise(file, begin, end - begin, os.POSIX_FADV_DONTNEED)


def read_through(upload_id: str, file: int, size: int, algorithm: str) -> Hasher:
    """Hash the first `size` bytes of `file`.

    Raises:
        UploadLost: it has fewer.
    """
    hasher = hashlib.new(algorithm)
    done = 0
    while done < size:
        chunk = os.pread(file, min(size - done, _READ_SIZE), done)
        if not chunk:
            raise UploadLost(upload_id)
        hasher.update(chunk)
        done += len(chunk)
    return hasher
