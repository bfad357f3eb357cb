"""The recycle bin: what its operator does with it, told to the audit, and emptying it as a job."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from longshore.audit.records import ServiceEvent
from longshore.errors import RepositoryNotFound
from longshore.identity import creation_on_push
from longshore.registry import bin_restoration, recycle_bin

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from longshore.audit.trail import Trail
    from longshore.names import Digest, Registry
    from longshore.registry.bin_restoration import Restored
    from longshore.registry.context import Context
    from longshore.registry.recycle_bin import BinnedImage
    from longshore.work.runner import Work

JOB = "recycle bin"

RESTORED = "RecycleBinRestoreEvent"
PURGED = "RecycleBinPurgeEvent"

# In one record.
_MOST_IMAGES = 100
_log = logging.getLogger(__name__)


def restore(
    context: Context,
    trail: Trail,
    registry: Registry,
    name: str,
    digest: Digest,
    *,
    tag: str | None = None,
    creates: bool = False,
) -> list[Restored]:
    """Bring an image back, and tell the audit.

    Args:
        context: the store.
        trail: the audit.
        registry: whose it was.
        name: the name of its repository.
        digest: the image.
        tag: what is to stand for it, in place of the tags that it had.
        creates: whether a repository that isn't there any more is created, as a push would.

    Raises:
        RepositoryNotFound: there is no repository of this name, and none is to be created.
        ImageNotInRecycleBin, …: see `bin_restoration.restore`.
        AccessDenied, LimitExceeded: the repository can't be created.
    """
    try:
        restored = bin_restoration.restore(context, registry, name, digest, tag=tag)
    except RepositoryNotFound:
        if not creates:
            raise
        # Without the image there shall be no repository, either.
        with context.database.write() as tx:
            inside = replace(context.within(tx), creates_on_push=True)
            creation_on_push.create(inside, registry, name)
            restored = bin_restoration.restore(inside, registry, name, digest, tag=tag)
    _tell(context, trail, RESTORED, [(each.image, each.tags) for each in restored])
    return restored


def purge(
    context: Context, trail: Trail, registry: Registry, name: str, digest: Digest
) -> BinnedImage:
    """Take an image out of the bin for good, and tell the audit.

    Raises:
        ImageNotInRecycleBin: it isn't there.
    """
    purged = recycle_bin.purge(context, registry, name, digest)
    _tell(context, trail, PURGED, [(purged, purged.tags)])
    return purged


def purge_all(
    context: Context, trail: Trail, registry: Registry, name: str
) -> Iterator[BinnedImage]:
    """Take all images of a repository out of the bin for good, tell the audit, and yield them."""
    for purged in recycle_bin.purge_all(context, registry, name):
        _tell(context, trail, PURGED, [(each, each.tags) for each in purged])
        yield from purged


def empty(context: Context, work: Work) -> None:
    """Take what can't be restored any more out of the bin: the handler of `JOB`."""
    count = recycle_bin.purge_expired(context, work.check)
    if count:
        _log.info("recycle bin: the time of %d images is over", count)


def _tell(
    context: Context,
    trail: Trail,
    event: str,
    images: Sequence[tuple[BinnedImage, Sequence[str]]],
) -> None:
    """Tell what became of images of one repository, and under which tags."""
    for start in range(0, len(images), _MOST_IMAGES):
        some = images[start : start + _MOST_IMAGES]
        first, _ = some[0]
        trail.write(
            ServiceEvent(
                service="ecr",
                name=event,
                region=first.registry.region,
                account=first.registry.account,
                at=context.clock(),
                resources=[first.registry.repository_arn(first.repository)],
                details={
                    "repositoryName": first.repository,
                    "recycleBinImages": [_told(image, tags) for image, tags in some],
                },
            )
        )


def _told(image: BinnedImage, tags: Sequence[str]) -> dict[str, Any]:
    return {
        "digest": image.digest,
        "tagList": list(tags),
        "pushedAt": image.pushed_at,
        "deletedAt": image.deleted_at,
    }
