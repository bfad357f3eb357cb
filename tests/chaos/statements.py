"""Every statement and commit of a process, however it goes to the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import event

from longshore.metadata import prepared

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from longshore.metadata.database import Database


def tell_before_each(database: Database, tell: Callable[[str], None]) -> None:
    """Call `tell` before each statement and commit, for as long as the process lives."""
    # Connections that are there already tell nobody.
    database.close()
    event.listen(
        database._engine, "before_cursor_execute", lambda _, __, statement, *___: tell(statement)
    )
    event.listen(database._engine, "commit", lambda _: tell("COMMIT"))
    execute = prepared._execute

    def execute_prepared(tx: Connection, text: str, *args: object, **kwargs: bool) -> object:
        tell(text)
        return execute(tx, text, *args, **kwargs)

    prepared._execute = execute_prepared
