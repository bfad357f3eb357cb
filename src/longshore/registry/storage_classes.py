"""Storage classes: which images can be pulled, and which only rest in the archive.

An image is active, archived, or on its way back from the archive. Its referrers go with it both
ways. An index can't be without the images that it refers to: they can't be archived before it, and
come back with it.

Every function works in a transaction that has locked the repository.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Select, and_, bindparam, or_, select, update

from longshore.errors import ImageNotFound, ImageStorageClassUpdateNotSupported
from longshore.events import log, shapes
from longshore.jobs.queue import enqueue
from longshore.metadata import schema
from longshore.metadata.prepared import Prepared
from longshore.registry.lifecycle_rules import StorageClass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy import ColumnElement, Connection, Row

    from longshore.clock import Millis
    from longshore.metadata.prepared import Record
    from longshore.names import Digest
    from longshore.registry.context import Context
    from longshore.registry.repositories import Repository

# The kind of the jobs that restore images (`longshore.work.archive`).
JOB: Final = "image restoration"

# Ids in one statement; the databases take some thousands.
_BATCH = 500

_IMAGE = schema.images.c
_FIND = Prepared(
    select(_IMAGE.storage_class, _IMAGE.restoring_since).where(_IMAGE.id == bindparam("image"))
)


class Status(StrEnum):
    """What becomes of a pull: only an active image can be pulled."""

    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"
    ACTIVATING = "ACTIVATING"


def status_of(row: Record | Row[Any]) -> Status:
    """Return the status of an image, of which the row has `storage_class` and `restoring_since`."""
    if row.storage_class == StorageClass.STANDARD:
        return Status.ACTIVE
    return Status.ARCHIVED if row.restoring_since is None else Status.ACTIVATING


def has_status(status: Status) -> ColumnElement[bool]:
    """Return the condition that an image has a status."""
    if status is Status.ACTIVE:
        return _IMAGE.storage_class == StorageClass.STANDARD.value
    is_restored = _IMAGE.restoring_since.is_not(None)
    return and_(
        _IMAGE.storage_class == StorageClass.ARCHIVE.value,
        is_restored if status is Status.ACTIVATING else ~is_restored,
    )


def find(tx: Connection, image_id: int) -> Status | None:
    """Return the status of an image, or None if it is gone."""
    row = _FIND.one_or_none(tx, image=image_id)
    return None if row is None else status_of(row)


def archive(
    tx: Connection, context: Context, repository: Repository, digest: Digest
) -> tuple[int, ...]:
    """Archive an image, and with it its referrers but those that some other index keeps.

    An image that is on its way back turns round.

    Returns:
        The ids of the images that weren't archived before, the one that was named first.

    Raises:
        ImageNotFound: there is no such image.
        ImageStorageClassUpdateNotSupported: an index that isn't archived refers to the image.
    """
    named, *referrers = _with_followers(tx, repository, digest, members=False)
    if named.status is Status.ARCHIVED:
        return ()
    kept = _kept(tx, repository, [named.digest, *(each.digest for each in referrers)])
    if named.digest in kept:
        raise ImageStorageClassUpdateNotSupported(kept[named.digest])
    going, archived = [named], {named.digest}
    for each in referrers:
        # Those of a referrer that stays don't go, either.
        if each.digest not in kept and each.subject in archived:
            archived.add(each.digest)
            if each.status is not Status.ARCHIVED:
                going.append(each)
    now = context.clock()
    ids = tuple(each.id for each in going)
    tx.execute(
        update(schema.images)
        .where(_IMAGE.id.in_(ids), has_status(Status.ACTIVE))
        .values(storage_class=StorageClass.ARCHIVE.value, archived_at=now)
    )
    tx.execute(update(schema.images).where(_IMAGE.id.in_(ids)).values(restoring_since=None))
    _tell(tx, repository, going, StorageClass.ARCHIVE, now)
    return ids


def restore(tx: Connection, context: Context, repository: Repository, digest: Digest) -> Status:
    """Begin to restore an image, and with it its referrers and what it refers to as an index.

    Returns:
        Its status: ACTIVATING, until a job has restored it, or ACTIVE where nothing is to be done.

    Raises:
        ImageNotFound: there is no such image.
    """
    named, *_ = _set_out(tx, context, repository, digest)
    if named.status is Status.ACTIVE:
        return Status.ACTIVE
    payload = {
        "account": repository.registry.account,
        "region": repository.registry.region,
        "repository": repository.name,
        "repository_id": repository.id,
    }
    # One that is dead or was cancelled has a successor when somebody asks again.
    enqueue(tx, JOB, payload, now=context.clock(), key=str(repository.id))
    return Status.ACTIVATING


def restore_at_once(
    tx: Connection, context: Context, repository: Repository, digest: Digest
) -> None:
    """Restore an image, as somebody pushes it again, with all that `restore` would restore.

    Raises:
        ImageNotFound: there is no such image.
    """
    found = _set_out(tx, context, repository, digest)
    _arrive(tx, context, repository, [each for each in found if each.status is not Status.ACTIVE])


def finish_restoring(tx: Connection, context: Context, repository: Repository) -> None:
    """Make all images active that are on their way back: also those that came with another one.

    That one may be gone by now, or in the archive again.
    """
    those = and_(_IMAGE.repository_id == repository.id, has_status(Status.ACTIVATING))
    found = [_follower(row) for row in tx.execute(_FACTS.where(those))]
    _arrive(tx, context, repository, found)


@dataclass(frozen=True, slots=True)
class _Follower:
    """An image, or one that goes where it goes."""

    id: int
    digest: str
    status: Status
    media_type: str
    artifact_media_type: str | None
    subject: str | None


def _set_out(
    tx: Connection, context: Context, repository: Repository, digest: Digest
) -> list[_Follower]:
    """Let an image that is archived, and all that come with it, be on their way back."""
    found = _with_followers(tx, repository, digest, members=True)
    if found[0].status is not Status.ACTIVE:
        tx.execute(
            update(schema.images)
            .where(_IMAGE.id.in_([each.id for each in found]), has_status(Status.ARCHIVED))
            .values(restoring_since=context.clock())
        )
    return found


def _arrive(
    tx: Connection, context: Context, repository: Repository, coming: Collection[_Follower]
) -> None:
    now = context.clock()
    ids = [each.id for each in coming]
    for start in range(0, len(ids), _BATCH):
        tx.execute(
            update(schema.images)
            .where(_IMAGE.id.in_(ids[start : start + _BATCH]))
            .values(
                storage_class=StorageClass.STANDARD.value, restoring_since=None, activated_at=now
            )
        )
    _tell(tx, repository, coming, StorageClass.STANDARD, now)


def _with_followers(
    tx: Connection, repository: Repository, digest: Digest, *, members: bool
) -> list[_Follower]:
    """Return an image, then those that refer to it as their subject, and to those, and so on.

    Args:
        tx: the transaction.
        repository: where.
        digest: the image.
        members: whether the images that an index among them refers to are wanted, too.
    """
    here = _IMAGE.repository_id == repository.id
    row = tx.execute(_FACTS.where(here, _IMAGE.digest == str(digest))).one_or_none()
    if row is None:
        raise ImageNotFound(digest, None, repository.name, repository.registry.account)
    found = {row.id: _follower(row)}
    latest = list(found.values())
    while latest:
        more = _referrers(tx, repository, latest)
        if members:
            more += _members(tx, repository, latest)
        fresh = {each.id: each for each in more if each.id not in found}
        found |= fresh
        latest = list(fresh.values())
    return list(found.values())


_FACTS: Select[Any] = select(
    _IMAGE.id,
    _IMAGE.digest,
    _IMAGE.subject,
    _IMAGE.storage_class,
    _IMAGE.restoring_since,
    _IMAGE.media_type,
    _IMAGE.artifact_media_type,
).order_by(_IMAGE.id)


def _referrers(
    tx: Connection, repository: Repository, subjects: Iterable[_Follower]
) -> list[_Follower]:
    digests = [each.digest for each in subjects]
    those = and_(_IMAGE.repository_id == repository.id, _IMAGE.subject.in_(digests))
    return [_follower(row) for row in tx.execute(_FACTS.where(those))]


def _members(
    tx: Connection, repository: Repository, indexes: Iterable[_Follower]
) -> list[_Follower]:
    child = schema.image_children.c
    digests = select(child.digest).where(child.image_id.in_([each.id for each in indexes]))
    those = and_(_IMAGE.repository_id == repository.id, _IMAGE.digest.in_(digests))
    return [_follower(row) for row in tx.execute(_FACTS.where(those))]


def _follower(row: Row[Any]) -> _Follower:
    return _Follower(
        row.id, row.digest, status_of(row), row.media_type, row.artifact_media_type, row.subject
    )


def _kept(tx: Connection, repository: Repository, digests: Collection[str]) -> dict[str, list[str]]:
    """Return which indexes that aren't archived refer to each of the images, if any does."""
    child = schema.image_children.c
    query = (
        select(child.digest.label("member"), _IMAGE.digest)
        .join_from(schema.image_children, schema.images, child.image_id == _IMAGE.id)
        .where(
            child.repository_id == repository.id,
            child.digest.in_(digests),
            or_(has_status(Status.ACTIVE), has_status(Status.ACTIVATING)),
        )
        .order_by(_IMAGE.id)
    )
    kept: dict[str, list[str]] = {}
    for row in tx.execute(query):
        kept.setdefault(row.member, []).append(row.digest)
    return kept


def _tell(
    tx: Connection,
    repository: Repository,
    moved: Collection[_Follower],
    target: StorageClass,
    now: Millis,
) -> None:
    digests = {image.digest for image in moved}
    log.emit(
        tx,
        [
            shapes.storage_class_updated(
                repository.registry,
                now,
                repository.name,
                image.digest,
                target.value,
                manifest_media_type=image.media_type,
                artifact_media_type=image.artifact_media_type,
                last_activated_at=now if target is StorageClass.STANDARD else None,
                is_referrer=image.subject in digests,
            )
            for image in moved
        ],
    )
