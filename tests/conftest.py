"""What many tests stand on: databases of both kinds, and a store with a clock that tests set."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from longshore.access.sealing import ServerKey
from longshore.blobs.filesystem import FilesystemBlobStore
from longshore.metadata import schema
from longshore.metadata.database import Database
from longshore.metadata.migrate import migrate
from longshore.registry.context import Caller, Context
from tests.support.clock import FakeClock
from tests.support.postgres import find_postgres, postgres_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgres import PostgresCluster

ACCOUNT = "000000000000"

# How long an example takes is the machine's affair.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


_EMPTYING = [str(table.delete()) for table in reversed(schema.metadata.sorted_tables)]

# What goes through everything once more, or starts a process for each test: `make test` leaves it
# to `make slow`.
_THOROUGH = (
    "tests/api/ecr/test_refusals.py",
    "tests/api/iam/test_permissions.py",
    "tests/api/test_permissions.py",
    "tests/chaos",
    "tests/docs/test_commands.py",
    "tests/fuzz",
    "tests/property",
    "tests/unit/api/aws/test_json.py",
    "tests/unit/api/aws/test_patterns.py",
    "tests/unit/api/aws/test_query.py",
    "tests/unit/cli",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the thorough tests, and those on PostgreSQL, which `make postgresql` runs."""
    for item in items:
        if item.nodeid.startswith(_THOROUGH):
            item.add_marker("slow")
        if _is_on_postgresql(item):
            item.add_marker("postgresql")


def _is_on_postgresql(item: pytest.Item) -> bool:
    if not isinstance(item, pytest.Function):
        return False
    chosen = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return "postgres" in item.fixturenames or "postgresql" in chosen


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresCluster]:
    """A PostgreSQL server of this test process's own."""
    if find_postgres() is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed, and CI skips nothing")
        pytest.skip("PostgreSQL is not installed")
    with postgres_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def sqlite_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The database of SQLite that the tests of this process take turns at."""
    database = Database(tmp_path_factory.mktemp("sqlite") / "metadata.sqlite")
    migrate(database)
    yield database
    database.close()


@pytest.fixture(scope="session")
def postgres_database(postgres: PostgresCluster) -> Iterator[Database]:
    """The database of PostgreSQL that the tests of this process take turns at."""
    database = Database(postgres.create_database())
    migrate(database)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """What keeps the metadata; the test runs once on each kind."""
    return str(request.param)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, database_kind: str, tmp_path: Path) -> str:
    """A database without tables."""
    if database_kind == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite'}"
    cluster: PostgresCluster = request.getfixturevalue("postgres")
    return cluster.create_database()


@pytest.fixture
def database(request: pytest.FixtureRequest, database_kind: str) -> Database:
    """A database with the newest schema and nothing in it."""
    # To empty one is ten times as fast as to make one, which would compile every statement anew.
    name = "sqlite_database" if database_kind == "sqlite" else "postgres_database"
    database: Database = request.getfixturevalue(name)
    # PostgreSQL is asked once for all tables; SQLite takes one statement at a time.
    statements = _EMPTYING if database.is_sqlite else ["; ".join(_EMPTYING)]
    with database.write(durable=False) as tx:
        for statement in statements:
            tx.exec_driver_sql(statement)
    return database


@pytest.fixture
def clock() -> FakeClock:
    """The clock that the test sets."""
    return FakeClock()


@pytest.fixture
def context(database: Database, clock: FakeClock, tmp_path: Path) -> Context:
    """A store with nothing in it, in the dialect of ECR."""
    return Context(
        database=database,
        blobs=FilesystemBlobStore(tmp_path / "data"),
        server_key=ServerKey(bytes(32)),
        clock=clock,
    )


@pytest.fixture
def caller() -> Caller:
    """Somebody who may do everything."""
    return Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/administrator")
