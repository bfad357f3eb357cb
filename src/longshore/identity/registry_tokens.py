"""Registry tokens: the passwords that GetAuthorizationToken gives to docker and its kin.

A token names an access key or a session, and a region. It carries no rights of its own: it is good
for what the principal may do at the moment of each request, and for nothing once the key, the user
or the role is gone.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from longshore.access.sealing import BrokenSeal
from longshore.clock import SECOND, has_come, this_second
from longshore.errors import AccessDenied, ExpiredToken, UnrecognizedClient
from longshore.identity import access_keys, robot_tokens
from longshore.identity.session_tokens import Session

if TYPE_CHECKING:
    from longshore.clock import Millis
    from longshore.identity.access_keys import Credentials
    from longshore.identity.principals import Principal
    from longshore.names import Registry
    from longshore.registry.context import Context

USER_NAME = robot_tokens.ANYBODY
_PURPOSE = "registry token"
# Made once: `json.dumps` would make one for each token.
_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False)
# A session brings its policies and tags along.
_MAX_LENGTH = 16_384


@dataclass(frozen=True, slots=True)
class RegistryToken:
    """A password for the user `AWS`, and when it stops working."""

    password: str
    expires_at: Millis


@dataclass(frozen=True, slots=True)
class _Claims:
    """What a token says."""

    access_key_id: str
    session: Session | None
    region: str
    expires_at: Millis


def issue(context: Context, credentials: Credentials, region: str) -> RegistryToken:
    """Make a token for whoever has these credentials, good in one region.

    One for a session outlives it, as ECR has it, but not the role or the key behind it. It expires
    at a whole second, so that no more is told of the time than which second it is.
    """
    expires_at = this_second(context.clock) + context.retention.registry_tokens
    claims = {"key": credentials.key_id, "region": region, "expires": expires_at}
    if credentials.session is not None:
        claims["session"] = credentials.session.claims()
    seal = context.server_key.seal_for(_PURPOSE)
    sealed = seal.close(_ENCODER.encode(claims).encode())
    # The form of ECR's own passwords, for tools that look inside to learn when they expire. Nothing
    # of what is put in needs an escape.
    document = (
        b'{"payload":"%b","datakey":"%b","version":"2","type":"DATA_KEY","expiration":%d}'
    ) % (b64encode(sealed), b64encode(seal.key_id.encode()), expires_at // SECOND)
    # The password has no ":", at which `aws ecr get-login-password` splits.
    return RegistryToken(b64encode(document).decode(), expires_at)


def authenticate(
    context: Context, password: str, registry: Registry, user: str = USER_NAME
) -> Principal:
    """Return whom a password stands for, with what they may do now: a token, or a robot's.

    Raises:
        UnrecognizedClient: it isn't a token of this server, or its key, user or role is gone; or
            it isn't `user`'s.
        ExpiredToken: its time is over.
        AccessDenied: it is another region's.
    """
    if robot_tokens.is_one(password):
        return robot_tokens.authenticate(context, password, user)
    if user != USER_NAME:
        raise UnrecognizedClient
    claims, principal = context.memory.answer(
        # It opens with the keys of the server alone, as they are now.
        ("registry token", context.server_key.ids, password),
        lambda: _read(context, password),
        beside_content=True,
    )
    if has_come(context.clock, claims.expires_at):
        raise ExpiredToken
    if claims.region != registry.region:
        raise AccessDenied(
            f"The authorization token was issued for the region '{claims.region}' and this is "
            f"a registry of '{registry.region}'. Log in again with a token of that region."
        )
    return principal


def _read(context: Context, password: str) -> tuple[_Claims, Principal]:
    claims = _claims(context, password)
    return claims, access_keys.read_principal(context, claims.access_key_id, claims.session)


def _claims(context: Context, password: str) -> _Claims:
    if len(password) > _MAX_LENGTH:
        raise UnrecognizedClient
    try:
        document = json.loads(b64decode(password, validate=True))
        sealed = b64decode(document["payload"], validate=True)
        claims = json.loads(context.server_key.seal_for(_PURPOSE).open(sealed))
        session = Session.of(claims["session"]) if "session" in claims else None
        return _Claims(claims["key"], session, claims["region"], claims["expires"])
    except (BrokenSeal, KeyError, TypeError, RecursionError, ValueError):
        raise UnrecognizedClient from None
