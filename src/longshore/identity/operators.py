"""The administrator of the server: a user who may do everything in every account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, select

from longshore.errors import AccessDenied
from longshore.identity import access_keys, aws_managed_policies, identities
from longshore.identity.kinds import Kind
from longshore.metadata import schema

if TYPE_CHECKING:
    from longshore.identity.access_keys import AccessKey
    from longshore.identity.identities import Identity
    from longshore.identity.principals import Principal
    from longshore.registry.context import Context


def find_account(tx: Connection) -> str | None:
    """Return the account of the administrator, or None before there is one."""
    table = schema.identities
    query = select(table.c.account).where(table.c.is_operator.is_(True)).limit(1)
    return tx.execute(query).scalar_one_or_none()


def protect(principal: Principal, identity: Identity, action: str) -> None:
    """Keep everybody else from changing the administrator, whose rights are more than an account's.

    Args:
        principal: who asks.
        identity: whom it is done to.
        action: the IAM action.

    Raises:
        AccessDenied: it is done to the administrator, by somebody else, and doesn't only read.
    """
    only_reads = action.startswith(("iam:Get", "iam:List", "iam:Simulate"))
    if identity.is_operator and not principal.subject.is_operator and not only_reads:
        raise AccessDenied(
            f"User: {principal.subject.arn} is not authorized to perform: {action} on resource: "
            f"{identity.arn} because nobody but the administrator of the server may change it"
        )


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
