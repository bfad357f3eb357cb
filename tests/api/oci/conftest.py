"""What the tests of the registry face stand on: both dialects, and a repository to read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.oci.scene import set_scene

if TYPE_CHECKING:
    from tests.api.oci.scene import Scene
    from tests.support.server import RunningServer


@pytest.fixture(params=["ecr", "oci"])
def compatibility(request: pytest.FixtureRequest) -> str:
    """How strict the server is."""
    return str(request.param)


@pytest.fixture(scope="session")
def scenes() -> dict[str, Scene]:
    """The scenes that were set so far, by the server's address."""
    return {}


@pytest.fixture
def scene(server: RunningServer, scenes: dict[str, Scene]) -> Scene:
    """A repository with one of everything; tests change nothing in it."""
    if server.address not in scenes:
        scenes[server.address] = set_scene(server)
    return scenes[server.address]
