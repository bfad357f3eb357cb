"""Robot tokens: passwords for the registry face that last as long as they are let.

A robot token belongs to a user and may be used for what the user may do, and only within its scope:
a policy document that counts as a session policy does. The database knows a digest of its secret,
so that no key is needed to check it, and nobody can read it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import string
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, insert, select

from longshore.access.policy.compiled import compiled
from longshore.access.policy.documents import Grammar
from longshore.access.policy.evaluation import Source
from longshore.clock import has_come
from longshore.errors import ExpiredToken, UnrecognizedClient
from longshore.identity import documents, identities, principals, words
from longshore.identity.errors import InvalidInput, NoSuchEntity, QuotaExceeded
from longshore.identity.identities import Identity
from longshore.identity.kinds import Kind, new_id
from longshore.metadata import schema
from longshore.metadata.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Row

    from longshore.clock import Millis
    from longshore.identity.principals import Principal
    from longshore.registry.context import Context

# The user name that every password works with.
ANYBODY = "AWS"

# By these letters people, and those who search for secrets in code, know what they see.
_PREFIX = "lsr_"
_ID_PREFIX = "LSRT"
_SECRET_LENGTH = 43
_SECRET_ALPHABET = string.ascii_letters + string.digits
_PASSWORD = re.compile(rf"{_PREFIX}({_ID_PREFIX}[A-Z2-7]{{17}})_([A-Za-z0-9]{{{_SECRET_LENGTH}}})")
_MOST_OF_USER = 100
_LARGEST_SCOPE = 6_144
_REPOSITORIES = re.compile(r"[a-z0-9._/*?-]{1,256}")

_PULL = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "ecr:ListImageReferrers",
    "ecr:ListImages",
)
_PUSH = (
    *_PULL,
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)

_table = schema.registry_credentials
_FIND = Prepared(
    select(_table.c.digest, _table.c.scope, _table.c.expires_at, schema.identities)
    .join(schema.identities, schema.identities.c.id == _table.c.user_id)
    .where(_table.c.id == bindparam("token"))
)


@dataclass(frozen=True, slots=True)
class RobotToken:
    """A robot token, without its password.

    Attributes:
        user: the name of the user whose it is.
        scope: the policy document that bounds what it is good for.
        expires_at: when it stops working; None for never.
    """

    id: str
    user: str
    description: str
    scope: str
    created_at: Millis
    expires_at: Millis | None


@dataclass(frozen=True, slots=True)
class _Known:
    """What a request with a robot token is decided on."""

    digest: bytes = field(repr=False)
    principal: Principal
    expires_at: Millis | None


class _NoSuchToken(Exception):
    """There is no such token; raised, because only what is returned is kept in memory."""


def scope_of(account: str, pull: Iterable[str] = (), push: Iterable[str] = ()) -> str:
    """Return the scope of a token that may pull from, or push to and pull from, repositories.

    Args:
        account: whose repositories.
        pull: names of repositories, with `*` and `?` as in policies.
        push: likewise.

    Raises:
        InvalidInput: one of them can't be the name of a repository.
    """
    granted = ((_PULL, list(pull)), (_PUSH, list(push)))
    statements = [
        {
            "Effect": "Allow",
            "Action": list(actions),
            "Resource": [_resource(account, pattern) for pattern in patterns],
        }
        for actions, patterns in granted
        if patterns
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def create(
    context: Context,
    account: str,
    user: str,
    scope: str,
    *,
    description: str = "",
    lifetime: Millis | None = None,
) -> tuple[RobotToken, str]:
    """Make a token of a user's; return it, and its password, which nobody sees again.

    Args:
        context: the store.
        account: the user's.
        user: the user's name.
        scope: a policy document, such as `scope_of` returns.
        description: what it is for.
        lifetime: how long it lasts; None for ever.

    Raises:
        NoSuchEntity: there is no such user.
        MalformedPolicyDocument: the scope isn't an identity policy.
        InvalidInput: its time is over before it begins.
        QuotaExceeded: the scope is too large, or the user has as many tokens as there may be.
        ValidationError: the description is none.
    """
    words.check_description(description)
    documents.checked(scope)
    if documents.size(scope) > _LARGEST_SCOPE:
        raise QuotaExceeded.of("PolicySize", _LARGEST_SCOPE)
    if lifetime is not None and lifetime <= 0:
        raise InvalidInput("A token has to expire later than now.")
    now = context.clock()
    expires_at = None if lifetime is None else now + lifetime
    token = RobotToken(new_id(_ID_PREFIX), user, description, scope, now, expires_at)
    secret = "".join(secrets.choice(_SECRET_ALPHABET) for _ in range(_SECRET_LENGTH))
    with context.database.write() as tx:
        owner = identities.find(tx, account, Kind.USER, user, lock=True)
        tx.execute(
            insert(_table).values(
                id=token.id,
                user_id=owner.id,
                description=description,
                digest=_digest(secret),
                scope=scope,
                created_at=now,
                expires_at=expires_at,
            )
        )
        count = select(func.count()).where(_table.c.user_id == owner.id)
        if tx.execute(count).scalar_one() > _MOST_OF_USER:
            raise QuotaExceeded.of("RobotTokensPerUser", _MOST_OF_USER)
    return token, f"{_PREFIX}{token.id}_{secret}"


def list_all(context: Context, account: str, user: str | None = None) -> list[RobotToken]:
    """Return the tokens of an account, or of one user in it, the oldest first.

    Raises:
        NoSuchEntity: there is no such user.
    """
    owner = schema.identities
    query = (
        select(_table, owner.c.name)
        .join(owner, owner.c.id == _table.c.user_id)
        .where(owner.c.account == account)
        .order_by(_table.c.created_at, _table.c.id)
    )
    with context.database.read() as tx:
        if user is not None:
            identity = identities.find(tx, account, Kind.USER, user)
            query = query.where(_table.c.user_id == identity.id)
        return [_token(row) for row in tx.execute(query)]


def revoke(context: Context, account: str, token_id: str) -> None:
    """Delete a token: it is good for nothing from the next request on.

    Raises:
        NoSuchEntity: the account has none with this id.
    """
    users = select(schema.identities.c.id).where(schema.identities.c.account == account)
    with context.database.write() as tx:
        gone = tx.execute(
            delete(_table).where(_table.c.id == token_id, _table.c.user_id.in_(users))
        ).rowcount
        if gone == 0:
            raise NoSuchEntity(f"The robot token with id {token_id} cannot be found.")


def is_one(password: str) -> bool:
    """Tell whether a password looks like a robot token's."""
    return password.startswith(_PREFIX)


def authenticate(context: Context, password: str, user: str) -> Principal:
    """Return whom a robot token stands for, with what it may do now.

    Args:
        context: the store.
        password: what came as the password.
        user: the user name that came with it: `AWS`, or that of the token's user.

    Raises:
        UnrecognizedClient: there is no such token, or it isn't this user's.
        ExpiredToken: its time is over.
    """
    match = _PASSWORD.fullmatch(password)
    if match is None:
        raise UnrecognizedClient
    token_id, secret = match.groups()
    try:
        known = context.memory.answer(
            ("robot token", token_id), lambda: _find(context, token_id), beside_content=True
        )
    except _NoSuchToken:
        raise UnrecognizedClient from None
    is_right = hmac.compare_digest(known.digest, _digest(secret))
    names = {ANYBODY, known.principal.name}
    if not is_right or user not in names:
        raise UnrecognizedClient
    if known.expires_at is not None and has_come(context.clock, known.expires_at):
        raise ExpiredToken
    return known.principal


def _find(context: Context, token_id: str) -> _Known:
    with context.database.read() as tx:
        row = _FIND.one_or_none(tx, token=token_id)
        if row is None:
            raise _NoSuchToken
        principal = principals.of_identity(tx, Identity.of(row))
    scope = Source(
        f"the scope of the robot token {token_id}", compiled(row.scope, Grammar.IDENTITY)
    )
    narrowed = replace(principal.policies, session=(scope,))
    principal = replace(principal, policies=narrowed, credential_id=token_id)
    return _Known(row.digest, principal, row.expires_at)


def _token(row: Row[Any]) -> RobotToken:
    return RobotToken(row.id, row.name, row.description, row.scope, row.created_at, row.expires_at)


def _resource(account: str, pattern: str) -> str:
    if _REPOSITORIES.fullmatch(pattern) is None:
        raise InvalidInput(
            f"{pattern!r} can't be the name of a repository. Write one such as team/app, with * "
            "for any text, as in team/*."
        )
    return f"arn:*:ecr:*:{account}:repository/{pattern}"


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
