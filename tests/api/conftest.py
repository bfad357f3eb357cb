"""Servers for the tests of the two faces: one of each kind for all tests of a process."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.secrets import LogScan
from tests.api.stage import Stage
from tests.support.server import running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.postgres import PostgresCluster
    from tests.support.server import RunningServer

    Servers = Callable[[str, str], RunningServer]
    NewServer = Callable[..., RunningServer]


@pytest.fixture(scope="session", autouse=True)
def log_scan() -> LogScan:
    """What the servers log, from the first test that uses one."""
    scan = LogScan()
    scan.attach()
    return scan


@pytest.fixture(scope="session")
def secrets(log_scan: LogScan) -> Iterator[set[str]]:
    """The secrets that tests know of; none of them may ever be logged."""
    known: set[str] = set()
    yield known
    assert not log_scan.leaks(known), "secrets were logged"


@pytest.fixture(scope="session")
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, secrets: set[str]
) -> Iterator[Servers]:
    """Servers by database and compatibility, each started when first asked for."""
    with ExitStack() as running:

        @cache
        def start(database: str, compatibility: str) -> RunningServer:
            settings: dict[str, Any] = {"compatibility": compatibility}
            if database == "postgresql":
                cluster: PostgresCluster = request.getfixturevalue("postgres")
                settings["database_url"] = cluster.create_database()
            data = tmp_path_factory.mktemp(f"{database}-{compatibility}")
            server = running.enter_context(running_server(data, **settings))
            learn_secrets(server, secrets)
            return server

        yield start


@pytest.fixture
def new_server(tmp_path_factory: pytest.TempPathFactory, secrets: set[str]) -> Iterator[NewServer]:
    """Start a server with settings of the test's own."""
    with ExitStack() as running:

        def start(**settings: Any) -> RunningServer:
            data = settings.pop("data", None) or tmp_path_factory.mktemp("server")
            server = running.enter_context(running_server(data, **settings))
            learn_secrets(server, secrets)
            return server

        yield start


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """The kind of database under the server."""
    return str(request.param)


@pytest.fixture
def compatibility() -> str:
    """How strict the server is."""
    return "ecr"


@pytest.fixture
def server(servers: Servers, database_kind: str, compatibility: str) -> RunningServer:
    """A server that many tests share; each works in repositories of its own."""
    return servers(database_kind, compatibility)


@pytest.fixture
def plain_server(servers: Servers) -> RunningServer:
    """A server for what neither the database nor the dialect has a say in."""
    return servers("sqlite", "ecr")


@pytest.fixture
def stage(server: RunningServer) -> Stage:
    """A repository of the test's own."""
    return Stage.build(server)


def learn_secrets(server: RunningServer, secrets: set[str]) -> None:
    """Add what nobody else may learn of a server."""
    key_file = server.settings.data / "server.key"
    secrets |= {server.administrator.secret, key_file.read_text().strip()}
    secrets.add(server.authorization[1].removeprefix("Basic "))
