"""Every statement, however it goes to the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import event

from longshore.metadata import prepared
from longshore.metadata.sqlite_transactions import Writing

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from longshore.metadata.database import Database


def tell_before_each(database: Database, tell: Callable[[str], object]) -> Callable[[], None]:
    """Call `tell` with each statement before it is executed; return what ends that.

    Of what begins a transaction of SQLite's that writes it hears before others are kept from
    writing.
    """

    def hear(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        tell(statement)

    execute, lock = prepared._execute, database._writer.acquire

    def lock_and_begin() -> None:
        tell(Writing._BEGIN)
        lock()

    def execute_prepared(tx: Connection, text: str, *args: object, **kwargs: bool) -> object:
        if tx.engine is database._engine and text != Writing._BEGIN:
            tell(text)
        return execute(tx, text, *args, **kwargs)

    def end() -> None:
        event.remove(database._engine, "before_cursor_execute", hear)
        prepared._execute = execute
        database._writer.acquire = lock  # type: ignore[method-assign]

    # Connections that are there already tell nobody.
    database.close()
    event.listen(database._engine, "before_cursor_execute", hear)
    prepared._execute = execute_prepared
    database._writer.acquire = lock_and_begin  # type: ignore[method-assign]
    return end
