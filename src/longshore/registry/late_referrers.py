"""Referrers that come to a subject which is archived, and follow it (ECR: within 24 hours)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, or_, select

from longshore.metadata import schema
from longshore.names import Digest, Registry
from longshore.registry import storage_classes
from longshore.registry.image_status import Status, has_status
from longshore.registry.lifecycle_rules import StorageClass

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

    from longshore.registry.context import Context
    from longshore.registry.repositories import Repository

_IMAGE = schema.images.c


def follow(tx: Connection, context: Context, repository: Repository, digest: Digest) -> None:
    """Archive a referrer, if it still has to follow its subject."""
    this = and_(_IMAGE.repository_id == repository.id, _IMAGE.digest == str(digest))
    if tx.execute(_STRAGGLERS.where(this)).first() is not None:
        storage_classes.archive(tx, context, repository, digest, follows=True)


def stragglers(tx: Connection) -> list[tuple[Registry, str, Digest]]:
    """Return the referrers that have to follow a subject which is archived, and where they are.

    They were pushed after it was archived, or an index kept them then that keeps them no longer.
    One that was restored since stays: somebody wants it alone.
    """
    repository = schema.repositories.c
    query = _STRAGGLERS.add_columns(repository.account, repository.region, repository.name).join(
        schema.repositories, repository.id == _IMAGE.repository_id
    )
    return [
        (Registry(row.account, row.region), row.name, Digest.parse(row.digest))
        for row in tx.execute(query.order_by(_IMAGE.repository_id, _IMAGE.id))
    ]


def _straggling() -> Select[Any]:
    subject, index = schema.images.alias(), schema.images.alias()
    child = schema.image_children.c
    is_kept = (
        exists()
        .where(
            child.repository_id == _IMAGE.repository_id,
            child.digest == _IMAGE.digest,
            child.image_id == index.c.id,
            or_(
                index.c.storage_class == StorageClass.STANDARD.value,
                index.c.restoring_since.is_not(None),
            ),
        )
        .correlate(schema.images)
    )
    return (
        select(_IMAGE.digest)
        .join(
            subject,
            and_(
                subject.c.repository_id == _IMAGE.repository_id,
                subject.c.digest == _IMAGE.subject,
            ),
        )
        .where(
            subject.c.storage_class == StorageClass.ARCHIVE.value,
            subject.c.restoring_since.is_(None),
            has_status(Status.ACTIVE),
            or_(_IMAGE.activated_at.is_(None), _IMAGE.activated_at < subject.c.archived_at),
            ~is_kept,
        )
    )


_STRAGGLERS = _straggling()
