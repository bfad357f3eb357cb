"""What the recycle bin holds, and how much that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import exists, func, select

from longshore.metadata import schema
from longshore.registry.lifecycle_rules import StorageClass

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

_BINNED = schema.binned_images.c


@dataclass(frozen=True, slots=True)
class Contents:
    """How much is in the bin, in all accounts and regions.

    Attributes:
        images: how many there are.
        manifest_bytes: their manifests'.
        layer_bytes: those of the layers that are kept for them alone.
    """

    images: int
    manifest_bytes: int
    layer_bytes: int

    @property
    def size(self) -> int:
        """The bytes that there would be less without the bin."""
        return self.manifest_bytes + self.layer_bytes


def holds_blob(*, active: bool = False) -> ColumnElement[bool]:
    """Return the condition that an image in the bin needs the blob of the row.

    Args:
        active: only images count that come back active.
    """
    layer = schema.binned_layers.c
    held = exists().where(layer.blob_id == schema.blobs.c.id)
    if not active:
        return held
    is_active = _BINNED.storage_class == StorageClass.STANDARD.value
    return held.where(_BINNED.id == layer.image_id, is_active)


def take_stock(tx: Connection) -> Contents:
    """Return how much is in the bin. It reads through all of it."""
    row = tx.execute(select(func.count(), func.sum(_BINNED.manifest_size))).one()
    elsewhere = exists().where(schema.layers.c.blob_id == schema.blobs.c.id)
    layers = tx.execute(
        select(func.sum(func.coalesce(schema.blobs.c.archived_size, schema.blobs.c.size))).where(
            holds_blob(), ~elsewhere
        )
    ).scalar_one()
    return Contents(row[0], int(row[1] or 0), int(layers or 0))
