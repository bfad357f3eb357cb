"""The recycle bin: images that were deleted, kept for some days so that they can be restored.

ECR has none. To clients an image in the bin is gone: it is in tables of its own, which no listing
and no pull ever looks at. It is there as it was, its manifest to the byte, and holds its blobs by a
foreign key. It belongs to a name in a registry, whatever repository has that name now.

`longshore.registry.bin_restoration` brings images back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    BigInteger,
    Integer,
    String,
    Text,
    and_,
    delete,
    insert,
    literal,
    select,
    tuple_,
    union_all,
)

from longshore.clock import as_datetime
from longshore.errors import ImageNotInRecycleBin
from longshore.metadata import schema
from longshore.metadata.statements import batches, insert_if_absent
from longshore.registry.slices import Position, Slice

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from longshore.clock import Millis
    from longshore.names import Digest, Registry
    from longshore.registry.context import Context
    from longshore.registry.repositories import Repository

# How many entries go in one transaction.
_BATCH = 500

_BINNED = schema.binned_images.c
_OF_IMAGE: Final = tuple(
    column.name for column in schema.images.c if column.name != "repository_id"
)


@dataclass(frozen=True, slots=True)
class Deletion:
    """Who deletes an image.

    Attributes:
        by: the ARN of a principal, where one does.
        rule_priority: that of the lifecycle rule, where one does.
    """

    by: str | None = None
    rule_priority: int | None = None


UNTOLD: Final = Deletion()
"""Nobody says who it is."""


@dataclass(frozen=True, slots=True)
class BinnedImage:
    """An image in the bin.

    Attributes:
        id: its id, which it had and gets again.
        registry: whose it was.
        repository: the name of its repository.
        encryption_context: its repository's.
        digest: its digest.
        tags: the tags that went with it, sorted.
        size: as DescribeImages told it, in bytes.
        media_type: its manifest's.
        artifact_type: what kind of artifact it is, if it is one.
        subject: the image that it refers to, if it does.
        storage_class: STANDARD or ARCHIVE.
        pushed_at: when it was pushed.
        deleted_at: when it was deleted.
        deletion: by whom.
        expires_at: until when it can be restored.
    """

    id: int
    registry: Registry
    repository: str
    encryption_context: str
    digest: str
    tags: tuple[str, ...]
    size: int
    media_type: str
    artifact_type: str | None
    subject: str | None
    storage_class: str
    pushed_at: Millis
    deleted_at: Millis
    deletion: Deletion
    expires_at: Millis


def put(
    tx: Connection,
    context: Context,
    repository: Repository,
    which: ColumnElement[bool],
    deletion: Deletion,
) -> None:
    """Put images of a locked repository, which are about to be deleted, into the bin.

    Args:
        tx: the transaction that will delete them.
        context: the store; its retention says for how long they are kept.
        repository: where they are.
        which: the condition on `images` that they fulfil.
        deletion: who deletes them.
    """
    image = schema.images.c
    # One that had been deleted and pushed again is there once: as it was the last time.
    again = select(image.digest).where(which)
    tx.execute(delete(schema.binned_images).where(*_of(repository), _BINNED.digest.in_(again)))
    now = context.clock()
    facts = {
        "account": literal(repository.registry.account, String),
        "region": literal(repository.registry.region, String),
        "repository": literal(repository.name, String),
        "repository_id": image.repository_id,
        "encryption_context": literal(repository.encryption_context, String),
        "deleted_at": literal(now, BigInteger),
        "expires_at": literal(now + context.retention.deleted_images, BigInteger),
        "deleted_by": literal(deletion.by or None, Text),
        "rule_priority": literal(deletion.rule_priority, Integer),
        **{name: image[name] for name in _OF_IMAGE},
    }
    tx.execute(
        insert(schema.binned_images).from_select(list(facts), select(*facts.values()).where(which))
    )
    tag, layer = schema.tags.c, schema.layers.c
    of_image = schema.image_layers.c
    for table, query in (
        (schema.binned_manifests, select(schema.manifests)),
        (schema.binned_tags, select(tag.image_id, tag.name, tag.tagged_at)),
        (
            schema.binned_layers,
            select(of_image.image_id, of_image.digest, layer.blob_id, layer.media_type).join_from(
                schema.image_layers,
                schema.layers,
                and_(
                    layer.repository_id == of_image.repository_id, layer.digest == of_image.digest
                ),
            ),
        ),
        (
            schema.binned_children,
            select(schema.image_children.c.image_id, schema.image_children.c.digest),
        ),
    ):
        columns = query.selected_columns
        those = columns.image_id.in_(select(image.id).where(which))
        tx.execute(insert(table).from_select(columns.keys(), query.where(those)))


def add_tags(
    tx: Connection, context: Context, repository: Repository, digest: str, tags: Iterable[str]
) -> None:
    """Let an image in the bin come back with further tags, which it lost shortly before."""
    this = select(_BINNED.id).where(*_of(repository), _BINNED.digest == digest)
    image_id = tx.execute(this).scalar_one()
    for name in tags:
        insert_if_absent(
            tx, schema.binned_tags, image_id=image_id, name=name, tagged_at=context.clock()
        )


def find(
    tx: Connection,
    registry: Registry,
    repository: str,
    digest: Digest,
    *,
    now: Millis | None,
    lock: bool = False,
) -> BinnedImage:
    """Return an image in the bin.

    Args:
        tx: an open transaction.
        registry: whose it was.
        repository: the name of its repository.
        digest: its digest.
        now: the time; None for whatever is there, even if its time is over.
        lock: keep it in the bin until the transaction ends.

    Raises:
        ImageNotInRecycleBin: it isn't there, or its time is over.
    """
    query = _binned(registry, repository).where(_BINNED.digest == str(digest))
    row = tx.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise _not_found(tx, registry, repository, digest)
    if now is not None and row.expires_at <= now:
        until = as_datetime(row.expires_at).strftime("%Y-%m-%dT%H:%M:%SZ")
        raise ImageNotInRecycleBin(
            f"The image {digest} of the repository '{repository}' could be restored until {until}."
        )
    [found] = _with_tags(tx, registry, [row])
    return found


def find_related(
    tx: Connection, registry: Registry, repository: str, image: BinnedImage, now: Millis
) -> Sequence[BinnedImage]:
    """Return, locked, what comes back with an image: its referrers, and what it lists as an index.

    Those deleted last come first.
    """
    children = select(schema.binned_children.c.digest).where(
        schema.binned_children.c.image_id == image.id
    )
    ids = select(_BINNED.id).where(*_in(registry, repository))
    # Each by its index: of the two in one condition, databases make a walk through the whole bin.
    related = union_all(
        ids.where(_BINNED.subject == image.digest), ids.where(_BINNED.digest.in_(children))
    )
    query = select(schema.binned_images).where(_BINNED.id.in_(related), _BINNED.expires_at > now)
    rows = tx.execute(_newest_first(query).with_for_update()).all()
    return _with_tags(tx, registry, rows)


def list_some(
    tx: Connection,
    registry: Registry,
    now: Millis,
    *,
    repository: str | None = None,
    since: Millis | None = None,
    after: Position | None = None,
    limit: int,
) -> Slice[BinnedImage]:
    """Return up to `limit` images in the bin that can be restored, the one deleted last first.

    Args:
        tx: an open transaction.
        registry: whose they were.
        now: the time.
        repository: only those of repositories of this name.
        since: only those that were deleted then or later.
        after: where the slice starts.
        limit: how many there may be in it.
    """
    query = _binned(registry, repository).where(_BINNED.expires_at > now)
    if since is not None:
        query = query.where(_BINNED.deleted_at >= since)
    if after is not None:
        query = query.where(tuple_(_BINNED.deleted_at, _BINNED.id) < tuple_(*after))
    rows = tx.execute(_newest_first(query).limit(limit + 1)).all()
    images = _with_tags(tx, registry, rows)
    return Slice.of(images, limit, lambda image: (image.deleted_at, image.id), lambda image: image)


def purge(context: Context, registry: Registry, repository: str, digest: Digest) -> BinnedImage:
    """Take an image out of the bin for good; its bytes are garbage then.

    Raises:
        ImageNotInRecycleBin: it isn't there.
    """
    with context.database.write(content_only=True) as tx:
        found = find(tx, registry, repository, digest, now=None, lock=True)
        remove(tx, [found])
    return found


def purge_all(
    context: Context, registry: Registry, repository: str
) -> Iterable[Sequence[BinnedImage]]:
    """Take all images of a repository out of the bin for good; yield each batch that is gone."""
    while True:
        with context.database.write(content_only=True) as tx:
            query = _newest_first(_binned(registry, repository)).limit(_BATCH)
            rows = tx.execute(query.with_for_update(skip_locked=True)).all()
            images = _with_tags(tx, registry, rows)
            remove(tx, images)
        if not images:
            return
        yield images


def purge_expired(context: Context, check: Callable[[], object]) -> int:
    """Take what can't be restored any more out of the bin, for good; return how many those were.

    Args:
        context: the store.
        check: is called after each transaction, and may raise to leave off.
    """
    count = 0
    expired = _BINNED.expires_at <= context.clock()
    # Whoever restores one just now has come in time.
    some = select(_BINNED.id).where(expired).limit(_BATCH).with_for_update(skip_locked=True)
    while True:
        with context.database.read() as tx:
            if tx.execute(select(_BINNED.id).where(expired).limit(1)).first() is None:
                return count
        with context.database.write(content_only=True) as tx:
            ids = list(tx.execute(some).scalars())
            tx.execute(delete(schema.binned_images).where(_BINNED.id.in_(ids)))
        if not ids:
            return count
        count += len(ids)
        check()


def remove(tx: Connection, images: Collection[BinnedImage]) -> None:
    """Take images, which are locked, out of the bin."""
    for ids in batches(image.id for image in images):
        tx.execute(delete(schema.binned_images).where(_BINNED.id.in_(ids)))


def _of(repository: Repository) -> tuple[ColumnElement[bool], ...]:
    return _in(repository.registry, repository.name)


def _in(registry: Registry, repository: str | None) -> tuple[ColumnElement[bool], ...]:
    here = _BINNED.account == registry.account, _BINNED.region == registry.region
    return here if repository is None else (*here, _BINNED.repository == repository)


def _binned(registry: Registry, repository: str | None) -> Select[Any]:
    return select(schema.binned_images).where(*_in(registry, repository))


def _newest_first(query: Select[Any]) -> Select[Any]:
    return query.order_by(_BINNED.deleted_at.desc(), _BINNED.id.desc())


def _not_found(
    tx: Connection, registry: Registry, repository: str, digest: Digest
) -> ImageNotInRecycleBin:
    """Say that an image isn't there, and under which names it is."""
    query = select(_BINNED.repository).where(*_in(registry, None), _BINNED.digest == str(digest))
    elsewhere = tx.execute(query.order_by(_BINNED.repository)).scalars()
    hint = "".join(f" It is there as an image of '{name}'." for name in elsewhere)
    return ImageNotInRecycleBin(
        f"The recycle bin has no image {digest} of the repository '{repository}'.{hint}"
    )


def _with_tags(tx: Connection, registry: Registry, rows: Sequence[Row[Any]]) -> list[BinnedImage]:
    tag = schema.binned_tags.c
    tags: dict[int, list[str]] = {}
    for ids in batches(row.id for row in rows):
        query = select(tag.image_id, tag.name).where(tag.image_id.in_(ids))
        for found in tx.execute(query.order_by(tag.name)):
            tags.setdefault(found.image_id, []).append(found.name)
    return [
        BinnedImage(
            id=row.id,
            registry=registry,
            repository=row.repository,
            encryption_context=row.encryption_context,
            digest=row.digest,
            tags=tuple(tags.get(row.id, ())),
            size=row.size,
            media_type=row.media_type,
            artifact_type=row.artifact_type,
            subject=row.subject,
            storage_class=row.storage_class,
            pushed_at=row.pushed_at,
            deleted_at=row.deleted_at,
            deletion=Deletion(row.deleted_by, row.rule_priority),
            expires_at=row.expires_at,
        )
        for row in rows
    ]
