"""Blobs in a directory.

    uploads/<upload id>                                                     staged
    blobs/<encryption context>/<algorithm>/<2 hex>/<hex>.<upload id>        committed

Any number of processes on one machine share the directory. All the locking there is is a `flock`
on a staged file; it ends with the process that holds it. A committed file is never written to, and
its directories stay when they are empty, so that nobody finds one gone whom it was there for.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from longshore.blobs.directories import DurableDirectories, files_below, sync_directory
from longshore.blobs.file_writer import (
    TELLING_WHEN_FULL,
    USUAL_ALGORITHM,
    FileWriter,
    read_through,
)
from longshore.blobs.hashing import Hasher, HashMemory
from longshore.blobs.store import (
    BlobMissing,
    DigestMismatch,
    Location,
    UploadBusy,
    UploadLost,
    is_upload_id,
)
from longshore.names import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from longshore.blobs.store import BlobWriter

_PROBE = b"Can bytes be written and read?"
# As many large blobs as are written at once have a thread to be hashed in; others wait for one.
_HASHING = 4
_SHARDS = [f"{number:02x}" for number in range(256)]
_LOCATION = re.compile(
    r"blobs/[a-z0-9-]{1,64}/(?:sha256/(?P<a>[0-9a-f]{2})/(?P=a)[0-9a-f]{62}"
    r"|sha512/(?P<b>[0-9a-f]{2})/(?P=b)[0-9a-f]{126})\.(?P<upload_id>[0-9a-f-]{36})"
)


class FilesystemBlobStore:
    """A `BlobStore` over a directory on a local file system.

    Args:
        root: the directory; it is made when it isn't there. It belongs to the store alone, and no
            file in it is a link to another one.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        # A path costs more to put together than the kernel takes for it.
        self._below = f"{root}/"
        self._uploads = root / "uploads"
        self._blobs = root / "blobs"
        self._hashes = HashMemory()
        self._hashing = ThreadPoolExecutor(_HASHING, thread_name_prefix="hashing")
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A parent that may not be read was there before us.
        with contextlib.suppress(PermissionError):
            sync_directory(root.parent)
        self._directories = DurableDirectories(root)
        self._sharded: set[str] = set()
        self._directories.make(self._uploads)
        self._directories.make(self._blobs)

    def create(self, upload_id: str) -> None:
        """Begin an upload; see `BlobStore`."""
        os.close(_open_staged(self._staged(upload_id), upload_id, create=True))

    @contextmanager
    def writer(self, upload_id: str, offset: int) -> Iterator[FileWriter]:
        """Hold the upload, to append at `offset`; see `BlobStore`."""
        with self._locked(self._staged(upload_id), upload_id, create=offset == 0) as file:
            there = os.fstat(file).st_size
            if there < offset:
                raise UploadLost(upload_id)
            hasher: Hasher | None
            if offset == 0:
                hasher = hashlib.sha256()
                self._hashes.forget(upload_id)
            else:
                hasher = self._hashes.take(upload_id, file, USUAL_ALGORITHM, offset)
            writer = FileWriter(file, offset, hasher, self._hashing, is_first=there == 0)
            try:
                yield writer
            finally:
                self._close(upload_id, file, writer)

    def _close(self, upload_id: str, file: int, writer: FileWriter) -> None:
        hasher = writer.close()
        if hasher is not None and os.fstat(file).st_size == writer.offset:
            self._hashes.remember(upload_id, file, USUAL_ALGORITHM, hasher)

    def probe(self) -> None:
        """Find out whether bytes can be written and read; see `BlobStore`."""
        with tempfile.TemporaryFile(dir=self._uploads, buffering=0) as file:
            file.write(_PROBE)
            file.seek(0)
            if file.read() != _PROBE:
                raise OSError(errno.EIO, "what was written isn't what is read", str(self._uploads))
        with os.scandir(self._blobs) as found:
            next(found, None)

    def digest(
        self, upload_id: str, size: int, algorithm: str, writer: BlobWriter | None = None
    ) -> Digest:
        """Compute the digest of an upload; see `BlobStore`."""
        if writer is not None:
            return cast("FileWriter", writer).digest(upload_id, size, algorithm)
        with self._locked(self._staged(upload_id), upload_id) as file:
            return self._digest(upload_id, file, size, algorithm)

    def commit(
        self,
        upload_id: str,
        size: int,
        context: str,
        digest: Digest,
        writer: BlobWriter | None = None,
    ) -> Location:
        """Make a durable blob of an upload; see `BlobStore`."""
        shards = f"blobs/{context}/{digest.algorithm}"
        shard = f"{shards}/{digest.hex[:2]}"
        location = Location(f"{shard}/{digest.hex}.{upload_id}")
        path = self._path(location)
        with TELLING_WHEN_FULL:
            self._make_shards(shards)
            if _holds(path, size):
                self._go_on(upload_id, size, digest, path)
                # What came again isn't needed.
                self.discard(upload_id)
            elif writer is not None:
                own = cast("FileWriter", writer)
                _verify(upload_id, own.digest(upload_id, size, digest.algorithm), digest)
                self._move(upload_id, own.end(), size, path)
            else:
                with self._locked(self._staged(upload_id), upload_id) as file:
                    _verify(
                        upload_id, self._digest(upload_id, file, size, digest.algorithm), digest
                    )
                    self._move(upload_id, file, size, path)
            sync_directory(self._below + shard)
        return location

    def _move(self, upload_id: str, file: int, size: int, path: str) -> None:
        if os.fstat(file).st_size != size:
            os.ftruncate(file, size)
        try:
            os.rename(self._staged(upload_id), path)  # noqa: PTH104 - paths are texts here
        except FileNotFoundError:
            raise UploadLost(upload_id) from None
        self._hashes.forget(upload_id)
        # Not before the rename: a journaling file system writes both down at once, and the
        # sync of the directory finds nothing left to do.
        _sync(file, path)

    def _go_on(self, upload_id: str, size: int, digest: Digest, path: str) -> None:
        """Finish what a process began that died after the rename: nothing need be on the disk."""
        with self._locked(path, upload_id) as file:
            hasher = read_through(upload_id, file, size, digest.algorithm)
            if hasher.hexdigest() != digest.hex:
                raise UploadLost(upload_id)
            _sync(file, path)

    def _digest(self, upload_id: str, file: int, size: int, algorithm: str) -> Digest:
        hasher = self._hashes.take(upload_id, file, algorithm, size)
        if hasher is None:
            hasher = read_through(upload_id, file, size, algorithm)
        if os.fstat(file).st_size == size:
            self._hashes.remember(upload_id, file, algorithm, hasher)
        return Digest(algorithm, hasher.hexdigest())

    def discard(self, upload_id: str) -> None:
        """Remove an upload; see `BlobStore`."""
        _remove(self._staged(upload_id))
        self._hashes.forget(upload_id)

    def open(self, location: Location) -> BinaryIO:
        """Open a blob; see `BlobStore`."""
        path = self._path(location)
        try:
            return io.FileIO(path, "rb", opener=_open_no_link)
        except FileNotFoundError:
            raise BlobMissing(location) from None

    def delete(self, location: Location) -> None:
        """Remove a blob; see `BlobStore`."""
        _remove(self._path(location))

    def locations(self) -> Iterator[Location]:
        """Walk over all blobs; see `BlobStore`."""
        return _locations(self._root)

    def uploads(self) -> Iterator[str]:
        """Walk over all uploads; see `BlobStore`."""
        return (path.name for path in files_below(self._uploads) if is_upload_id(path.name))

    def _staged(self, upload_id: str) -> str:
        if not is_upload_id(upload_id):
            raise ValueError(f"not the id of an upload: {upload_id[:300]!r}")
        return f"{self._below}uploads/{upload_id}"

    def _path(self, location: Location) -> str:
        if not _is_location(location):
            raise ValueError(f"not a location: {location[:300]!r}")
        return self._below + location

    @contextmanager
    def _locked(self, path: str, upload_id: str, *, create: bool = False) -> Iterator[int]:
        """Hold the file of an upload, alone."""
        while True:
            file = _open_staged(path, upload_id, create=create)
            try:
                _lock(file, upload_id)
                # Between the two steps the file may have become a blob, which nobody may write
                # to, or have been discarded.
                if _leads_to(path, file):
                    yield file
                    return
            finally:
                os.close(file)

    def _make_shards(self, shards: str) -> None:
        """Make all directories of blobs below `shards` at once: so they share one sync."""
        if shards in self._sharded:
            return
        directory = self._root / shards
        self._directories.make(directory)
        for shard in _SHARDS:
            (directory / shard).mkdir(mode=0o700, exist_ok=True)
        sync_directory(directory)
        self._sharded.add(shards)


def has_blobs(root: Path) -> bool:
    """Tell whether a store over `root` has any blob; no store comes to be by asking."""
    return (root / "blobs").is_dir() and next(_locations(root), None) is not None


def _locations(root: Path) -> Iterator[Location]:
    for path in files_below(root / "blobs"):
        location = path.relative_to(root).as_posix()
        if _is_location(location):
            yield Location(location)


def _is_location(text: str) -> bool:
    """Tell whether every part of `text` is what it should be, so that it can't lead elsewhere."""
    match = _LOCATION.fullmatch(text)
    return match is not None and is_upload_id(match["upload_id"])


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _open_staged(path: str, upload_id: str, *, create: bool) -> int:
    try:
        with TELLING_WHEN_FULL:
            return _open_no_link(path, os.O_RDWR | (os.O_CREAT if create else 0))
    except FileNotFoundError:
        raise UploadLost(upload_id) from None


def _lock(file: int, upload_id: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UploadBusy(upload_id) from None


def _leads_to(path: str, file: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(file))
    except FileNotFoundError:
        return False


def _holds(path: str, size: int) -> bool:
    try:
        return os.lstat(path).st_size == size
    except FileNotFoundError:
        return False


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108 - paths are texts here


def _verify(upload_id: str, computed: Digest, digest: Digest) -> None:
    if computed != digest:
        raise DigestMismatch(upload_id, computed)


def _sync(file: int, path: str) -> None:
    """Sync the file at `path`, which is open and locked; where that fails, it is gone."""
    try:
        # `fdatasync` would save nothing, the file's size is as new as its data; macOS has none.
        os.fsync(file)
    except OSError:
        # The kernel may have dropped the pages it couldn't write, and would then report success
        # to whoever tries again.
        _remove(path)
        raise
