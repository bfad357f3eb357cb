"""The README, done as it is written."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.compat.support.containers import containers_shell
from tests.compat.support.programs import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.support.server import Longshore

pytestmark = pytest.mark.compat

ADDRESS = "localhost:5000"


def commands() -> str:
    """Return what the README has people type to a registry that runs, from top to bottom."""
    text = (REPOSITORY / "README.md").read_text()
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return "".join(block for block in blocks if ADDRESS in block)


def test_every_command_of_the_readme_works(
    server: Longshore, docker_host: str, containerd_address: str, home: Path
) -> None:
    shell = containers_shell(home).given(
        {
            **server.shell.variables,
            "DOCKER_HOST": docker_host,
            "CONTAINERD_ADDRESS": containerd_address,
        }
    )
    # `make` has put the commands on the search path already; the rest of the clone isn't needed.
    shutil.copy(REPOSITORY / "LICENSE", home)
    port = server.address.rpartition(":")[2]
    script = commands().replace(ADDRESS, f"localhost:{port}")

    shell.run("bash", "-euo", "pipefail", "-c", script)

    tags = [tag for image in server.described("demo/app") for tag in image.get("imageTags", ())]
    assert "1" in tags
    server.ecr.delete_repository(repositoryName="demo/app", force=True)
