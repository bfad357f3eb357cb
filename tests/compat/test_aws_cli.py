"""The AWS CLI, in the session that the README begins with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.compat.support.containers import containers_shell

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.images import Images
    from tests.compat.support.server import Longshore

pytestmark = pytest.mark.compat

# docker's place is taken by skopeo, which needs no daemon; docker has its own tests.
SESSION = """\
eval "$(longshore env {options})"
aws ecr create-repository --repository-name demo/app
aws ecr get-login-password |
  skopeo login --tls-verify=false --username AWS --password-stdin localhost:{port}
skopeo copy --dest-tls-verify=false oci:{image} docker://localhost:{port}/demo/app:1
aws ecr describe-images --repository-name demo/app >described.json
aws ecr batch-delete-image --repository-name demo/app --image-ids imageTag=1
aws ecr delete-repository --repository-name demo/app
"""


def test_the_session_of_the_readme_works_as_it_is_written(
    server: Longshore, images: Images, home: Path
) -> None:
    shell = containers_shell(home)
    script = SESSION.format(
        options=" ".join(server.options),
        port=server.address.rpartition(":")[2],
        image=images.layered,
    )
    shell.run("bash", "-euo", "pipefail", "-c", script)
    [described] = json.loads((home / "described.json").read_text())["imageDetails"]
    assert described["imageDigest"] == images.layered.root()
    assert described["imageTags"] == ["1"]
