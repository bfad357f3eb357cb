"""Storage classes: which images can be pulled, and which only rest in the archive.

An image is active, archived, or on its way back from the archive. Its referrers go with it both
ways, and after it where they come later. An index can't be without the images that it refers to:
they can't be archived before it, and come back with it. Layers whose bytes lie in the archive
(`registry.archived_layers`) are brought back before an image is active.

Every function works in a transaction that has locked the repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from sqlalchemy import and_, exists, select, update

from longshore.errors import (
    ImageStorageClassUpdateNotSupported,
    LayersNotFound,
    ReferencedImagesNotFound,
)
from longshore.events import log, shapes
from longshore.jobs.queue import enqueue
from longshore.metadata import schema
from longshore.metadata.statements import batches
from longshore.registry import image_families
from longshore.registry.image_status import Status, has_status
from longshore.registry.lifecycle_rules import StorageClass

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Connection

    from longshore.clock import Millis
    from longshore.names import Digest
    from longshore.registry.context import Context
    from longshore.registry.image_families import Follower
    from longshore.registry.repositories import Repository

# The kinds of jobs (`longshore.work.archive`): that restore images, and that take the bytes of
# archived layers to the archive.
RESTORATION: Final = "image restoration"
MOVE: Final = "layer archiving"

_IMAGE = schema.images.c


def archive(
    tx: Connection,
    context: Context,
    repository: Repository,
    digest: Digest,
    *,
    follows: bool = False,
) -> tuple[int, ...]:
    """Archive an image, and with it its referrers but those that some other index keeps.

    An image that is on its way back turns round. The layers are on lease from now: when that is
    over, a job may take their bytes to the archive.

    Args:
        tx: the transaction.
        context: the store.
        repository: where.
        digest: the image.
        follows: whether it is a referrer that only follows its subject.

    Returns:
        The ids of the images that weren't archived before, the one that was named first.

    Raises:
        ImageNotFound: there is no such image.
        ImageStorageClassUpdateNotSupported: an index that isn't archived refers to the image.
    """
    named, *referrers = image_families.with_followers(tx, repository, digest, members=False)
    if named.status is Status.ARCHIVED:
        return ()
    digests = [named.digest, *(each.digest for each in referrers)]
    kept = image_families.kept_by_indexes(tx, repository, digests)
    if named.digest in kept:
        raise ImageStorageClassUpdateNotSupported(kept[named.digest])
    going, archived = [named], {named.digest}
    for each in referrers:
        # Those of a referrer that stays don't go, either.
        if each.digest not in kept and each.subject in archived:
            archived.add(each.digest)
            if each.status is not Status.ARCHIVED:
                going.append(each)
    return _depart(tx, context, repository, going, follows=follows)


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
    _let_restore(tx, context, repository)
    return Status.ACTIVATING


def restore_at_once(
    tx: Connection, context: Context, repository: Repository, digest: Digest
) -> None:
    """Restore an image, as somebody pushes it again, with all that `restore` would restore.

    Referrers whose bytes lie in the archive are restored by a job.

    Raises:
        ImageNotFound: there is no such image.
        LayersNotFound: the bytes of its layers lie in the archive.
        ReferencedImagesNotFound: it is an index, and the bytes of its images do.
    """
    found = _set_out(tx, context, repository, digest)
    coming = [each for each in found if each.status is not Status.ACTIVE]
    waiting = _waiting(tx, context, repository, coming)
    named = found[0]
    if named.id in waiting:
        _refuse_waiting(tx, repository, named, waiting)
    _arrive(tx, context, repository, [each for each in coming if each.id not in waiting])
    if waiting:
        _let_restore(tx, context, repository)


def finish_restoring(tx: Connection, context: Context, repository: Repository) -> bool:
    """Make the images active that are on their way back: also those that came with another one.

    That one may be gone by now, or in the archive again.

    Returns:
        Whether all are; else some of them have layers whose bytes lie in the archive.
    """
    coming = image_families.activating(tx, repository)
    waiting = _waiting(tx, context, repository, coming)
    _arrive(tx, context, repository, [each for each in coming if each.id not in waiting])
    return not waiting


def _set_out(
    tx: Connection, context: Context, repository: Repository, digest: Digest
) -> list[Follower]:
    """Let an image that is archived, and all that come with it, be on their way back."""
    found = image_families.with_followers(tx, repository, digest, members=True)
    if found[0].status is not Status.ACTIVE:
        for ids in batches(each.id for each in found):
            tx.execute(
                update(schema.images)
                .where(_IMAGE.id.in_(ids), has_status(Status.ARCHIVED))
                .values(restoring_since=context.clock())
            )
    return found


def _let_restore(tx: Connection, context: Context, repository: Repository) -> None:
    """Let a job make active what is on its way back."""
    payload = {
        "account": repository.registry.account,
        "region": repository.registry.region,
        "repository": repository.name,
        "repository_id": repository.id,
    }
    # One that is dead or was cancelled has a successor when somebody asks again.
    enqueue(tx, RESTORATION, payload, now=context.clock(), key=str(repository.id))


def _waiting(
    tx: Connection, context: Context, repository: Repository, coming: Sequence[Follower]
) -> set[int]:
    """Return who can't be active yet: the bytes of their layers, or of their images, aren't here.

    Where an index may lack images, it doesn't wait for them.
    """
    waiting: set[int] = set()
    for ids in batches(each.id for each in coming):
        those = and_(_IMAGE.id.in_(ids), _has_layers_away())
        waiting.update(tx.execute(select(_IMAGE.id).where(those)).scalars())
    if context.dialect.accepts_missing_children:
        return waiting
    latest = [each for each in coming if each.id in waiting]
    while latest:
        indexes = image_families.indexes_of(tx, repository, latest)
        latest = [each for each in coming if each.id in indexes - waiting]
        waiting.update(each.id for each in latest)
    return waiting


def _refuse_waiting(
    tx: Connection, repository: Repository, named: Follower, waiting: Collection[int]
) -> NoReturn:
    """Say what somebody has to push before an image can be active at once."""
    use = schema.image_layers.c
    away = list(
        tx.execute(
            select(use.digest)
            .join_from(schema.image_layers, schema.images, use.image_id == _IMAGE.id)
            .where(_IMAGE.id == named.id, _is_away())
        ).scalars()
    )
    account = repository.registry.account
    if away:
        raise LayersNotFound.required(away, repository.name, account)
    members = image_families.members_of(tx, repository, [named])
    missing = [each.digest for each in members if each.id in waiting]
    raise ReferencedImagesNotFound(missing, repository.name, account)


def _has_layers_away() -> ColumnElement[bool]:
    """Return the condition that the bytes of some layer of an image lie in the archive."""
    return exists().where(schema.image_layers.c.image_id == _IMAGE.id, _is_away())


def _is_away() -> ColumnElement[bool]:
    """Return the condition that the bytes of the layer that an image uses lie in the archive."""
    use, layer, blob = schema.image_layers.c, schema.layers.c, schema.blobs.c
    return (
        exists()
        .where(
            layer.repository_id == use.repository_id,
            layer.digest == use.digest,
            blob.id == layer.blob_id,
            blob.archived_size.is_not(None),
        )
        .correlate(schema.image_layers)
    )


def _depart(
    tx: Connection,
    context: Context,
    repository: Repository,
    going: Sequence[Follower],
    *,
    follows: bool,
) -> tuple[int, ...]:
    now = context.clock()
    use, layer = schema.image_layers.c, schema.layers.c
    for ids in batches(each.id for each in going):
        tx.execute(
            update(schema.images)
            .where(_IMAGE.id.in_(ids), has_status(Status.ACTIVE))
            .values(storage_class=StorageClass.ARCHIVE.value, archived_at=now)
        )
        tx.execute(update(schema.images).where(_IMAGE.id.in_(ids)).values(restoring_since=None))
        used = select(use.digest).where(use.image_id.in_(ids))
        tx.execute(
            update(schema.layers)
            .where(layer.repository_id == repository.id, layer.digest.in_(used))
            .values(leased_at=now)
        )
    if context.archive is not None:
        enqueue(
            tx,
            MOVE,
            {"repository_id": repository.id},
            now=now,
            run_at=now + context.retention.unreferenced_layers + 1,
            key=str(repository.id),
        )
    subject = going[0].subject if follows else None
    _tell(tx, repository, going, StorageClass.ARCHIVE, now, subject=subject)
    return tuple(each.id for each in going)


def _arrive(
    tx: Connection, context: Context, repository: Repository, coming: Collection[Follower]
) -> None:
    now = context.clock()
    for ids in batches(each.id for each in coming):
        tx.execute(
            update(schema.images)
            .where(_IMAGE.id.in_(ids))
            .values(
                storage_class=StorageClass.STANDARD.value, restoring_since=None, activated_at=now
            )
        )
    _tell(tx, repository, coming, StorageClass.STANDARD, now)


def _tell(
    tx: Connection,
    repository: Repository,
    moved: Collection[Follower],
    target: StorageClass,
    now: Millis,
    *,
    subject: str | None = None,
) -> None:
    """Say what has moved; what refers to something that did, or to `subject`, as a referrer."""
    subjects = {image.digest for image in moved} | {subject}
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
                is_referrer=image.subject is not None and image.subject in subjects,
            )
            for image in moved
        ],
    )
