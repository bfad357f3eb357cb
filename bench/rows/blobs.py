"""Blobs, whole and in ranges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bench.content import KIB, MIB, blob
from bench.downloads import Download
from bench.heads import Heads
from bench.http import Connection, raw_request
from bench.measuring import Row
from bench.publishing import publish_blob
from bench.wrk import Load

if TYPE_CHECKING:
    from bench.measuring import Action
    from bench.scale import Scale
    from bench.servers import Server

_REPOSITORY = "bench/blobs"
_RANGE = 64 * KIB


def rows(scale: Scale) -> list[Row]:
    """Return the rows of blobs."""
    many = Load(16, scale.seconds)
    middle = scale.large // 2
    large = f"{scale.large // MIB} MiB"
    return [
        Row("blob-head", "blob HEAD", "requests/s", "oci",
            partial(_quick, _Asked("HEAD", KIB), many), scaling=True),
        Row("blob-get-1k", "blob GET, 1 KiB", "requests/s", "oci",
            partial(_quick, _Asked("GET", KIB), many), short=True, scaling=True),
        Row("blob-get-1m", "blob GET, 1 MiB, 4 at once", "MiB/s", "oci",
            partial(_bulky, MIB, Download(4, scale.seconds)), short=True, scaling=True),
        Row("blob-get-256m", f"blob GET, {large}", "MiB/s", "oci",
            partial(_bulky, scale.large, Download(1, scale.seconds)), short=True, scaling=True),
        Row("blob-get-256m-4", f"blob GET, {large}, 4 at once", "MiB/s", "oci",
            partial(_bulky, scale.large, Download(4, scale.seconds)), scaling=True),
        Row("blob-range", f"blob GET, 64 KiB from the middle of {large}", "requests/s", "oci",
            partial(_quick, _Asked("GET", scale.large, f"bytes={middle}-{middle + _RANGE - 1}"),
                    many), scaling=True),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Asked:
    method: str
    size: int
    range: str | None = None


def _publish(server: Server, size: int) -> str:
    content = blob(size)
    server.create_repository(_REPOSITORY)
    publish_blob(server, _REPOSITORY, content)
    return f"/v2/{_REPOSITORY}/blobs/{content.digest}"


def _quick(asked: _Asked, load: Load, server: Server) -> Action:
    path = _publish(server, asked.size)
    headers = {} if asked.range is None else {"Range": asked.range}
    status = 200 if asked.range is None else 206
    server.oci(asked.method, path, headers).expect(status)
    request = raw_request(asked.method, path, server.address, headers | dict(server.authorization))
    if asked.method == "HEAD":
        heads = Heads(load.connections, load.seconds)
        return lambda watch: heads.run(server.address, request, watch)
    return lambda watch: load.run(server.address, [request], watch)


def _bulky(size: int, download: Download, server: Server) -> Action:
    path = _publish(server, size)
    request = raw_request("GET", path, server.address, server.authorization)
    # From the disk once, for whoever keeps less in the kernel's cache of what is pushed.
    with Connection(server.address) as connection:
        connection.exchange(request).expect(200)
    return lambda watch: download.run(server.address, request, size, watch)
