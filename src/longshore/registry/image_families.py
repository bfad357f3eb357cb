"""Images that go where another one goes: its referrers, and what it refers to as an index.

Every function works in a transaction that has locked the repository.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, and_, or_, select

from longshore.errors import ImageNotFound
from longshore.metadata import schema
from longshore.metadata.statements import batches
from longshore.registry.image_status import Status, has_status, status_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy import Connection, Row

    from longshore.names import Digest
    from longshore.registry.repositories import Repository

_IMAGE = schema.images.c


@dataclass(frozen=True, slots=True)
class Follower:
    """An image, or one that goes where it goes."""

    id: int
    digest: str
    status: Status
    media_type: str
    artifact_media_type: str | None
    subject: str | None


def with_followers(
    tx: Connection, repository: Repository, digest: Digest, *, members: bool
) -> list[Follower]:
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
        more = _referrers_of(tx, repository, latest)
        if members:
            more += members_of(tx, repository, latest)
        fresh = {each.id: each for each in more if each.id not in found}
        found |= fresh
        latest = list(fresh.values())
    return list(found.values())


def activating(tx: Connection, repository: Repository) -> list[Follower]:
    """Return the images that are on their way back from the archive."""
    those = and_(_IMAGE.repository_id == repository.id, has_status(Status.ACTIVATING))
    return [_follower(row) for row in tx.execute(_FACTS.where(those))]


def members_of(
    tx: Connection, repository: Repository, indexes: Iterable[Follower]
) -> list[Follower]:
    """Return the images that indexes refer to."""
    child = schema.image_children.c
    found: list[Follower] = []
    for ids in batches(each.id for each in indexes):
        digests = select(child.digest).where(child.image_id.in_(ids))
        those = and_(_IMAGE.repository_id == repository.id, _IMAGE.digest.in_(digests))
        found += [_follower(row) for row in tx.execute(_FACTS.where(those))]
    return found


def indexes_of(tx: Connection, repository: Repository, images: Iterable[Follower]) -> set[int]:
    """Return the ids of the indexes that refer to some of the images."""
    child = schema.image_children.c
    found: set[int] = set()
    for digests in batches(each.digest for each in images):
        those = and_(child.repository_id == repository.id, child.digest.in_(digests))
        found.update(tx.execute(select(child.image_id).where(those)).scalars())
    return found


def kept_by_indexes(
    tx: Connection, repository: Repository, digests: Collection[str]
) -> dict[str, list[str]]:
    """Return which indexes that aren't archived refer to each of the images, if any does."""
    child = schema.image_children.c
    query = (
        select(child.digest.label("member"), _IMAGE.digest)
        .join_from(schema.image_children, schema.images, child.image_id == _IMAGE.id)
        .where(
            child.repository_id == repository.id,
            or_(has_status(Status.ACTIVE), has_status(Status.ACTIVATING)),
        )
        .order_by(_IMAGE.id)
    )
    kept: dict[str, list[str]] = {}
    for some in batches(digests):
        for row in tx.execute(query.where(child.digest.in_(some))):
            kept.setdefault(row.member, []).append(row.digest)
    return kept


_FACTS: Select[Any] = select(
    _IMAGE.id,
    _IMAGE.digest,
    _IMAGE.subject,
    _IMAGE.storage_class,
    _IMAGE.restoring_since,
    _IMAGE.media_type,
    _IMAGE.artifact_media_type,
).order_by(_IMAGE.id)


def _referrers_of(
    tx: Connection, repository: Repository, subjects: Iterable[Follower]
) -> list[Follower]:
    return [
        _follower(row)
        for digests in batches(each.digest for each in subjects)
        for row in tx.execute(
            _FACTS.where(_IMAGE.repository_id == repository.id, _IMAGE.subject.in_(digests))
        )
    ]


def _follower(row: Row[Any]) -> Follower:
    return Follower(
        row.id, row.digest, status_of(row), row.media_type, row.artifact_media_type, row.subject
    )
