"""Roles: identities without keys, which those whom they trust can be for a while."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, insert, select, update

from longshore.access.policy.documents import Grammar
from longshore.access.policy.principals import UNBOUND, Bindings
from longshore.identity import bindings, boundaries, documents, identities, words
from longshore.identity.bindings import NoSuchPrincipal
from longshore.identity.errors import (
    MalformedPolicyDocument,
    NoSuchEntity,
    QuotaExceeded,
    ValidationError,
)
from longshore.identity.identities import Identity
from longshore.identity.kinds import Kind
from longshore.metadata import schema
from longshore.registry.slices import Slice

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Row, Select

    from longshore.registry.context import Context
    from longshore.registry.slices import Position

DEFAULT_SESSION_SECONDS = 3_600
_SHORTEST_MAXIMUM = 3_600
_LONGEST_MAXIMUM = 43_200
_LARGEST_TRUST_POLICY = 2_048
_table = schema.roles


@dataclass(frozen=True, slots=True)
class Role:
    """A role.

    Attributes:
        identity: what it has in common with users and groups.
        trust_policy: who may be it, as it was written.
        max_session_seconds: how long a session of it may last.
        trust_bindings: to whom the ARNs belonged that the trust policy names, when it was set.
    """

    identity: Identity
    trust_policy: str
    description: str
    max_session_seconds: int
    trust_bindings: Bindings


def create(
    context: Context,
    account: str,
    name: str,
    trust_policy: str,
    *,
    path: str = "/",
    description: str = "",
    max_session_seconds: int = DEFAULT_SESSION_SECONDS,
    boundary: str | None = None,
    tags: Iterable[tuple[str, str]] = (),
) -> Role:
    """Make a role, which has no policies yet but the one that says who may be it.

    Raises:
        EntityAlreadyExists: the account has a role of this name, whatever its case.
        MalformedPolicyDocument: the trust policy isn't one, or names who doesn't exist.
        QuotaExceeded, ValidationError, InvalidInput: as `identities.create`; or the trust policy
            is too large, or the duration is none.
        NoSuchEntity: the permissions boundary doesn't exist.
    """
    trust_bindings = _check_trust_policy(context, trust_policy)
    words.check_description(description)
    _check_duration(max_session_seconds)
    with context.database.write() as tx:
        boundaries.check(tx, account, boundary)
        identity = identities.create(
            context, tx, account, Kind.ROLE, name, path=path, boundary=boundary, tags=tags
        )
        tx.execute(
            insert(_table).values(
                id=identity.id,
                trust_policy=trust_policy,
                description=description,
                max_session_seconds=max_session_seconds,
                trust_bindings=trust_bindings,
            )
        )
    return Role(identity, trust_policy, description, max_session_seconds, trust_bindings)


def get(context: Context, account: str, name: str) -> Role:
    """Return the role called `name`.

    Raises:
        NoSuchEntity: there is none.
    """
    with context.database.read() as tx:
        return find(tx, account, name)


def describe(context: Context, account: str, name: str) -> Role:
    """Return the role called `name` for people: its trust policy as it is shown (`bindings.shown`).

    Raises:
        NoSuchEntity: there is none.
    """
    with context.database.read() as tx:
        [role] = _shown(tx, [find(tx, account, name)])
    return role


def find(tx: Connection, account: str, name: str) -> Role:
    """Return the role called `name`.

    Raises:
        NoSuchEntity: there is none.
    """
    row = tx.execute(_query(account).where(schema.identities.c.name == name)).one_or_none()
    if row is None:
        raise NoSuchEntity.identity(Kind.ROLE, name)
    return _role(row)


def list_all(
    context: Context,
    account: str,
    *,
    path_prefix: str = "/",
    after: Position | None = None,
    limit: int = 100,
) -> Slice[Role]:
    """Return up to `limit` roles by name, their trust policies as they are shown."""
    with context.database.read() as tx:
        found = identities.list_in(
            tx, account, Kind.ROLE, path_prefix=path_prefix, after=after, limit=limit
        )
        ids = [identity.id for identity in found.items]
        rows = tx.execute(_query(account).where(_table.c.id.in_(ids)))
        roles = {row.id: _role(row) for row in rows}
        return Slice(tuple(_shown(tx, [roles[each] for each in ids])), found.next)


def change(
    context: Context,
    account: str,
    name: str,
    *,
    description: str | None = None,
    max_session_seconds: int | None = None,
) -> None:
    """Write a role's description or how long its sessions may last; None leaves it as it is.

    Raises:
        NoSuchEntity: there is no such role.
        ValidationError: the description or the duration is none.
    """
    columns: dict[str, object] = {}
    if description is not None:
        words.check_description(description)
        columns["description"] = description
    if max_session_seconds is not None:
        _check_duration(max_session_seconds)
        columns["max_session_seconds"] = max_session_seconds
    _write(context, account, name, columns)


def put_trust_policy(context: Context, account: str, name: str, trust_policy: str) -> None:
    """Say anew who may be a role; sessions that there are go on.

    Raises:
        NoSuchEntity: there is no such role.
        MalformedPolicyDocument: the trust policy isn't one, or names who doesn't exist.
        QuotaExceeded: it is too large.
    """
    trust_bindings = _check_trust_policy(context, trust_policy)
    columns: dict[str, object] = {"trust_policy": trust_policy, "trust_bindings": trust_bindings}
    _write(context, account, name, columns)


def remove(context: Context, account: str, name: str) -> None:
    """Delete a role without policies; its sessions end at once.

    Raises:
        NoSuchEntity: there is no such role.
        DeleteConflict: it has policies.
    """
    with context.database.write() as tx:
        identities.remove(tx, identities.find(tx, account, Kind.ROLE, name, lock=True))


def _write(context: Context, account: str, name: str, columns: dict[str, object]) -> None:
    with context.database.write() as tx:
        role = identities.find(tx, account, Kind.ROLE, name, lock=True)
        if columns:
            tx.execute(update(_table).where(_table.c.id == role.id).values(columns))


def _check_trust_policy(context: Context, text: str) -> dict[str, str]:
    """Return to whom the ARNs belong that it names."""
    policy = documents.checked(text, Grammar.TRUST)
    if documents.size(text) > _LARGEST_TRUST_POLICY:
        raise QuotaExceeded.of("ACLSizePerRole", _LARGEST_TRUST_POLICY)
    try:
        return bindings.find(context, policy.principals())
    except NoSuchPrincipal as error:
        raise MalformedPolicyDocument(
            f'Invalid principal in policy: "AWS":"{error.named}"'
        ) from None


def _check_duration(seconds: int) -> None:
    if seconds < _SHORTEST_MAXIMUM:
        raise ValidationError.at(
            "maxSessionDuration",
            seconds,
            f"have value greater than or equal to {_SHORTEST_MAXIMUM}",
        )
    if seconds > _LONGEST_MAXIMUM:
        raise ValidationError.at(
            "maxSessionDuration", seconds, f"have value less than or equal to {_LONGEST_MAXIMUM}"
        )


def _query(account: str) -> Select[Any]:
    identity = schema.identities
    return (
        select(
            identity,
            _table.c.trust_policy,
            _table.c.trust_bindings,
            _table.c.description,
            _table.c.max_session_seconds,
        )
        .join(_table, _table.c.id == identity.c.id)
        .where(identity.c.account == account)
    )


def _shown(tx: Connection, roles: Sequence[Role]) -> list[Role]:
    texts = bindings.shown(tx, [(role.trust_policy, role.trust_bindings) for role in roles])
    return [replace(role, trust_policy=text) for role, text in zip(roles, texts, strict=True)]


def _role(row: Row[Any]) -> Role:
    return Role(
        Identity.of(row),
        row.trust_policy,
        row.description,
        row.max_session_seconds,
        row.trust_bindings or UNBOUND,
    )
