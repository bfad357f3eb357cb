"""Manifests, by tag and by digest, small and large."""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING, Literal

from bench.content import Image, large_image, small_image
from bench.filling import MANY_TAGS, fill, tag_name
from bench.heads import Heads
from bench.http import raw_request
from bench.measuring import Row
from bench.publishing import publish
from bench.wrk import Load

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.measuring import Action
    from bench.scale import Scale
    from bench.servers import Server

_CONNECTIONS = 16
# More than any server answers in a second.
_REQUESTS_PER_SECOND = 40_000
_ACCEPT = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)


def rows(scale: Scale) -> list[Row]:
    """Return the rows of manifests."""
    usual = Load(_CONNECTIONS, scale.seconds)
    crowd = Load(scale.clients, scale.seconds)
    small, large = small_image("small"), large_image("large")

    def row(
        name: str,
        title: str,
        prepare: Callable[[Server], Action],
        *,
        short: bool = False,
    ) -> Row:
        return Row(name, title, "requests/s", "oci", prepare, short=short, scaling=True)

    return [
        row("manifest-get-tag", "manifest GET by tag", _reading("GET", small, "tag", usual),
            short=True),
        row("manifest-get-digest", "manifest GET by digest",
            _reading("GET", small, "digest", usual)),
        row("manifest-get-tag-large", "manifest GET by tag, 256 KiB",
            _reading("GET", large, "tag", usual)),
        row("manifest-get-digest-large", "manifest GET by digest, 256 KiB",
            _reading("GET", large, "digest", usual)),
        row("manifest-head-tag", "manifest HEAD by tag", _reading("HEAD", small, "tag", usual),
            short=True),
        row("manifest-head-digest", "manifest HEAD by digest",
            _reading("HEAD", small, "digest", usual)),
        row("manifest-get-tag-unlike", "manifest GET by tag, no two requests alike",
            _reading_unlike(small, usual)),
        row("manifest-get-tag-many", f"manifest GET by tag, {scale.listed:,} tags in turn",
            _reading_many(scale.listed, usual)),
        row("manifest-get-tag-crowd", f"manifest GET by tag, {scale.clients} clients at once",
            _reading("GET", small, "tag", crowd)),
    ]  # fmt: skip


def _reading(
    method: str, image: Image, by: Literal["tag", "digest"], load: Load
) -> Callable[[Server], Action]:
    def prepare(server: Server) -> Action:
        path = _published(server, image, by)
        request = raw_request(method, path, server.address, _headers(server))
        if method == "HEAD":
            heads = Heads(load.connections, load.seconds)
            return lambda watch: heads.run(server.address, request, watch)
        return lambda watch: load.run(server.address, [request], watch)

    return prepare


def _reading_unlike(image: Image, load: Load) -> Callable[[Server], Action]:
    """Read one manifest over and over, in requests that nobody can know by their bytes."""

    def prepare(server: Server) -> Action:
        path, headers = _published(server, image, "tag"), _headers(server)
        requests = (
            raw_request("GET", path, server.address, headers | {"X-Request-Id": f"{number:09}"})
            for number in count()
        )
        fewest = _REQUESTS_PER_SECOND * load.seconds
        return lambda watch: load.run(server.address, list(islice(requests, fewest)), watch)

    return prepare


def _reading_many(tags: int, load: Load) -> Callable[[Server], Action]:
    """Read one tag after the other, each from its server's memory at best."""

    def prepare(server: Server) -> Action:
        fill(server, tags)
        # What distribution's tags stand for, which isn't there yet.
        publish(server, MANY_TAGS, small_image("seed"), tag_name(0))
        headers = _headers(server)
        paths = [f"/v2/{MANY_TAGS}/manifests/{tag_name(number)}" for number in range(tags)]
        server.oci("GET", paths[-1], {"Accept": _ACCEPT}).expect(200)
        requests = [raw_request("GET", path, server.address, headers) for path in paths]
        return lambda watch: load.run(server.address, requests, watch)

    return prepare


def _published(server: Server, image: Image, by: Literal["tag", "digest"]) -> str:
    """Push an image, and return the path that its manifest is there under."""
    repository, tag = "bench/manifests", f"t{len(image.manifest)}"
    publish(server, repository, image, tag)
    path = f"/v2/{repository}/manifests/{tag if by == 'tag' else image.digest}"
    server.oci("GET", path, {"Accept": _ACCEPT}).expect(200)
    return path


def _headers(server: Server) -> dict[str, str]:
    return {"Accept": _ACCEPT} | dict(server.authorization)
