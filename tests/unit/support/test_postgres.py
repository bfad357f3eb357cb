from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine, text

from tests.support.postgres import postgres_cluster

if TYPE_CHECKING:
    from tests.support.postgres import PostgresCluster

ROOT = Path(__file__).parents[3]


def run(url: str, *statements: str) -> list[object]:
    """Run the statements; return the first column of what the last one answers."""
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            for statement in statements[:-1]:
                connection.execute(text(statement))
            return [row[0] for row in connection.execute(text(statements[-1]))]
    finally:
        engine.dispose()


def test_every_database_is_fresh(postgres: PostgresCluster) -> None:
    one, other = postgres.create_database(), postgres.create_database()
    run(one, "CREATE TABLE here ()", "SELECT 1")
    assert one != other
    assert run(other, "SELECT tablename FROM pg_tables WHERE tablename = 'here'") == []


def test_a_database_is_copied_from_a_template(postgres: PostgresCluster) -> None:
    template = postgres.create_database()
    run(template, "CREATE TABLE numbers (n int)", "INSERT INTO numbers VALUES (7) RETURNING n")
    copy = postgres.create_database(template)
    assert run(copy, "SELECT n FROM numbers") == [7]


def test_a_database_is_dropped_under_those_who_use_it(postgres: PostgresCluster) -> None:
    url = postgres.create_database()
    with psycopg.connect(url.replace("+psycopg", "")):
        postgres.drop_database(url)
        postgres.drop_database(url)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url.replace("+psycopg", ""))


def test_a_server_ends_with_its_block(postgres: PostgresCluster) -> None:
    with contextlib.ExitStack() as block:
        cluster = block.enter_context(postgres_cluster(durable=True))
        url = cluster.create_database()
        assert run(url, "SHOW fsync") == ["on"]
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            block.close()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
    assert not cluster.directory.exists()
    assert postgres.create_database()  # and no other server with it


def test_a_server_ends_when_its_tests_are_killed(postgres: PostgresCluster) -> None:
    program = (
        "import sys\n"
        "from tests.support.postgres import postgres_cluster\n"
        "with postgres_cluster() as cluster:\n"
        "    sys.stdout.write(cluster.create_database() + '\\n')\n"
        "    sys.stdout.flush()\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tests:
        assert tests.stdout is not None
        url = tests.stdout.readline().strip().replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            tests.kill()
            # Ends when the server does, long before it is over.
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT pg_sleep(600)")
    assert postgres.create_database()
