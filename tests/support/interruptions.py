"""Places where a test can come between two steps of a rule."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias
from unittest.mock import patch

from sqlalchemy import event

from longshore.blobs.filesystem import FilesystemBlobStore
from longshore.metadata import prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from sqlalchemy import Connection

    from longshore.blobs.store import Location
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

    def digest(self, upload_id: str, size: int, algorithm: str) -> Digest:
        """See `BlobStore`."""
        self._interrupt("digest")
        return super().digest(upload_id, size, algorithm)

    def commit(self, upload_id: str, size: int, context: str, digest: Digest) -> Location:
        """See `BlobStore`."""
        self._interrupt("commit")
        return super().commit(upload_id, size, context, digest)

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
    execute = prepared._execute

    def interrupt(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if waiting and statement.startswith(beginning):
            waiting.pop()()

    def execute_prepared(tx: Connection, text: str, *args: object, **kwargs: bool) -> object:
        if tx.engine is database._engine:
            interrupt(tx, None, text)
        return execute(tx, text, *args, **kwargs)

    # Connections that are there already tell nobody.
    database.close()
    event.listen(database._engine, "before_cursor_execute", interrupt)
    try:
        with patch.object(prepared, "_execute", execute_prepared):
            yield
    finally:
        event.remove(database._engine, "before_cursor_execute", interrupt)
    assert not waiting, f"no statement began with {beginning!r}"
