"""The AWS CLI, as a script uses it."""

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

SESSION = """\
eval "$(longshore env)"
aws ecr create-repository --repository-name aws/cli
aws ecr get-login-password |
  skopeo login --tls-verify=false --username AWS --password-stdin {address}
skopeo copy --preserve-digests --dest-tls-verify=false oci:{image} docker://{address}/aws/cli:1
aws ecr describe-images --repository-name aws/cli >described.json
aws ecr batch-delete-image --repository-name aws/cli --image-ids imageTag=1
aws ecr delete-repository --repository-name aws/cli
"""


def test_a_script_creates_fills_describes_and_deletes_a_repository(
    server: Longshore, images: Images, home: Path
) -> None:
    shell = containers_shell(home).given(server.shell.variables)
    session = SESSION.format(address=server.address, image=images.layered)
    shell.run("bash", "-euo", "pipefail", "-c", session)
    [described] = json.loads((home / "described.json").read_text())["imageDetails"]
    assert described["imageDigest"] == images.layered.root()
    assert described["imageTags"] == ["1"]
