"""What the histories of a registry are made of: a few names, contents and images, all alike.

They are few, so that the same layer, tag or image comes up again and again, in several
repositories and over both faces.
"""

from __future__ import annotations

from typing import Final

from longshore.names import Digest
from tests.support.images import (
    SIGNATURE,
    Image,
    artifact,
    docker_image,
    docker_list,
    layer,
    oci_image,
    oci_index,
)

# The second one is what a path of the registry face looks like.
REPOSITORIES: Final = ("app", "app/blobs/uploads")
TAGS: Final = ("1", "latest", "v1.0_rc")

_SHARED = layer("shared")
_LARGE = layer("more than a part " * 5)
_ELSEWHERE = layer("elsewhere", urls=("https://layers.example/elsewhere",))

# One config for all of them, by two media types.
PLAIN: Final = oci_image("it", layers=[_SHARED])
DOCKER: Final = docker_image("it", layers=[_SHARED, _LARGE])
LAYERLESS: Final = oci_image("it", layers=[], annotations={"layers": "none"})
WITH_EMPTY_LAYER: Final = oci_image("it", layers=[layer(""), _SHARED, _SHARED])
WITH_FOREIGN_LAYER: Final = oci_image("it", layers=[layer("b"), _ELSEWHERE])
SIGNATURE_OF_PLAIN: Final = artifact(
    "signature", subject=PLAIN, artifact_type=SIGNATURE, annotations={"by": "me"}
)
INDEX: Final = oci_index([PLAIN, DOCKER], subject=DOCKER)
LIST: Final = docker_list([DOCKER])
NESTED_INDEX: Final = oci_index([INDEX, SIGNATURE_OF_PLAIN], artifact_type="text/plain")

IMAGES: Final = (
    PLAIN,
    DOCKER,
    LAYERLESS,
    WITH_EMPTY_LAYER,
    WITH_FOREIGN_LAYER,
    SIGNATURE_OF_PLAIN,
    INDEX,
    LIST,
    NESTED_INDEX,
)
SUBJECTS: Final = (PLAIN, DOCKER)

CONTENTS: Final = tuple(dict.fromkeys(blob.content for image in IMAGES for blob in image.blobs))


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """Return a digest as it stands in a URL."""
    return str(Digest.of(content, algorithm))


def layer_digests(compatibility: str) -> dict[str, bytes]:
    """Return the contents by every digest that may name them as layers."""
    known = {digest_of(content): content for content in CONTENTS}
    if compatibility == "oci":
        known[digest_of(_SHARED.content, "sha512")] = _SHARED.content
    return known


def image_digests(compatibility: str) -> dict[str, Image]:
    """Return the images by every digest that may name them."""
    known = {str(image.digest): image for image in IMAGES}
    if compatibility == "oci":
        known[digest_of(PLAIN.content, "sha512")] = PLAIN
    return known
