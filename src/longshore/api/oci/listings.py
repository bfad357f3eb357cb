"""Listings on the registry face: tags, repositories and referrers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from longshore.api import pages
from longshore.api.responses import Response
from longshore.errors import InvalidParameter
from longshore.registry import image_listings, referrers, repositories
from longshore.registry.media_types import OCI_INDEX

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from longshore.api.oci.calls import Call
    from longshore.registry.slices import Position

_DEFAULT_PAGE = 100
_LARGEST_PAGE = 1000
_REFERRERS_PAGE = 1000


@dataclass(frozen=True, slots=True)
class _Page:
    """A slice of a listing.

    Attributes:
        content: the document.
        following: where the next slice starts; None after the last one.
    """

    content: bytes
    following: Position | None


def tags(call: Call) -> Response:
    """GET /v2/<name>/tags/list."""
    listing = f"tags {call.registry} {call.name}"
    after, limit = _after(call, listing), _limit(call)

    def find() -> _Page:
        listed = image_listings.tag_names(
            call.context, call.registry, call.name, str(after[0]) if after else None, limit
        )
        return _page({"name": call.name, "tags": list(listed.items)}, listed.next)

    page = _remembered(call, (listing, after, limit), find)
    return _listing(call, page, listing, f"/v2/{call.name}/tags/list")


def catalog(call: Call) -> Response:
    """GET /v2/_catalog."""
    listing = f"catalog {call.registry}"
    after, limit = _after(call, listing), _limit(call)

    def find() -> _Page:
        listed = repositories.list_names(call.context, call.registry, after, limit)
        return _page({"repositories": list(listed.items)}, listed.next)

    page = _remembered(call, (listing, after, limit), find)
    return _listing(call, page, listing, "/v2/_catalog")


def referrers_of(call: Call) -> Response:
    """GET /v2/<name>/referrers/<digest>, an index of manifests whose subject that is."""
    subject, artifact_type = call.digest(), call.request.parameter("artifactType")
    listing = f"referrers {call.registry} {call.name} {subject} {artifact_type}"
    last = call.request.parameter("last")
    after = pages.read_token(call.context.server_key, listing, last, member="last")

    def find() -> _Page:
        listed = referrers.list_of(
            call.context,
            call.registry,
            call.name,
            subject,
            artifact_types=[artifact_type] if artifact_type else [],
            after=after,
            limit=_REFERRERS_PAGE,
        )
        index = {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [_descriptor(referrer) for referrer in listed.items],
        }
        return _page(index, listed.next)

    page = _remembered(call, (listing, after), find)
    headers = {"Content-Type": OCI_INDEX}
    if artifact_type:
        headers["OCI-Filters-Applied"] = "artifactType"
    if page.following is not None:
        cursor = pages.write_token(call.context.server_key, listing, page.following)
        query = {"artifactType": artifact_type, "last": cursor}
        headers["Link"] = _link(call, f"/v2/{call.name}/referrers/{subject}", query)
    return Response(200, headers, page.content)


def _page(document: Mapping[str, object], following: Position | None) -> _Page:
    return _Page(json.dumps(document).encode(), following)


def _remembered(call: Call, question: Hashable, find: Callable[[], _Page]) -> _Page:
    """Return a slice from memory, until the database changes: many look again and again."""
    # What a client gives as the beginning may be longer than the page.
    size = len(str(question))
    return call.context.memory.answer(
        question, find, lambda page: size + len(page.content), is_long=True
    )


def _descriptor(referrer: referrers.Referrer) -> dict[str, object]:
    descriptor: dict[str, object] = {
        "mediaType": referrer.media_type,
        "digest": str(referrer.digest),
        "size": referrer.size,
    }
    if referrer.artifact_type:
        descriptor["artifactType"] = referrer.artifact_type
    if referrer.annotations:
        descriptor["annotations"] = dict(referrer.annotations)
    return descriptor


def _limit(call: Call) -> int:
    """Return the size of the page that `n` asks for."""
    text = call.request.parameter("n")
    opaque = call.context.dialect.opaque_cursors
    if text is None:
        return _DEFAULT_PAGE if opaque else _LARGEST_PAGE
    # Ten digits are more than any page has; longer numbers aren't worth reading.
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise InvalidParameter.at("maxResults", "Member must be a whole number")
    if int(text) > _LARGEST_PAGE and call.context.dialect.refuses_large_pages:
        raise InvalidParameter.at(
            "maxResults", f"Member must have value less than or equal to {_LARGEST_PAGE}"
        )
    if int(text) < 1 and call.context.dialect.refuses_large_pages:
        raise InvalidParameter.at("maxResults", "Member must have value greater than or equal to 1")
    return min(int(text), _LARGEST_PAGE)


def _after(call: Call, listing: str) -> Position | None:
    last = call.request.parameter("last")
    if last is None or not call.context.dialect.opaque_cursors:
        return None if not last else (last,)
    return pages.read_token(call.context.server_key, listing, last, member="nextToken")


def _listing(call: Call, page: _Page, listing: str, path: str) -> Response:
    opaque = call.context.dialect.opaque_cursors
    # ECR's proxy says text/plain.
    content_type = "text/plain; charset=utf-8" if opaque else "application/json"
    headers = {"Content-Type": content_type}
    if page.following is not None:
        cursor = (
            pages.write_token(call.context.server_key, listing, page.following)
            if opaque
            else str(page.following[0])
        )
        headers["Link"] = _link(call, path, {"n": call.request.parameter("n"), "last": cursor})
    return Response(200, headers, page.content)


def _link(call: Call, path: str, parameters: dict[str, str | None]) -> str:
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    return f'<{call.request.base_url}{path}?{query}>; rel="next"'
