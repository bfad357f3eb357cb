"""Referrers: images whose manifests name another image as their subject, such as signatures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from longshore.metadata import schema
from longshore.names import Digest
from longshore.registry import repositories
from longshore.registry.image_status import Status, has_status, status_of
from longshore.registry.slices import Position, Slice

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Row

    from longshore.names import Registry
    from longshore.registry.context import Context


# What clients read of one answer: they bound an index as they bound a manifest.
_MOST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Referrer:
    """A referrer, as its descriptor tells. `size` is its manifest's, in bytes."""

    digest: Digest
    media_type: str
    artifact_type: str | None
    size: int
    annotations: Mapping[str, str]
    status: Status


def list_of(
    context: Context,
    registry: Registry,
    repository: str,
    subject: Digest,
    *,
    artifact_types: Collection[str],
    status: Status | None = Status.ACTIVE,
    after: Position | None,
    limit: int,
) -> Slice[Referrer]:
    """Return up to `limit` referrers of `subject`, oldest first.

    A subject that nobody pushed has none, which is no error (OCI distribution-spec, "Listing
    Referrers").

    Args:
        context: the store.
        registry: whose repository it is.
        repository: its name.
        subject: the digest that they refer to.
        artifact_types: only referrers of these types, where there are any.
        status: only referrers of this status; None for all.
        after: where the slice starts.
        limit: how many there may be in it.
    """
    image = schema.images
    query = (
        select(image.c.id, image.c.manifest_size)
        .where(image.c.subject == str(subject))
        .order_by(image.c.id)
        .limit(limit + 1)
    )
    if artifact_types:
        query = query.where(image.c.artifact_type.in_(list(artifact_types)))
    if status is not None:
        query = query.where(has_status(status))
    if after is not None:
        query = query.where(image.c.id > after[0])
    with context.database.read() as tx:
        found = repositories.find(tx, registry, repository)
        sizes = tx.execute(query.where(image.c.repository_id == found.id)).all()
        fitting = _fitting(sizes, limit)
        rows = tx.execute(select(image).where(image.c.id.in_(fitting)).order_by(image.c.id)).all()
    return Slice(
        tuple(_referrer(row) for row in rows),
        (fitting[-1],) if len(fitting) < len(sizes) else None,
    )


def _fitting(sizes: Sequence[Row[Any, Any]], limit: int) -> list[int]:
    """Return as many ids as fit into a slice, and at least one, if there is one.

    A descriptor repeats the annotations of its manifest, and is never larger than that.
    """
    fitting: list[int] = []
    room = _MOST_BYTES
    for row in sizes[:limit]:
        room -= row.manifest_size
        if fitting and room < 0:
            break
        fitting.append(row.id)
    return fitting


def _referrer(row: Row[Any]) -> Referrer:
    return Referrer(
        digest=Digest.parse(row.digest),
        media_type=row.media_type,
        artifact_type=row.artifact_type,
        size=row.manifest_size,
        annotations=row.annotations or {},
        status=status_of(row),
    )
