"""regctl, of regclient, which uploads in chunks when it is told to."""

from __future__ import annotations

import json
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

MIB = 1 << 20
SIGNATURE_TYPE = "application/vnd.example.signature.v1"


class Regctl(Client):
    def login(self, user: str, password: str) -> None:
        self.configure("--tls=disabled")
        self.shell.run(
            "regctl", "registry", "login", "--user", user, "--pass-stdin", self.server.address,
            stdin=password,
        )  # fmt: skip

    def configure(self, *settings: str) -> None:
        self.shell.run("regctl", "registry", "set", "--skip-check", *settings, self.server.address)

    def push(self, image: Layout, repository: str, tag: str) -> None:
        self.shell.run(
            "regctl",
            "image",
            "copy",
            "--referrers",
            f"ocidir://{image}",
            self.name(repository, tag),
        )

    def pull(self, repository: str, tag: str) -> set[str]:
        layout = Layout(self.empty_directory())
        self.shell.run("regctl", "image", "copy", self.name(repository, tag), f"ocidir://{layout}")
        return set(layout.content().sizes)

    def delete(self, repository: str, tag: str) -> None:
        self.shell.run("regctl", "tag", "delete", self.name(repository, tag))


@pytest.fixture
def regctl(server: Longshore, home: Path) -> Regctl:
    return Regctl(server, Shell(home))


@pytest.mark.parametrize("image", ["layered", "index", "zstd", "artifact", "debian"], indirect=True)
def test_regctl_carries_an_image_there_and_back(
    regctl: Regctl, image: Layout, images: Images
) -> None:
    assert_round_trip(regctl, image, images.other)


def test_regctl_uploads_in_chunks(regctl: Regctl, images: Images) -> None:
    repository = regctl.begin()
    regctl.configure("--blob-chunk", str(MIB), "--blob-max", str(MIB))
    regctl.push(images.layered, repository, "1")
    assert regctl.server.content(repository, "1") == images.layered.content()


def test_regctl_attaches_an_artifact_and_finds_it(regctl: Regctl, images: Images) -> None:
    repository = regctl.begin()
    name = regctl.name(repository, "1")
    regctl.push(images.layered, repository, "1")
    regctl.shell.run(
        "regctl", "artifact", "put", "--artifact-type", SIGNATURE_TYPE, "--subject", name,
        stdin="signed",
    )  # fmt: skip
    listed = regctl.shell.run(
        "regctl", "artifact", "list", "--format", "{{json .Descriptors}}", name
    )
    [referrer] = json.loads(listed)
    assert referrer["artifactType"] == SIGNATURE_TYPE
    content = regctl.shell.run(
        "regctl", "artifact", "get", "--subject", name, "--filter-artifact-type", SIGNATURE_TYPE
    )
    assert content == "signed"


def test_regctl_lists_the_tags_of_a_repository(regctl: Regctl, images: Images) -> None:
    repository = regctl.begin()
    tags = [f"v{number}" for number in range(5)]
    regctl.push(images.layered, repository, tags[0])
    for tag in tags[1:]:
        regctl.shell.run(
            "regctl",
            "image",
            "copy",
            regctl.name(repository, tags[0]),
            regctl.name(repository, tag),
        )
    listed = regctl.shell.run("regctl", "tag", "list", f"{regctl.server.address}/{repository}")
    assert sorted(listed.split()) == tags
