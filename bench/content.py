"""What is stored and carried: blobs, manifests and images, made from nothing."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import platform
import tarfile
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

KIB = 1024
MIB = 1024 * KIB

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def digest_of(content: bytes) -> str:
    """Return the digest of bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True)
class Blob:
    """The bytes of a layer or of a configuration."""

    content: bytes
    media_type: str = LAYER

    @cached_property
    def digest(self) -> str:
        """The digest of the bytes."""
        return digest_of(self.content)

    @property
    def descriptor(self) -> dict[str, Any]:
        """How a manifest refers to it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content)}


def blob(size: int, name: str = "blob") -> Blob:
    """Return the blob of this size and name, which is the same each time."""
    whole = Random(name).randbytes(min(size, MIB))
    return Blob(whole * (size // len(whole)) + whole[: size % len(whole)])


@dataclass(frozen=True)
class Image:
    """A manifest with its configuration and its layers."""

    config: Blob
    layers: tuple[Blob, ...]
    annotations: dict[str, str] = field(default_factory=dict)

    @cached_property
    def manifest(self) -> bytes:
        """The manifest's bytes."""
        return manifest_of(
            self.config.descriptor, [each.descriptor for each in self.layers], self.annotations
        )

    @property
    def digest(self) -> str:
        """The manifest's digest."""
        return digest_of(self.manifest)

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """All that the manifest refers to."""
        return (self.config, *self.layers)

    @property
    def size(self) -> int:
        """The bytes of it all."""
        return len(self.manifest) + sum(len(each.content) for each in self.blobs)


def manifest_of(
    config: dict[str, Any], layers: Sequence[dict[str, Any]], annotations: dict[str, str]
) -> bytes:
    """Return a manifest of these descriptors."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": layers,
        "annotations": annotations,
    }
    return json.dumps(document).encode()


def small_image(name: str, annotations: dict[str, str] | None = None) -> Image:
    """Return an image of two layers of a KiB, with a manifest of less than a KiB."""
    layers = (blob(KIB, f"{name} 1"), blob(KIB, f"{name} 2"))
    return Image(Blob(b"{}", CONFIG), layers, annotations or {})


def large_image(name: str, size: int = 256 * KIB) -> Image:
    """Return an image whose manifest has at least `size` bytes."""
    return small_image(name, {f"org.example.{number}": "x" * KIB for number in range(size // KIB)})


def fresh_image(layers: int, size: int) -> Image:
    """Return an image that nobody has seen, with layers that a client can unpack."""
    archives = [_archive(f"file{number}", os.urandom(size)) for number in range(layers)]
    document = {
        "architecture": _MACHINES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(archive) for archive in archives]},
    }
    packed = (Blob(gzip.compress(archive, compresslevel=1, mtime=0)) for archive in archives)
    return Image(Blob(json.dumps(document).encode(), CONFIG), tuple(packed))


def _archive(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def write_layout(image: Image, directory: Path, tag: str) -> None:
    """Write an image as an OCI layout (OCI image-spec, "Image Layout")."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for content in (image.manifest, *(each.content for each in image.blobs)):
        (blobs / digest_of(content).removeprefix("sha256:")).write_bytes(content)
    entry = {
        "mediaType": MANIFEST,
        "digest": image.digest,
        "size": len(image.manifest),
        "annotations": {"org.opencontainers.image.ref.name": tag},
    }
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


@dataclass(frozen=True, slots=True)
class Body:
    """A body in pieces, and its digest."""

    pieces: tuple[memoryview, memoryview]
    digest: str

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return sum(len(piece) for piece in self.pieces)


class FreshBodies:
    """Bodies of one size, each of them new, at the cost of a hash of a few bytes.

    Args:
        size: the size of each.
    """

    def __init__(self, size: int) -> None:
        block = os.urandom(min(size, MIB))
        whole = (block * -(-size // len(block)))[: size - _TAIL]
        self._begin = memoryview(whole)
        self._hash = hashlib.sha256(whole)
        self._numbers = count(int.from_bytes(os.urandom(8), "big"))

    def __iter__(self) -> Iterator[Body]:
        """Yield one after the other, without end."""
        for number in self._numbers:
            tail = (number % (1 << 64)).to_bytes(_TAIL, "big")
            whole_hash = self._hash.copy()
            whole_hash.update(tail)
            yield Body((self._begin, memoryview(tail)), f"sha256:{whole_hash.hexdigest()}")


_TAIL = 32
