"""Listings of what a repository holds: image ids, image details, tag names.

Images come in the order in which they were first pushed, tags by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, bindparam, exists, or_, select

from longshore.errors import ImageNotFound, InvalidParameter
from longshore.metadata import schema
from longshore.metadata.prepared import Prepared
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

    from sqlalchemy import BindParameter, Column

    from longshore.clock import Millis
    from longshore.metadata.prepared import Record
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
_DESCRIBE = Prepared(
    select(*_SHOWN)
    .where(
        schema.images.c.repository_id == bindparam("repository"),
        schema.images.c.digest.in_(bindparam("digests", expanding=True)),
    )
    .order_by(schema.images.c.id)
)
_TAGS_OF_IMAGES = Prepared(
    select(schema.tags.c.image_id, schema.tags.c.name)
    .where(schema.tags.c.image_id.in_(bindparam("images", expanding=True)))
    .order_by(schema.tags.c.name)
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
    statement = _ids(status, image_status, goes_on=after is not None)
    place = {} if after is None else {"last_id": after[0], "last_tag": after[1]}
    with context.database.read() as tx:
        found = repositories.find(tx, registry, repository)
        rows = statement.all(tx, repository=found.id, most=limit + 1, **place)
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
    statement = _images(status, image_status, goes_on=after is not None)
    place = {} if after is None else {"last_id": after[0]}
    with context.database.read() as tx:
        found = repositories.find(tx, registry, repository)
        rows = statement.all(tx, repository=found.id, most=limit + 1, **place)
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
        digests = {str(digest_named(tx, found, image_id)) for image_id in ids}
        rows = _DESCRIBE.all(tx, repository=found.id, digests=list(digests))
        tags = _tags_by_image(tx, rows)
    return [_image(row, tags) for row in rows]


def tag_names(
    context: Context, registry: Registry, repository: str, after: str | None, limit: int
) -> Slice[str]:
    """Return up to `limit` names of tags that can be pulled, sorted by code point."""
    statement = _tags(goes_on=after is not None)
    place = {} if after is None else {"last": after}
    with context.database.read() as tx:
        found = repositories.find(tx, registry, repository)
        rows = statement.all(tx, repository=found.id, most=limit + 1, **place)
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


def _tags_by_image(tx: Connection, rows: Sequence[Record]) -> dict[int, list[str]]:
    tags: dict[int, list[str]] = {}
    for row in _TAGS_OF_IMAGES.all(tx, images=[row.id for row in rows]):
        tags.setdefault(row.image_id, []).append(row.name)
    return tags


def _image(row: Record, tags: dict[int, list[str]]) -> Image:
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


@cache
def _ids(status: TagStatus, image_status: Status | None, *, goes_on: bool) -> Prepared:
    image, tag = schema.images, schema.tags
    query = (
        select(image.c.id, image.c.digest, tag.c.name)
        .outerjoin(tag, tag.c.image_id == image.c.id)
        .where(image.c.repository_id == bindparam("repository"))
        .order_by(image.c.id, tag.c.name)
        .limit(bindparam("most"))
    )
    if status is TagStatus.TAGGED:
        query = query.where(tag.c.name.is_not(None))
    if status is TagStatus.UNTAGGED:
        query = query.where(tag.c.name.is_(None))
    if image_status is not None:
        query = query.where(has_status(image_status))
    if goes_on:
        last_id: BindParameter[int] = bindparam("last_id")
        last_tag: BindParameter[str] = bindparam("last_tag")
        # The first condition is what an index can use.
        query = query.where(
            image.c.id >= last_id,
            or_(image.c.id > last_id, and_(image.c.id == last_id, tag.c.name > last_tag)),
        )
    return Prepared(query)


@cache
def _images(status: TagStatus, image_status: Status | None, *, goes_on: bool) -> Prepared:
    image = schema.images
    query = (
        select(*_SHOWN)
        .where(image.c.repository_id == bindparam("repository"))
        .order_by(image.c.id)
        .limit(bindparam("most"))
    )
    tagged = exists().where(schema.tags.c.image_id == image.c.id)
    if status is TagStatus.TAGGED:
        query = query.where(tagged)
    if status is TagStatus.UNTAGGED:
        query = query.where(~tagged)
    if image_status is not None:
        query = query.where(has_status(image_status))
    if goes_on:
        query = query.where(image.c.id > bindparam("last_id"))
    return Prepared(query)


@cache
def _tags(*, goes_on: bool) -> Prepared:
    tag = schema.tags
    query = (
        select(tag.c.name)
        .join(schema.images, schema.images.c.id == tag.c.image_id)
        .where(tag.c.repository_id == bindparam("repository"), has_status(Status.ACTIVE))
        .order_by(tag.c.name)
        .limit(bindparam("most"))
    )
    if goes_on:
        query = query.where(tag.c.name > bindparam("last"))
    return Prepared(query)
