"""What an image consists of, in an OCI layout or in a registry, with every byte hashed again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from longshore.names import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Fetch = Callable[[str], bytes]

MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


@dataclass(frozen=True)
class Content:
    """Everything that an image reaches from its `root`.

    Attributes:
        root: the digest of its manifest or index.
        sizes: the digest of each manifest and blob, root included, and how many bytes it has.
        diff_ids: for each platform, the digests of its layers unpacked, lowest layer first.
    """

    root: str
    sizes: Mapping[str, int]
    diff_ids: tuple[tuple[str, ...], ...]

    @classmethod
    def read(cls, root: str, fetch_manifest: Fetch, fetch_blob: Fetch) -> Content:
        """Walk from `root` through all it refers to, comparing each digest with the bytes."""
        sizes: dict[str, int] = {}
        diff_ids: list[tuple[str, ...]] = []

        def keep(digest: str, content: bytes) -> bytes:
            assert str(Digest.of(content, digest.partition(":")[0])) == digest
            sizes[digest] = len(content)
            return content

        def visit(digest: str) -> None:
            document = json.loads(keep(digest, fetch_manifest(digest)))
            for child in document.get("manifests", ()):
                visit(child["digest"])
            for layer in document.get("layers", ()):
                keep(layer["digest"], fetch_blob(layer["digest"]))
            if "config" in document:
                config = json.loads(
                    keep(document["config"]["digest"], fetch_blob(document["config"]["digest"]))
                )
                diff_ids.append(tuple(config.get("rootfs", {}).get("diff_ids", ())))

        visit(root)
        return cls(root, sizes, tuple(diff_ids))


@dataclass(frozen=True)
class Layout:
    """One image in an OCI image layout (OCI image-spec, "Image Layout").

    Attributes:
        directory: the layout's folder, which may hold other images besides.
        tag: the image's `org.opencontainers.image.ref.name`.
    """

    directory: Path
    tag: str = "1"

    def __str__(self) -> str:
        return f"{self.directory}:{self.tag}"

    def blob(self, digest: str) -> bytes:
        """Return the bytes filed under `digest`."""
        return (self.directory / "blobs" / digest.replace(":", "/")).read_bytes()

    def root(self) -> str:
        """Return the digest of the image's manifest or index."""
        [root] = (
            entry["digest"]
            for entry in self._entries()
            if entry.get("annotations", {}).get("org.opencontainers.image.ref.name") == self.tag
        )
        return str(root)

    def content(self) -> Content:
        """Return everything that the image consists of."""
        return Content.read(self.root(), self.blob, self.blob)

    def _entries(self) -> Iterator[dict[str, Any]]:
        yield from json.loads((self.directory / "index.json").read_bytes())["manifests"]
