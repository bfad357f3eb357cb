"""The archive's work: images come back, and bytes go there and come back, as jobs.

Each blob that moves is copied, verified and synced, then a transaction says where it lies from now
on, and only then are the bytes at the place of before deleted. So a job that is killed has moved
whole blobs, and left one copy at most that no row names.
"""

from __future__ import annotations

import logging
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING

from longshore.blobs.archive import ArchiveUnavailable, BytesDamaged
from longshore.blobs.store import BlobMissing, BlobStoreError, DigestMismatch
from longshore.clock import SECOND
from longshore.errors import ImageStorageClassUpdateNotSupported, RepositoryNotFound
from longshore.jobs.queue import Terms
from longshore.names import Registry
from longshore.registry import archived_layers, late_referrers, repositories, storage_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from longshore.blobs.archive import Archive
    from longshore.blobs.store import Location
    from longshore.registry.archived_layers import Blob
    from longshore.registry.context import Context
    from longshore.work.runner import Work

RESTORATION = storage_classes.RESTORATION
MOVE = storage_classes.MOVE
FOLLOWING = "referrer archiving"

# Somebody waits for it.
TERMS_OF_RESTORATION = Terms(first_delay=SECOND)

_PIECE = 1 << 20
_log = logging.getLogger(__name__)


def restore(context: Context, work: Work) -> None:
    """Make those images of a repository active that are on their way: the handler of `RESTORATION`.

    What is gone by then, or in the archive again, is left alone.

    Raises:
        BlobStoreError: the bytes of some of them couldn't be brought back; the others are active.
    """
    payload = work.job.payload
    registry = Registry(payload["account"], payload["region"])
    while True:
        with context.database.read() as tx:
            awaited = archived_layers.awaited(tx, payload["repository_id"])
        failures = _move_each(context, work, awaited, partial(_bring_back, context, work))
        is_done = True
        with context.database.write(content_only=True) as tx:
            with suppress(RepositoryNotFound):
                found = repositories.find(tx, registry, payload["repository"], lock=True)
                # Else it is another one of the same name.
                if found.id == payload["repository_id"]:
                    is_done = storage_classes.finish_restoring(tx, context, found)
            if is_done:
                work.finish(tx)
                return
            work.hold(tx)
        # Else others were to come back in the meantime.
        if failures:
            raise failures[0]


def move(context: Context, work: Work) -> None:
    """Take the bytes of layers that only archived images use to the archive: the handler of `MOVE`.

    Without a repository's id, those of all repositories.

    Raises:
        BlobStoreError: some of them couldn't be.
    """
    # Others may have one.
    if context.archive is None:
        return
    over_since = context.clock() - context.retention.unreferenced_layers
    with context.database.read() as tx:
        resting = archived_layers.resting(tx, over_since, work.job.payload.get("repository_id"))
    take = partial(_take_to_archive, context, context.archive, work, over_since)
    failures = _move_each(context, work, resting, take)
    if failures:
        raise failures[0]


def follow(context: Context, work: Work) -> None:
    """Archive the referrers that have to follow their subjects: the handler of `FOLLOWING`."""
    with context.database.read() as tx:
        stragglers = late_referrers.stragglers(tx)
    for registry, name, digest in stragglers:
        work.check()
        with (
            # Deleted in the meantime, or kept.
            suppress(RepositoryNotFound, ImageStorageClassUpdateNotSupported),
            context.database.write(content_only=True) as tx,
        ):
            found = repositories.find(tx, registry, name, lock=True)
            late_referrers.follow(tx, context, found, digest)


def _move_each(
    context: Context, work: Work, blobs: Sequence[Blob], move_one: Callable[[Blob], None]
) -> list[BlobStoreError]:
    """Move blobs, one by one; return why some of them stay."""
    failures: list[BlobStoreError] = []
    for blob in blobs:
        work.check()
        try:
            move_one(blob)
        except BlobStoreError as error:
            if isinstance(error, BlobMissing) and not _is_there(context, blob):
                # Another job was quicker, or nobody needs it any more.
                continue
            _log.warning("the blob %s stays where it is: %s", blob.digest, error)
            failures.append(error)
            if isinstance(error, ArchiveUnavailable):
                break
    return failures


def _is_there(context: Context, blob: Blob) -> bool:
    with context.database.read() as tx:
        return archived_layers.lies_at(tx, blob)


def _take_to_archive(
    context: Context, archive: Archive, work: Work, over_since: int, blob: Blob
) -> None:
    read = partial(_pieces, context, work, blob.location)
    archived = archive.put(read, blob.encryption_context, blob.digest, work.job.lease)
    with context.database.write(content_only=True) as tx:
        is_there = archived_layers.take_to_archive(tx, over_since, blob, archived)
        work.hold(tx)
    if is_there:
        context.blobs.delete(blob.location)
    else:
        archive.delete(archived.location)


def _bring_back(context: Context, work: Work, blob: Blob) -> None:
    archive = context.archive
    if archive is None:
        raise ArchiveUnavailable(
            "The bytes lie in an archive directory, and this process has none: set "
            "archive_directory."
        )
    own = _copy_back(context, archive, work, blob)
    with context.database.write(content_only=True) as tx:
        is_back = archived_layers.bring_back(tx, blob, own)
        work.hold(tx)
    if is_back:
        archive.delete(blob.location)
    else:
        context.blobs.delete(own)


def _copy_back(context: Context, archive: Archive, work: Work, blob: Blob) -> Location:
    upload_id = work.job.lease
    try:
        with context.blobs.writer(upload_id, 0) as writer:
            for piece in archive.read(blob.location):
                work.check()
                writer.append(piece)
        return context.blobs.commit(upload_id, blob.size, blob.encryption_context, blob.digest)
    except DigestMismatch as error:
        raise BytesDamaged(blob.digest, "archive directory") from error
    finally:
        context.blobs.discard(upload_id)


def _pieces(context: Context, work: Work, location: Location) -> Iterator[bytes]:
    with closing(context.blobs.open(location)) as file:
        while piece := file.read(_PIECE):
            work.check()
            yield piece
