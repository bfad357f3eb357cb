"""Access keys: what a client signs its requests with, and the principal that each stands for.

For now there is one principal, the administrator, who may do everything in every account.
"""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from longshore.metadata import schema
from longshore.registry.context import Caller

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from longshore.access.sealing import Seal
    from longshore.clock import Millis
    from longshore.registry.context import Context

_ID_ALPHABET = string.ascii_uppercase + "234567"
_ID_PREFIX = "AKIA"
_ID_LENGTH = 20
_SECRET_ALPHABET = string.ascii_letters + string.digits + "+/"
_SECRET_LENGTH = 40
_PURPOSE = "access key"


# As IAM's model has it ("accessKeyIdType").
_LONGEST_ID = 128


class _NoSuchKey(Exception):
    """There is no such key; raised, because only what is returned is kept in memory."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key with its secret."""

    id: str
    secret: str
    caller: Caller

    def __repr__(self) -> str:
        return f"AccessKey(id={self.id!r}, caller={self.caller!r})"


def generate(account: str, principal: str) -> AccessKey:
    """Make a key for the user called `principal` of an account; nothing is stored."""
    return AccessKey(
        id=_ID_PREFIX + _random(_ID_ALPHABET, _ID_LENGTH - len(_ID_PREFIX)),
        secret=_random(_SECRET_ALPHABET, _SECRET_LENGTH),
        caller=Caller(account, f"arn:aws:iam::{account}:user/{principal}"),
    )


def store(tx: Connection, seal: Seal, key: AccessKey, now: Millis) -> None:
    """Store a key; its secret is sealed."""
    tx.execute(
        insert(schema.access_keys).values(
            id=key.id,
            secret=seal.close(key.secret.encode(), bound_to=key.id.encode()),
            principal_arn=key.caller.arn,
            active=True,
            created_at=now,
        )
    )


def find(context: Context, key_id: str) -> AccessKey | None:
    """Return the active key with this id."""
    if len(key_id) > _LONGEST_ID:
        return None
    try:
        return context.memory.answer(
            ("access key", key_id), lambda: _find(context, key_id), beside_content=True
        )
    except _NoSuchKey:
        return None


def find_caller(context: Context, key_id: str) -> Caller | None:
    """Return the principal that the active key with this id stands for."""
    table = schema.access_keys
    with context.database.read() as tx:
        arn = tx.execute(
            select(table.c.principal_arn).where(table.c.id == key_id, table.c.active.is_(True))
        ).scalar_one_or_none()
    return None if arn is None else _caller(arn)


def seal_of(context: Context) -> Seal:
    """Return the seal of the secrets."""
    return context.server_key.seal_for(_PURPOSE)


def _find(context: Context, key_id: str) -> AccessKey:
    table = schema.access_keys
    with context.database.read() as tx:
        row = tx.execute(
            select(table.c.secret, table.c.principal_arn).where(
                table.c.id == key_id, table.c.active.is_(True)
            )
        ).one_or_none()
    if row is None:
        raise _NoSuchKey
    secret = context.server_key.seal_for(_PURPOSE).open(row.secret, bound_to=key_id.encode())
    return AccessKey(key_id, secret.decode(), _caller(row.principal_arn))


def _caller(arn: str) -> Caller:
    return Caller(account=arn.split(":")[4], arn=arn)


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
