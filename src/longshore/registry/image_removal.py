"""Deleting images, and taking tags from them.

An image that is deleted goes into the recycle bin, if there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from longshore.errors import ImageNotFound
from longshore.events import log, shapes
from longshore.metadata import schema
from longshore.names import Digest
from longshore.registry import binned_layers, images, layers, recycle_bin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from longshore.registry.context import Context
    from longshore.registry.recycle_bin import Deletion
    from longshore.registry.repositories import Repository


def remove(
    tx: Connection, context: Context, repository: Repository, digest: Digest, deletion: Deletion
) -> tuple[str, ...]:
    """Delete an image of a locked repository with all its tags; return the tags.

    Raises:
        ImageNotFound: there is no such image.
    """
    image_id = images.id_of(tx, repository, digest)
    if image_id is None:
        raise ImageNotFound(digest, None, repository.name, repository.registry.account)
    tags = _tags_of(tx, image_id)
    _release(tx, context, repository, image_id, deletion)
    _tell_deleted(tx, context, repository, digest, tags or [None])
    return tags


def remove_tag(
    tx: Connection,
    context: Context,
    repository: Repository,
    tag: str,
    deletion: Deletion,
    *,
    keep_image: bool,
) -> Digest:
    """Remove a tag of a locked repository; without `keep_image`, an image goes with its last tag.

    Returns:
        The digest of the image that it stood for.

    Raises:
        ImageNotFound: there is no such tag.
    """
    table = schema.tags
    this = (table.c.repository_id == repository.id) & (table.c.name == tag)
    row = tx.execute(
        select(schema.images.c.id, schema.images.c.digest)
        .join(table, table.c.image_id == schema.images.c.id)
        .where(this)
    ).one_or_none()
    if row is None:
        raise ImageNotFound(None, tag, repository.name, repository.registry.account)
    others = select(table.c.name).where(table.c.image_id == row.id, table.c.name != tag).limit(1)
    if keep_image or tx.execute(others).first() is not None:
        tx.execute(delete(table).where(this))
    else:
        _release(tx, context, repository, row.id, deletion)
    digest = Digest.parse(row.digest)
    _tell_deleted(tx, context, repository, digest, [tag])
    return digest


def parents(tx: Connection, repository: Repository, digest: Digest) -> list[str]:
    """Return the digests of the indexes that keep an image from being deleted, oldest first."""
    children = schema.image_children
    return list(
        tx.execute(
            select(schema.images.c.digest)
            .join(children, children.c.image_id == schema.images.c.id)
            .where(children.c.repository_id == repository.id, children.c.digest == str(digest))
            .order_by(schema.images.c.id)
        ).scalars()
    )


def tags_of(tx: Connection, repository: Repository, digest: Digest) -> tuple[str, ...]:
    """Return the tags of an image, sorted; none where there is no such image."""
    image_id = images.id_of(tx, repository, digest)
    return () if image_id is None else _tags_of(tx, image_id)


def _tags_of(tx: Connection, image_id: int) -> tuple[str, ...]:
    tags = schema.tags
    return tuple(
        tx.execute(
            select(tags.c.name).where(tags.c.image_id == image_id).order_by(tags.c.name)
        ).scalars()
    )


def _release(
    tx: Connection, context: Context, repository: Repository, image_id: int, deletion: Deletion
) -> None:
    """Delete an image, with its tags and without its layers.

    Those are on lease from now, or, while the recycle bin has the image, out of the repository.
    """
    this = schema.images.c.id == image_id
    if context.retention.deleted_images:
        recycle_bin.put(tx, context, repository, this, deletion)
        tx.execute(delete(schema.images).where(this))
        binned_layers.withdraw(tx, repository, image_id)
        return
    held = tx.execute(
        select(schema.image_layers.c.digest).where(schema.image_layers.c.image_id == image_id)
    ).scalars()
    layers.lease(tx, repository.id, held, context.clock())
    tx.execute(delete(schema.images).where(this))


def _tell_deleted(
    tx: Connection,
    context: Context,
    repository: Repository,
    digest: Digest,
    tags: Iterable[str | None],
) -> None:
    """Say which ids are gone, as BatchDeleteImage does: an event for each."""
    now = context.clock()
    log.emit(
        tx,
        [
            shapes.image_deleted(repository.registry, now, repository.name, str(digest), tag)
            for tag in tags
        ],
    )
