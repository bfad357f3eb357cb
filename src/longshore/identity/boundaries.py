"""Permissions boundaries: the most that a user or a role may be allowed to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.identity import identities, managed_policies

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from longshore.identity.kinds import Kind
    from longshore.registry.context import Context


def put(context: Context, account: str, kind: Kind, name: str, policy_arn: str) -> None:
    """Bound a user or a role by a managed policy, in place of any other.

    Raises:
        NoSuchEntity: the identity or the policy doesn't exist.
        InvalidInput: `policy_arn` isn't the ARN of a policy.
    """
    with context.database.write() as tx:
        identity = identities.find(tx, account, kind, name, lock=True)
        check(tx, account, policy_arn)
        identities.change(tx, identity, boundary=policy_arn)


def remove(context: Context, account: str, kind: Kind, name: str) -> None:
    """Let a user or a role be bounded by nothing.

    Raises:
        NoSuchEntity: there is no such identity.
    """
    with context.database.write() as tx:
        identity = identities.find(tx, account, kind, name, lock=True)
        identities.change(tx, identity, boundary=None)


def check(tx: Connection, account: str, policy_arn: str | None) -> None:
    """Refuse a boundary that isn't a policy of this account's or of AWS's.

    Raises:
        NoSuchEntity, InvalidInput: as `managed_policies.require`.
    """
    if policy_arn is not None:
        managed_policies.require(tx, account, policy_arn)
