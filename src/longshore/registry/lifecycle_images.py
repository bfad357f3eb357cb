"""The images of a repository as lifecycle rules look at them, a page at a time."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Select, and_, exists, or_, select

from longshore.metadata import schema
from longshore.registry.lifecycle_rules import Image, StorageClass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Column, ColumnElement, Connection, Row

    from longshore.registry.repositories import Repository

_PAGE = 1_000

# What opens a transaction for each page: a large repository mustn't be read in one.
Read: TypeAlias = "Callable[[], AbstractContextManager[Connection]]"

_image = schema.images
_subject = schema.images.alias("subjects")
_referrer = schema.images.alias("referrers")

_is_awaited = or_(
    exists().where(schema.image_children.c.image_id == _image.c.id),
    exists().where(
        _referrer.c.repository_id == _image.c.repository_id, _referrer.c.subject == _image.c.digest
    ),
)
_FACTS: Select[Any] = select(
    _image.c.id,
    _image.c.digest,
    _image.c.pushed_at,
    _image.c.storage_class,
    _image.c.last_pulled_at,
    _image.c.archived_at,
    _image.c.activated_at,
    _image.c.restoring_since,
    _subject.c.id.label("subject_id"),
    _is_awaited.label("is_awaited"),
).outerjoin(
    _subject,
    and_(_subject.c.repository_id == _image.c.repository_id, _subject.c.digest == _image.c.subject),
)


def all_of(read: Read, repository: Repository) -> Iterator[Image]:
    """Yield all images: first those that rules select from, then the referrers, oldest first."""
    yield from youngest_first(read, repository)
    yield from _referrers(read, repository)


def youngest_first(read: Read, repository: Repository) -> Iterator[Image]:
    """Yield the images that rules select from: all but the referrers whose subjects are there."""
    return heapq.merge(
        _by_age(read, repository, _image.c.pushed_at, _image.c.activated_at.is_(None)),
        _by_age(read, repository, _image.c.activated_at, _image.c.activated_at.is_not(None)),
        key=lambda image: (image.active_since, image.id),
        reverse=True,
    )


def find(tx: Connection, repository: Repository, ids: Sequence[int]) -> list[Image]:
    """Return those of the images that are still there, in no order."""
    query = _FACTS.where(_image.c.repository_id == repository.id, _image.c.id.in_(ids))
    return _images(tx, repository, tx.execute(query).all())


def referrers_of(tx: Connection, repository: Repository, digest: str) -> list[Image]:
    """Return the images that refer to a digest as their subject, oldest first."""
    query = _FACTS.where(_image.c.repository_id == repository.id, _image.c.subject == digest)
    return _images(tx, repository, tx.execute(query.order_by(_image.c.id)).all())


def _by_age(
    read: Read, repository: Repository, moment: Column[Any], those: ColumnElement[bool]
) -> Iterator[Image]:
    query = (
        _FACTS.where(_image.c.repository_id == repository.id, _subject.c.id.is_(None), those)
        .order_by(moment.desc(), _image.c.id.desc())
        .limit(_PAGE)
    )
    page = _page(read, repository, query)
    while page:
        yield from page
        last = page[-1]
        page = _page(
            read,
            repository,
            # The first condition is what an index can use.
            query.where(
                moment <= last.active_since,
                or_(moment < last.active_since, _image.c.id < last.id),
            ),
        )


def _referrers(read: Read, repository: Repository) -> Iterator[Image]:
    query = (
        _FACTS.where(_image.c.repository_id == repository.id, _subject.c.id.is_not(None))
        .order_by(_image.c.id)
        .limit(_PAGE)
    )
    page = _page(read, repository, query)
    while page:
        yield from page
        page = _page(read, repository, query.where(_image.c.id > page[-1].id))


def _page(read: Read, repository: Repository, query: Select[Any]) -> list[Image]:
    with read() as tx:
        return _images(tx, repository, tx.execute(query).all())


def _images(tx: Connection, repository: Repository, rows: Sequence[Row[Any]]) -> list[Image]:
    if not rows:
        return []
    tags = _tags(tx, [row.id for row in rows])
    parents = _parents(tx, repository, [row.digest for row in rows])
    return [
        Image(
            id=row.id,
            digest=row.digest,
            tags=tuple(tags.get(row.id, ())),
            pushed_at=row.pushed_at,
            storage_class=StorageClass(row.storage_class),
            last_pulled_at=row.last_pulled_at,
            # On its way back, it has left the archive as far as rules are concerned.
            archived_at=row.archived_at if row.restoring_since is None else None,
            activated_at=row.activated_at,
            parents=tuple(parents.get(row.digest, ())),
            subject=row.subject_id,
            is_awaited=bool(row.is_awaited),
        )
        for row in rows
    ]


def _tags(tx: Connection, ids: Sequence[int]) -> dict[int, list[str]]:
    tag = schema.tags
    found: dict[int, list[str]] = {}
    query = select(tag.c.image_id, tag.c.name).where(tag.c.image_id.in_(ids)).order_by(tag.c.name)
    for row in tx.execute(query):
        found.setdefault(row.image_id, []).append(row.name)
    return found


def _parents(
    tx: Connection, repository: Repository, digests: Sequence[str]
) -> dict[str, list[int]]:
    child = schema.image_children
    found: dict[str, list[int]] = {}
    query = select(child.c.digest, child.c.image_id).where(
        child.c.repository_id == repository.id, child.c.digest.in_(digests)
    )
    for row in tx.execute(query):
        found.setdefault(row.digest, []).append(row.image_id)
    return found
