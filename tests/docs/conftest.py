"""The daemon of docker, as the tests of docker start it."""

from __future__ import annotations

from tests.compat.conftest import docker_host

__all__ = ["docker_host"]
