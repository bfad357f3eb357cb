"""Listings of many tags and of many repositories."""

from __future__ import annotations

import http.client
import re
import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bench.filling import MANY_TAGS, fill
from bench.http import BadAnswer, path_of
from bench.measuring import Done, Row

if TYPE_CHECKING:
    from bench.measuring import Action, Watch
    from bench.scale import Scale
    from bench.servers import Server

_PAGE = 100
# The most that distribution 3 gives of the catalog, and ECR of tags.
_LARGEST_PAGE = 1_000
_PATIENCE_SECONDS = 60


def rows(scale: Scale) -> list[Row]:
    """Return the rows of listings."""
    tags, catalog = f"/v2/{MANY_TAGS}/tags/list", "/v2/_catalog"
    count = f"{scale.listed:,}"

    def row(name: str, title: str, path: str, *, whole: bool) -> Row:
        listing = _Listing(path, scale.listed, scale.seconds, whole)
        prepare = partial(_prepare, listing)
        return Row(
            name, title, "s" if whole else "requests/s", "oci", prepare, short=name == "catalog-all"
        )

    return [
        row("tags-page", f"tags list, {_PAGE} from the middle of {count}", tags, whole=False),
        row("tags-all", f"tags list, all {count} by {_LARGEST_PAGE:,}", tags, whole=True),
        row("catalog-page", f"_catalog, {_PAGE} from the middle of {count}", catalog, whole=False),
        row("catalog-all", f"_catalog, all {count} by {_LARGEST_PAGE:,}", catalog, whole=True),
    ]


@dataclass(frozen=True, slots=True)
class _Listing:
    """What is listed: a page from the middle, or page after page until the end."""

    path: str
    count: int
    seconds: float
    whole: bool


def _prepare(listing: _Listing, server: Server) -> Action:
    fill(server, listing.count)
    if listing.whole:
        path = f"{listing.path}?n={_LARGEST_PAGE}"
    else:
        path = re.sub(r"\bn=\d+", f"n={_PAGE}", _path_of_middle(listing, server))
    return lambda watch: _run(listing, path, server, watch)


def _path_of_middle(listing: _Listing, server: Server) -> str:
    # As a client would come there: what `last` holds is the server's own affair.
    size = min(_LARGEST_PAGE, listing.count // 2)
    path = f"{listing.path}?n={size}"
    for _ in range(listing.count // 2 // size):
        following = _next_page(server.oci("GET", path).expect(200).headers.get("link"))
        if following is None:
            # It has no pages, and gives everything whatever is asked (distribution 2.8, tags).
            return path
        path = following
    return path


def _next_page(link: str | None) -> str | None:
    return path_of(link.partition("<")[2].partition(">")[0]) if link else None


def _run(listing: _Listing, path: str, server: Server, watch: Watch) -> Done:
    connection = http.client.HTTPConnection(server.address, timeout=_PATIENCE_SECONDS)
    walks = 0
    with closing(connection), watch:
        began = time.perf_counter()
        while not walks or time.perf_counter() - began < listing.seconds:
            _walk(listing, path, server, connection)
            walks += 1
        seconds = time.perf_counter() - began
    return Done(units=walks, seconds=seconds)


def _walk(
    listing: _Listing, path: str | None, server: Server, connection: http.client.HTTPConnection
) -> None:
    listed = 0
    while path is not None:
        connection.request("GET", path, headers=dict(server.authorization))
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise BadAnswer(f"{response.status} to {path}: {body[:500]!r}")
        listed += body.count(b'"') // 2
        path = _next_page(response.headers["Link"]) if listing.whole else None
    if listed < (listing.count if listing.whole else _PAGE):
        raise BadAnswer(f"{listed} listed at {listing.path}")
