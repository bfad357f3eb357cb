"""The archive: images that are kept and can't be pulled, as UpdateImageStorageClass has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.registry import image_listings, repositories, storage_classes
from longshore.registry.image_status import Status
from longshore.registry.lifecycle_rules import StorageClass

if TYPE_CHECKING:
    from longshore.names import Digest, Registry
    from longshore.registry.context import Context
    from longshore.registry.image_batches import ImageId


def update_storage_class(
    context: Context,
    registry: Registry,
    repository: str,
    image_id: ImageId,
    target: StorageClass,
) -> tuple[Digest, Status]:
    """Archive an image, or begin to restore it; one that is there already stays as it is.

    Returns:
        Its digest, and its status from now on.

    Raises:
        InvalidParameter: `image_id` can't be an image's.
        RepositoryNotFound, ImageNotFound: there is no such image.
        ImageStorageClassUpdateNotSupported: it is to be archived, and an index that isn't refers
            to it.
    """
    image_listings.check_id(image_id)
    with context.database.write(content_only=True) as tx:
        found = repositories.find(tx, registry, repository, lock=True)
        digest = image_listings.digest_named(tx, found, image_id)
        if target is StorageClass.STANDARD:
            return digest, storage_classes.restore(tx, context, found, digest)
        storage_classes.archive(tx, context, found, digest)
        return digest, Status.ARCHIVED
