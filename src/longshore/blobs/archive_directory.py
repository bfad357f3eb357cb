"""An archive in a directory, such as one on a large and slow disk.

    database.id                                                     whose archive it is
    plain/<encryption context>/<algorithm>/<2 hex>/<hex>.<run>      as they were pushed
    gzip/<encryption context>/<algorithm>/<2 hex>/<hex>.<run>       compressed

Locations are these paths below `archive/`. A file is complete before a row names it, and never
written to after that.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import re
import sys
import tempfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from longshore.blobs.archive import Archived, ArchiveUnavailable, BytesDamaged
from longshore.blobs.directories import DurableDirectories, files_below, sync_directory
from longshore.blobs.store import BlobMissing, Location, is_upload_id
from longshore.names import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_PLAIN: Final = "plain"
_GZIP: Final = "gzip"
_PIECE = 1 << 20
_PROBE = b"Can bytes be written and read?"
# Most layers are compressed as they come, and the first piece of one tells. Where less than a tenth
# of the bytes would go it isn't worth the time.
_WORTHWHILE = 0.9
# Higher levels cost twice the time and more, for a hundredth of the bytes.
_LEVEL = 6
_LOCATION = re.compile(
    r"archive/(?P<path>(?P<form>plain|gzip)/[a-z0-9-]{1,64}/"
    r"(?:sha256/(?P<a>[0-9a-f]{2})/(?P=a)[0-9a-f]{62}"
    r"|sha512/(?P<b>[0-9a-f]{2})/(?P=b)[0-9a-f]{126})\.(?P<run>[0-9a-f-]{36}))"
)


class ArchiveDirectory:
    """An `Archive` in a directory on a local file system.

    Args:
        root: the directory, which somebody else makes: one that is missing may be a disk that isn't
            mounted.
        proof: a file of the data directory that no other registry has. The archive has a copy of
            it, so that neither an empty mount point nor a stranger's directory is taken for it.
    """

    def __init__(self, root: Path, proof: Path) -> None:
        self._root = root
        self._proof = proof
        self._directories = DurableDirectories(root)

    def claim(self) -> None:
        """Make a directory that nobody has used yet this registry's; see `Archive`."""
        with self._telling():
            mark = self._root / self._proof.name
            used = [name for name in (_PLAIN, _GZIP) if (self._root / name).exists()]
            if mark.exists() or used:
                return
            with tempfile.NamedTemporaryFile(dir=self._root, delete=False) as file:
                file.write(self._proof.read_bytes())
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).rename(mark)
            sync_directory(self._root)

    def probe(self) -> None:
        """Find out whether bytes can be written and read; see `Archive`."""
        self._check()
        with self._telling(), tempfile.TemporaryFile(dir=self._root, buffering=0) as file:
            file.write(_PROBE)
            file.seek(0)
            if file.read() != _PROBE:
                raise ArchiveUnavailable(f"{self._root} doesn't keep what is written there.")

    def put(
        self, read: Callable[[], Iterable[bytes]], context: str, digest: Digest, run: str
    ) -> Archived:
        """Keep a copy of a blob; see `Archive`."""
        self._check()
        if _is_worth_compressing(read()):
            size, archived = self._write(_GZIP, read(), context, digest, run)
            if archived.size < size:
                return archived
            self.delete(archived.location)
        return self._write(_PLAIN, read(), context, digest, run)[1]

    def _write(
        self, form: str, pieces: Iterable[bytes], context: str, digest: Digest, run: str
    ) -> tuple[int, Archived]:
        """Write a copy, verify it, and make it outlive a power cut; return the blob's size, too."""
        location = Location(
            f"archive/{form}/{context}/{digest.algorithm}/{digest.hex[:2]}/{digest.hex}.{run}"
        )
        path = self._path(location)
        with self._telling():
            self._directories.make(path.parent)
            raw = io.FileIO(path, "xb", opener=_open_no_link)
        with io.BufferedWriter(raw) as file:
            try:
                size = self._fill(file, form, pieces, digest)
                self._verify(path, form, digest)
            except BaseException:
                # Else it would lie there until the garbage collector finds it.
                with contextlib.suppress(OSError):
                    path.unlink()
                raise
            with self._telling():
                written = os.fstat(file.fileno()).st_size
                sync_directory(path.parent)
        return size, Archived(location, written)

    def _fill(self, file: IO[bytes], form: str, pieces: Iterable[bytes], digest: Digest) -> int:
        """Write and sync a file; return how many bytes the blob has."""
        hasher = hashlib.new(digest.algorithm)
        size = 0
        writer = _compressor(file) if form == _GZIP else file
        for piece in pieces:
            hasher.update(piece)
            size += len(piece)
            with self._telling():
                writer.write(piece)
        if hasher.hexdigest() != digest.hex:
            raise BytesDamaged(digest, "data directory")
        with self._telling():
            if writer is not file:
                writer.close()
            file.flush()
            os.fsync(file.fileno())
        if sys.platform == "linux":
            # What is verified shall be what is on the disk, not what the kernel remembers of it.
            with contextlib.suppress(OSError):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return size

    def _verify(self, path: Path, form: str, digest: Digest) -> None:
        hasher = hashlib.new(digest.algorithm)
        for piece in self._read(path, form, digest):
            hasher.update(piece)
        if hasher.hexdigest() != digest.hex:
            raise BytesDamaged(digest, "archive directory")

    def read(self, location: Location) -> Iterator[bytes]:
        """Return a blob's bytes as they were pushed; see `Archive`."""
        self._check()
        match = _matched(location)
        path = self._root / match["path"]
        if not path.is_file():
            raise BlobMissing(location)
        algorithm, _, name = match["path"].split("/")[2:]
        digest = Digest(algorithm, name.partition(".")[0])
        yield from self._read(path, match["form"], digest)

    def _read(self, path: Path, form: str, digest: Digest) -> Iterator[bytes]:
        with self._telling():
            file = io.FileIO(path, "rb", opener=_open_no_link)
        with file:
            reader = gzip.GzipFile(fileobj=file) if form == _GZIP else file
            while piece := self._next_piece(reader, digest):
                yield piece

    def _next_piece(self, reader: io.FileIO | gzip.GzipFile, digest: Digest) -> bytes:
        with self._telling():
            try:
                return reader.read(_PIECE)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise BytesDamaged(digest, "archive directory") from error

    def delete(self, location: Location) -> None:
        """Remove a blob; see `Archive`."""
        self._check()
        with self._telling():
            self._path(location).unlink(missing_ok=True)

    def locations(self) -> Iterator[Location]:
        """Walk over all blobs; see `Archive`."""
        self._check()
        for form in (_PLAIN, _GZIP):
            if (self._root / form).exists():
                for path in files_below(self._root / form):
                    location = f"archive/{path.relative_to(self._root).as_posix()}"
                    if _match(location) is not None:
                        yield Location(location)

    def _check(self) -> None:
        try:
            is_ours = (self._root / self._proof.name).read_bytes() == self._proof.read_bytes()
        except OSError as error:
            raise ArchiveUnavailable(
                f"The archive directory {self._root} has no {self._proof.name} that can be read "
                f"({error.strerror}). Mount the disk that it is on, and let the server read it."
            ) from error
        if not is_ours:
            raise ArchiveUnavailable(
                f"The archive directory {self._root} is another registry's: its "
                f"{self._proof.name} isn't that of the data directory."
            )

    def _path(self, location: Location) -> Path:
        return self._root / _matched(location)["path"]

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Say in the operator's words what the file system can't do."""
        try:
            yield
        except OSError as error:
            raise ArchiveUnavailable(
                f"The archive directory {self._root} can't be used: {error.strerror}."
            ) from error


def _is_worth_compressing(pieces: Iterable[bytes]) -> bool:
    """Tell by the beginning of a blob whether compressing it saves much."""
    sample = next(iter(pieces), b"")
    return len(gzip.compress(sample, _LEVEL)) <= _WORTHWHILE * len(sample)


def _compressor(file: IO[bytes]) -> gzip.GzipFile:
    return gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=file, mtime=0)


def _match(text: str) -> re.Match[str] | None:
    """Return the parts of a location, if `text` is one, so that it can't lead elsewhere."""
    match = _LOCATION.fullmatch(text)
    return match if match is not None and is_upload_id(match["run"]) else None


def _matched(location: Location) -> re.Match[str]:
    match = _match(location)
    if match is None:
        raise ValueError(f"not a location in an archive: {location[:300]!r}")
    return match


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
