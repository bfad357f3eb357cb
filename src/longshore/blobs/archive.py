"""What the registry asks of the place where the bytes of archived layers rest.

An archive is no `BlobStore`: it takes in whole blobs and gives them back whole, and nobody is
served from it. So it may be slow, and keep bytes in another form than they were pushed in.

As with a store, SQL is the only truth, and **a location is used once**: it ends with the id of the
run of a job that wrote it, and a run writes each blob once. While the run is alive its id protects
what it has written; after that, what no row names is garbage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from longshore.blobs.store import BlobStoreError, Location

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from longshore.names import Digest


@dataclass(frozen=True, slots=True)
class Archived:
    """Where a blob lies in the archive, and how many bytes it takes there."""

    location: Location
    size: int


class ArchiveUnavailable(BlobStoreError):
    """The archive can't be used at all; the message says why and what to do."""


class BytesDamaged(BlobStoreError):
    """Bytes aren't those that they should be, and nothing was done with them."""

    def __init__(self, digest: Digest, place: str) -> None:
        super().__init__(
            f"the bytes of {digest} in the {place} are damaged. Take them from a backup, push the "
            "layer again, or delete the images that use it."
        )


class Archive(Protocol):
    """A colder place for blobs. Every method blocks.

    Every method but `claim` raises `ArchiveUnavailable` where the archive isn't there, is somebody
    else's or fails, and does nothing then.
    """

    def claim(self) -> None:
        """Make an archive that nobody has used yet this registry's.

        Raises:
            ArchiveUnavailable: it can't be.
        """

    def probe(self) -> None:
        """Find out whether bytes can be written and read; nothing stays of it."""

    def put(
        self, read: Callable[[], Iterable[bytes]], context: str, digest: Digest, run: str
    ) -> Archived:
        """Keep a copy of a blob; when this returns, it was verified and outlives a power cut.

        Args:
            read: returns the bytes, in pieces of a MiB or so; it is called again where they are
                needed again.
            context: the encryption context under which they are kept.
            digest: what they must hash to.
            run: the id of the run of the job that asks.

        Raises:
            BytesDamaged: they hash to something else. Nothing is kept.
        """

    def read(self, location: Location) -> Iterator[bytes]:
        """Return a blob's bytes as they were pushed, in pieces; whoever asks verifies them.

        Raises:
            BlobMissing: nothing lies at `location`.
            BytesDamaged: what lies there can't be read as what it should be.
        """

    def delete(self, location: Location) -> None:
        """Remove a blob. It is no error when it isn't there."""

    def locations(self) -> Iterator[Location]:
        """Walk over all blobs, as a store does."""
