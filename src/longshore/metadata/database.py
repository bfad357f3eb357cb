"""Connections and transactions, the same over SQLite and PostgreSQL.

SQLite runs in WAL mode with one writer at a time. PostgreSQL runs at READ COMMITTED, where the
rules lock the repository's row before they change anything in it (`longshore.registry`).
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from longshore.metadata.disk_full import refuse_if_full
from longshore.metadata.journal import Journal
from longshore.metadata.sqlite_transactions import (
    POOL_SIZE,
    Connections,
    MustWait,
    Reading,
    ReadingAtOnce,
    Writing,
)
from longshore.metadata.write_lock import WriteLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy.engine import Engine

_SQLITE_BUSY_TIMEOUT_MS = 60_000
_SWITCH_PAUSE_MS = 10


class UnsupportedDatabase(ValueError):
    """The database URL can't be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What tells one state of the database from another.

    Attributes:
        number: another one after each committed change.
        beside_content: another one after each that wasn't declared to change content alone.
    """

    number: int
    beside_content: int


class Database:
    """The metadata: transactions over one SQL database.

    Args:
        url: an SQLAlchemy URL, `sqlite:///<file>` or `postgresql+psycopg://…`, or the file of an
            SQLite database.
        connections: how many to PostgreSQL there may be at once; who needs one more waits.
    """

    def __init__(self, url: str | Path, connections: int = 2 * POOL_SIZE) -> None:
        self.url = (
            _checked(url) if isinstance(url, str) else URL.create("sqlite", database=str(url))
        )
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._engine = (
            _sqlite_engine(self.url)
            if self.is_sqlite
            else _postgresql_engine(self.url, connections)
        )
        self._writer = WriteLock(Path(f"{self.url.database}-lock"))
        self._journal = Journal(Path(f"{self.url.database}-wal"))
        self._connections = Connections(self._engine)
        self._at_once: _DatabaseAtOnce | None = None
        self._watcher: sqlite3.Connection | None = None
        self._watching = threading.Lock()
        self._generation: Generation | None = None

    @property
    def is_there(self) -> bool:
        """Whether there is anything to connect to; SQLite's file comes to be with a connection."""
        return not self.is_sqlite or Path(str(self.url.database)).exists()

    def read(self) -> AbstractContextManager[Connection]:
        """Open a transaction that only reads; it sees one state of SQLite throughout."""
        return Reading(self._connections) if self.is_sqlite else self._in_postgresql()

    def write(
        self, *, durable: bool = True, content_only: bool = False
    ) -> AbstractContextManager[Connection]:
        """Open a transaction that is committed when the block ends and undone if it raises.

        Args:
            durable: whether the commit survives a power cut. Nothing may be acknowledged to a
                user on the strength of a commit that doesn't, except what the protocol lets a
                registry forget, such as an unfinished upload. A kill of the process loses
                neither kind.
            content_only: whether nothing is changed but what pushes and pulls change and what
                work follows from them: uploads, blobs, layers, images, their tags and their
                pulls, jobs, events; or what nothing is decided by, as uses of access keys.
        """
        if self.is_sqlite:
            return Writing(
                self._connections,
                self._writer,
                self._journal,
                durable=durable,
                content_only=content_only,
            )
        return self._in_postgresql(durable=durable)

    @contextmanager
    def _in_postgresql(self, *, durable: bool = True) -> Iterator[Connection]:
        with _disk_full_as_refusal(), self._engine.begin() as connection:
            if not durable:
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            yield connection

    def generation(self) -> Generation | None:
        """Return what tells the database's state from any other, in microseconds.

        Changes of other processes count as well. None where the database has no such number to
        be had without a round trip: PostgreSQL.
        """
        if not self.is_sqlite:
            return None
        with self._watching:
            if self._watcher is None:
                # It counts the commits of all connections but its own, and makes none.
                self._watcher = sqlite3.connect(
                    str(self.url.database), isolation_level=None, check_same_thread=False
                )
            number: int = self._watcher.execute("PRAGMA data_version").fetchone()[0]
            known = self._generation
            if known is None or known.number != number:
                (beside_content,) = self._watcher.execute("PRAGMA user_version").fetchone()
                known = self._generation = Generation(number, beside_content)
            return known

    def at_once(self) -> Database:
        """Return this database for the event loop: it reads what makes nobody wait.

        A row of SQLite's is found in microseconds, and a log ahead lets readers wait for no writer.
        PostgreSQL is a round trip away, and answers nothing.
        """
        if self._at_once is None:
            self._at_once = _DatabaseAtOnce(self)
        return self._at_once

    def joined(self, tx: Connection) -> Database:
        """Return this database as seen from within an open transaction.

        What would have been transactions of their own are parts of it: all of them count, or none.
        """
        return _JoinedDatabase(self, tx)

    def close(self) -> None:
        """Close every connection."""
        with self._watching:
            if self._watcher is not None:
                self._watcher.close()
                self._watcher = None
        if self._at_once is not None:
            self._at_once.close()
        self._connections.close()
        self._writer.close()


class _JoinedDatabase(Database):
    """A database in the middle of a transaction; it remembers nothing, as nothing counts yet."""

    def __init__(self, outer: Database, tx: Connection) -> None:
        self.url, self.is_sqlite = outer.url, outer.is_sqlite
        self._tx = tx

    @contextmanager
    def read(self) -> Iterator[Connection]:
        yield self._tx

    @contextmanager
    def write(
        self,
        *,
        durable: bool = True,  # noqa: ARG002 - the outer one's
        content_only: bool = False,  # noqa: ARG002
    ) -> Iterator[Connection]:
        # What fails in it is undone by itself, so that whoever expects it can go on.
        with self._tx.begin_nested():
            yield self._tx

    def generation(self) -> None:
        return None

    def close(self) -> None:
        """Leave it to whoever has opened it."""


class _DatabaseAtOnce(Database):
    """A database for those who can't wait, who are one thread."""

    def __init__(self, outer: Database) -> None:
        self.url, self.is_sqlite = outer.url, outer.is_sqlite
        self._outer = outer
        self._quick: Connections | None = None
        if self.is_sqlite:
            self._quick = Connections(_sqlite_engine(self.url, busy_timeout_ms=0))

    def read(self) -> AbstractContextManager[Connection]:
        if self._quick is None:
            raise MustWait
        return ReadingAtOnce(self._quick)

    def write(
        self,
        *,
        durable: bool = True,  # noqa: ARG002 - nobody writes without waiting
        content_only: bool = False,  # noqa: ARG002
    ) -> AbstractContextManager[Connection]:
        raise MustWait

    def generation(self) -> Generation | None:
        return self._outer.generation()

    def close(self) -> None:
        """Close every connection that is for the event loop alone."""
        if self._quick is not None:
            self._quick.close()


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UnsupportedDatabase(
            "The database URL can't be read. Write sqlite:///FILE "
            "or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE."
        ) from error
    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise UnsupportedDatabase(
            f"Longshore keeps its metadata in SQLite or PostgreSQL, not in {parsed.drivername!r}."
        )
    if parsed.get_backend_name() == "sqlite" and not _is_file(parsed.database):
        raise UnsupportedDatabase("SQLite needs a file to keep the metadata in: sqlite:///FILE.")
    return parsed


def _is_file(name: str | None) -> bool:
    # A database in memory would be another one for each connection.
    return bool(name) and name != ":memory:" and not str(name).startswith("file:")


def _sqlite_engine(url: URL, busy_timeout_ms: int = _SQLITE_BUSY_TIMEOUT_MS) -> Engine:
    # No transaction is left open that the pool would have to end.
    engine = create_engine(
        url, pool_size=POOL_SIZE, max_overflow=POOL_SIZE, pool_reset_on_return=None
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        # The driver opens no transactions of its own; `Database` does.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")
        _switch_to_wal(connection, busy_timeout_ms)
        for pragma in (
            "foreign_keys = ON",
            "temp_store = MEMORY",
            # What has to be durable is synced by the journal.
            "synchronous = NORMAL",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _switch_to_wal(connection: sqlite3.Connection, busy_timeout_ms: int) -> None:
    """Have changes written to a log ahead; nothing happens where they are already.

    While another connection switches, SQLite refuses at once, whatever its timeout: each holds
    what the other waits for.
    """
    for attempts_left in reversed(range(busy_timeout_ms // _SWITCH_PAUSE_MS + 1)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # The low byte is what happened; the rest says more about it.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or not attempts_left:
                raise
            sleep(_SWITCH_PAUSE_MS / 1_000)
        else:
            return


def _postgresql_engine(url: URL, connections: int) -> Engine:
    try:
        return create_engine(
            url,
            # Half of them are kept when nobody needs them.
            pool_size=connections - connections // 2,
            max_overflow=connections // 2,
            pool_pre_ping=True,
            isolation_level="READ COMMITTED",
        )
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise UnsupportedDatabase(
            "The PostgreSQL driver isn't installed. Install Longshore with it: "
            "pip install '.[postgresql]' in its directory."
        ) from error


@contextmanager
def _disk_full_as_refusal() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        refuse_if_full(error)
        raise
