"""Transactions of SQLite's, begun and ended past SQLAlchemy."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sqlalchemy.exc import DBAPIError

from longshore.metadata.disk_full import refuse_if_full
from longshore.metadata.prepared import commit, execute_text, rollback

if TYPE_CHECKING:
    import sqlite3
    from types import TracebackType

    from sqlalchemy import Connection
    from sqlalchemy.engine import Engine

    from longshore.metadata.journal import Journal
    from longshore.metadata.write_lock import WriteLock

POOL_SIZE = 20
"""How many connections are kept."""
# SQLite keeps it in 32 bits, and for whatever an application likes.
_LARGEST_USER_VERSION = 2**31 - 1


class MustWait(Exception):
    """What is asked of the database could make somebody wait who can't."""


class Connections:
    """Connections to SQLite that are kept at hand.

    SQLAlchemy's own pool takes longer to hand one out than SQLite to find a row.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: list[Connection] = []

    def lend(self) -> Connection:
        """Return one that nobody else uses."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._engine.connect()

    def take_back(self, connection: Connection) -> None:
        """Keep one for the next."""
        if len(self._idle) < POOL_SIZE:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close those that are at hand."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        self._engine.dispose()


class Reading:
    """A transaction of SQLite's; it only reads.

    A class and not a generator, and begun and ended past SQLAlchemy: it is there for every request
    that memory doesn't answer. SQLAlchemy's own transaction begins where somebody executes a
    statement of its own, and ends with this one.
    """

    __slots__ = ("_connection", "_connections")

    _BEGIN = "BEGIN"

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._connection: Connection

    def __enter__(self) -> Connection:
        connection = self._connection = self._connections.lend()
        try:
            execute_text(connection, self._BEGIN)
        except BaseException as error:
            connection.close()
            refuse_if_full(error)
            raise
        return connection

    def __exit__(
        self, _kind: object, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._end()
            return
        # Its statements may be in any state: what is next begins with another connection.
        with self._connection as connection:
            rollback(connection)
        refuse_if_full(error)

    def _end(self) -> None:
        connection = self._connection
        try:
            commit(connection)
        except BaseException as error:
            with connection:
                rollback(connection)
            refuse_if_full(error)
            raise
        self._connections.take_back(connection)


class ReadingAtOnce(Reading):
    """One for those who can't wait, over connections that don't.

    Whatever the database has against it, whoever can wait will hear of it.
    """

    __slots__ = ()

    def __enter__(self) -> Connection:
        try:
            return super().__enter__()
        except DBAPIError as error:
            raise MustWait from error

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, DBAPIError):
            super().__exit__(kind, error, traceback)
            raise MustWait from error
        # What wasn't found is asked for as often as what was.
        self._end()


class Writing(Reading):
    """A transaction of SQLite's that writes, see `longshore.metadata.database.Database.write`."""

    __slots__ = ("_content_only", "_durable", "_journal", "_writer")

    # Taking the write lock at once, it never fails half-way for want of it.
    _BEGIN = "BEGIN IMMEDIATE"

    def __init__(
        self,
        connections: Connections,
        writer: WriteLock,
        journal: Journal,
        *,
        durable: bool,
        content_only: bool,
    ) -> None:
        super().__init__(connections)
        self._writer = writer
        self._journal = journal
        self._durable = durable
        self._content_only = content_only

    def __enter__(self) -> Connection:
        self._writer.acquire()
        try:
            return super().__enter__()
        except BaseException:
            self._leave(None)
            raise

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        commit = None
        try:
            if error is None and not self._content_only:
                try:
                    _count_change(self._connection)
                except BaseException as refusal:
                    super().__exit__(type(refusal), refusal, traceback)
                    raise
            super().__exit__(kind, error, traceback)
            if error is None:
                commit = self._journal.committed()
        finally:
            self._leave(commit)

    def _leave(self, commit: int | None) -> None:
        """Let the next one write, and make what was committed durable.

        Also after a refusal: it may tell of what somebody else has committed just now.
        """
        self._writer.release()
        if self._durable:
            self._journal.make_durable(commit)


def _count_change(connection: Connection) -> None:
    """Begin another generation beside content, as a part of the transaction."""
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    number: int = driver.execute("PRAGMA user_version").fetchone()[0]
    # A pragma takes no parameters.
    driver.execute(f"PRAGMA user_version = {(number + 1) % _LARGEST_USER_VERSION}")
