"""The docker daemon, started for the test, and its command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.compat.support.clients import Client, assert_round_trip
from tests.compat.support.programs import Shell

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.images import Images
    from tests.compat.support.content import Layout
    from tests.compat.support.server import Longshore

pytestmark = pytest.mark.compat


class Docker(Client):
    pushes_verbatim = False
    pulls_whole = False

    def login(self, user: str, password: str) -> None:
        self.shell.run(
            "docker", "login", "--username", user, "--password-stdin", self.server.address,
            stdin=password,
        )  # fmt: skip

    def load(self, image: Layout, name: str) -> None:
        archive = self.empty_directory() / "image.tar"
        self.shell.run("skopeo", "copy", f"oci:{image}", f"docker-archive:{archive}:{name}")
        self.shell.run("docker", "load", "--quiet", "--input", archive)

    def push(self, image: Layout, repository: str, tag: str) -> None:
        self.load(image, self.name(repository, tag))
        self.shell.run("docker", "push", "--quiet", self.name(repository, tag))

    def pull(self, repository: str, tag: str) -> set[str]:
        name = self.name(repository, tag)
        self.shell.run("docker", "image", "prune", "--all", "--force")
        self.shell.run("docker", "pull", "--quiet", name)
        digests = self.shell.run(
            "docker", "image", "inspect", "--format", "{{.Id}} {{index .RepoDigests 0}}", name
        )
        return {word.rpartition("@")[2] for word in digests.split()}


@pytest.fixture
def docker(server: Longshore, docker_host: str, home: Path) -> Docker:
    return Docker(server, Shell(home, {"DOCKER_HOST": docker_host}))


@pytest.mark.parametrize("image", ["layered", "debian"], indirect=True)
def test_docker_carries_an_image_there_and_back(
    docker: Docker, image: Layout, images: Images
) -> None:
    assert_round_trip(docker, image, images.other)


def test_docker_runs_what_it_pulled(docker: Docker, images: Images) -> None:
    repository = docker.begin()
    docker.push(images.layered, repository, "1")
    docker.pull(repository, "1")
    printed = docker.shell.run(
        "docker", "run", "--rm", "--network=none", docker.name(repository, "1"),
        "cat", "/etc/greeting",
    )  # fmt: skip
    assert printed == "hello\n"


def test_docker_pushes_a_manifest_list(docker: Docker, images: Images) -> None:
    repository = docker.begin()
    docker.push(images.layered, repository, "amd64")
    child, together = docker.name(repository, "amd64"), docker.name(repository, "all")
    docker.shell.run("docker", "manifest", "create", "--insecure", together, child)
    docker.shell.run("docker", "manifest", "push", "--insecure", together)
    content = docker.server.content(repository, "all")
    assert content.sizes.keys() > docker.server.content(repository, "amd64").sizes.keys()


def test_docker_is_refused_with_a_wrong_password(docker: Docker) -> None:
    with pytest.raises(AssertionError, match=r"unauthorized|Not Authorized|401"):
        docker.login("AWS", "not the password")
