"""The servers and the images that the tests of every client use."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.compat.images import Images
from tests.compat.support.daemons import containerd_daemon, docker_daemon
from tests.compat.support.programs import lack, short_directory
from tests.compat.support.server import Longshore
from tests.support.postgres import postgres_cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from tests.compat.support.content import Layout
    from tests.support.postgres import PostgresCluster

    Servers = Callable[[str, str], Longshore]

LOG_CHARACTERS = 5_000


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the conformance suite counted."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    lines = [
        str(value)
        for report in reports
        for name, value in report.user_properties
        if name == "conformance"
    ]
    if lines:
        terminalreporter.section("OCI conformance")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the server had to say."""
    report = yield
    if report.failed and isinstance(server := item.funcargs.get("server"), Longshore):
        report.sections.append(("The server's log", server.log()[-LOG_CHARACTERS:]))
    return report


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """What keeps the server's metadata."""
    return str(request.param)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers by database and compatibility, each started when first asked for."""
    with ExitStack() as running:

        @cache
        def cluster() -> PostgresCluster:
            try:
                return running.enter_context(postgres_cluster())
            except LookupError as error:
                lack(str(error))

        @cache
        def server(database_kind: str, compatibility: str) -> Longshore:
            home = tmp_path_factory.mktemp(f"longshore-{database_kind}-{compatibility}")
            settings = {"LONGSHORE_COMPATIBILITY": compatibility}
            if database_kind == "postgresql":
                settings["LONGSHORE_DATABASE_URL"] = cluster().create_database()
            longshore = Longshore(home, settings)
            longshore.start()
            running.callback(longshore.stop)
            return longshore

        yield server


@pytest.fixture
def server(servers: Servers, database_kind: str) -> Longshore:
    """A server that answers as ECR does."""
    return servers(database_kind, "ecr")


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """The images that clients carry."""
    return Images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def image(images: Images, request: pytest.FixtureRequest) -> Layout:
    """The image that a test names by its parameter."""
    layout: Layout = getattr(images, request.param)
    return layout


@pytest.fixture
def home() -> Iterator[Path]:
    """A client's home."""
    with short_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def docker_host() -> Iterator[str]:
    """The address of a docker daemon."""
    with docker_daemon() as address:
        yield address


@pytest.fixture(scope="session")
def containerd_address() -> Iterator[str]:
    """The address of a containerd."""
    with containerd_daemon() as address:
        yield address
