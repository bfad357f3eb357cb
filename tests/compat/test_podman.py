"""podman, which unpacks what it pulls, runs it, and packs anew what it pushes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.compat.support.clients import assert_round_trip
from tests.compat.support.containers import StoringClient

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.images import Images
    from tests.compat.support.content import Layout
    from tests.compat.support.server import Longshore

pytestmark = pytest.mark.compat


class Podman(StoringClient):
    program = "podman"
    inspection = ("image", "inspect", "--format", "{{.Digest}} sha256:{{.Id}}")


@pytest.fixture
def podman(server: Longshore, home: Path) -> Podman:
    return Podman(server, home)


@pytest.mark.parametrize("image", ["layered", "debian"], indirect=True)
def test_podman_carries_an_image_there_and_back(
    podman: Podman, image: Layout, images: Images
) -> None:
    assert_round_trip(podman, image, images.other)


def test_podman_runs_what_it_pulled(podman: Podman, images: Images) -> None:
    repository = podman.begin()
    podman.push(images.layered, repository, "1")
    podman.pull(repository, "1")
    printed = podman.shell.run(
        "podman", "run", "--rm", podman.name(repository, "1"), "cat", "/etc/greeting"
    )
    assert printed == "hello\n"


def test_podman_pushes_a_list_of_platforms(podman: Podman, images: Images) -> None:
    repository = podman.begin()
    name = podman.name(repository, "1")
    podman.shell.run("podman", "manifest", "create", "platforms")
    podman.shell.run("podman", "manifest", "add", "--all", "platforms", f"oci:{images.index}")
    podman.shell.run(
        "podman", "manifest", "push", "--all", "--tls-verify=false", "platforms", f"docker://{name}"
    )
    assert podman.server.content(repository, "1").diff_ids == images.index.content().diff_ids
    podman.shell.run("podman", "pull", "--quiet", "--tls-verify=false", "--arch=arm64", name)
    architecture = podman.shell.run("podman", "inspect", "--format", "{{.Architecture}}", name)
    assert architecture.strip() == "arm64"
