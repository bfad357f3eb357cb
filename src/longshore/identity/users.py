"""Users: people and machines with keys of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.identity import boundaries, identities
from longshore.identity.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.identity.identities import Identity
    from longshore.registry.context import Context
    from longshore.registry.slices import Position, Slice


def create(
    context: Context,
    account: str,
    name: str,
    *,
    path: str = "/",
    boundary: str | None = None,
    tags: Iterable[tuple[str, str]] = (),
) -> Identity:
    """Make a user, who has neither policies nor keys yet.

    Raises:
        EntityAlreadyExists: the account has a user of this name, whatever its case.
        QuotaExceeded, ValidationError, InvalidInput: as `identities.create`.
        NoSuchEntity: the permissions boundary doesn't exist.
    """
    with context.database.write() as tx:
        boundaries.check(tx, account, boundary)
        return identities.create(
            context, tx, account, Kind.USER, name, path=path, boundary=boundary, tags=tags
        )


def get(context: Context, account: str, name: str) -> Identity:
    """Return the user called `name`.

    Raises:
        NoSuchEntity: there is none.
    """
    with context.database.read() as tx:
        return identities.find(tx, account, Kind.USER, name)


def list_all(
    context: Context,
    account: str,
    *,
    path_prefix: str = "/",
    after: Position | None = None,
    limit: int = 100,
) -> Slice[Identity]:
    """Return up to `limit` users, by name."""
    return identities.list_all(
        context, account, Kind.USER, path_prefix=path_prefix, after=after, limit=limit
    )


def rename(
    context: Context,
    account: str,
    name: str,
    *,
    new_name: str | None = None,
    new_path: str | None = None,
) -> None:
    """Give a user another name or path; the user stays the same and keeps everything.

    Raises:
        NoSuchEntity, EntityAlreadyExists, ValidationError: as `identities.rename`.
    """
    with context.database.write() as tx:
        user = identities.find(tx, account, Kind.USER, name, lock=True)
        identities.rename(tx, user, new_name, new_path)


def remove(context: Context, account: str, name: str) -> None:
    """Delete a user who has nothing left.

    Raises:
        NoSuchEntity: there is none.
        DeleteConflict: the user has policies, keys or credentials, or is a member of a group.
        UnmodifiableEntity: it is the administrator of the server.
    """
    with context.database.write() as tx:
        identities.remove(tx, identities.find(tx, account, Kind.USER, name, lock=True))
