"""oras, which pushes whatever is no image, and what refers to one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.compat.images import SBOM_TYPE
from tests.compat.support.clients import Client, assert_round_trip
from tests.compat.support.content import Layout
from tests.compat.support.programs import Shell

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.images import Images
    from tests.compat.support.server import Longshore

pytestmark = pytest.mark.compat

CHART_TYPE = "application/vnd.example.chart.v1"


class Oras(Client):
    def login(self, user: str, password: str) -> None:
        self.shell.run(
            "oras", "login", "--plain-http", "--username", user, "--password-stdin",
            self.server.address, stdin=password,
        )  # fmt: skip

    def push(self, image: Layout, repository: str, tag: str) -> None:
        self.shell.run(
            "oras", "copy", "--recursive", "--from-oci-layout", "--to-plain-http",
            str(image), self.name(repository, tag),
        )  # fmt: skip

    def pull(self, repository: str, tag: str) -> set[str]:
        layout = Layout(self.empty_directory())
        self.shell.run(
            "oras", "copy", "--from-plain-http", "--to-oci-layout",
            self.name(repository, tag), str(layout),
        )  # fmt: skip
        return set(layout.content().sizes)

    def delete(self, repository: str, tag: str) -> None:
        self.shell.run(
            "oras", "manifest", "delete", "--plain-http", "--force", self.name(repository, tag)
        )


@pytest.fixture
def oras(server: Longshore, home: Path) -> Oras:
    return Oras(server, Shell(home))


@pytest.mark.parametrize("image", ["layered", "index", "zstd", "artifact", "debian"], indirect=True)
def test_oras_carries_an_image_there_and_back(oras: Oras, image: Layout, images: Images) -> None:
    assert_round_trip(oras, image, images.other)


def test_oras_finds_what_refers_to_an_image(oras: Oras, images: Images) -> None:
    repository = oras.begin()
    name = oras.name(repository, "1")
    oras.push(images.artifact, repository, "1")
    found = json.loads(oras.shell.run("oras", "discover", "--plain-http", "--format=json", name))
    [referrer] = found["referrers"]
    assert referrer["artifactType"] == SBOM_TYPE

    answer = oras.server.ecr.list_image_referrers(
        repositoryName=repository, subjectId={"imageDigest": images.artifact.root()}
    )
    assert [entry["digest"] for entry in answer["referrers"]] == [referrer["digest"]]
    # No tag stands in for the referrers, as it would for a registry that can't tell them.
    tags = [
        tag for image in oras.server.described(repository) for tag in image.get("imageTags", ())
    ]
    assert tags == ["1"]


def test_oras_pushes_and_pulls_files(oras: Oras) -> None:
    repository = oras.begin()
    name = oras.name(repository, "1")
    (oras.shell.home / "chart.yaml").write_text("name: demo\n")
    oras.shell.run(
        "oras", "push", "--plain-http", "--artifact-type", CHART_TYPE, name, "chart.yaml:text/yaml"
    )
    directory = oras.empty_directory()
    oras.shell.run("oras", "pull", "--plain-http", "--output", directory, name)
    assert (directory / "chart.yaml").read_text() == "name: demo\n"
    [detail] = oras.server.described(repository)
    assert detail["artifactMediaType"] == CHART_TYPE
