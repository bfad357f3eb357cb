"""Places where a test can come between two steps of a rule."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias

from longshore.blobs.filesystem import FilesystemBlobStore
from tests.support.statements import tell_before_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from longshore.blobs.store import BlobWriter, Location
    from longshore.metadata.database import Database
    from longshore.names import Digest

Step: TypeAlias = Literal["digest", "commit", "open", "locations"]


class InterruptedBlobStore(FilesystemBlobStore):
    """The real store, with something else happening just before one of its steps, once."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._interruptions: dict[Step, Callable[[], object]] = {}

    def before(self, step: Step, interruption: Callable[[], object]) -> None:
        """Call `interruption` when the next such step begins."""
        self._interruptions[step] = interruption

    def _interrupt(self, step: Step) -> None:
        self._interruptions.pop(step, lambda: None)()

    def digest(
        self, upload_id: str, size: int, algorithm: str, writer: BlobWriter | None = None
    ) -> Digest:
        """See `BlobStore`."""
        self._interrupt("digest")
        return super().digest(upload_id, size, algorithm, writer)

    def commit(
        self,
        upload_id: str,
        size: int,
        context: str,
        digest: Digest,
        writer: BlobWriter | None = None,
    ) -> Location:
        """See `BlobStore`."""
        self._interrupt("commit")
        return super().commit(upload_id, size, context, digest, writer)

    def open(self, location: Location) -> BinaryIO:
        """See `BlobStore`."""
        self._interrupt("open")
        return super().open(location)

    def locations(self) -> Iterator[Location]:
        """See `BlobStore`."""
        self._interrupt("locations")
        return super().locations()


@contextmanager
def before_statement(
    database: Database, beginning: str, interruption: Callable[[], object]
) -> Iterator[None]:
    """Call `interruption` when the next statement that begins so is about to be executed.

    It may read the same database. To write there it needs PostgreSQL, where several can.
    """
    waiting = [interruption]

    def interrupt(statement: str) -> None:
        if waiting and statement.startswith(beginning):
            waiting.pop()()

    end = tell_before_each(database, interrupt)
    try:
        yield
    finally:
        end()
    assert not waiting, f"no statement began with {beginning!r}"
