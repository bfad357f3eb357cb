"""Listings of what a repository holds: image ids, image details, tag names.

Images come in the order in which they were first pushed, tags by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, and_, exists, or_, select

from longshore.errors import ImageNotFound, InvalidParameter
from longshore.metadata import schema
from longshore.names import Digest, is_tag
from longshore.registry import images, repositories
from longshore.registry.image_batches import (
    ANY_DIGEST,
    API_TAG_MAX_LENGTH,
    TAG_PATTERN,
    ImageId,
)
from longshore.registry.image_status import Status, has_status, status_of
from longshore.registry.slices import Position, Slice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Column, ColumnElement, Row

    from longshore.clock import Millis
    from longshore.names import Registry
    from longshore.registry.context import Context
    from longshore.registry.repositories import Repository


# Not the annotations, which may be megabytes and which no listing of images shows.
_SHOWN: tuple[Column[Any], ...] = (
    schema.images.c.id,
    schema.images.c.digest,
    schema.images.c.media_type,
    schema.images.c.artifact_media_type,
    schema.images.c.subject,
    schema.images.c.size,
    schema.images.c.pushed_at,
    schema.images.c.last_pulled_at,
    schema.images.c.storage_class,
    schema.images.c.archived_at,
    schema.images.c.activated_at,
    schema.images.c.restoring_since,
)


class TagStatus(StrEnum):
    """Which images a listing shows by their tags."""

    ANY = "ANY"
    TAGGED = "TAGGED"
    UNTAGGED = "UNTAGGED"


@dataclass(frozen=True, slots=True)
class Image:
    """What is known of an image. `size` is bytes, compressed; times are milliseconds."""

    digest: Digest
    tags: tuple[str, ...]
    media_type: str
    artifact_media_type: str | None
    subject: str | None
    size: int
    pushed_at: Millis
    last_pulled_at: Millis | None
    status: Status
    archived_at: Millis | None
    activated_at: Millis | None


def list_ids(
    context: Context,
    registry: Registry,
    repository: str,
    *,
    status: TagStatus,
    image_status: Status | None = Status.ACTIVE,
    after: Position | None,
    limit: int,
) -> Slice[ImageId]:
    """Return up to `limit` ids: one for each tag, and one for each image without.

    Args:
        context: the store.
        registry: whose repository it is.
        repository: its name.
        status: which images by their tags.
        image_status: which images by their own status; None for all.
        after: where the slice starts.
        limit: how many there may be in it.
    """
    image, tag = schema.images, schema.tags
    query = (
        select(image.c.id, image.c.digest, tag.c.name)
        .outerjoin(tag, tag.c.image_id == image.c.id)
        .order_by(image.c.id, tag.c.name)
        .limit(limit + 1)
    )
    if status is TagStatus.TAGGED:
        query = query.where(tag.c.name.is_not(None))
    if status is TagStatus.UNTAGGED:
        query = query.where(tag.c.name.is_(None))
    if image_status is not None:
        query = query.where(has_status(image_status))
    if after is not None:
        last_id, last_tag = after
        # The first condition is what an index can use.
        query = query.where(
            image.c.id >= last_id,
            or_(image.c.id > last_id, and_(image.c.id == last_id, tag.c.name > last_tag)),
        )
    with context.database.read() as tx:
        found = repositories.find(tx, registry, repository)
        rows = tx.execute(query.where(image.c.repository_id == found.id)).all()
    return Slice.of(
        rows,
        limit,
        lambda row: (row.id, row.name or ""),
        lambda row: ImageId(row.digest, row.name),
    )


def list_images(
    context: Context,
    registry: Registry,
    repository: str,
    *,
    status: TagStatus,
    image_status: Status | None = Status.ACTIVE,
    after: Position | None,
    limit: int,
) -> Slice[Image]:
    """Return up to `limit` images with all that is known of them, chosen as by `list_ids`."""
    image = schema.images
    query = select(*_SHOWN).order_by(image.c.id).limit(limit + 1)
    tagged = exists().where(schema.tags.c.image_id == image.c.id)
    if status is TagStatus.TAGGED:
        query = query.where(tagged)
    if status is TagStatus.UNTAGGED:
        query = query.where(~tagged)
    if image_status is not None:
        query = query.where(has_status(image_status))
    if after is not None:
        query = query.where(image.c.id > after[0])
    with context.database.read() as tx:
        found = repositories.find(tx, registry, repository)
        rows = tx.execute(query.where(image.c.repository_id == found.id)).all()
        tags = _tags_by_image(tx, rows[:limit])
    return Slice.of(rows, limit, lambda row: (row.id,), lambda row: _image(row, tags))


def describe(
    context: Context, registry: Registry, repository: str, ids: Sequence[ImageId]
) -> list[Image]:
    """Return the images that `ids` name, each once.

    Raises:
        InvalidParameter: one of them can't be an image's.
        ImageNotFound: one of them doesn't exist.
    """
    for image_id in ids:
        check_id(image_id)
    with context.database.read() as tx:
        found = repositories.find(tx, registry, repository)
        digests = dict.fromkeys(digest_named(tx, found, image_id) for image_id in ids)
        rows = tx.execute(
            select(*_SHOWN)
            .where(schema.images.c.repository_id == found.id)
            .where(schema.images.c.digest.in_([str(digest) for digest in digests]))
            .order_by(schema.images.c.id)
        ).all()
        tags = _tags_by_image(tx, rows)
    return [_image(row, tags) for row in rows]


def tag_names(
    context: Context, registry: Registry, repository: str, after: str | None, limit: int
) -> Slice[str]:
    """Return up to `limit` names of tags that can be pulled, sorted by code point."""
    tag = schema.tags
    query: Select[Any] = (
        select(tag.c.name)
        .join(schema.images, schema.images.c.id == tag.c.image_id)
        .where(has_status(Status.ACTIVE))
        .order_by(tag.c.name)
        .limit(limit + 1)
    )
    if after is not None:
        query = query.where(tag.c.name > after)
    with context.database.read() as tx:
        found = repositories.find(tx, registry, repository)
        rows = tx.execute(query.where(tag.c.repository_id == found.id)).all()
    return Slice.of(rows, limit, lambda row: (row.name,), lambda row: str(row.name))


def check_id(image_id: ImageId) -> None:
    """Check both halves of an image's id.

    Raises:
        InvalidParameter: one of them can't be an image's.
    """
    if image_id.digest is not None and ANY_DIGEST.fullmatch(image_id.digest) is None:
        raise InvalidParameter.at(
            "imageDigest", f"must satisfy regular expression '{ANY_DIGEST.pattern}'"
        )
    if image_id.tag is not None and not is_tag(image_id.tag, API_TAG_MAX_LENGTH):
        raise InvalidParameter.at("imageTag", f"must satisfy regular expression '{TAG_PATTERN}'")


def digest_named(tx: Connection, repository: Repository, image_id: ImageId) -> Digest:
    """Return the digest of an image that exists and that both halves of its id name.

    Raises:
        ImageNotFound: there is none.
    """
    not_found = ImageNotFound(
        image_id.digest, image_id.tag, repository.name, repository.registry.account
    )
    if image_id.tag is not None:
        digest = images.digest_of(tx, repository, image_id.tag)
        if digest is None or image_id.digest not in {None, str(digest)}:
            raise not_found
        return digest
    try:
        digest = Digest.parse(image_id.digest or "")
    except ValueError:
        raise not_found from None
    if not images.exists(tx, repository, digest):
        raise not_found
    return digest


def _tags_by_image(tx: Connection, rows: Sequence[Row[Any]]) -> dict[int, list[str]]:
    tag = schema.tags
    wanted: ColumnElement[bool] = tag.c.image_id.in_([row.id for row in rows])
    tags: dict[int, list[str]] = {}
    for row in tx.execute(select(tag.c.image_id, tag.c.name).where(wanted).order_by(tag.c.name)):
        tags.setdefault(row.image_id, []).append(row.name)
    return tags


def _image(row: Row[Any], tags: dict[int, list[str]]) -> Image:
    return Image(
        digest=Digest.parse(row.digest),
        tags=tuple(tags.get(row.id, ())),
        media_type=row.media_type,
        artifact_media_type=row.artifact_media_type,
        subject=row.subject,
        size=row.size,
        pushed_at=row.pushed_at,
        last_pulled_at=row.last_pulled_at,
        status=status_of(row),
        archived_at=row.archived_at,
        activated_at=row.activated_at,
    )
