"""What many tests stand on: databases of both kinds, and a store with a clock that tests set."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from longshore.access.sealing import ServerKey
from longshore.blobs.filesystem import FilesystemBlobStore
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


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresCluster]:
    """A PostgreSQL server of this test process's own."""
    if find_postgres() is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed, and CI skips nothing")
        pytest.skip("PostgreSQL is not installed")
    with postgres_cluster() as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database; the test runs once on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'metadata.sqlite'}"
    cluster: PostgresCluster = request.getfixturevalue("postgres")
    return cluster.create_database()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with the newest schema."""
    database = Database(database_url)
    migrate(database)
    yield database
    database.close()


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
