"""Registry tokens: the passwords that GetAuthorizationToken gives to docker and its kin.

A token names an access key and a region and carries no rights of its own: it is good for what the
key's principal may do at the moment of each request, and for nothing once the key is gone.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from longshore.access.sealing import BrokenSeal
from longshore.clock import SECOND
from longshore.errors import AccessDenied, ExpiredToken, UnrecognizedClient
from longshore.registry import access_keys

if TYPE_CHECKING:
    from longshore.clock import Millis
    from longshore.names import Registry
    from longshore.registry.context import Caller, Context

USER_NAME = "AWS"
_PURPOSE = "registry token"
_MAX_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class RegistryToken:
    """A password for the user `AWS`, and when it stops working."""

    password: str
    expires_at: Millis


@dataclass(frozen=True, slots=True)
class _Claims:
    """What a token says."""

    access_key_id: str
    region: str
    expires_at: Millis


def issue(context: Context, access_key_id: str, region: str) -> RegistryToken:
    """Make a token for the holder of an access key, good in one region."""
    expires_at = context.clock() + context.retention.registry_tokens
    claims = json.dumps({"key": access_key_id, "region": region, "expires": expires_at})
    sealed = context.server_key.seal_for(_PURPOSE).close(claims.encode())
    # The form of ECR's own passwords, for tools that look inside to learn when they expire.
    document = {
        "payload": base64.b64encode(sealed).decode(),
        "datakey": base64.b64encode(context.server_key.id.encode()).decode(),
        "version": "2",
        "type": "DATA_KEY",
        "expiration": expires_at // SECOND,
    }
    # The password has no ":", at which `aws ecr get-login-password` splits.
    return RegistryToken(base64.b64encode(json.dumps(document).encode()).decode(), expires_at)


def authenticate(context: Context, password: str, registry: Registry) -> Caller:
    """Return whom a token stands for.

    Raises:
        UnrecognizedClient: it isn't a token of this server, or its key is gone.
        ExpiredToken: its time is over.
        AccessDenied: it is another region's.
    """
    claims, caller = context.memory.answer(
        ("registry token", password), lambda: _read(context, password), beside_content=True
    )
    if context.clock() >= claims.expires_at:
        raise ExpiredToken
    if caller is None:
        raise UnrecognizedClient
    if claims.region != registry.region:
        raise AccessDenied(
            f"The authorization token was issued for the region '{claims.region}' and this is "
            f"a registry of '{registry.region}'. Log in again with a token of that region."
        )
    return caller


def _read(context: Context, password: str) -> tuple[_Claims, Caller | None]:
    claims = _claims(context, password)
    return claims, access_keys.find_caller(context, claims.access_key_id)


def _claims(context: Context, password: str) -> _Claims:
    if len(password) > _MAX_LENGTH:
        raise UnrecognizedClient
    try:
        document = json.loads(base64.b64decode(password, validate=True))
        sealed = base64.b64decode(document["payload"], validate=True)
        claims = json.loads(context.server_key.seal_for(_PURPOSE).open(sealed))
        return _Claims(claims["key"], claims["region"], claims["expires"])
    except (BrokenSeal, KeyError, TypeError, RecursionError, ValueError):
        raise UnrecognizedClient from None
