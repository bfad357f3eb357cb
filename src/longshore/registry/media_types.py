"""Media types of manifests and of what they refer to.

They are Docker's ("Image Manifest Version 2, Schema 2", "Media Types") and those of the OCI
image-spec ("OCI Image Media Types").
"""

from __future__ import annotations

from typing import Final

DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"

OCI_TYPES: Final = frozenset({OCI_MANIFEST, OCI_INDEX})
INDEX_TYPES: Final = frozenset({DOCKER_LIST, OCI_INDEX})
MANIFEST_TYPES: Final = frozenset({DOCKER_MANIFEST, OCI_MANIFEST}) | INDEX_TYPES

# Docker's first format; no client has written it since Docker 1.10.
SCHEMA_1_TYPES: Final = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)

OCI_EMPTY: Final = "application/vnd.oci.empty.v1+json"

DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"

DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP: Final = f"{DOCKER_LAYER}.gzip"
DOCKER_FOREIGN_LAYER: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar"
DOCKER_FOREIGN_LAYER_GZIP: Final = f"{DOCKER_FOREIGN_LAYER}.gzip"

OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP: Final = f"{OCI_LAYER}+gzip"
OCI_LAYER_ZSTD: Final = f"{OCI_LAYER}+zstd"
OCI_FOREIGN_LAYER: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar"
OCI_FOREIGN_LAYER_GZIP: Final = f"{OCI_FOREIGN_LAYER}+gzip"
OCI_FOREIGN_LAYER_ZSTD: Final = f"{OCI_FOREIGN_LAYER}+zstd"

# Layers whose licence keeps them out of registries: OCI calls them non-distributable.
FOREIGN_LAYER_TYPES: Final = frozenset(
    {
        DOCKER_FOREIGN_LAYER,
        DOCKER_FOREIGN_LAYER_GZIP,
        OCI_FOREIGN_LAYER,
        OCI_FOREIGN_LAYER_GZIP,
        OCI_FOREIGN_LAYER_ZSTD,
    }
)


def bare_media_type(text: str) -> str:
    """Return a media type in lower case and without its parameters (RFC 9110, section 8.3.1)."""
    return text.partition(";")[0].strip().lower()
