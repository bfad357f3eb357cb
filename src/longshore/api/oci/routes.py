"""The routes of the registry face: what answers each, and what its caller needs for it.

A path is read from its end, so that repositories may be called `blobs` or `uploads/manifests`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from longshore.api.http import decode_segment
from longshore.api.oci import blobs, listings, manifests, uploads
from longshore.api.oci.errors import InvalidName, MethodNotAllowed, RouteNotFound
from longshore.api.responses import Response
from longshore.identity.authorization import Need
from longshore.names import is_repository_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from longshore.api.http import Request
    from longshore.api.oci.calls import Call
    from longshore.names import Registry

Handler: TypeAlias = "Callable[[Call], Response] | Callable[[Call], Awaitable[Response]]"


def ping(_call: Call) -> Response:
    """GET /v2/: the credentials are good."""
    return Response(200, {"Content-Type": "application/json"}, b"{}")


@dataclass(frozen=True, slots=True)
class Also:
    """IAM actions that some requests to a route need besides.

    Attributes:
        actions: the actions.
        when: tells whether a request needs them.
        description: says when, for people.
    """

    actions: tuple[str, ...]
    when: Callable[[Request], bool]
    description: str


@dataclass(frozen=True, slots=True)
class Route:
    """What answers one method of one form of path.

    Attributes:
        handler: a plain function, which a worker runs, or a coroutine function where the body is
            received while it runs.
        operation: the ECR operation that it stands for, which rate limits count.
        action: the IAM action that its caller needs; None where good credentials are enough.
        also: what some requests need besides.
        reads_manifest: whether the handler needs the whole body, which is then a manifest.
        is_hot: whether the answer is often in memory, so that it is worth a look before a worker
            is asked.
    """

    handler: Handler
    operation: str
    action: str | None
    also: Also | None = None
    reads_manifest: bool = False
    is_hot: bool = False

    def needs(self, request: Request, registry: Registry, name: str) -> list[Need]:
        """Return the permissions that a request needs.

        Args:
            request: the request.
            registry: the registry that it is for.
            name: the repository that it is for; empty where it is for all of them.
        """
        if self.action is None:
            return []
        actions = [self.action]
        if self.also is not None and self.also.when(request):
            actions += self.also.actions
        if not name:
            return [Need.on_all(registry, action) for action in actions]
        return [_need(registry, name, action) for action in actions]


@lru_cache(4096)
def _need(registry: Registry, name: str, action: str) -> Need:
    return Need.on(registry, name, action)


def _route(
    handler: Handler,
    operation: str,
    action: str | None = None,
    *,
    also: Also | None = None,
    reads_manifest: bool = False,
    is_hot: bool = False,
) -> Route:
    return Route(handler, operation, action or f"ecr:{operation}", also, reads_manifest, is_hot)


_SENT_WHOLE = Also(
    ("ecr:UploadLayerPart", "ecr:CompleteLayerUpload"),
    lambda request: request.parameter("digest") is not None,
    "with `digest`",
)
_LAST_BYTES = Also(
    ("ecr:UploadLayerPart",), lambda request: request.content_length != 0, "with a body"
)

_NAME = r"/v2/(?P<name>.+)"
_PING = Route(ping, "GetAuthorizationToken", None, is_hot=True)
_CATALOG = _route(listings.catalog, "DescribeRepositories", is_hot=True)
_TAGS = _route(listings.tags, "ListImages", is_hot=True)
_REFERRERS = _route(listings.referrers_of, "ListImageReferrers", "ecr:BatchGetImage", is_hot=True)
_MANIFEST = _route(manifests.get, "BatchGetImage", is_hot=True)

ROUTES: tuple[tuple[str, dict[str, Route]], ...] = (
    (r"/v2/?", {"GET": _PING, "HEAD": _PING}),
    (r"/v2/_catalog", {"GET": _CATALOG, "HEAD": _CATALOG}),
    (_NAME + r"/tags/list", {"GET": _TAGS, "HEAD": _TAGS}),
    (_NAME + r"/referrers/(?P<argument>[^/]+)", {"GET": _REFERRERS, "HEAD": _REFERRERS}),
    (
        _NAME + r"/manifests/(?P<argument>[^/]+)",
        {
            "GET": _MANIFEST,
            "HEAD": _MANIFEST,
            "PUT": _route(manifests.put, "PutImage", reads_manifest=True),
            "DELETE": _route(manifests.delete, "BatchDeleteImage"),
        },
    ),
    (
        _NAME + r"/blobs/uploads/?",
        {"POST": _route(uploads.start, "InitiateLayerUpload", also=_SENT_WHOLE)},
    ),
    (
        _NAME + r"/blobs/uploads/(?P<argument>[^/]+)",
        {
            "GET": _route(uploads.status, "UploadLayerPart"),
            "PATCH": _route(uploads.append, "UploadLayerPart"),
            "PUT": _route(uploads.complete, "CompleteLayerUpload", also=_LAST_BYTES),
            "DELETE": _route(uploads.cancel, "UploadLayerPart"),
        },
    ),
    (
        _NAME + r"/blobs/(?P<argument>[^/]+)",
        {
            "GET": _route(blobs.get, "GetDownloadUrlForLayer", is_hot=True),
            "HEAD": _route(blobs.head, "BatchCheckLayerAvailability", is_hot=True),
            "DELETE": _route(blobs.delete, "BatchDeleteImage"),
        },
    ),
)
_COMPILED = tuple((re.compile(pattern), methods) for pattern, methods in ROUTES)
# What the last part of a path is, by the part before it.
_ARGUMENTS = {
    "blobs": "{digest}",
    "manifests": "{reference}",
    "referrers": "{digest}",
    "uploads": "{upload}",
}


# What is longer than any path that clients use; strangers may send such as they like.
_LONGEST_REMEMBERED = 512


def find_route(method: str, path: str) -> tuple[Route, str, str]:
    """Return the route of a request, the repository's name and the last part of the path.

    Args:
        method: the HTTP method.
        path: as it was sent. Names are compared as they stand, encodings and all, so that none of
            them can smuggle a slash; only the last part is decoded.

    Raises:
        RouteNotFound, MethodNotAllowed: nothing answers it.
        InvalidName: the name isn't one of a repository.
    """
    find = _find if len(path) > _LONGEST_REMEMBERED else _find_or_recall
    return find(method, path)


def _find(method: str, path: str) -> tuple[Route, str, str]:
    for pattern, methods in _COMPILED:
        match = pattern.fullmatch(path)
        if match is None:
            continue
        route = methods.get(method)
        if route is None:
            raise MethodNotAllowed(
                f"This path answers to {', '.join(methods)} and not to {method}", allowed=methods
            )
        parts = match.groupdict("")
        name = parts.get("name", "")
        if "name" in parts and not is_repository_name(name):
            raise InvalidName(
                "The name of a repository has lower-case letters, digits and single separators "
                "(. _ - /) between them, and 2 to 256 characters"
            )
        return route, name, decode_segment(parts.get("argument", ""))
    raise RouteNotFound("Nothing is at this path. The registry's API is below /v2/.")


# A path tells nothing but its route, and clients ask for the same ones again and again.
_find_or_recall = lru_cache(4096)(_find)


def template_of(path: str) -> str | None:
    """Return the form of a path, such as `/v2/{name}/tags/list`; None if it has none of a route."""
    found = (pattern.pattern for pattern, _ in _COMPILED if pattern.fullmatch(path))
    form = next(found, None)
    if form is None:
        return None
    form = form.removesuffix("?").replace("(?P<name>.+)", "{name}")
    parent, argument, _ = form.partition("(?P<argument>[^/]+)")
    return parent + _ARGUMENTS[parent.split("/")[-2]] if argument else form
