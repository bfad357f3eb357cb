"""Where the bytes of archived layers lie: in the data directory, or in the archive.

The bytes of a blob may rest in the archive (`blobs.archive`) while every layer that it is, in
whatever repository, is used by archived images alone and nobody has it on lease. From there nobody
is served. So the registry says of such a layer that it is archived, and takes it for missing where
an image is to refer to it; whoever uploads it again brings its bytes back to the data directory.

That an active image has the bytes of all its layers in the data directory holds because

- who takes bytes to the archive has locked every repository that holds them, and then the blob;
- who lets an image refer to a layer has locked the repository, and looks where the bytes are;
- who lets a repository hold a blob has locked the blob, and looks as well (`layers.lock_blob`);
- the blobs of active images in the recycle bin aren't taken to the archive, either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, func, or_, select, update

from longshore.blobs.store import Location
from longshore.metadata import schema
from longshore.names import Digest
from longshore.registry import bin_contents
from longshore.registry.image_status import Status, has_status
from longshore.registry.layers import is_referenced

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row, Select

    from longshore.blobs.archive import Archived
    from longshore.clock import Millis

_BLOB, _LAYER, _IMAGE, _USE = (
    table.c for table in (schema.blobs, schema.layers, schema.images, schema.image_layers)
)


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob, and where it lay when it was looked at. `size` is what was pushed, in bytes."""

    id: int
    encryption_context: str
    digest: Digest
    size: int
    location: Location


def resting(tx: Connection, lease_over_since: Millis, repository_id: int | None) -> list[Blob]:
    """Return the blobs in the data directory that may be taken to the archive.

    Args:
        tx: a transaction.
        lease_over_since: until when leases that are over by now were renewed.
        repository_id: whose archived images are looked at; None for those of all.
    """
    used = (
        select(_LAYER.blob_id)
        .join_from(schema.images, schema.image_layers, _USE.image_id == _IMAGE.id)
        .join(
            schema.layers,
            and_(_LAYER.repository_id == _USE.repository_id, _LAYER.digest == _USE.digest),
        )
        .where(has_status(Status.ARCHIVED))
    )
    if repository_id is not None:
        used = used.where(_IMAGE.repository_id == repository_id)
    query = _BLOBS.where(
        _BLOB.archived_size.is_(None), _BLOB.id.in_(used), ~_is_needed(lease_over_since)
    )
    return [_blob(row) for row in tx.execute(query)]


def take_to_archive(
    tx: Connection, lease_over_since: Millis, blob: Blob, archived: Archived
) -> bool:
    """Let a blob lie in the archive, unless somebody needs it by now or it lies elsewhere.

    Returns:
        Whether it does; the place where it lay, or `archived`, is garbage then.
    """
    holders = select(_LAYER.repository_id).where(_LAYER.blob_id == blob.id)
    repository = schema.repositories.c.id
    # In their order, lest two wait for each other.
    locked = set(
        tx.execute(
            select(repository)
            .where(repository.in_(holders))
            .order_by(repository)
            .with_for_update(key_share=True)
        ).scalars()
    )
    tx.execute(select(_BLOB.id).where(_BLOB.id == blob.id).with_for_update())
    now_holding = set(tx.execute(holders).scalars())
    if not now_holding or not now_holding <= locked:
        return False
    return _move(tx, blob, ~_is_needed(lease_over_since), archived.location, archived.size)


def awaited(tx: Connection, repository_id: int) -> list[Blob]:
    """Return the blobs in the archive that images of a repository wait for to come back."""
    used = exists().where(
        _LAYER.blob_id == _BLOB.id,
        _LAYER.repository_id == _USE.repository_id,
        _LAYER.digest == _USE.digest,
        _USE.image_id == _IMAGE.id,
        _IMAGE.repository_id == repository_id,
        has_status(Status.ACTIVATING),
    )
    query = _BLOBS.where(_BLOB.archived_size.is_not(None), used)
    return [_blob(row) for row in tx.execute(query)]


def bring_back(tx: Connection, blob: Blob, location: Location) -> bool:
    """Let a blob lie in the data directory again, unless it lies elsewhere by now or is gone.

    Returns:
        Whether it does; the place where it lay, or `location`, is garbage then.
    """
    return _move(tx, blob, _BLOB.archived_size.is_not(None), location, None)


def lies_at(tx: Connection, blob: Blob) -> bool:
    """Return whether a blob still lies where it lay when it was looked at."""
    this = and_(_BLOB.id == blob.id, _BLOB.location == blob.location)
    return tx.execute(select(_BLOB.id).where(this)).first() is not None


def count(tx: Connection) -> int:
    """Return how many blobs lie in the archive."""
    in_archive = _BLOB.archived_size.is_not(None)
    return tx.execute(select(func.count()).select_from(schema.blobs).where(in_archive)).scalar_one()


def _is_needed(lease_over_since: Millis) -> ColumnElement[bool]:
    """Return the condition that somebody may need the bytes of the row's blob.

    That is some repository, or the recycle bin, whose images come back as they were.
    """
    used_otherwise = (
        exists()
        .where(
            _USE.repository_id == _LAYER.repository_id,
            _USE.digest == _LAYER.digest,
            _USE.image_id == _IMAGE.id,
            ~has_status(Status.ARCHIVED),
        )
        .correlate(schema.layers)
    )
    needed = exists().where(
        _LAYER.blob_id == _BLOB.id,
        # What no image refers to goes with the garbage, and may get an image until then.
        or_(_LAYER.leased_at >= lease_over_since, ~is_referenced(), used_otherwise),
    )
    return or_(needed, bin_contents.holds_blob(active=True))


def _move(
    tx: Connection,
    blob: Blob,
    condition: ColumnElement[bool],
    location: Location,
    archived_size: int | None,
) -> bool:
    moved = tx.execute(
        update(schema.blobs)
        .where(_BLOB.id == blob.id, _BLOB.location == blob.location, condition)
        .values(location=location, archived_size=archived_size)
    )
    return moved.rowcount == 1


_BLOBS: Select[Any] = select(schema.blobs).order_by(_BLOB.id)


def _blob(row: Row[Any]) -> Blob:
    return Blob(
        row.id,
        row.encryption_context,
        Digest.parse(row.digest),
        row.size,
        Location(row.location),
    )
