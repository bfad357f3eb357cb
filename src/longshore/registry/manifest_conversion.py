"""The conversion of a manifest, asked for by a tag, into a format that the client accepts.

ECR converts a Docker image into an OCI image and back where the stored format isn't accepted and
the other is (ECR User Guide, "Container image manifest formats"). Blobs stay as they are: both
formats refer to the same ones, by other media types.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from longshore.registry.media_types import (
    DOCKER_CONFIG,
    DOCKER_FOREIGN_LAYER,
    DOCKER_FOREIGN_LAYER_GZIP,
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_FOREIGN_LAYER,
    OCI_FOREIGN_LAYER_GZIP,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    bare_media_type,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from longshore.registry.manifests import Descriptor, Manifest

# Docker has no media type for layers compressed with zstd, and its older clients can't read them.
_LAYERS_TO_OCI: Final = {
    DOCKER_LAYER: OCI_LAYER,
    DOCKER_LAYER_GZIP: OCI_LAYER_GZIP,
    DOCKER_FOREIGN_LAYER: OCI_FOREIGN_LAYER,
    DOCKER_FOREIGN_LAYER_GZIP: OCI_FOREIGN_LAYER_GZIP,
}
_LAYERS: Final = frozenset(_LAYERS_TO_OCI) | frozenset(_LAYERS_TO_OCI.values())
_TO_OCI: Final = {DOCKER_MANIFEST: OCI_MANIFEST, DOCKER_CONFIG: OCI_CONFIG, **_LAYERS_TO_OCI}
_TO_DOCKER: Final = {oci: docker for docker, oci in _TO_OCI.items()}
_COUNTERPARTS: Final = {DOCKER_MANIFEST: _TO_OCI, OCI_MANIFEST: _TO_DOCKER}

_WILDCARDS: Final = frozenset({"*/*", "application/*"})


def convert(manifest: Manifest, accepted: Collection[str]) -> tuple[bytes, str] | None:
    """Return `manifest` in the other format, as bytes and their media type.

    The same manifest always gives the same bytes. What the other format can't say is lost:
    annotations and embedded data, on the way to Docker's.

    Args:
        manifest: what is stored.
        accepted: the media types that the client accepts, as in an `Accept` header.

    Returns:
        None if nothing is to be converted, or nothing can be: the stored format is accepted, the
        other isn't, or this isn't an image of one platform whose every part has a counterpart.
        Indexes, artifacts and referrers are never converted.
    """
    types = {bare_media_type(media_type) for media_type in accepted}
    counterparts = _COUNTERPARTS.get(manifest.media_type)
    if counterparts is None or manifest.media_type in types or not _WILDCARDS.isdisjoint(types):
        return None
    media_type = counterparts[manifest.media_type]
    if media_type not in types or not _is_plain_image(manifest, counterparts):
        return None
    return _write(manifest, media_type, counterparts), media_type


def _is_plain_image(manifest: Manifest, counterparts: Mapping[str, str]) -> bool:
    return (
        manifest.subject is None
        and manifest.artifact_type == manifest.config_media_type
        and manifest.config_media_type in (DOCKER_CONFIG, OCI_CONFIG)
        and all(layer.media_type in _LAYERS for layer in manifest.layers)
        and all(blob.media_type in counterparts for blob in manifest.blobs)
    )


def _write(manifest: Manifest, media_type: str, counterparts: Mapping[str, str]) -> bytes:
    config, *layers = (_write_descriptor(blob, counterparts) for blob in manifest.blobs)
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config,
        "layers": layers,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _write_descriptor(blob: Descriptor, counterparts: Mapping[str, str]) -> dict[str, object]:
    descriptor: dict[str, object] = {
        "mediaType": counterparts[blob.media_type],
        "digest": str(blob.digest),
        "size": blob.size,
    }
    if blob.urls:
        descriptor["urls"] = blob.urls
    return descriptor
