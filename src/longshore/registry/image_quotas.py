"""How many images a repository may have, and how many tags an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select

from longshore.errors import LimitExceeded
from longshore.metadata import schema
from longshore.metadata.prepared import Prepared

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from longshore.registry.context import Context
    from longshore.registry.repositories import Repository

_COUNT_IMAGES = Prepared(
    select(func.count()).where(schema.images.c.repository_id == bindparam("repository"))
)
_NEWEST_IMAGE = Prepared(select(func.max(schema.images.c.id)))
_COUNT_TAGS = Prepared(select(func.count()).where(schema.tags.c.image_id == bindparam("image")))


def check_images(
    context: Context, tx: Connection, repository: Repository, *, more: int = 1
) -> None:
    """Refuse to let a repository have so many more images.

    Raises:
        LimitExceeded: there would be too many.
    """
    most = context.limits.images_per_repository
    # Ids are numbers from 1 on, each given once: there can't be more images anywhere than that. To
    # count them would take longer with every image of the repository.
    if (_NEWEST_IMAGE.value(tx) or 0) + more <= most:
        return
    count = _COUNT_IMAGES.value(tx, repository=repository.id)
    if count + more > most:
        room = "the most it may have" if more == 1 else f"may have {most} and is to get {more} more"
        raise LimitExceeded(
            f"The repository with name '{repository.name}' already has {count} images, {room}. "
            "Delete some or raise the limit (limits.images_per_repository)."
        )


def check_tags(context: Context, tx: Connection, image_id: int) -> None:
    """Refuse to let an image have another tag.

    Raises:
        LimitExceeded: there would be too many.
    """
    most = context.limits.tags_per_image
    count = _COUNT_TAGS.value(tx, image=image_id)
    if count >= most:
        raise LimitExceeded(f"An image may have at most {most} tags, and this one has {count}.")
