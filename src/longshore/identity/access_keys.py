"""Access keys: what requests are signed with, and whom each stands for.

Long-term keys (AKIA…) belong to a user or to the root of an account, and are stored; those of
sessions (ASIA…) come with a token that says all about them (`session_tokens`).
"""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from longshore.clock import has_come
from longshore.errors import UnrecognizedClient
from longshore.identity import identities, principals, session_tokens
from longshore.identity.errors import ExpiredSession, NoSuchEntity, QuotaExceeded
from longshore.identity.identities import Identity
from longshore.identity.kinds import Kind
from longshore.metadata import schema
from longshore.metadata.prepared import Prepared
from longshore.registry.key_uses import KeyUse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Connection, Row

    from longshore.access.sealing import Seal
    from longshore.clock import Millis
    from longshore.identity.principals import Principal
    from longshore.identity.session_tokens import Session
    from longshore.registry.context import Context

_ID_ALPHABET = string.ascii_uppercase + "234567"
_LONG_TERM = "AKIA"
_TEMPORARY = "ASIA"
_ID_LENGTH = 20
_SECRET_ALPHABET = string.ascii_letters + string.digits + "+/"
_SECRET_LENGTH = 40
_PURPOSE = "access key"
MOST = 2

# As IAM's model has it ("accessKeyIdType").
_LONGEST_ID = 128

_table = schema.access_keys
_uses = schema.access_key_uses

# An active key with whom it belongs to.
_ACTIVE = Prepared(
    select(
        _table.c.secret,
        _table.c.account.label("account_of_key"),
        _table.c.user_id,
        schema.identities,
    )
    .outerjoin(schema.identities, schema.identities.c.id == _table.c.user_id)
    .where(_table.c.id == bindparam("key"), _table.c.active.is_(True))
)

# What is told of a key.
_DESCRIBED = (
    select(
        _table.c.id,
        _table.c.active,
        _table.c.created_at,
        schema.identities.c.name.label("user"),
        _uses.c.used_at,
        _uses.c.service,
        _uses.c.region,
    )
    .outerjoin(schema.identities, schema.identities.c.id == _table.c.user_id)
    .outerjoin(_uses, _uses.c.key_id == _table.c.id)
)


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key with its secret."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Description:
    """What is told of an access key once it was made.

    Attributes:
        user: the name of the user whose it is; None where it is root's.
        active: whether requests can be signed with it.
        last_use: the last request that was signed with it; None before the first.
    """

    id: str
    user: str | None
    active: bool
    created_at: Millis
    last_use: KeyUse | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request is signed with, and whom it stands for.

    Attributes:
        key_id: the access key's.
        secret: what its signatures are made with.
        principal: who it is.
        session: where the key is a session's.
    """

    key_id: str
    secret: str = field(repr=False)
    principal: Principal
    session: Session | None = None


def generate() -> AccessKey:
    """Make a long-term key; nothing is stored."""
    return _generate(_LONG_TERM)


def generate_temporary() -> AccessKey:
    """Make the key of a session."""
    return _generate(_TEMPORARY)


def store(
    tx: Connection, seal: Seal, key: AccessKey, *, account: str, user_id: str | None, now: Millis
) -> None:
    """Store the key of a user, or of the account's root where `user_id` is None, sealed."""
    tx.execute(
        insert(_table).values(
            id=key.id,
            secret=seal.close(key.secret.encode(), bound_to=key.id.encode()),
            account=account,
            user_id=user_id,
            active=True,
            created_at=now,
        )
    )


def check_count(tx: Connection, account: str, user_id: str | None) -> None:
    """See that a user, or root where `user_id` is None, has no more keys than there may be.

    Raises:
        QuotaExceeded: there are more.
    """
    count = select(func.count()).where(*_of(account, user_id))
    if tx.execute(count).scalar_one() > MOST:
        raise QuotaExceeded.of(f"AccessKeysPer{'User' if user_id else 'Account'}", MOST)


def seal_of(context: Context) -> Seal:
    """Return the seal of the secrets."""
    return context.server_key.seal_for(_PURPOSE)


def create(context: Context, account: str, user: str | None) -> tuple[AccessKey, Description]:
    """Make a key of a user, or of root where `user` is None; nobody sees its secret again.

    Raises:
        NoSuchEntity: there is no such user.
        QuotaExceeded: there are two already.
    """
    key, now = generate(), context.clock()
    with context.database.write() as tx:
        user_id = _owner(tx, account, user)
        store(tx, seal_of(context), key, account=account, user_id=user_id, now=now)
        check_count(tx, account, user_id)
    return key, Description(key.id, user, active=True, created_at=now)


def list_all(context: Context, account: str, user: str | None) -> list[Description]:
    """Return the keys of a user, or of root where `user` is None: there are two at most.

    Raises:
        NoSuchEntity: there is no such user.
    """
    unwritten = context.key_uses.unwritten()
    with context.database.read() as tx:
        rows = tx.execute(
            _DESCRIBED.where(*_of(account, _owner(tx, account, user, lock=False))).order_by(
                _table.c.created_at, _table.c.id
            )
        )
        return [_described(row, unwritten) for row in rows]


def get(context: Context, account: str, key_id: str) -> Description:
    """Return the key of an account, whosever it is.

    Raises:
        NoSuchEntity: the account has no such key.
    """
    unwritten = context.key_uses.unwritten()
    with context.database.read() as tx:
        row = tx.execute(
            _DESCRIBED.where(_table.c.account == account, _table.c.id == key_id)
        ).one_or_none()
    if row is None:
        raise _missing(key_id)
    return _described(row, unwritten)


def account_of(context: Context, key_id: str) -> str:
    """Return the account that a long-term key belongs to, active or not.

    Raises:
        NoSuchEntity: there is no such key.
    """
    with context.database.read() as tx:
        query = select(_table.c.account).where(_table.c.id == key_id)
        account = tx.execute(query).scalar_one_or_none()
    if account is None:
        raise _missing(key_id)
    return str(account)


def set_active(
    context: Context, account: str, user: str | None, key_id: str, *, active: bool
) -> None:
    """Let a key be good for something, or for nothing.

    Raises:
        NoSuchEntity: there is no such user, or the user has no such key.
    """
    with context.database.write() as tx:
        mine = _of(account, _owner(tx, account, user))
        changed = tx.execute(
            update(_table).where(*mine, _table.c.id == key_id).values(active=active)
        )
        if changed.rowcount == 0:
            raise _missing(key_id)


def remove(context: Context, account: str, user: str | None, key_id: str) -> None:
    """Delete a key; whatever was made with it in its stead ends too.

    Raises:
        NoSuchEntity: there is no such user, or the user has no such key.
    """
    with context.database.write() as tx:
        mine = _of(account, _owner(tx, account, user))
        if tx.execute(delete(_table).where(*mine, _table.c.id == key_id)).rowcount == 0:
            raise _missing(key_id)


def find(context: Context, key_id: str, security_token: str | None = None) -> Credentials:
    """Return what a request is signed with.

    Args:
        context: the store.
        key_id: the access key's.
        security_token: what came with it (`X-Amz-Security-Token`).

    Raises:
        UnrecognizedClient: there is no such active key, or the token isn't this key's; or whom it
            stands for is gone.
        ExpiredSession: the session is over.
    """
    if len(key_id) > _LONGEST_ID:
        raise UnrecognizedClient
    # A session's token opens with the keys of its server alone, as they are now.
    question = "access key", key_id, security_token, security_token and context.server_key.ids
    found = context.memory.answer(
        question, lambda: _find(context, key_id, security_token), beside_content=True
    )
    if found.session is not None and has_come(context.clock, found.session.expires_at):
        raise ExpiredSession
    return found


def read_principal(context: Context, key_id: str, session: Session | None) -> Principal:
    """Return whom a key, or a session whose time may be over, stands for now.

    Raises:
        UnrecognizedClient: they are gone, or the key is.
    """
    if session is None:
        return _read(context, key_id)[1]
    if session.is_of_role:
        return principals.of_role_session(context, session)
    return _read(context, session.holder, session)[1]


def _find(context: Context, key_id: str, security_token: str | None) -> Credentials:
    if security_token is None:
        secret, principal = _read(context, key_id)
        return Credentials(key_id, secret, principal)
    session, secret = session_tokens.read(context, security_token, key_id)
    return Credentials(key_id, secret, read_principal(context, key_id, session), session)


def _read(context: Context, key_id: str, session: Session | None = None) -> tuple[str, Principal]:
    """Return the secret of a long-term key, and whom it stands for."""
    with context.database.read() as tx:
        row = _ACTIVE.one_or_none(tx, key=key_id)
        if row is None:
            raise UnrecognizedClient
        if row.user_id is None:
            principal = principals.of_root(row.account_of_key, session)
        else:
            principal = principals.of_identity(tx, Identity.of(row), session)
    secret = seal_of(context).open(row.secret, bound_to=key_id.encode())
    return secret.decode(), principal


def _described(row: Row[*tuple[Any, ...]], unwritten: Mapping[str, KeyUse]) -> Description:
    written = None if row.used_at is None else KeyUse(row.used_at, row.service, row.region)
    uses = [use for use in (written, unwritten.get(row.id)) if use is not None]
    return Description(row.id, row.user, row.active, row.created_at, max(uses, default=None))


def _owner(tx: Connection, account: str, user: str | None, *, lock: bool = True) -> str | None:
    return None if user is None else identities.find(tx, account, Kind.USER, user, lock=lock).id


def _of(account: str, user_id: str | None) -> tuple[ColumnElement[bool], ...]:
    # `== None` is IS NULL, and in each account there is one root.
    return _table.c.account == account, _table.c.user_id == user_id


def _missing(key_id: str) -> NoSuchEntity:
    return NoSuchEntity(f"The Access Key with id {key_id} cannot be found.")


def _generate(prefix: str) -> AccessKey:
    return AccessKey(
        id=prefix + _random(_ID_ALPHABET, _ID_LENGTH - len(prefix)),
        secret=_random(_SECRET_ALPHABET, _SECRET_LENGTH),
    )


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
