"""skopeo, which copies images in every form, with all their platforms."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from longshore.names import Digest
from tests.compat.support.clients import assert_round_trip
from tests.compat.support.containers import ContainersClient

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.images import Images
    from tests.compat.support.content import Layout
    from tests.compat.support.server import Longshore

pytestmark = pytest.mark.compat


class Skopeo(ContainersClient):
    """skopeo, pulling into a plain folder, where it leaves every file as it came."""

    program = "skopeo"

    def push(self, image: Layout, repository: str, tag: str) -> None:
        self.push_as(["--preserve-digests"], image, repository, tag)

    def push_as(self, form: list[str], image: Layout, repository: str, tag: str) -> None:
        self.shell.run(
            "skopeo", "copy", "--all", *form, "--dest-tls-verify=false",
            f"oci:{image}", f"docker://{self.name(repository, tag)}",
        )  # fmt: skip

    def pull(self, repository: str, tag: str) -> set[str]:
        directory = self.empty_directory()
        self.shell.run(
            "skopeo", "copy", "--all", "--preserve-digests", "--src-tls-verify=false",
            f"docker://{self.name(repository, tag)}", f"dir:{directory}",
        )  # fmt: skip
        files = (path for path in directory.iterdir() if path.name != "version")
        return {str(Digest.of(file.read_bytes())) for file in files}

    def delete(self, repository: str, tag: str) -> None:
        self.shell.run(
            "skopeo", "delete", "--tls-verify=false", f"docker://{self.name(repository, tag)}"
        )


class SkopeoInDockerForm(Skopeo):
    """skopeo, translating what it pushes to Docker's schema 2 and its manifest lists."""

    pushes_verbatim = False

    def push(self, image: Layout, repository: str, tag: str) -> None:
        self.push_as(["--format=v2s2"], image, repository, tag)


@pytest.mark.parametrize("image", ["layered", "zstd", "index", "debian"], indirect=True)
def test_skopeo_carries_an_image_there_and_back(
    server: Longshore, image: Layout, images: Images, home: Path
) -> None:
    assert_round_trip(Skopeo(server, home), image, images.other)


@pytest.mark.parametrize("image", ["layered", "index"], indirect=True)
def test_skopeo_carries_an_image_in_docker_form(
    server: Longshore, image: Layout, images: Images, home: Path
) -> None:
    assert_round_trip(SkopeoInDockerForm(server, home), image, images.other)


def test_skopeo_lists_the_tags_of_a_repository(
    server: Longshore, images: Images, home: Path
) -> None:
    skopeo = Skopeo(server, home)
    repository = skopeo.begin()
    tags = [f"v{number}" for number in range(3)]
    for tag in tags:
        skopeo.push(images.layered, repository, tag)
    listed = skopeo.shell.run(
        "skopeo", "list-tags", "--tls-verify=false", f"docker://{server.address}/{repository}"
    )
    assert sorted(json.loads(listed)["Tags"]) == tags
