"""crane, of go-containerregistry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.compat.support.clients import Client, assert_round_trip
from tests.compat.support.content import Layout
from tests.compat.support.programs import Shell

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.images import Images
    from tests.compat.support.server import Longshore

pytestmark = pytest.mark.compat


class Crane(Client):
    def login(self, user: str, password: str) -> None:
        self.shell.run(
            "crane", "auth", "login", "--username", user, "--password-stdin",
            self.server.address, stdin=password,
        )  # fmt: skip

    def push(self, image: Layout, repository: str, tag: str) -> None:
        self.shell.run("crane", "push", image.directory, self.name(repository, tag))

    def pull(self, repository: str, tag: str) -> set[str]:
        name = self.name(repository, tag)
        layout = Layout(self.empty_directory(), name)
        self.shell.run("crane", "pull", "--format=oci", "--annotate-ref", name, layout.directory)
        return set(layout.content().sizes)

    def delete(self, repository: str, tag: str) -> None:
        digest = self.shell.run("crane", "digest", self.name(repository, tag)).strip()
        self.shell.run("crane", "delete", f"{self.server.address}/{repository}@{digest}")


@pytest.fixture
def crane(server: Longshore, home: Path) -> Crane:
    return Crane(server, Shell(home))


@pytest.mark.parametrize("image", ["layered", "zstd", "debian"], indirect=True)
def test_crane_carries_an_image_there_and_back(crane: Crane, image: Layout, images: Images) -> None:
    assert_round_trip(crane, image, images.other)


@pytest.mark.parametrize("mounting", ["DISABLED", "ENABLED"])
def test_crane_copies_an_image_to_another_repository(
    crane: Crane, images: Images, mounting: str
) -> None:
    crane.server.ecr.put_account_setting(name="BLOB_MOUNTING", value=mounting)
    source, target = crane.begin(), crane.begin()
    crane.push(images.layered, source, "1")
    crane.shell.run("crane", "copy", crane.name(source, "1"), crane.name(target, "1"))
    assert crane.server.content(target, "1") == images.layered.content()
    crane.shell.run("crane", "validate", "--remote", crane.name(target, "1"))


def test_crane_lists_tags_and_repositories(crane: Crane, images: Images) -> None:
    repository = crane.begin()
    tags = [f"v{number}" for number in range(3)]
    crane.push(images.layered, repository, tags[0])
    for tag in tags[1:]:
        crane.shell.run("crane", "tag", crane.name(repository, tags[0]), tag)
    assert (
        sorted(crane.shell.run("crane", "ls", f"{crane.server.address}/{repository}").split())
        == tags
    )
    assert repository in crane.shell.run("crane", "catalog", crane.server.address).split()
