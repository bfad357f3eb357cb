"""A repository with one of everything, for tests that only read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.api.stage import Stage
from tests.support.images import SBOM, SIGNATURE, artifact, docker_image, oci_image, oci_index

if TYPE_CHECKING:
    from tests.api.oci.cases import Names
    from tests.support.server import RunningServer


@dataclass(frozen=True)
class Scene:
    """The repository, and the names under which cases know what is in it."""

    stage: Stage
    names: Names


IMAGE = oci_image("scene")
DOCKER_IMAGE = docker_image("scene")
INDEX = oci_index([oci_image("one platform"), oci_image("another platform")])
SBOM_OF_IMAGE = artifact("sbom", subject=IMAGE, artifact_type=SBOM, annotations={"a": "1"})
SIGNATURE_OF_IMAGE = artifact("signature", subject=IMAGE, artifact_type=SIGNATURE)
LOOSE_BLOB = bytes(range(256)) * 4


def set_scene(server: RunningServer) -> Scene:
    """Push one of everything."""
    stage = Stage.build(server, "scene")
    stage.push(IMAGE, "1", "latest")
    stage.push(DOCKER_IMAGE, "docker")
    stage.push(INDEX, "index")
    stage.push(SBOM_OF_IMAGE)
    stage.push(SIGNATURE_OF_IMAGE)
    config, layer, _ = IMAGE.blobs
    return Scene(
        stage,
        {
            "image": str(IMAGE.digest),
            "image_size": str(len(IMAGE.content)),
            "docker": str(DOCKER_IMAGE.digest),
            "index": str(INDEX.digest),
            "child": str(INDEX.children[0].digest),
            "sbom": str(SBOM_OF_IMAGE.digest),
            "signature": str(SIGNATURE_OF_IMAGE.digest),
            "config": str(config.digest),
            "layer": str(layer.digest),
            "layer_size": str(len(layer.content)),
            "loose": stage.push_blob(LOOSE_BLOB),
            "nothing": "sha256:" + "0" * 64,
            "nothing512": "sha512:" + "0" * 128,
        },
    )
