"""The few statements that SQL's two dialects word differently."""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, TypeVar, cast

from sqlalchemy import text

from longshore.metadata.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy import Connection, Table
    from sqlalchemy.dialects import postgresql, sqlite

Item = TypeVar("Item")

# SQLite takes 32,766 parameters in a statement, and PostgreSQL's driver 65,535.
_BATCH = 500


def batches(items: Iterable[Item], most: int = _BATCH) -> Iterator[list[Item]]:
    """Yield all items, `most` at a time: by default as many as any statement takes."""
    iterator = iter(items)
    while batch := list(islice(iterator, most)):
        yield batch


def insert_if_absent(connection: Connection, table: Table, **values: object) -> bool:
    """Insert a row unless it breaks a unique constraint; tell whether it was inserted.

    On PostgreSQL it waits for a concurrent transaction that inserts the same row.
    """
    return _insert_if_absent(connection.dialect.name, table).run(connection, **values) == 1


def insert_for_id(connection: Connection, table: Table, **values: object) -> int | None:
    """Insert a row as `insert_if_absent` does; return its `id`, or None if it wasn't inserted."""
    return cast(
        "int | None", _insert_for_id(connection.dialect.name, table).value(connection, **values)
    )


def upsert(
    connection: Connection, table: Table, key: Mapping[str, object], values: Mapping[str, object]
) -> None:
    """Write the row that `key` (the primary key) names, whether it exists or not."""
    statement = (
        _insert(connection.dialect.name, table)
        .values(**key, **values)
        .on_conflict_do_update(index_elements=list(key), set_=dict(values))
    )
    connection.execute(statement)


def lock_for_one(connection: Connection, lock: int) -> bool:
    """Keep others from what `lock` stands for until the transaction ends, unless somebody does.

    Args:
        connection: a writing transaction.
        lock: a number that nobody else in the database uses.

    Returns:
        Whether it is this transaction's. On SQLite a writing transaction is alone anyway.
    """
    if connection.dialect.name == "sqlite":
        return True
    statement = text("SELECT pg_try_advisory_xact_lock(:lock)")
    return bool(connection.execute(statement, {"lock": lock}).scalar_one())


@cache
def _insert_if_absent(dialect: str, table: Table) -> Prepared:
    return Prepared(_insert(dialect, table).on_conflict_do_nothing())


@cache
def _insert_for_id(dialect: str, table: Table) -> Prepared:
    return Prepared(_insert(dialect, table).on_conflict_do_nothing().returning(table.c.id))


def _insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    # Not at the top: a server needs one of the two, and each is megabytes.
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert  # noqa: PLC0415

        return postgresql_insert(table)
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert  # noqa: PLC0415

    return sqlite_insert(table)
