"""Groups: policies that many users share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from longshore.identity import identities
from longshore.identity.errors import QuotaExceeded
from longshore.identity.kinds import Kind
from longshore.metadata import schema
from longshore.metadata.statements import insert_if_absent

if TYPE_CHECKING:
    from longshore.identity.identities import Identity
    from longshore.registry.context import Context
    from longshore.registry.slices import Position, Slice

MOST_OF_USER = 10
_members = schema.group_members


@dataclass(frozen=True, slots=True)
class Membership:
    """A group with some of its members."""

    group: Identity
    users: Slice[Identity]


def create(context: Context, account: str, name: str, *, path: str = "/") -> Identity:
    """Make a group, which has neither policies nor members yet.

    Raises:
        EntityAlreadyExists: the account has a group of this name, whatever its case.
        QuotaExceeded, ValidationError: as `identities.create`.
    """
    with context.database.write() as tx:
        return identities.create(context, tx, account, Kind.GROUP, name, path=path)


def get(
    context: Context, account: str, name: str, *, after: Position | None = None, limit: int = 100
) -> Membership:
    """Return the group called `name` and up to `limit` of its members, by name.

    Raises:
        NoSuchEntity: there is none.
    """
    with context.database.read() as tx:
        group = identities.find(tx, account, Kind.GROUP, name)
        members = (
            select(schema.identities)
            .join(_members, _members.c.user_id == schema.identities.c.id)
            .where(_members.c.group_id == group.id)
        )
        return Membership(group, identities.slice_of(tx, members, after, limit))


def list_all(
    context: Context,
    account: str,
    *,
    path_prefix: str = "/",
    after: Position | None = None,
    limit: int = 100,
) -> Slice[Identity]:
    """Return up to `limit` groups, by name."""
    return identities.list_all(
        context, account, Kind.GROUP, path_prefix=path_prefix, after=after, limit=limit
    )


def list_of_user(
    context: Context, account: str, user: str, *, after: Position | None = None, limit: int = 100
) -> Slice[Identity]:
    """Return up to `limit` of the groups that a user is a member of, by name.

    Raises:
        NoSuchEntity: there is no such user.
    """
    with context.database.read() as tx:
        found = identities.find(tx, account, Kind.USER, user)
        groups = (
            select(schema.identities)
            .join(_members, _members.c.group_id == schema.identities.c.id)
            .where(_members.c.user_id == found.id)
        )
        return identities.slice_of(tx, groups, after, limit)


def rename(
    context: Context,
    account: str,
    name: str,
    *,
    new_name: str | None = None,
    new_path: str | None = None,
) -> None:
    """Give a group another name or path; it keeps its members and its policies.

    Raises:
        NoSuchEntity, EntityAlreadyExists, ValidationError: as `identities.rename`.
    """
    with context.database.write() as tx:
        group = identities.find(tx, account, Kind.GROUP, name, lock=True)
        identities.rename(tx, group, new_name, new_path)


def remove(context: Context, account: str, name: str) -> None:
    """Delete a group without members and policies.

    Raises:
        NoSuchEntity: there is none.
        DeleteConflict: it has members or policies.
    """
    with context.database.write() as tx:
        identities.remove(tx, identities.find(tx, account, Kind.GROUP, name, lock=True))


def add(context: Context, account: str, name: str, user: str) -> None:
    """Make a user a member; who is one stays one.

    Raises:
        NoSuchEntity: the group or the user doesn't exist.
        QuotaExceeded: the user is a member of as many groups as a user may be.
    """
    with context.database.write() as tx:
        group = identities.find(tx, account, Kind.GROUP, name, lock=True)
        member = identities.find(tx, account, Kind.USER, user, lock=True)
        insert_if_absent(tx, _members, group_id=group.id, user_id=member.id)
        count = tx.execute(select(func.count()).where(_members.c.user_id == member.id)).scalar_one()
        if count > MOST_OF_USER:
            raise QuotaExceeded.of("GroupsPerUser", MOST_OF_USER)


def discard(context: Context, account: str, name: str, user: str) -> None:
    """Make a user no longer a member; who isn't one isn't one.

    Raises:
        NoSuchEntity: the group or the user doesn't exist.
    """
    with context.database.write() as tx:
        group = identities.find(tx, account, Kind.GROUP, name, lock=True)
        member = identities.find(tx, account, Kind.USER, user, lock=True)
        tx.execute(
            delete(_members).where(_members.c.group_id == group.id, _members.c.user_id == member.id)
        )
