from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

from longshore.metadata import migrate as migrating
from longshore.metadata import schema
from longshore.metadata.database import Database
from longshore.metadata.migrate import (
    NoSchema,
    OtherSchema,
    SchemaTooNew,
    SchemaTooOld,
    check_schema,
    migrate,
    newest_revision,
    revision_of,
)
from tests.support.threads import at_once, outcome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Inspector

NEWER = "9999"
KEY = {"id": "a", "server_key_id": "key", "created_at": 1}


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    """A database without tables."""
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def upgraded(
    request: pytest.FixtureRequest, tmp_path: Path, database_kind: str
) -> Iterator[Database]:
    """A database that went through all migrations, as one of the first version does."""
    if database_kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'upgraded.sqlite'}"
    else:
        url = request.getfixturevalue("postgres").create_database()
    database = Database(url)
    with database.write() as tx:
        migrating._upgrade(tx)
    yield database
    database.close()


@pytest.fixture(params=["new", "upgraded"])
def either(request: pytest.FixtureRequest, database: Database, upgraded: Database) -> Database:
    """A database of the newest schema, by either way that there is to it."""
    return {"new": database, "upgraded": upgraded}[request.param]


def tables(database: Database) -> set[str]:
    with database.read() as tx:
        return set(inspect(tx).get_table_names())


def anatomy(inspector: Inspector, table: str) -> dict[str, Any]:
    """Tell all that the database knows of a table, in an order that means nothing."""

    def unordered(parts: list[Any]) -> list[str]:
        return sorted(repr(sorted(part.items(), key=repr)) for part in parts)

    columns = [
        dict(column, type=repr(column["type"]), comment=None)
        for column in inspector.get_columns(table)
    ]
    return {
        "columns": unordered(columns),
        "primary key": inspector.get_pk_constraint(table),
        "foreign keys": unordered(inspector.get_foreign_keys(table)),
        "unique": unordered(inspector.get_unique_constraints(table)),
        "checks": unordered(inspector.get_check_constraints(table)),
        "indexes": unordered(inspector.get_indexes(table)),
    }


def test_a_database_begins_without_a_revision_and_ends_with_the_newest(empty: Database) -> None:
    assert revision_of(empty) is None
    migrate(empty)
    assert revision_of(empty) == newest_revision()


def test_the_migrations_are_one_line_and_the_newest_is_its_end() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrating._MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [newest_revision()]
    assert script.get_bases() == ["0001"]


def test_migrations_make_the_tables_that_are_declared(either: Database) -> None:
    with either.read() as tx:
        # SQLite can't tell that an id counts up, and Alembic takes that for a default.
        defaults = not either.is_sqlite
        context = MigrationContext.configure(
            tx, opts={"compare_type": True, "compare_server_default": defaults}
        )
        assert compare_metadata(context, schema.metadata) == []
    assert tables(either) == set(schema.metadata.tables) | {"alembic_version"}
    assert revision_of(either) == newest_revision()


def test_migrations_make_them_to_the_last_detail(database: Database, upgraded: Database) -> None:
    with database.read() as tx, upgraded.read() as other:
        created, migrated = inspect(tx), inspect(other)
        for table in tables(database):
            assert anatomy(migrated, table) == anatomy(created, table)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("table", ["repositories", "images", "blobs"])
def test_no_id_of_sqlite_ever_comes_back(either: Database, table: str) -> None:
    with either.read() as tx:
        sql = tx.execute(
            text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name"),
            {"name": table},
        ).scalar_one()
    assert "AUTOINCREMENT" in sql


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_names_in_postgresql_sort_by_code_points_whatever_its_locale(either: Database) -> None:
    query = "SELECT table_name, column_name FROM information_schema.columns WHERE collation_name = "
    with either.read() as tx:
        rows = tx.execute(text(f"{query} 'C' AND table_schema = 'public'")).all()
    assert {tuple(row) for row in rows} == {
        ("binned_images", "repository"),
        ("binned_tags", "name"),
        ("identities", "folded_name"),
        ("identities", "name"),
        ("identities", "path"),
        ("inline_policies", "name"),
        ("managed_policies", "folded_name"),
        ("managed_policies", "name"),
        ("managed_policies", "path"),
        ("openid_providers", "url"),
        ("pull_time_exclusions", "principal_arn"),
        ("repositories", "name"),
        ("repository_creation_templates", "namespace"),
        ("resource_tags", "key"),
        ("tags", "name"),
    }


def test_to_migrate_again_changes_nothing(empty: Database) -> None:
    migrate(empty)
    with empty.write() as tx:
        tx.execute(schema.identity.insert().values(KEY))
    before = tables(empty)
    for _ in range(2):
        migrate(empty)
    assert tables(empty) == before
    with empty.read() as tx:
        assert [dict(row) for row in tx.execute(select(schema.identity)).mappings()] == [KEY]


def test_a_database_of_a_later_version_is_refused_and_stays_as_it_is(database: Database) -> None:
    version = text("UPDATE alembic_version SET version_num = :version")
    with database.write() as tx:
        tx.execute(version, {"version": NEWER})
    try:
        with pytest.raises(SchemaTooNew) as refusal:
            migrate(database)
        assert str(refusal.value) == (
            "The database was written by a later version of Longshore. "
            "Start that version or a newer one; going back isn't supported."
        )
        assert revision_of(database) == NEWER
    finally:
        # Others use it after this test.
        with database.write() as tx:
            tx.execute(version, {"version": newest_revision()})


@pytest.mark.parametrize(
    ("revision", "refusal"), [(NEWER, SchemaTooNew), ("0011", SchemaTooOld), ("0001", SchemaTooOld)]
)
def test_the_schema_of_another_version_is_told_from_this_one_s(
    database: Database, revision: str, refusal: type[OtherSchema]
) -> None:
    check_schema(database)
    version = text("UPDATE alembic_version SET version_num = :version")
    with database.write() as tx:
        tx.execute(version, {"version": revision})
    try:
        with pytest.raises(refusal):
            check_schema(database)
    finally:
        # Others use it after this test.
        with database.write() as tx:
            tx.execute(version, {"version": newest_revision()})


def test_to_ask_for_the_schema_makes_nothing(empty: Database, tmp_path: Path) -> None:
    before = [*tmp_path.iterdir()]
    with pytest.raises(NoSchema):
        check_schema(empty)
    assert revision_of(empty) is None
    assert [*tmp_path.iterdir()] == before


def test_the_keys_of_earlier_versions_become_those_of_the_administrator(empty: Database) -> None:
    arn = "arn:aws:iam::123456789012:user/administrator"
    with empty.write() as tx:
        command.upgrade(migrating._config(tx), "0002")
        for key_id, active in (("AKIAONE", True), ("AKIATWO", False)):
            tx.execute(
                text(
                    "INSERT INTO access_keys (id, secret, principal_arn, active, created_at) "
                    "VALUES (:id, :secret, :arn, :active, 7)"
                ),
                {"id": key_id, "secret": b"sealed", "arn": arn, "active": active},
            )
    migrate(empty)
    with empty.read() as tx:
        [user] = tx.execute(select(schema.identities))
        keys = tx.execute(select(schema.access_keys).order_by(schema.access_keys.c.id)).all()
        attached = tx.execute(select(schema.attachments)).all()
    assert re.fullmatch("AIDA[A-Z2-7]{17}", user.id)
    assert user[1:] == (
        ("123456789012", "user", "administrator", "administrator", "/", 7, None, True, {})
    )
    assert keys == [
        ("AKIAONE", b"sealed", "123456789012", user.id, True, 7),
        ("AKIATWO", b"sealed", "123456789012", user.id, False, 7),
    ]
    assert attached == [(user.id, "arn:aws:iam::aws:policy/AdministratorAccess")]


@pytest.mark.parametrize("version", [None, "0002"])
def test_several_may_migrate_at_once(empty: Database, version: str | None) -> None:
    if version is not None:
        with empty.write() as tx:
            command.upgrade(migrating._config(tx), version)
    url = empty.url.render_as_string(hide_password=False)
    processes = [Database(url) for _ in range(3)]
    outcomes = at_once([outcome(partial(migrate, each)) for each in [*processes, *processes]])
    assert outcomes == ["done"] * 6
    assert revision_of(empty) == newest_revision()
    for each in processes:
        each.close()


def test_a_migration_that_fails_leaves_nothing(empty: Database) -> None:
    with empty.write() as tx:
        # In the way of one of the last tables.
        tx.execute(text("CREATE TABLE tags (x INTEGER)"))
    assert outcome(partial(migrate, empty))() != "done"
    assert tables(empty) == {"tags"}
    assert revision_of(empty) is None
    with empty.write() as tx:
        tx.execute(text("DROP TABLE tags"))
    migrate(empty)
    assert revision_of(empty) == newest_revision()
