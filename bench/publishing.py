"""Bringing content to a server, outside the measurement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.content import MANIFEST
from bench.http import path_of

if TYPE_CHECKING:
    from bench.content import Blob, Image
    from bench.servers import Server


def publish_blob(server: Server, repository: str, blob: Blob) -> None:
    """Upload a blob where the repository lacks it."""
    if server.oci("HEAD", f"/v2/{repository}/blobs/{blob.digest}").status == 200:
        return
    begun = server.oci("POST", f"/v2/{repository}/blobs/uploads/").expect(202)
    path = path_of(begun.headers["location"])
    separator = "&" if "?" in path else "?"
    headers = {"Content-Type": "application/octet-stream"}
    server.oci("PUT", f"{path}{separator}digest={blob.digest}", headers, blob.content).expect(201)


def publish(server: Server, repository: str, image: Image, tag: str) -> None:
    """Push an image with all that it refers to."""
    server.create_repository(repository)
    for blob in image.blobs:
        publish_blob(server, repository, blob)
    path = f"/v2/{repository}/manifests/{tag}"
    server.oci("PUT", path, {"Content-Type": MANIFEST}, image.manifest).expect(201)
