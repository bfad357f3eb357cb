"""The administrator of the server: a user who may do everything in every account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, or_, select

from longshore.identity import access_keys, aws_managed_policies, identities
from longshore.identity.kinds import Kind
from longshore.metadata import schema

if TYPE_CHECKING:
    from longshore.identity.access_keys import AccessKey
    from longshore.identity.identities import Identity
    from longshore.registry.context import Context

_members = schema.group_members
_OPERATORS = select(schema.identities.c.id).where(schema.identities.c.is_operator.is_(True))
_GROUPS = select(_members.c.group_id).where(_members.c.user_id.in_(_OPERATORS))


def find_account(tx: Connection) -> str | None:
    """Return the account of the administrator, or None before there is one."""
    table = schema.identities
    query = select(table.c.account).where(table.c.is_operator.is_(True)).limit(1)
    return tx.execute(query).scalar_one_or_none()


def has_say(tx: Connection, identity: Identity) -> bool:
    """Tell whether an identity is the administrator, or a group that it is a member of."""
    if identity.kind is not Kind.GROUP:
        return identity.is_operator
    return tx.execute(_GROUPS.where(_members.c.group_id == identity.id)).first() is not None


def is_bound_by(tx: Connection, policy_arn: str) -> bool:
    """Tell whether the administrator has a managed policy, by itself or by a group, or as bound."""
    attachment, identity = schema.attachments.c, schema.identities.c
    holders = or_(attachment.identity_id.in_(_OPERATORS), attachment.identity_id.in_(_GROUPS))
    attached = select(attachment.policy_arn).where(attachment.policy_arn == policy_arn, holders)
    bounding = _OPERATORS.where(identity.boundary == policy_arn)
    return any(tx.execute(query).first() is not None for query in (attached, bounding))


def create(context: Context, tx: Connection, account: str, name: str, key: AccessKey) -> None:
    """Make the administrator of a new server, and give them a key."""
    user = identities.create(context, tx, account, Kind.USER, name, is_operator=True)
    tx.execute(
        insert(schema.attachments).values(
            identity_id=user.id, policy_arn=aws_managed_policies.ADMINISTRATOR_ACCESS
        )
    )
    seal, now = access_keys.seal_of(context), context.clock()
    access_keys.store(tx, seal, key, account=account, user_id=user.id, now=now)
