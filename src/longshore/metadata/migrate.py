"""Bringing a database to the schema of this version, from nothing or from any earlier one.

An empty database gets the tables as they are declared, at once: to go through all that they ever
were takes longer, and Alembic's memory. Tests hold that both ways end in the same schema, to the
last detail.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from longshore.metadata import schema

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

    from longshore.metadata.database import Database

_MIGRATIONS = Path(__file__).parent / "migrations"
# Any number will do, so long as nobody else in the database uses it.
_START_LOCK = 0x10C65804


class OtherSchema(RuntimeError):
    """The database hasn't the schema of this version; the message says what to do."""


class SchemaTooNew(OtherSchema):
    """The database was written by a later version of Longshore."""

    def __init__(self) -> None:
        super().__init__(
            "The database was written by a later version of Longshore. "
            "Start that version or a newer one; going back isn't supported."
        )


class SchemaTooOld(OtherSchema):
    """The database was written by an earlier version of Longshore."""

    def __init__(self) -> None:
        super().__init__(
            "The database was written by an earlier version of Longshore. "
            "Start the server of this version once (longshore serve): it upgrades the database."
        )


class NoSchema(OtherSchema):
    """Nobody has prepared the database."""

    def __init__(self) -> None:
        super().__init__(
            "The database is empty or missing. Take it from the backup, name the right one "
            "(--database-url), or start the server once (longshore serve)."
        )


def check_schema(database: Database) -> None:
    """Make sure that `database` has the schema of this version, for who can't change it.

    Raises:
        OtherSchema: it hasn't.
    """
    revision = revision_of(database)
    if revision is None:
        raise NoSchema
    if revision not in _revisions():
        raise SchemaTooNew
    if revision != newest_revision():
        raise SchemaTooOld


def migrate(database: Database) -> None:
    """Bring `database` to the newest schema, in one transaction; several may try at once.

    Raises:
        SchemaTooNew: the database knows a migration that this version doesn't.
    """
    if revision_of(database) == newest_revision():
        return
    with database.write() as connection:
        take_turns(connection)
        if inspect(connection).get_table_names():
            _upgrade(connection)
        else:
            _create(connection)


def take_turns(connection: Connection) -> None:
    """Let those who start at once go on one after another, each to the end of its transaction.

    On SQLite everybody who writes does so anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _START_LOCK})


def _create(connection: Connection) -> None:
    """Make the tables of the newest schema where there is none."""
    schema.metadata.create_all(connection, checkfirst=False)
    # As Alembic would leave it.
    connection.execute(
        text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(
        text("INSERT INTO alembic_version (version_num) VALUES (:newest)"),
        {"newest": newest_revision()},
    )


def _upgrade(connection: Connection) -> None:
    """Run the migrations that a database lacks."""
    # Not at the top: Alembic is a tenth of the memory of a server, which seldom needs it.
    from alembic import command  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    try:
        command.upgrade(_config(connection), "head")
    except CommandError as error:
        raise SchemaTooNew from error


def revision_of(database: Database) -> str | None:
    """Return the id of the last migration that `database` has had, or None before the first.

    Where there is no database, none comes to be by asking.
    """
    if not database.is_there:
        return None
    with database.read() as tx:
        if not inspect(tx).has_table("alembic_version"):
            return None
        return tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def newest_revision() -> str:
    """Return the id of the newest migration."""
    return max(_revisions())


def _revisions() -> set[str]:
    """Return the ids of all migrations: they are named by their numbers."""
    return {file.name.partition("_")[0] for file in _MIGRATIONS.glob("versions/[0-9]*_*.py")}


def _config(connection: Connection) -> Config:
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
