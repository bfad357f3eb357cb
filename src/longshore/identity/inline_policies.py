"""Inline policies: those that are part of one user, group or role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from longshore.identity import documents, identities, words
from longshore.identity.errors import NoSuchEntity, QuotaExceeded
from longshore.metadata import schema
from longshore.metadata.statements import upsert
from longshore.registry.slices import Slice

if TYPE_CHECKING:
    from longshore.identity.kinds import Kind
    from longshore.registry.context import Context
    from longshore.registry.slices import Position

LONGEST_NAME = 128
_table = schema.inline_policies


def put(
    context: Context, account: str, kind: Kind, name: str, policy_name: str, *, document: str
) -> None:
    """Write an inline policy, in place of any other of this name.

    Raises:
        NoSuchEntity: there is no such identity.
        MalformedPolicyDocument: the document isn't an identity policy.
        QuotaExceeded: the inline policies together would be larger than IAM allows.
        ValidationError: the policy's name is none.
    """
    words.check_name("policyName", policy_name, LONGEST_NAME)
    documents.checked(document)
    with context.database.write() as tx:
        identity = identities.find(tx, account, kind, name, lock=True)
        upsert(
            tx, _table, {"identity_id": identity.id, "name": policy_name}, {"document": document}
        )
        texts = tx.execute(
            select(_table.c.document).where(_table.c.identity_id == identity.id)
        ).scalars()
        most = kind.quotas.inline_size
        if sum(map(documents.size, texts)) > most:
            raise QuotaExceeded(
                f"Maximum policy size of {most} bytes exceeded for {kind.value} {name}"
            )


def get(context: Context, account: str, kind: Kind, name: str, policy_name: str) -> str:
    """Return the document of an inline policy, as it was written.

    Raises:
        NoSuchEntity: there is no such identity, or it has no such policy.
    """
    with context.database.read() as tx:
        identity = identities.find(tx, account, kind, name)
        document = tx.execute(
            select(_table.c.document).where(
                _table.c.identity_id == identity.id, _table.c.name == policy_name
            )
        ).scalar_one_or_none()
    if document is None:
        raise _missing(kind, policy_name)
    return str(document)


def list_all(
    context: Context,
    account: str,
    kind: Kind,
    name: str,
    *,
    after: Position | None = None,
    limit: int = 100,
) -> Slice[str]:
    """Return the names of up to `limit` inline policies.

    Raises:
        NoSuchEntity: there is no such identity.
    """
    with context.database.read() as tx:
        identity = identities.find(tx, account, kind, name)
        query = (
            select(_table.c.name)
            .where(_table.c.identity_id == identity.id)
            .order_by(_table.c.name)
            .limit(limit + 1)
        )
        if after is not None:
            query = query.where(_table.c.name > after[0])
        rows = tx.execute(query).all()
    return Slice.of(rows, limit, lambda row: (row.name,), lambda row: str(row.name))


def remove(context: Context, account: str, kind: Kind, name: str, policy_name: str) -> None:
    """Delete an inline policy.

    Raises:
        NoSuchEntity: there is no such identity, or it has no such policy.
    """
    with context.database.write() as tx:
        identity = identities.find(tx, account, kind, name, lock=True)
        gone = tx.execute(
            delete(_table).where(_table.c.identity_id == identity.id, _table.c.name == policy_name)
        ).rowcount
        if gone == 0:
            raise _missing(kind, policy_name)


def _missing(kind: Kind, policy_name: str) -> NoSuchEntity:
    return NoSuchEntity(f"The {kind.value} policy with name {policy_name} cannot be found.")
