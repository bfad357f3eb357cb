"""What the registry asks of the place where its bytes lie.

SQL is the only truth: a store knows no repositories, no references and no times, and nothing is
ever concluded from what happens to lie in it. It takes the bytes of uploads, turns an upload into
a blob, and hands blobs out.

**A location is used once.** It ends with the id of the upload that made it, so two uploads of the
same content have two locations, and a location that has been deleted never comes back. Whoever
deletes one therefore can't harm an upload that brings the same content a moment later: the garbage
collector needs no lock against pushes, however the two interleave. That a content is kept once is
for the registry to see to: it deletes the location that it doesn't need.

**The order that keeps this safe.** The row of an upload is written before its first byte and
deleted in the transaction that writes the row of its blob. So a staged upload without a row of its
own is garbage, and so is a location that has no row when `upload_of` it has none either.

**An upload's offset is SQL's.** A writer holds the upload for itself, across processes. Between
reading the offset and getting the writer another request may have moved on; so a request compares
the offset again inside the `with` block, before it appends, and commits the new offset before it
leaves the block:

    with store.writer(upload_id, offset) as writer:
        ...  # is `offset` still the acknowledged one? It is if the writer `is_first`.
        writer.append(data)
        ...  # acknowledge `writer.offset`, or commit the upload
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NewType, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from longshore.names import Digest

Location = NewType("Location", str)
"""Where a blob lies, for its store alone to read; never used a second time."""

_UPLOAD_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def is_upload_id(text: str) -> bool:
    """Tell whether `text` is the id of an upload: a UUID in lower case."""
    return _UPLOAD_ID.fullmatch(text) is not None


def upload_of(location: Location) -> str:
    """Return the id of the upload, or of the run of a job, that made the blob at `location`.

    Raises:
        ValueError: `location` doesn't end with the id of an upload.
    """
    upload_id = location.rpartition(".")[2]
    if not is_upload_id(upload_id):
        raise ValueError(f"not a location: {location[:300]!r}")
    return upload_id


class BlobStoreError(Exception):
    """What a store can't do."""


class UploadBusy(BlobStoreError):
    """Another request, in this process or in another, is working on the upload."""

    def __init__(self, upload_id: str) -> None:
        super().__init__(f"another request is working on the upload {upload_id}")


class UploadLost(BlobStoreError):
    """Bytes that were acknowledged aren't there.

    Appended bytes survive the death of the process, but only a commit makes them survive a power
    cut. It is also the answer for an upload that was committed or discarded.
    """

    def __init__(self, upload_id: str) -> None:
        super().__init__(f"the store doesn't have the bytes of the upload {upload_id}")


class DigestMismatch(BlobStoreError):
    """The bytes of the upload don't have the digest under which they were to be committed.

    Attributes:
        computed: the digest that they have, by the same algorithm.
    """

    def __init__(self, upload_id: str, computed: Digest) -> None:
        super().__init__(f"the digest of the upload {upload_id} is {computed}")
        self.computed = computed


class BlobMissing(BlobStoreError):
    """Nothing lies at the location."""

    def __init__(self, location: Location) -> None:
        super().__init__(f"there is no blob at {location}")


class BlobWriter(Protocol):
    """The right to append to one upload, held by one request at a time."""

    @property
    def offset(self) -> int:
        """How many bytes the upload has, in bytes from its beginning."""

    @property
    def is_first(self) -> bool:
        """Whether the upload had no byte when it was held: so nobody can have acknowledged one."""

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of `data` at the offset and move the offset behind it.

        Before the first of it is written, bytes beyond the offset are cut off: a request that
        failed left them, and nobody acknowledged them. Memory that begins with a page may save a
        copy of it.

        Raises:
            StorageFull: the disk is full. Whatever this writer wrote is given back, and the
                offset is again the one that it was opened at.
            OSError: the disk failed; the same holds.
        """


class BlobStore(Protocol):
    """Uploads that become blobs. Every method blocks: call it from a worker thread.

    An id, a context or a location that isn't one is a `ValueError` in every method, before it
    comes near a path.
    """

    def create(self, upload_id: str) -> None:
        """Begin an upload, with no bytes. It is no error to begin it again.

        Raises:
            StorageFull: the disk is full.
        """

    def writer(self, upload_id: str, offset: int) -> AbstractContextManager[BlobWriter]:
        """Hold the upload, to append at `offset`: the number of bytes acknowledged so far.

        Opening changes nothing. At offset 0 an upload that isn't there is begun.

        Raises:
            UploadBusy: another request is working on the upload.
            UploadLost: fewer than `offset` bytes are there.
            StorageFull: the disk is full.
        """

    def digest(
        self, upload_id: str, size: int, algorithm: str, writer: BlobWriter | None = None
    ) -> Digest:
        """Compute the digest of an upload of `size` bytes; bytes beyond are nobody's.

        Args:
            upload_id: the upload.
            size: how many bytes count.
            algorithm: of the digest.
            writer: what holds the upload, if the caller does.

        Raises:
            UploadBusy: another request is working on the upload.
            UploadLost: fewer than `size` bytes are there.
        """

    def commit(
        self,
        upload_id: str,
        size: int,
        context: str,
        digest: Digest,
        writer: BlobWriter | None = None,
    ) -> Location:
        """Make a blob of an upload of `size` bytes, and make it outlive a power cut.

        The bytes are verified here, whoever has compared a digest before: between that comparison
        and the commit another request could have had the upload. Where they were hashed as they
        came this costs nothing.

        Repeating a commit answers the same location, also when the process died in the middle of
        the first one. So a request that knows the digest from its client needn't, and after such
        a death can't, call `digest` before.

        Args:
            upload_id: the upload; it is over when this returns.
            size: how many bytes were acknowledged; bytes beyond are cut off.
            context: the encryption context under which the blob is kept, such as `aes256`.
            digest: what the bytes must hash to.
            writer: what holds the upload, if the caller does; nothing is written with it any more.

        Raises:
            DigestMismatch: they hash to something else; the upload stays as it is.
            UploadBusy: another request is working on the upload.
            UploadLost: fewer than `size` bytes are there.
            StorageFull: the disk is full, which may have cost the upload.
        """

    def discard(self, upload_id: str) -> None:
        """Remove an upload. It is no error when it isn't there."""

    def open(self, location: Location) -> BinaryIO:
        """Open a blob, raw and unbuffered, for `os.pread` or `os.sendfile` on its `fileno()`.

        A blob that is deleted while it is open can be read to its end.

        Raises:
            BlobMissing: nothing lies at `location`.
        """

    def delete(self, location: Location) -> None:
        """Remove a blob. It is no error when it isn't there."""

    def probe(self) -> None:
        """Find out whether bytes can be written and read; nothing stays of it.

        Raises:
            OSError: they can't.
        """

    def locations(self) -> Iterator[Location]:
        """Walk over all blobs in no order, in constant memory.

        A blob that comes or goes during the walk may be in it or not.
        """

    def uploads(self) -> Iterator[str]:
        """Walk over the ids of all uploads that aren't committed, as `locations` does."""
