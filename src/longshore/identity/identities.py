"""What users, groups and roles have in common: a name in an account, a path, tags, policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from longshore.identity import words
from longshore.identity.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    NoSuchEntity,
    QuotaExceeded,
    UnmodifiableEntity,
)
from longshore.identity.kinds import Kind
from longshore.metadata import schema
from longshore.registry.slices import Slice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Row, Select

    from longshore.clock import Millis
    from longshore.metadata.prepared import Record
    from longshore.registry.context import Context
    from longshore.registry.slices import Position

_table = schema.identities


@dataclass(frozen=True, slots=True)
class Identity:
    """A user, a group or a role.

    Attributes:
        id: unique for ever: whoever comes later under the same name has another.
        boundary: the ARN of the managed policy that bounds what it may do.
        is_operator: whether this is the administrator of the server.
    """

    id: str
    account: str
    kind: Kind
    name: str
    path: str
    created_at: Millis
    boundary: str | None
    is_operator: bool
    tags: Mapping[str, str]

    @property
    def arn(self) -> str:
        """The identity's ARN."""
        return f"arn:aws:iam::{self.account}:{self.kind.value}{self.path}{self.name}"

    @classmethod
    def of(cls, row: Record | Row[Any]) -> Identity:
        """Read a row of the table."""
        return cls(
            row.id,
            row.account,
            Kind(row.kind),
            row.name,
            row.path,
            row.created_at,
            row.boundary,
            row.is_operator,
            row.tags,
        )


def create(
    context: Context,
    tx: Connection,
    account: str,
    kind: Kind,
    name: str,
    *,
    path: str = "/",
    boundary: str | None = None,
    tags: Iterable[tuple[str, str]] = (),
    is_operator: bool = False,
) -> Identity:
    """Insert an identity; `boundary` must have been checked.

    Raises:
        EntityAlreadyExists: the account has one of this kind and name, whatever the case.
        QuotaExceeded: the account has as many as it may have.
        ValidationError, InvalidInput: the name, the path or a tag is none.
    """
    words.check_name(f"{kind.value}Name", name, kind.quotas.longest_name)
    words.check_path(path)
    row = {
        "id": kind.new_id(),
        "account": account,
        "kind": kind.value,
        "name": name,
        "folded_name": name.lower(),
        "path": path,
        "created_at": context.clock(),
        "boundary": boundary,
        "is_operator": is_operator,
        "tags": words.tagged({}, tags),
    }
    try:
        identity = Identity.of(tx.execute(insert(_table).values(row).returning(_table)).one())
    except IntegrityError:
        raise _already_exists(kind, name) from None
    count = tx.execute(select(func.count()).where(*_all(account, kind))).scalar_one()
    if count > kind.quotas.in_account:
        raise QuotaExceeded.of(f"{kind.title}sPerAccount", kind.quotas.in_account)
    return identity


def find(tx: Connection, account: str, kind: Kind, name: str, *, lock: bool = False) -> Identity:
    """Return the identity called `name`, in exactly this case.

    Args:
        tx: an open transaction.
        account: where to look.
        kind: what to look for.
        name: its name.
        lock: keep everybody else from changing it until the transaction ends. Each transaction
            that changes something about an identity begins so.

    Raises:
        NoSuchEntity: there is none.
    """
    query = select(_table).where(*_all(account, kind), _table.c.name == name)
    row = tx.execute(query.with_for_update(key_share=True) if lock else query).one_or_none()
    if row is None:
        raise NoSuchEntity.identity(kind, name)
    return Identity.of(row)


def find_id(tx: Connection, account: str, kind: Kind, path: str | None, name: str) -> str | None:
    """Return the id of an identity, under this path where one is named, if there is such a one."""
    query = select(_table.c.id).where(*_all(account, kind), _table.c.name == name)
    if path is not None:
        query = query.where(_table.c.path == path)
    return tx.execute(query).scalar_one_or_none()


def list_all(
    context: Context,
    account: str,
    kind: Kind,
    *,
    path_prefix: str = "/",
    after: Position | None = None,
    limit: int,
) -> Slice[Identity]:
    """Return up to `limit` identities of a kind, by name."""
    with context.database.read() as tx:
        return list_in(tx, account, kind, path_prefix=path_prefix, after=after, limit=limit)


def list_in(
    tx: Connection,
    account: str,
    kind: Kind,
    *,
    path_prefix: str,
    after: Position | None,
    limit: int,
) -> Slice[Identity]:
    """Return them in a transaction."""
    query = select(_table).where(
        *_all(account, kind),
        # Not LIKE, which on SQLite is blind to case.
        func.substr(_table.c.path, 1, len(path_prefix)) == path_prefix,
    )
    return slice_of(tx, query, after, limit)


def slice_of(
    tx: Connection, query: Select[Any], after: Position | None, limit: int
) -> Slice[Identity]:
    """Return up to `limit` of the identities that a query selects, by name and id."""
    if after is not None:
        query = query.where(
            (_table.c.folded_name > after[0])
            | ((_table.c.folded_name == after[0]) & (_table.c.id > after[1]))
        )
    rows = tx.execute(query.order_by(_table.c.folded_name, _table.c.id).limit(limit + 1)).all()
    return Slice.of(rows, limit, lambda row: (row.folded_name, row.id), Identity.of)


def rename(tx: Connection, identity: Identity, new_name: str | None, new_path: str | None) -> None:
    """Give a locked identity another name or path; its id, policies and keys stay.

    Raises:
        EntityAlreadyExists: another one has this name.
        ValidationError: the name or the path is none.
    """
    name = identity.name if new_name is None else new_name
    path = identity.path if new_path is None else new_path
    words.check_name(f"new{identity.kind.title}Name", name, identity.kind.quotas.longest_name)
    words.check_path(path)
    try:
        change(tx, identity, name=name, folded_name=name.lower(), path=path)
    except IntegrityError:
        raise _already_exists(identity.kind, name) from None


def change(tx: Connection, identity: Identity, **columns: object) -> None:
    """Write columns of a locked identity."""
    tx.execute(update(_table).where(_table.c.id == identity.id).values(columns))


def remove(tx: Connection, identity: Identity) -> None:
    """Delete a locked identity that has nothing left.

    Raises:
        DeleteConflict: it has policies or keys, is a member, or has members.
        UnmodifiableEntity: it is the administrator of the server.
    """
    if identity.is_operator:
        raise UnmodifiableEntity("The administrator of the server cannot be deleted.")
    for column, first in _IN_THE_WAY:
        if tx.execute(select(column).where(column == identity.id).limit(1)).first() is not None:
            raise DeleteConflict(f"Cannot delete entity, must {first} first.")
    tx.execute(delete(_table).where(_table.c.id == identity.id))


def tag(
    context: Context, account: str, kind: Kind, name: str, tags: Iterable[tuple[str, str]]
) -> None:
    """Set tags; those with other keys stay.

    Raises:
        NoSuchEntity, InvalidInput, QuotaExceeded: as `find` and `words.tagged`.
    """
    with context.database.write() as tx:
        identity = find(tx, account, kind, name, lock=True)
        change(tx, identity, tags=words.tagged(identity.tags, tags))


def untag(context: Context, account: str, kind: Kind, name: str, keys: Iterable[str]) -> None:
    """Remove the tags with these keys, where they exist.

    Raises:
        NoSuchEntity: there is no such identity.
    """
    with context.database.write() as tx:
        identity = find(tx, account, kind, name, lock=True)
        change(tx, identity, tags=words.untagged(identity.tags, keys))


def _all(account: str, kind: Kind) -> tuple[Any, ...]:
    return _table.c.account == account, _table.c.kind == kind.value


def _already_exists(kind: Kind, name: str) -> EntityAlreadyExists:
    return EntityAlreadyExists(f"{kind.title} with name {name} already exists.")


_IN_THE_WAY = (
    (schema.group_members.c.group_id, "remove users from group"),
    (schema.group_members.c.user_id, "remove user from group"),
    (schema.attachments.c.identity_id, "detach all policies"),
    (schema.inline_policies.c.identity_id, "delete policies"),
    (schema.access_keys.c.user_id, "delete access keys"),
    (schema.registry_credentials.c.user_id, "delete registry credentials"),
)
