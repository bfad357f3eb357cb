"""The images of a repository as lifecycle rules look at them, a page at a time.

A page is read by one index, in its order, and what else is to be known of its images is looked up
by their ids and digests: joins, a database may decide to do for all pages at each.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Select, or_, select

from longshore.metadata import schema
from longshore.registry.lifecycle_rules import Image, StorageClass

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Column, ColumnElement, Connection

    from longshore.registry.repositories import Repository

_PAGE = 1_000

# What opens a transaction for each page: a large repository mustn't be read in one.
Read: TypeAlias = "Callable[[], AbstractContextManager[Connection]]"

_IMAGE = schema.images
# Not the annotations, which may be megabytes.
_FACTS: Select[Any] = select(
    _IMAGE.c.id,
    _IMAGE.c.digest,
    _IMAGE.c.subject,
    _IMAGE.c.pushed_at,
    _IMAGE.c.storage_class,
    _IMAGE.c.last_pulled_at,
    _IMAGE.c.archived_at,
    _IMAGE.c.activated_at,
    _IMAGE.c.restoring_since,
)


def all_of(read: Read, repository: Repository) -> Iterator[Image]:
    """Yield all images: first those that rules select from, then the referrers, oldest first."""
    yield from youngest_first(read, repository)
    yield from _referrers(read, repository)


def youngest_first(read: Read, repository: Repository) -> Iterator[Image]:
    """Yield the images that rules select from: all but the referrers whose subjects are there."""
    pushed, restored = _IMAGE.c.pushed_at, _IMAGE.c.activated_at
    return heapq.merge(
        _by_age(read, repository, pushed, restored.is_(None)),
        _by_age(read, repository, restored, restored.is_not(None)),
        key=lambda image: (image.active_since, image.id),
        reverse=True,
    )


def find(tx: Connection, repository: Repository, ids: Collection[int]) -> list[Image]:
    """Return those of the images that are still there, in no order."""
    return _images(tx, repository, _FACTS.where(_IMAGE.c.id.in_(ids)))


def referrers_of(tx: Connection, repository: Repository, digest: str) -> list[Image]:
    """Return the images that refer to a digest as their subject, oldest first."""
    query = _FACTS.where(_IMAGE.c.subject == digest).order_by(_IMAGE.c.id)
    return _images(tx, repository, query)


def _by_age(
    read: Read, repository: Repository, moment: Column[Any], those: ColumnElement[bool]
) -> Iterator[Image]:
    query = _FACTS.where(those).order_by(moment.desc(), _IMAGE.c.id.desc()).limit(_PAGE)
    page = _page(read, repository, query)
    while page:
        yield from (image for image in page if image.subject is None)
        last = page[-1]
        # The first condition is what an index can use.
        beyond = query.where(
            moment <= last.active_since, or_(moment < last.active_since, _IMAGE.c.id < last.id)
        )
        page = _page(read, repository, beyond)


def _referrers(read: Read, repository: Repository) -> Iterator[Image]:
    query = _FACTS.where(_IMAGE.c.subject.is_not(None)).order_by(_IMAGE.c.id).limit(_PAGE)
    page = _page(read, repository, query)
    while page:
        yield from (image for image in page if image.subject is not None)
        page = _page(read, repository, query.where(_IMAGE.c.id > page[-1].id))


def _page(read: Read, repository: Repository, query: Select[Any]) -> list[Image]:
    with read() as tx:
        return _images(tx, repository, query)


def _images(tx: Connection, repository: Repository, query: Select[Any]) -> list[Image]:
    rows = tx.execute(query.where(_IMAGE.c.repository_id == repository.id)).all()
    if not rows:
        return []
    ids, digests = [row.id for row in rows], [row.digest for row in rows]
    tags, parents = _tags(tx, ids), _parents(tx, repository, digests)
    subjects = _subjects(tx, repository, {row.subject for row in rows if row.subject})
    indexes, referred_to = _indexes(tx, ids), _referred_to(tx, repository, digests)
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
            subject=subjects.get(row.subject),
            is_awaited=row.id in indexes or row.digest in referred_to,
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


def _subjects(tx: Connection, repository: Repository, digests: set[str]) -> dict[str | None, int]:
    """Return the ids of those of the subjects that the repository has."""
    if not digests:
        return {}
    query = select(_IMAGE.c.digest, _IMAGE.c.id).where(
        _IMAGE.c.repository_id == repository.id, _IMAGE.c.digest.in_(digests)
    )
    return {row.digest: row.id for row in tx.execute(query)}


def _indexes(tx: Connection, ids: Sequence[int]) -> set[int]:
    """Return those of the images that are indexes of others."""
    index = schema.image_children.c.image_id
    return set(tx.execute(select(index).where(index.in_(ids)).distinct()).scalars())


def _referred_to(tx: Connection, repository: Repository, digests: Sequence[str]) -> set[str]:
    """Return those of the images that are subjects of others."""
    query = (
        select(_IMAGE.c.subject)
        .where(_IMAGE.c.repository_id == repository.id, _IMAGE.c.subject.in_(digests))
        .distinct()
    )
    return set(tx.execute(query).scalars())
