"""Deleting a user, a group or a role together with everything that is theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete

from longshore.identity import identities
from longshore.metadata import schema

if TYPE_CHECKING:
    from longshore.identity.kinds import Kind
    from longshore.registry.context import Context

_THEIRS = (
    schema.access_keys.c.user_id,
    schema.attachments.c.identity_id,
    schema.group_members.c.group_id,
    schema.group_members.c.user_id,
    schema.inline_policies.c.identity_id,
    schema.registry_credentials.c.user_id,
)


def remove_whole(context: Context, account: str, kind: Kind, name: str) -> None:
    """Delete an identity with its policies, memberships, keys and robot tokens.

    Raises:
        NoSuchEntity: there is none.
        UnmodifiableEntity: it is the administrator of the server.
    """
    with context.database.write() as tx:
        identity = identities.find(tx, account, kind, name, lock=True)
        for column in _THEIRS:
            tx.execute(delete(column.table).where(column == identity.id))
        identities.remove(tx, identity)
