"""How much the store holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from longshore.metadata import schema
from longshore.registry import bin_contents

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.registry.bin_contents import Contents
    from longshore.registry.context import Context


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the store holds, in all accounts and regions.

    Attributes:
        repositories: how many there are.
        images: how many there are, by their storage class.
        logical_bytes: the sizes of all layers of each repository and of all manifests, together.
        stored_bytes: the same, where what several repositories share counts once, with the recycle
            bin, and without what lies in the archive.
        archived_bytes: what layers take in the archive.
        binned: what is in the recycle bin.
    """

    repositories: int
    images: Mapping[str, int]
    logical_bytes: int
    stored_bytes: int
    archived_bytes: int
    binned: Contents


def take_stock(context: Context) -> Holdings:
    """Return how much there is. It reads through all layers and images: not for every request."""
    blobs, layers, images = schema.blobs.c, schema.layers.c, schema.images.c
    with context.database.read() as tx:
        by_class = tx.execute(
            select(images.storage_class, func.count(), func.sum(images.manifest_size))
            .group_by(images.storage_class)
            .order_by(images.storage_class)
        ).all()
        held = tx.execute(
            select(func.sum(blobs.size)).join_from(
                schema.layers, schema.blobs, layers.blob_id == blobs.id
            )
        ).scalar_one()
        stored = tx.execute(
            select(func.sum(blobs.size)).where(blobs.archived_size.is_(None))
        ).scalar_one()
        archived = tx.execute(select(func.sum(blobs.archived_size))).scalar_one()
        repositories = tx.execute(
            select(func.count()).select_from(schema.repositories)
        ).scalar_one()
        binned = bin_contents.take_stock(tx)
    manifests = sum(int(row[2]) for row in by_class)
    return Holdings(
        repositories=repositories,
        images={row[0]: row[1] for row in by_class},
        logical_bytes=int(held or 0) + manifests,
        stored_bytes=int(stored or 0) + manifests + binned.manifest_bytes,
        archived_bytes=int(archived or 0),
        binned=binned,
    )
