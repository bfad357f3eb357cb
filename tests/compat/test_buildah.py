"""buildah, which makes images on others that it pulls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.compat.support.clients import assert_round_trip
from tests.compat.support.containers import StoringClient

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.images import Images
    from tests.compat.support.server import Longshore

pytestmark = pytest.mark.compat

RECIPE = """\
FROM {base}
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox echo built > /built"]
LABEL maker=buildah
"""


class Buildah(StoringClient):
    program = "buildah"
    inspection = (
        "inspect", "--type=image", "--format", "{{.FromImageDigest}} sha256:{{.FromImageID}}",
    )  # fmt: skip


@pytest.fixture
def buildah(server: Longshore, home: Path) -> Buildah:
    return Buildah(server, home)


def test_buildah_carries_an_image_there_and_back(buildah: Buildah, images: Images) -> None:
    assert_round_trip(buildah, images.layered, images.other)


def test_buildah_builds_on_an_image_of_the_registry(buildah: Buildah, images: Images) -> None:
    repository = buildah.begin()
    buildah.push(images.layered, repository, "base")
    buildah.shell.run("buildah", "rmi", "--all", "--force")
    recipe = buildah.empty_directory() / "Containerfile"
    recipe.write_text(RECIPE.format(base=buildah.name(repository, "base")))
    name = buildah.name(repository, "built")

    buildah.shell.run(
        "buildah", "bud", "--isolation=chroot", "--tls-verify=false", "--layers",
        "--tag", name, "--file", recipe, recipe.parent,
    )  # fmt: skip
    buildah.shell.run("buildah", "push", "--tls-verify=false", name)

    [base_layers] = buildah.server.content(repository, "base").diff_ids
    [built_layers] = buildah.server.content(repository, "built").diff_ids
    assert built_layers[: len(base_layers)] == base_layers
    assert len(built_layers) == len(base_layers) + 1


def test_buildah_pushes_a_list_of_platforms(buildah: Buildah, images: Images) -> None:
    repository = buildah.begin()
    buildah.shell.run("buildah", "manifest", "create", "platforms")
    buildah.shell.run("buildah", "manifest", "add", "--all", "platforms", f"oci:{images.index}")
    buildah.shell.run(
        "buildah", "manifest", "push", "--all", "--tls-verify=false",
        "platforms", f"docker://{buildah.name(repository, '1')}",
    )  # fmt: skip
    assert buildah.server.content(repository, "1").diff_ids == images.index.content().diff_ids
