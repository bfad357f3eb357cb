"""Which managed policies users, groups and roles have."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from longshore.identity import aws_managed_policies, identities, managed_policies
from longshore.identity.errors import NoSuchEntity, QuotaExceeded
from longshore.metadata import schema
from longshore.metadata.statements import insert_if_absent
from longshore.registry.slices import Slice

if TYPE_CHECKING:
    from longshore.identity.identities import Identity
    from longshore.identity.kinds import Kind
    from longshore.registry.context import Context
    from longshore.registry.slices import Position

_table = schema.attachments


class Usage(Enum):
    """What a managed policy is to an identity."""

    PERMISSIONS = "PermissionsPolicy"
    BOUNDARY = "PermissionsBoundary"


@dataclass(frozen=True, slots=True)
class AttachedPolicy:
    """A managed policy that an identity has."""

    arn: str

    @property
    def name(self) -> str:
        """The policy's name."""
        return self.arn.rpartition("/")[2]

    @property
    def path(self) -> str:
        """The policy's path."""
        resource = self.arn.partition(":policy")[2]
        return resource[: len(resource) - len(self.name)]


def attach(context: Context, account: str, kind: Kind, name: str, policy_arn: str) -> None:
    """Give an identity a managed policy; one that it has stays.

    Raises:
        NoSuchEntity: the identity or the policy doesn't exist.
        InvalidInput: `policy_arn` isn't the ARN of a policy.
        QuotaExceeded: the identity has as many as it may have.
    """
    with context.database.write() as tx:
        identity = identities.find(tx, account, kind, name, lock=True)
        managed_policies.require(tx, account, policy_arn)
        insert_if_absent(tx, _table, identity_id=identity.id, policy_arn=policy_arn)
        count = tx.execute(
            select(func.count()).where(_table.c.identity_id == identity.id)
        ).scalar_one()
        if count > kind.quotas.attachments:
            raise QuotaExceeded.of(f"PoliciesPer{kind.title}", kind.quotas.attachments)


def detach(context: Context, account: str, kind: Kind, name: str, policy_arn: str) -> None:
    """Take a managed policy from an identity.

    Raises:
        NoSuchEntity: there is no such identity, or it doesn't have the policy.
    """
    with context.database.write() as tx:
        identity = identities.find(tx, account, kind, name, lock=True)
        gone = tx.execute(
            delete(_table).where(
                _table.c.identity_id == identity.id, _table.c.policy_arn == policy_arn
            )
        ).rowcount
        if gone == 0:
            raise NoSuchEntity.policy(policy_arn)


def list_all(
    context: Context,
    account: str,
    kind: Kind,
    name: str,
    *,
    path_prefix: str = "/",
    after: Position | None = None,
    limit: int = 100,
) -> Slice[AttachedPolicy]:
    """Return up to `limit` of the managed policies that an identity has, by name.

    Raises:
        NoSuchEntity: there is no such identity.
    """
    with context.database.read() as tx:
        identity = identities.find(tx, account, kind, name)
        arns = tx.execute(
            select(_table.c.policy_arn).where(_table.c.identity_id == identity.id)
        ).scalars()
        # They are few: that is a quota.
        attached = sorted(map(AttachedPolicy, arns), key=_position)
    rows = [
        each
        for each in attached
        if each.path.startswith(path_prefix) and (after is None or _position(each) > after)
    ]
    return Slice.of(rows, limit, _position, lambda each: each)


def list_entities(
    context: Context,
    account: str,
    policy_arn: str,
    *,
    kind: Kind | None = None,
    usage: Usage | None = None,
    path_prefix: str = "/",
    after: Position | None = None,
    limit: int = 100,
) -> Slice[Identity]:
    """Return up to `limit` of the account's identities that have or are bounded by a policy.

    Raises:
        NoSuchEntity, InvalidInput: there is no such policy.
    """
    table = schema.identities
    attached = table.c.id.in_(select(_table.c.identity_id).where(_table.c.policy_arn == policy_arn))
    bounded = table.c.boundary == policy_arn
    conditions = {Usage.PERMISSIONS: attached, Usage.BOUNDARY: bounded, None: attached | bounded}
    query = select(table).where(
        table.c.account == account,
        func.substr(table.c.path, 1, len(path_prefix)) == path_prefix,
        conditions[usage],
    )
    if kind is not None:
        query = query.where(table.c.kind == kind.value)
    with context.database.read() as tx:
        if not aws_managed_policies.is_one(policy_arn):
            managed_policies.find(tx, account, policy_arn)
        return identities.slice_of(tx, query, after, limit)


def _position(attached: AttachedPolicy) -> Position:
    return attached.name, attached.arn
