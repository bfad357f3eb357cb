"""The kinds of work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.rows import api, blobs, images, listings, manifests, uploads

if TYPE_CHECKING:
    from bench.clients import Clients
    from bench.measuring import Row
    from bench.scale import Scale


def every_row(scale: Scale, clients: Clients) -> list[Row]:
    """Return all rows, in the order of the table.

    Args:
        scale: how much is measured.
        clients: the real clients.
    """
    return [
        *manifests.rows(scale),
        *blobs.rows(scale),
        *uploads.rows(scale),
        *images.rows(scale, clients),
        *listings.rows(scale),
        *api.rows(scale),
    ]
