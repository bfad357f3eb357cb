"""Connections and transactions, the same over SQLite and PostgreSQL.

SQLite runs in WAL mode with one writer at a time. PostgreSQL runs at READ COMMITTED, where the
rules lock the repository's row before they change anything in it (`longshore.registry`).
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from longshore.errors import StorageFull

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import Engine

_SQLITE_BUSY_TIMEOUT_MS = 60_000
_POOL_SIZE = 20
_POSTGRESQL_DISK_FULL = "53100"


class UnsupportedDatabase(ValueError):
    """The database URL can't be used; the message says what to do."""


class Database:
    """The metadata: transactions over one SQL database.

    Args:
        url: an SQLAlchemy URL, `sqlite:///<file>` or `postgresql+psycopg://…`, or the file of an
            SQLite database.
    """

    def __init__(self, url: str | Path) -> None:
        self.url = (
            _checked(url) if isinstance(url, str) else URL.create("sqlite", database=str(url))
        )
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._engine = _sqlite_engine(self.url) if self.is_sqlite else _postgresql_engine(self.url)
        # Waiting here is fair and cheap; waiting in SQLite is polling.
        self._writer = threading.Lock()
        self._watcher: sqlite3.Connection | None = None
        self._watching = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads; it sees one state of SQLite throughout."""
        with _disk_full_as_refusal(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Connection]:
        """Open a transaction that is committed when the block ends and undone if it raises.

        Args:
            durable: whether the commit survives a power cut. Nothing may be acknowledged to a
                user on the strength of a commit that doesn't, except what the protocol lets a
                registry forget, such as an unfinished upload. A kill of the process loses
                neither kind.
        """
        with _disk_full_as_refusal():
            if self.is_sqlite:
                with self._writer, self._engine.connect() as connection:
                    connection.execution_options(begin_write=True, durable=durable)
                    with connection.begin():
                        yield connection
            else:
                with self._engine.begin() as connection:
                    if not durable:
                        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                    yield connection

    def generation(self) -> int | None:
        """Return a number that is another one after each committed change, in microseconds.

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
            row: tuple[int] = self._watcher.execute("PRAGMA data_version").fetchone()
        return row[0]

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
        self._engine.dispose()


class _JoinedDatabase(Database):
    """A database in the middle of a transaction; it remembers nothing, as nothing counts yet."""

    def __init__(self, outer: Database, tx: Connection) -> None:
        self.url, self.is_sqlite = outer.url, outer.is_sqlite
        self._tx = tx

    @contextmanager
    def read(self) -> Iterator[Connection]:
        yield self._tx

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Connection]:  # noqa: ARG002 - the outer one's
        # What fails in it is undone by itself, so that whoever expects it can go on.
        with self._tx.begin_nested():
            yield self._tx

    def generation(self) -> None:
        return None

    def close(self) -> None:
        """Leave it to whoever has opened it."""


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


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url, pool_size=_POOL_SIZE, max_overflow=_POOL_SIZE)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        # The driver opens no transactions of its own; `begin` below does.
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout = {_SQLITE_BUSY_TIMEOUT_MS}",
            "journal_mode = WAL",
            "foreign_keys = ON",
            "temp_store = MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("begin_write"):
            # In WAL mode FULL syncs each commit and NORMAL leaves it to the next one that does.
            synchronous = "FULL" if options.get("durable") else "NORMAL"
            connection.exec_driver_sql(f"PRAGMA synchronous = {synchronous}")
            # Taking the write lock at once, a transaction never fails half-way for want of it.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("BEGIN")

    return engine


def _postgresql_engine(url: URL) -> Engine:
    try:
        return create_engine(
            url,
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_SIZE,
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
        if _is_disk_full(error.orig):
            raise StorageFull from error
        raise


def _is_disk_full(error: object) -> bool:
    return (
        getattr(error, "sqlite_errorname", None) == "SQLITE_FULL"
        or getattr(error, "sqlstate", None) == _POSTGRESQL_DISK_FULL
    )
