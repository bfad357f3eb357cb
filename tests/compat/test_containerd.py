"""containerd, through its own command line, ctr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.compat.support.clients import Client, assert_round_trip
from tests.compat.support.containers import containers_shell

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.images import Images
    from tests.compat.support.content import Layout
    from tests.compat.support.server import Longshore

pytestmark = pytest.mark.compat


class Containerd(Client):
    """ctr, which keeps no credentials, and all of what it pulls."""

    def __init__(self, server: Longshore, home: Path, address: str) -> None:
        shell = containers_shell(home)
        super().__init__(server, shell.given({"CONTAINERD_ADDRESS": address}))
        self._credentials = ""

    def ctr(self, *arguments: str | Path) -> str:
        return self.shell.run("ctr", *arguments)

    def login(self, user: str, password: str) -> None:
        self._credentials = f"{user}:{password}"

    def push(self, image: Layout, repository: str, tag: str) -> None:
        archive = self.empty_directory() / "image.tar"
        self.shell.run(
            "skopeo", "copy", "--all", "--preserve-digests",
            f"oci:{image}", f"oci-archive:{archive}:{tag}",
        )  # fmt: skip
        base = f"{self.server.address}/{repository}"
        self.ctr("images", "import", "--no-unpack", "--all-platforms", "--base-name", base, archive)
        self.ctr(
            "images", "push", "--plain-http", "--user", self._credentials,
            self.name(repository, tag),
        )  # fmt: skip

    def pull(self, repository: str, tag: str) -> set[str]:
        if stored := self.ctr("images", "list", "--quiet").split():
            self.ctr("images", "remove", "--sync", *stored)
        assert self.ctr("content", "list", "--quiet") == ""
        self.ctr(
            "images", "pull", "--plain-http", "--all-platforms", "--user", self._credentials,
            self.name(repository, tag),
        )  # fmt: skip
        return set(self.ctr("content", "list", "--quiet").split())


@pytest.fixture
def containerd(server: Longshore, containerd_address: str, home: Path) -> Containerd:
    return Containerd(server, home, containerd_address)


@pytest.mark.parametrize("image", ["layered", "index", "zstd", "debian"], indirect=True)
def test_containerd_carries_an_image_there_and_back(
    containerd: Containerd, image: Layout, images: Images
) -> None:
    assert_round_trip(containerd, image, images.other)
