"""Manifests: the documents that say what an image, an artifact or an index consists of.

A manifest is kept as the bytes that were pushed. This module reads the facts off them, once, at the
push, and refuses a document that two clients could read in two ways. It follows the OCI image-spec
1.1 ("Image Manifest", "Image Index", "Content Descriptors") and Docker's "Image Manifest Version 2,
Schema 2".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from longshore.documents import (
    MalformedDocument,
    as_kind,
    optional,
    path,
    quoted,
    read_object,
    refuse_lookalikes,
    required,
)
from longshore.errors import InvalidParameter
from longshore.names import Digest
from longshore.registry.media_types import (
    FOREIGN_LAYER_TYPES,
    INDEX_TYPES,
    MANIFEST_TYPES,
    OCI_EMPTY,
    OCI_TYPES,
    SCHEMA_1_TYPES,
    bare_media_type,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# What a client declares that has nothing to say of the kind of manifest.
_GENERIC_TYPES: Final = frozenset({"", "application/json", "application/octet-stream"})

# Sizes are int64 in the OCI image-spec, in ECR's model and in the database.
MAX_SIZE: Final = 2**63 - 1
# The deepest member of the specs, `manifests[].platform.os.features[]`, lies five deep.
MAX_DEPTH: Final = 32
# Each descriptor costs a look-up and a row. Images have up to a few hundred layers; the longest
# lists are the indexes that older clients keep of a subject's referrers.
MAX_DESCRIPTORS: Final = 10_000
# RFC 6838, section 4.2, ends at 255 characters, and so does ECR's ArtifactType.
_MEDIA_TYPE = re.compile(r"[!-~][ -~]{0,254}")

# The members that the specs give a meaning, of the document and of a descriptor.
_MANIFEST_MEMBERS: Final = frozenset(
    {"schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "fsLayers"}
    | {"subject", "annotations"}
)
_DESCRIPTOR_MEMBERS: Final = frozenset(
    {"mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform"}
)
_ONLY_OCI_MEMBERS: Final = frozenset({"subject", "artifactType", "annotations"})


class InvalidManifest(InvalidParameter):
    """The document isn't a manifest that this registry takes.

    Attributes:
        message: ECR's sentence, which is the same for nearly every fault.
        reason: what is wrong, in a sentence for a person, for logs and for the OCI protocol.
    """

    def __init__(self, reason: str, constraint: str = "Invalid JSON syntax") -> None:
        super().__init__(InvalidParameter.at("ImageManifest", constraint).message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ManifestRules:
    """What one dialect takes that another refuses.

    Attributes:
        algorithms: the digest algorithms that descriptors may use.
        max_bytes: the largest manifest; 4 MiB is both ECR's limit and the least that the OCI
            distribution-spec expects of a registry.
        layerless_images: whether an image may have no layers. ECR refuses with a sentence of its
            own; the OCI image-spec only advises against it.
        blob_children: whether an index may list what isn't a manifest, as BuildKit's older cache
            export does. ECR refuses; the OCI image-spec forbids to ("Image Index", `mediaType`).
    """

    algorithms: frozenset[str] = frozenset({"sha256"})
    max_bytes: int = 4 * 1024 * 1024
    layerless_images: bool = False
    blob_children: bool = False


ECR_RULES: Final = ManifestRules()
OCI_RULES: Final = ManifestRules(
    algorithms=frozenset({"sha256", "sha512"}), layerless_images=True, blob_children=True
)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A manifest's reference to a blob or to another manifest.

    Attributes:
        size: in bytes, as the manifest says; the content may turn out to have another.
        urls: where else the content can be had.
    """

    media_type: str
    digest: Digest
    size: int
    urls: tuple[str, ...] = ()

    @property
    def foreign(self) -> bool:
        """Whether the content may be had from elsewhere only, and so need not be pushed."""
        return bool(self.urls) or self.media_type in FOREIGN_LAYER_TYPES


@dataclass(frozen=True, slots=True)
class Manifest:
    """The facts of one manifest.

    Attributes:
        media_type: one of `MANIFEST_TYPES`.
        digest: the digest of the bytes.
        config: the configuration; None for an index.
        layers: in the manifest's order, repetitions included; empty for an index.
        children: what an index lists, in its order; empty for an image.
        subject: the manifest that this one refers to. It need not exist.
        artifact_type: as the referrers list gives it: the manifest's `artifactType`, else an
            image's config media type (OCI distribution-spec, "Listing Referrers").
        annotations: of the manifest itself.
    """

    media_type: str
    digest: Digest
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_index(self) -> bool:
        """Whether this is an OCI index or a Docker manifest list."""
        return self.media_type in INDEX_TYPES

    @property
    def config_media_type(self) -> str | None:
        """The media type of the config; None for an index."""
        return None if self.config is None else self.config.media_type

    @property
    def artifact_media_type(self) -> str | None:
        """`artifactMediaType` as DescribeImages gives it, which for an index is absent."""
        return None if self.is_index else self.artifact_type

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Every reference to a blob, repetitions included: those that there are must be kept."""
        config = () if self.config is None else (self.config,)
        listed = (child for child in self.children if child.media_type not in MANIFEST_TYPES)
        return (*config, *self.layers, *listed)

    @property
    def required_layers(self) -> tuple[Digest, ...]:
        """The distinct blobs that the repository must hold; the config counts as a layer.

        Foreign layers aren't among them, even though a client may have pushed them all the same.
        """
        return _distinct(blob for blob in self.blobs if blob is self.config or not blob.foreign)

    @property
    def required_images(self) -> tuple[Digest, ...]:
        """The distinct manifests that the repository must hold: an index's children."""
        return _distinct(child for child in self.children if child.media_type in MANIFEST_TYPES)

    @property
    def size(self) -> int | None:
        """`imageSizeInBytes` of an image: its config and its layers, compressed, as listed.

        A layer that is listed twice counts twice, and a foreign one not at all, for it isn't in the
        repository. None for an index, whose size is that of its largest image.
        """
        return None if self.config is None else _total_size(self.config, self.layers)


def parse(
    content: bytes,
    declared_media_type: str | None,
    rules: ManifestRules,
    *,
    algorithm: str = "sha256",
) -> Manifest:
    """Read the facts off a manifest's bytes.

    Members that the specs don't know are ignored, except those that differ from a known one in
    nothing but the case of their letters: to many clients they are the known one.

    Args:
        content: the bytes as they were pushed.
        declared_media_type: what the request says that they are, if it does. It must agree with
            what the manifest says of itself, unless it is as general as `application/json`.
        rules: what the dialect takes.
        algorithm: the algorithm of the digest by which the manifest shall be known.

    Raises:
        InvalidManifest: the bytes aren't a manifest, or not one that the rules allow.
    """
    if len(content) > rules.max_bytes:
        raise InvalidManifest(f"the manifest is larger than {rules.max_bytes} bytes")
    try:
        members = read_object(content, max_depth=MAX_DEPTH)
        media_type = _read_kind(members, bare_media_type(declared_media_type or ""))
        return _read_manifest(members, media_type, Digest.of(content, algorithm), rules)
    except MalformedDocument as error:
        raise InvalidManifest(str(error)) from error


# --- The kind of manifest -------------------------------------------------------------------------


def _read_kind(members: Mapping[str, object], declared: str) -> str:
    refuse_lookalikes(members, _MANIFEST_MEMBERS, "the document")
    own = _read_media_type(members, "mediaType")
    _refuse_two_kinds(members)
    _refuse_schema_1(members, own, declared)
    media_type = _agreed(own, None if declared in _GENERIC_TYPES else declared)
    if media_type not in MANIFEST_TYPES:
        raise InvalidManifest(f"{quoted(media_type)} isn't the media type of a manifest")
    if required(members, "schemaVersion", int) != 2:
        raise InvalidManifest("schemaVersion isn't 2")
    return media_type


def _refuse_two_kinds(members: Mapping[str, object]) -> None:
    """Refuse what is an index to one client and an image to another (CVE-2021-41190)."""
    for name in ("layers", "config", "fsLayers"):
        if "manifests" in members and name in members:
            raise InvalidManifest(f"the document holds both 'manifests' and {name!r}")


def _refuse_schema_1(members: Mapping[str, object], own: str | None, declared: str) -> None:
    is_schema_1 = own in SCHEMA_1_TYPES or declared in SCHEMA_1_TYPES
    if is_schema_1 or "fsLayers" in members or members.get("schemaVersion") == 1:
        raise InvalidManifest(
            "schema 1 manifests are no longer supported; push with Docker 1.10 or newer"
        )


def _agreed(own: str | None, declared: str | None) -> str:
    if own and declared and own != declared:
        raise InvalidManifest(
            f"the document says that it is {quoted(own)}, and the request says {quoted(declared)}"
        )
    media_type = own or declared
    if not media_type:
        raise InvalidManifest("neither the document nor the request says its media type")
    return media_type


# --- Its parts ------------------------------------------------------------------------------------


def _read_manifest(
    members: Mapping[str, object], media_type: str, digest: Digest, rules: ManifestRules
) -> Manifest:
    if media_type not in OCI_TYPES:  # Docker's formats give these names no meaning
        members = {name: members[name] for name in members if name not in _ONLY_OCI_MEMBERS}
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    subject = optional(members, "subject", dict)
    if media_type in INDEX_TYPES:
        children = _read_children(members, rules)
    else:
        config = _read_descriptor(required(members, "config", dict), "config", rules)
        layers = _read_layers(members, config, rules)
    return Manifest(
        media_type=media_type,
        digest=digest,
        config=config,
        layers=layers,
        children=children,
        subject=None if subject is None else _read_descriptor(subject, "subject", rules),
        artifact_type=_read_artifact_type(members, config),
        annotations=_read_annotations(members),
    )


def _read_children(members: Mapping[str, object], rules: ManifestRules) -> tuple[Descriptor, ...]:
    children = _read_descriptors(members, "manifests", rules)
    for child in children:
        if not rules.blob_children and child.media_type not in MANIFEST_TYPES:
            raise InvalidManifest(
                f"the index lists {child.digest}, a {quoted(child.media_type)}, "
                "which isn't a manifest; with BuildKit, export the cache with image-manifest=true"
            )
    return children


def _read_layers(
    members: Mapping[str, object], config: Descriptor, rules: ManifestRules
) -> tuple[Descriptor, ...]:
    if not rules.layerless_images and not members.get("layers"):
        raise InvalidManifest("the image has no layers", "Image has to have at least 1 layer")
    layers = _read_descriptors(members, "layers", rules)
    if _total_size(config, layers) > MAX_SIZE:
        raise InvalidManifest("the layers add up to more than 2^63 - 1 bytes")
    return layers


def _read_descriptors(
    members: Mapping[str, object], name: str, rules: ManifestRules
) -> tuple[Descriptor, ...]:
    if name not in members:
        raise InvalidManifest(f"{name} is missing")
    # Clients in Go write an empty list as null.
    descriptors = optional(members, name, list) or []
    if len(descriptors) > MAX_DESCRIPTORS:
        raise InvalidManifest(f"{name} lists more than {MAX_DESCRIPTORS} descriptors")
    return tuple(
        _read_descriptor(descriptor, f"{name}[{index}]", rules)
        for index, descriptor in enumerate(descriptors)
    )


def _read_artifact_type(members: Mapping[str, object], config: Descriptor | None) -> str | None:
    artifact_type = _read_media_type(members, "artifactType")
    if artifact_type is not None or config is None:
        return artifact_type
    if config.media_type == OCI_EMPTY:
        raise InvalidManifest("artifactType is missing, which an empty config needs")
    return config.media_type


def _read_descriptor(value: object, where: str, rules: ManifestRules) -> Descriptor:
    members = as_kind(dict, value, where)
    refuse_lookalikes(members, _DESCRIPTOR_MEMBERS, where)
    media_type = _read_media_type(members, "mediaType", where)
    if media_type is None:
        raise InvalidManifest(f"{where}.mediaType is missing")
    size = required(members, "size", int, where)
    if not 0 <= size <= MAX_SIZE:
        raise InvalidManifest(f"{where}.size isn't between 0 and 2^63 - 1")
    # Nothing here depends on these; but what is of another type, clients can't read.
    _read_annotations(members, where)
    optional(members, "data", str, where)
    optional(members, "platform", dict, where)
    _read_media_type(members, "artifactType", where)
    return Descriptor(
        media_type, _read_digest(members, where, rules), size, _read_urls(members, where)
    )


def _read_digest(members: Mapping[str, object], where: str, rules: ManifestRules) -> Digest:
    text = required(members, "digest", str, where)
    try:
        digest = Digest.parse(text)
    except ValueError as error:
        raise InvalidManifest(f"{where}.digest is {error}") from None
    if digest.algorithm not in rules.algorithms:
        raise InvalidManifest(f"{where}.digest is a {digest.algorithm}, which isn't taken here")
    return digest


def _read_urls(members: Mapping[str, object], where: str) -> tuple[str, ...]:
    urls = optional(members, "urls", list, where) or []
    return tuple(as_kind(str, url, f"{where}.urls[{index}]") for index, url in enumerate(urls))


def _read_annotations(members: Mapping[str, object], where: str = "") -> Mapping[str, str]:
    annotations = optional(members, "annotations", dict, where) or {}
    for key, value in annotations.items():
        if not isinstance(value, str):
            raise InvalidManifest(f"{path(where, 'annotations')}[{quoted(key)}] isn't a string")
    return MappingProxyType(annotations)


def _read_media_type(members: Mapping[str, object], name: str, where: str = "") -> str | None:
    # Clients in Go write a string that isn't there as an empty one.
    media_type = optional(members, name, str, where) or None
    if media_type is not None and _MEDIA_TYPE.fullmatch(media_type) is None:
        raise InvalidManifest(f"{path(where, name)} isn't a media type: {quoted(media_type)}")
    return media_type


def _distinct(descriptors: Iterable[Descriptor]) -> tuple[Digest, ...]:
    return tuple(dict.fromkeys(descriptor.digest for descriptor in descriptors))


def _total_size(config: Descriptor, layers: Iterable[Descriptor]) -> int:
    return config.size + sum(layer.size for layer in layers if not layer.foreign)
