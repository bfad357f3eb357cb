"""Repositories: making, listing, changing and deleting them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from longshore.errors import (
    InvalidParameter,
    LimitExceeded,
    NotBuiltYet,
    RepositoryAlreadyExists,
    RepositoryNotEmpty,
    RepositoryNotFound,
)
from longshore.events import log, shapes
from longshore.metadata import schema
from longshore.metadata.prepared import Prepared
from longshore.names import Registry
from longshore.registry import recycle_bin, resource_tags
from longshore.registry.mutability import Mode, TagMutability
from longshore.registry.recycle_bin import Deletion
from longshore.registry.slices import Position, Slice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from longshore.clock import Millis
    from longshore.events.shapes import Event
    from longshore.metadata.prepared import Record
    from longshore.registry.context import Context

# All that is AES256 shares one context: the bytes are alike, whoever holds them.
AES256_CONTEXT = "aes256"

_IS_OF_REGISTRY = (
    schema.repositories.c.account == bindparam("account"),
    schema.repositories.c.region == bindparam("region"),
)
IS_NAMED = (*_IS_OF_REGISTRY, schema.repositories.c.name == bindparam("name"))
"""What tells one repository in a statement, by the parameters that `named` returns."""

_NAMED = select(schema.repositories).where(*IS_NAMED)
_FIND = Prepared(_NAMED)
_FIND_AND_LOCK = Prepared(_NAMED.with_for_update(key_share=True))
_LOCK = Prepared(
    select(schema.repositories.c.id, schema.repositories.c.encryption_context)
    .where(*IS_NAMED)
    .with_for_update(key_share=True)
)
_ALL = (
    select(schema.repositories)
    .where(*_IS_OF_REGISTRY)
    .order_by(schema.repositories.c.name)
    .limit(bindparam("most"))
)
_AFTER = _ALL.where(schema.repositories.c.name > bindparam("after"))
_COUNT = Prepared(select(func.count()).where(*_IS_OF_REGISTRY))
_LIST, _LIST_AFTER = Prepared(_ALL), Prepared(_AFTER)
_NAMES, _NAMES_AFTER = (
    Prepared(listing.with_only_columns(schema.repositories.c.name)) for listing in (_ALL, _AFTER)
)


@dataclass(frozen=True, slots=True)
class Encryption:
    """How a repository's bytes are encrypted at rest."""

    type: str = "AES256"
    kms_key: str | None = None


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as it stands in the database."""

    id: int
    registry: Registry
    name: str
    created_at: Millis
    mutability: TagMutability
    scan_on_push: bool
    encryption_type: str
    encryption_context: str

    @property
    def arn(self) -> str:
        """The repository's ARN."""
        return self.registry.repository_arn(self.name)


def create(
    context: Context,
    registry: Registry,
    name: str,
    *,
    mutability: TagMutability,
    scan_on_push: bool,
    encryption: Encryption,
    tags: Mapping[str, str],
) -> Repository:
    """Make a repository.

    Raises:
        RepositoryAlreadyExists, …: as `add`.
    """
    with context.database.write() as tx:
        return add(
            context,
            tx,
            registry,
            name,
            mutability=mutability,
            scan_on_push=scan_on_push,
            encryption=encryption,
            tags=tags,
        )


def add(
    context: Context,
    tx: Connection,
    registry: Registry,
    name: str,
    *,
    mutability: TagMutability,
    scan_on_push: bool,
    encryption: Encryption,
    tags: Mapping[str, str],
) -> Repository:
    """Make a repository in a transaction, which can do nothing else if this raises.

    Raises:
        RepositoryAlreadyExists: the registry has one of this name, whatever its settings.
        NotBuiltYet: the encryption is KMS or KMS_DSSE.
        TooManyTags, LimitExceeded: a quota is used up.
    """
    encryption_context = context_of(encryption)
    resource_tags.check_count(context, len(tags))
    columns: dict[str, Any] = {
        "account": registry.account,
        "region": registry.region,
        "name": name,
        "created_at": context.clock(),
        "tag_mutability": mutability.mode.value,
        "tag_mutability_exclusions": list(mutability.exclusions),
        "scan_on_push": scan_on_push,
        "encryption_type": encryption.type,
        "encryption_context": encryption_context,
    }
    try:
        row = tx.execute(
            insert(schema.repositories).values(columns).returning(schema.repositories)
        ).one()
    except IntegrityError:
        raise RepositoryAlreadyExists(name, registry.account) from None
    repository = _repository(row)
    # Not before: that a repository exists is told even where there is no room for it.
    _check_count(context, tx, repository)
    resource_tags.write(tx, repository.id, tags)
    return repository


def find(tx: Connection, registry: Registry, name: str, *, lock: bool = False) -> Repository:
    """Return the repository called `name`.

    Args:
        tx: an open transaction.
        registry: where to look.
        name: the repository's name.
        lock: keep everybody else from changing the repository until the transaction ends. Each
            transaction that changes something inside a repository begins so (on SQLite every
            writing transaction is alone anyway).

    Raises:
        RepositoryNotFound: there is none.
    """
    statement = _FIND_AND_LOCK if lock else _FIND
    row = statement.one_or_none(tx, **named(registry, name))
    if row is None:
        raise RepositoryNotFound(name, registry.account)
    return _repository(row)


def named(registry: Registry, name: str) -> dict[str, str]:
    """Return the parameters of a statement that has `IS_NAMED`."""
    return {"account": registry.account, "region": registry.region, "name": name}


def lock(tx: Connection, registry: Registry, name: str) -> Record:
    """Lock a repository as `find` does, and return its `id` and its `encryption_context`.

    Raises:
        RepositoryNotFound: there is none.
    """
    row = _LOCK.one_or_none(tx, **named(registry, name))
    if row is None:
        raise RepositoryNotFound(name, registry.account)
    return row


def describe(context: Context, registry: Registry, names: Sequence[str]) -> list[Repository]:
    """Return the repositories called `names`, in that order.

    Raises:
        RepositoryNotFound: one of them doesn't exist.
    """
    with context.database.read() as tx:
        return [find(tx, registry, name) for name in dict.fromkeys(names)]


def list_all(
    context: Context, registry: Registry, after: Position | None, limit: int
) -> Slice[Repository]:
    """Return up to `limit` repositories of the registry, by name."""
    rows = _listed(context, registry, after, limit, _LIST if after is None else _LIST_AFTER)
    return Slice.of(rows, limit, lambda row: (row.name,), _repository)


def list_names(
    context: Context, registry: Registry, after: Position | None, limit: int
) -> Slice[str]:
    """Return the names of those that `list_all` returns."""
    rows = _listed(context, registry, after, limit, _NAMES if after is None else _NAMES_AFTER)
    return Slice.of(rows, limit, lambda row: (row.name,), lambda row: str(row.name))


def _listed(
    context: Context, registry: Registry, after: Position | None, limit: int, statement: Prepared
) -> list[Record]:
    asked = {"account": registry.account, "region": registry.region, "most": limit + 1}
    place = {} if after is None else {"after": after[0]}
    with context.database.read() as tx:
        return statement.all(tx, **asked, **place)


def remove(
    context: Context, registry: Registry, name: str, *, force: bool, deleted_by: str | None = None
) -> Repository:
    """Delete a repository, and with `force` all that is in it.

    Args:
        context: the store.
        registry: whose it is.
        name: its name.
        force: whether its images go with it; into the recycle bin, if there is one.
        deleted_by: the ARN of who deletes it.

    Raises:
        RepositoryNotEmpty: it holds images, and `force` isn't given.
    """
    with context.database.write() as tx:
        repository = find(tx, registry, name, lock=True)
        images = schema.images.c.repository_id == repository.id
        if not force and tx.execute(select(schema.images.c.id).where(images).limit(1)).first():
            raise RepositoryNotEmpty(name, registry.account)
        log.emit(tx, _deletions(tx, repository, context.clock()))
        if context.retention.deleted_images:
            recycle_bin.put(tx, context, repository, images, Deletion(deleted_by))
        # Images hold their layers in place by a foreign key: they go first.
        tx.execute(delete(schema.images).where(images))
        tx.execute(delete(schema.layers).where(schema.layers.c.repository_id == repository.id))
        tx.execute(delete(schema.repositories).where(schema.repositories.c.id == repository.id))
        return repository


def put_tag_mutability(
    context: Context, registry: Registry, name: str, mutability: TagMutability
) -> Repository:
    """Replace the mutability of tags, its exclusions included; tags stay as they are."""
    with context.database.write() as tx:
        repository = find(tx, registry, name, lock=True)
        _change(
            tx,
            repository,
            tag_mutability=mutability.mode.value,
            tag_mutability_exclusions=list(mutability.exclusions),
        )
    return replace(repository, mutability=mutability)


def put_scan_on_push(
    context: Context, registry: Registry, name: str, *, scan_on_push: bool
) -> Repository:
    """Choose whether images are to be scanned when they are pushed."""
    with context.database.write() as tx:
        repository = find(tx, registry, name, lock=True)
        _change(tx, repository, scan_on_push=scan_on_push)
    return replace(repository, scan_on_push=scan_on_push)


def tag(context: Context, registry: Registry, name: str, tags: Mapping[str, str]) -> None:
    """Set resource tags; those with other keys stay.

    Raises:
        TooManyTags: there would be more than a repository may have.
    """
    with context.database.write() as tx:
        repository = find(tx, registry, name, lock=True)
        resource_tags.write(tx, repository.id, tags)
        resource_tags.check_count(context, resource_tags.count(tx, repository.id))


def untag(context: Context, registry: Registry, name: str, keys: Sequence[str]) -> None:
    """Remove the resource tags with these keys, where they exist."""
    with context.database.write() as tx:
        resource_tags.erase(tx, find(tx, registry, name, lock=True).id, keys)


def tags_of(context: Context, registry: Registry, name: str) -> dict[str, str]:
    """Return the resource tags, by key."""
    with context.database.read() as tx:
        return resource_tags.read(tx, find(tx, registry, name).id)


def _change(tx: Connection, repository: Repository, **columns: object) -> None:
    tx.execute(
        update(schema.repositories).where(schema.repositories.c.id == repository.id).values(columns)
    )


def _deletions(tx: Connection, repository: Repository, now: Millis) -> Iterator[Event]:
    """Yield what is to be said of the images that go with their repository."""
    images, tags = schema.images, schema.tags
    rows = tx.execute(
        select(images.c.digest, tags.c.name)
        .outerjoin(tags, tags.c.image_id == images.c.id)
        .where(images.c.repository_id == repository.id)
        .order_by(images.c.id, tags.c.name)
    )
    for row in rows:
        yield shapes.image_deleted(repository.registry, now, repository.name, row.digest, row.name)


def _check_count(context: Context, tx: Connection, newest: Repository) -> None:
    most, registry = context.limits.repositories_per_registry, newest.registry
    # Ids are numbers from 1 on, each given once: there can't be more repositories anywhere than
    # that. To count them would take longer with every repository of the registry.
    if newest.id <= most:
        return
    count = _COUNT.value(tx, account=registry.account, region=registry.region)
    if count > most:
        raise LimitExceeded(
            f"The registry with id '{registry.account}' already has {count - 1} repositories, "
            f"the most it may have. Delete some or raise the limit "
            "(limits.repositories_per_registry)."
        )


def context_of(encryption: Encryption) -> str:
    """Return the context that repositories with this encryption share their blobs in.

    Raises:
        NotBuiltYet: it is KMS or KMS_DSSE.
        InvalidParameter: it names a key that it has no use for.
    """
    if encryption.type != "AES256":
        raise NotBuiltYet(
            f"Encryption with {encryption.type} is not built yet in Longshore. Use AES256 and "
            "encrypt the volume that holds the data directory."
        )
    if encryption.kms_key is not None:
        raise InvalidParameter(
            "Invalid encryption configuration: "
            "Encryption key should not be set for AES256 encryption."
        )
    return AES256_CONTEXT


def _repository(row: Record) -> Repository:
    return Repository(
        id=row.id,
        registry=Registry(row.account, row.region),
        name=row.name,
        created_at=row.created_at,
        mutability=TagMutability(Mode(row.tag_mutability), tuple(row.tag_mutability_exclusions)),
        scan_on_push=row.scan_on_push,
        encryption_type=row.encryption_type,
        encryption_context=row.encryption_context,
    )
