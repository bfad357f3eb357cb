"""Listings on the registry face: tags, repositories and referrers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from longshore.api import pages
from longshore.api.http import Response
from longshore.errors import InvalidParameter
from longshore.registry import image_listings, referrers, repositories
from longshore.registry.media_types import OCI_INDEX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.api.oci.calls import Call
    from longshore.registry.slices import Position

_DEFAULT_PAGE = 100
_LARGEST_PAGE = 1000
_REFERRERS_PAGE = 1000


def tags(call: Call) -> Response:
    """GET /v2/<name>/tags/list."""
    listing = f"tags {call.registry} {call.name}"
    after, limit = _after(call, listing), _limit(call)
    listed = image_listings.tag_names(
        call.context, call.registry, call.name, str(after[0]) if after else None, limit
    )
    document = {"name": call.name, "tags": list(listed.items)}
    return _listing(call, document, listed.next, listing, f"/v2/{call.name}/tags/list")


def catalog(call: Call) -> Response:
    """GET /v2/_catalog."""
    listing = f"catalog {call.registry}"
    listed = repositories.list_all(call.context, call.registry, _after(call, listing), _limit(call))
    document = {"repositories": [repository.name for repository in listed.items]}
    return _listing(call, document, listed.next, listing, "/v2/_catalog")


def referrers_of(call: Call) -> Response:
    """GET /v2/<name>/referrers/<digest>, an index of manifests whose subject that is."""
    subject, artifact_type = call.digest(), call.request.parameter("artifactType")
    listing = f"referrers {call.registry} {call.name} {subject} {artifact_type}"
    last = call.request.parameter("last")
    listed = referrers.list_of(
        call.context,
        call.registry,
        call.name,
        subject,
        artifact_types=[artifact_type] if artifact_type else [],
        after=pages.read_token(call.context.server_key, listing, last, member="last"),
        limit=_REFERRERS_PAGE,
    )
    index = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [_descriptor(referrer) for referrer in listed.items],
    }
    headers = {"Content-Type": OCI_INDEX}
    if artifact_type:
        headers["OCI-Filters-Applied"] = "artifactType"
    if listed.next is not None:
        cursor = pages.write_token(call.context.server_key, listing, listed.next)
        query = {"artifactType": artifact_type, "last": cursor}
        headers["Link"] = _link(call, f"/v2/{call.name}/referrers/{subject}", query)
    return Response(200, headers, json.dumps(index).encode())


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


def _listing(
    call: Call, document: Mapping[str, object], following: Position | None, listing: str, path: str
) -> Response:
    opaque = call.context.dialect.opaque_cursors
    # ECR's proxy says text/plain.
    content_type = "text/plain; charset=utf-8" if opaque else "application/json"
    headers = {"Content-Type": content_type}
    if following is not None:
        cursor = (
            pages.write_token(call.context.server_key, listing, following)
            if opaque
            else str(following[0])
        )
        headers["Link"] = _link(call, path, {"n": call.request.parameter("n"), "last": cursor})
    return Response(200, headers, json.dumps(document).encode())


def _link(call: Call, path: str, parameters: dict[str, str | None]) -> str:
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    return f'<{call.request.base_url}{path}?{query}>; rel="next"'
