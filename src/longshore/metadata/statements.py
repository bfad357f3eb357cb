"""The few statements that SQL's two dialects word differently."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Table


def insert_if_absent(connection: Connection, table: Table, **values: object) -> bool:
    """Insert a row unless it breaks a unique constraint; tell whether it was inserted.

    On PostgreSQL it waits for a concurrent transaction that inserts the same row.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(**values).on_conflict_do_nothing()
    return connection.execute(statement).rowcount == 1


def upsert(
    connection: Connection, table: Table, key: Mapping[str, object], values: Mapping[str, object]
) -> None:
    """Write the row that `key` (the primary key) names, whether it exists or not."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = (
        dialect.insert(table)
        .values(**key, **values)
        .on_conflict_do_update(index_elements=list(key), set_=dict(values))
    )
    connection.execute(statement)
