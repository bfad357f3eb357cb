"""Manifests and the blobs that they refer to, small and made from nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from longshore.names import Digest
from longshore.registry.media_types import (
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SBOM = "application/vnd.example.sbom.v1+json"
SIGNATURE = "application/vnd.example.signature.v1+json"


@dataclass(frozen=True, slots=True)
class Blob:
    """The bytes of a layer or of a config."""

    content: bytes
    media_type: str = OCI_LAYER_GZIP
    urls: tuple[str, ...] = ()

    @property
    def digest(self) -> Digest:
        """The digest of the bytes."""
        return Digest.of(self.content)

    @property
    def descriptor(self) -> dict[str, Any]:
        """How a manifest refers to it."""
        urls = {"urls": list(self.urls)} if self.urls else {}
        return _descriptor(self.media_type, self.digest, len(self.content)) | urls


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest with all that it refers to: an image proper, an artifact or an index.

    Attributes:
        content: the manifest's bytes.
        media_type: what they are.
        blobs: its config and its layers, foreign ones included.
        children: the images that an index refers to.
    """

    content: bytes
    media_type: str
    blobs: tuple[Blob, ...] = ()
    children: tuple[Image, ...] = ()

    @property
    def digest(self) -> Digest:
        """The digest of the manifest's bytes."""
        return Digest.of(self.content)

    @property
    def descriptor(self) -> dict[str, Any]:
        """How another manifest refers to it."""
        return _descriptor(self.media_type, self.digest, len(self.content))


def layer(text: str, media_type: str = OCI_LAYER_GZIP, *, urls: Sequence[str] = ()) -> Blob:
    """Make a layer; it is as different from others as its text."""
    return Blob(text.encode(), media_type, tuple(urls))


def oci_image(
    name: str,
    *,
    layers: Sequence[Blob] | None = None,
    subject: Image | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Image:
    """Make an OCI image, of two layers of its own unless others are given."""
    return _image(
        OCI_MANIFEST,
        Blob(f"config of {name}".encode(), OCI_CONFIG),
        _layers(name, OCI_LAYER_GZIP) if layers is None else layers,
        subject=None if subject is None else subject.descriptor,
        annotations=annotations,
    )


def docker_image(name: str, *, layers: Sequence[Blob] | None = None) -> Image:
    """Make a Docker image (schema 2), of two layers of its own unless others are given."""
    return _image(
        DOCKER_MANIFEST,
        Blob(f"config of {name}".encode(), DOCKER_CONFIG),
        _layers(name, DOCKER_LAYER_GZIP) if layers is None else layers,
    )


def artifact(
    name: str,
    *,
    subject: Image | None = None,
    artifact_type: str = SBOM,
    annotations: Mapping[str, str] | None = None,
) -> Image:
    """Make an artifact of one layer, which refers to `subject` if it is given."""
    return _image(
        OCI_MANIFEST,
        Blob(b"{}", OCI_EMPTY),
        [layer(f"artifact {name}", artifact_type)],
        artifactType=artifact_type,
        subject=None if subject is None else subject.descriptor,
        annotations=annotations,
    )


def oci_index(
    children: Sequence[Image],
    *,
    subject: Image | None = None,
    artifact_type: str | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Image:
    """Make an OCI index."""
    return _index(
        OCI_INDEX,
        children,
        artifactType=artifact_type,
        subject=None if subject is None else subject.descriptor,
        annotations=annotations,
    )


def docker_list(children: Sequence[Image]) -> Image:
    """Make a Docker manifest list."""
    return _index(DOCKER_LIST, children)


def _layers(name: str, media_type: str) -> list[Blob]:
    return [layer(f"layer {number} of {name}", media_type) for number in (1, 2)]


def _image(media_type: str, config: Blob, layers: Sequence[Blob], **more: object) -> Image:
    descriptors = [blob.descriptor for blob in layers]
    content = _document(media_type, config=config.descriptor, layers=descriptors, **more)
    return Image(content, media_type, blobs=(config, *layers))


def _index(media_type: str, children: Sequence[Image], **more: object) -> Image:
    descriptors = [child.descriptor for child in children]
    content = _document(media_type, manifests=descriptors, **more)
    return Image(content, media_type, children=tuple(children))


def _document(media_type: str, **members: object) -> bytes:
    present = {name: value for name, value in members.items() if value is not None}
    # Indented, so that nobody gets away with writing it anew.
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, **present}, indent=3).encode()


def _descriptor(media_type: str, digest: Digest, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(digest), "size": size}
