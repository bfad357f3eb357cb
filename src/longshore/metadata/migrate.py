"""Bringing a database to the schema of this version, from nothing or from any earlier one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from longshore.metadata.database import Database

_MIGRATIONS = Path(__file__).parent / "migrations"
# Any number will do, so long as nobody else in the database uses it.
_MIGRATION_LOCK = 0x10C65804


class SchemaTooNew(RuntimeError):
    """The database was written by a later version of Longshore."""


def migrate(database: Database) -> None:
    """Run the migrations that `database` lacks, in one transaction; several may try at once.

    Raises:
        SchemaTooNew: the database knows a migration that this version doesn't.
    """
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(
                text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK}
            )
        try:
            command.upgrade(_config(connection), "head")
        except CommandError as error:
            raise SchemaTooNew(
                "The database was written by a later version of Longshore. "
                "Start that version or a newer one; going back isn't supported."
            ) from error


def newest_revision() -> str:
    """Return the id of the newest migration."""
    head = ScriptDirectory.from_config(_config(None)).get_current_head()
    if head is None:
        raise RuntimeError("there are no migrations")
    return head


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
