"""A store with a recycle bin, and what tests ask of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from longshore.clock import DAY
from longshore.metadata import schema
from longshore.registry import bin_restoration, image_batches, recycle_bin
from longshore.registry.context import Retention
from longshore.registry.image_batches import ImageId
from tests.support.pushing import CALLER, REGISTRY, REPOSITORY

if TYPE_CHECKING:
    from longshore.registry.bin_restoration import Restored
    from longshore.registry.context import Context
    from longshore.registry.recycle_bin import BinnedImage
    from tests.support.images import Image

DAYS = 7


def with_bin(context: Context, days: int = DAYS) -> Context:
    """Return the same store with a recycle bin."""
    return replace(context, retention=Retention(deleted_images=days * DAY))


def delete(context: Context, *images: Image | str, repository: str = REPOSITORY) -> None:
    """Delete images, or tags, as BatchDeleteImage does."""
    ids = [
        ImageId(tag=each) if isinstance(each, str) else ImageId(str(each.digest)) for each in images
    ]
    _, failures = image_batches.delete(context, REGISTRY, repository, ids, deleted_by=CALLER.arn)
    assert failures == []


def entries(context: Context, repository: str | None = REPOSITORY) -> list[BinnedImage]:
    """Return what can be restored."""
    with context.database.read() as tx:
        return list(
            recycle_bin.list_some(
                tx, REGISTRY, context.clock(), repository=repository, limit=1_000
            ).items
        )


def restore(
    context: Context, image: Image, *, tag: str | None = None, repository: str = REPOSITORY
) -> list[Restored]:
    """Restore an image."""
    return bin_restoration.restore(context, REGISTRY, repository, image.digest, tag=tag)


def content(context: Context) -> dict[str, list[dict[str, Any]]]:
    """Return all that the database has of repositories' content, but for leases."""
    tables = (
        *(schema.repositories, schema.images, schema.manifests, schema.tags),
        *(schema.image_layers, schema.image_children, schema.layers, schema.blobs),
    )
    with context.database.read() as tx:
        return {
            table.name: sorted(
                (
                    {name: value for name, value in row.items() if name != "leased_at"}
                    for row in tx.execute(select(table)).mappings()
                ),
                key=repr,
            )
            for table in tables
        }


def bin_rows(context: Context) -> int:
    """Return how many rows the tables of the bin have."""
    tables = [name for name in schema.metadata.tables if name.startswith("binned_")]
    with context.database.read() as tx:
        return sum(len(tx.execute(select(schema.metadata.tables[name])).all()) for name in tables)
