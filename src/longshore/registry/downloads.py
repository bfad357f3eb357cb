"""Download URLs: links to a layer's bytes that need no credentials and soon expire."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from longshore.access.sealing import BrokenSeal
from longshore.errors import AccessDenied
from longshore.names import Digest, Registry
from longshore.registry import layers

if TYPE_CHECKING:
    from typing import BinaryIO

    from longshore.registry.context import Context
    from longshore.registry.layers import Layer

_PURPOSE = "download URL"


def ticket(context: Context, registry: Registry, repository: str, digest: Digest) -> str:
    """Return the secret part of a URL for a layer that an image refers to.

    Raises:
        LayersNotFound: the repository doesn't hold the layer.
        LayerInaccessible: no image refers to it, or only archived ones do.
    """
    layers.find_referenced(context, registry, repository, digest)
    claims = json.dumps(
        {
            "registry": [registry.account, registry.region],
            "repository": repository,
            "digest": str(digest),
            "expires": context.clock() + context.retention.download_urls,
        }
    )
    return context.server_key.seal_for(_PURPOSE).close_text(claims.encode())


@dataclass(frozen=True, slots=True)
class Download:
    """The layer that a ticket was made for."""

    registry: Registry
    repository: str
    digest: Digest

    def open(self, context: Context) -> tuple[Layer, BinaryIO]:
        """Open the layer.

        Raises:
            LayersNotFound, RepositoryNotFound: the repository no longer holds it, or is gone.
            LayerArchived: only archived images refer to it by now.
        """
        return layers.open_layer(context, self.registry, self.repository, self.digest)


def read(context: Context, ticket: str) -> Download:
    """Return what a ticket was made for.

    Raises:
        AccessDenied: it isn't one, or its time is over.
    """
    try:
        claims = json.loads(context.server_key.seal_for(_PURPOSE).open_text(ticket))
    except BrokenSeal:
        raise AccessDenied("The download URL isn't valid. Ask for a new one.") from None
    if context.clock() >= claims["expires"]:
        raise AccessDenied("The download URL has expired. Ask for a new one.")
    return Download(
        Registry(*claims["registry"]), claims["repository"], Digest.parse(claims["digest"])
    )
