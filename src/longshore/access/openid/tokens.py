"""ID tokens (OpenID Connect Core 1.0, section 2): verified, and read.

A token is believed because a key of its provider's verifies its signature. Which provider, which
key and which algorithm are never up to the token: it can only choose among those that are known.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jwt import PyJWS
from jwt.exceptions import InvalidTokenError

from longshore.access.openid.key_sets import ALGORITHMS, KeySet, MalformedKeySet
from longshore.clock import MINUTE, SECOND
from longshore.errors import ExpiredIdentityToken, InvalidIdentityToken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.access.openid.key_sets import Key
    from longshore.access.openid.keys import Keys
    from longshore.clock import Millis

# As STS's model has it ("clientTokenType").
LONGEST_TOKEN = 20_000
# How far two clocks may be apart.
LEEWAY: Millis = 1 * MINUTE

_LONGEST_SUBJECT = 255
_LONGEST_KEY_ID = 1024
_SCHEME = "https://"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_./-]+")
# A key that comes with the token proves nothing, and what is critical must be understood
# (RFC 7515, 4.1).
_REFUSED_HEADERS = ("jwk", "jku", "x5c", "x5u", "crit", "b64", "enc", "zip")

_NOT_A_JWT = (
    "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
)


@dataclass(frozen=True, slots=True)
class Provider:
    """An identity provider that an account trusts.

    Attributes:
        issuer: its URL, as the claim `iss` has it.
        client_ids: whom its tokens may be made for (`aud`).
        key_set: its keys, a JSON Web Key Set; None where they are to be fetched from it.
    """

    issuer: str
    client_ids: frozenset[str]
    key_set: str | None = None


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says.

    Attributes:
        issuer: the provider's URL.
        subject: whom it is about (`sub`), unique within the provider.
        audiences: whom it was made for (`aud`).
        authorized_party: to whom it was given (`azp`), if that is said.
        issued_at: when it was made.
        expires_at: when it ends, without leeway.
        values: all claims, as they stand in the token.
    """

    issuer: str
    subject: str
    audiences: tuple[str, ...]
    authorized_party: str | None
    issued_at: Millis
    expires_at: Millis
    values: Mapping[str, Any]

    @property
    def client_id(self) -> str:
        """Whom the token is for, in the sense of IAM: `azp` counts before `aud`."""
        return self.authorized_party or self.audiences[0]

    def condition_values(self) -> dict[str, tuple[str, ...]]:
        """Return the condition keys of a trust policy: `<provider>:<claim>`, in lower case.

        `aud` is the client id and `oaud` what the token has as `aud`, as with IAM ("Available keys
        for AWS OIDC federation"). Beyond IAM, every claim that is a scalar or a list of strings
        has its key, if its name is plain.
        """
        provider = self.issuer.removeprefix(_SCHEME)
        # Capitals sort first: the name in lower case counts where a token has both.
        claims = {
            name.lower(): texts
            for name, value in sorted(self.values.items())
            if _PLAIN_NAME.fullmatch(name) and (texts := _texts(value))
        }
        claims |= {"aud": (self.client_id,), "oaud": self.audiences, "sub": (self.subject,)}
        return {f"{provider}:{name}".lower(): texts for name, texts in claims.items()}


def issuer_of(token: str) -> str:
    """Return the issuer that a token claims to be from, to look for its provider: unverified.

    Raises:
        InvalidIdentityToken: the token can't be read.
    """
    return _text_claim(_unverified(token), "iss")


def verify(token: str, provider: Provider, keys: Keys, now: Millis) -> Claims:
    """Return what a token says, if the provider says it, to one of its clients and now.

    Args:
        token: a JSON Web Token, compact (RFC 7515, 7.1).
        provider: whom to believe.
        keys: where its keys come from if none are stored with it.
        now: the time.

    Raises:
        InvalidIdentityToken: it isn't such a token.
        ExpiredIdentityToken: its time is over.
        ProviderUnreachable: the provider's keys can't be had.
    """
    if issuer_of(token) != provider.issuer:
        raise InvalidIdentityToken(f"The token isn't from the provider {provider.issuer}.")
    header = _header(token)
    key_id, algorithm = header.get("kid"), header["alg"]
    stored = None if provider.key_set is None else _stored(provider.key_set)
    candidates = (
        keys.find(provider.issuer, key_id, algorithm)
        if stored is None
        else stored.find(key_id, algorithm)
    )
    claims = _verified(token, candidates, algorithm)
    read = _read(claims)
    _check_times(read, claims, now)
    _check_audience(read, provider)
    return read


def _header(token: str) -> dict[str, Any]:
    header = _part(token, 0)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise InvalidIdentityToken(
            f"The token must be signed with one of {', '.join(sorted(ALGORITHMS))}."
        )
    for name in _REFUSED_HEADERS:
        if name in header:
            raise InvalidIdentityToken(f"The token's header must not have the member '{name}'.")
    key_id = header.get("kid")
    if key_id is not None and (not isinstance(key_id, str) or len(key_id) > _LONGEST_KEY_ID):
        raise InvalidIdentityToken("The member 'kid' of the token's header must be a short text.")
    return header


def _unverified(token: str) -> dict[str, Any]:
    return _part(token, 1)


def _part(token: str, position: int) -> dict[str, Any]:
    """Read the header or the claims of a token strictly."""
    parts = token.split(".") if len(token) <= LONGEST_TOKEN else []
    if len(parts) != 3:
        raise InvalidIdentityToken(_NOT_A_JWT)
    part = parts[position]
    try:
        content = base64.b64decode(
            part.encode("ascii") + b"=" * (-len(part) % 4), altchars=b"-_", validate=True
        )
        read = json.loads(content, object_pairs_hook=_without_repetition)
    except (binascii.Error, ValueError, RecursionError):
        raise InvalidIdentityToken(_NOT_A_JWT) from None
    if not isinstance(read, dict):
        raise InvalidIdentityToken(_NOT_A_JWT)
    return read


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is there twice")
    return members


def _stored(key_set: str) -> KeySet:
    try:
        return KeySet.parse(key_set)
    except MalformedKeySet as error:
        raise InvalidIdentityToken(
            f"The keys that are stored for the token's provider can't be used: {error}."
        ) from None


def _verified(token: str, candidates: tuple[Key, ...], algorithm: str) -> dict[str, Any]:
    """Return the claims of a token that one of these keys verifies."""
    jws = PyJWS(algorithms=[algorithm])
    for key in candidates:
        try:
            jws.decode_complete(token, key.public, algorithms=[algorithm])
        except (InvalidTokenError, ValueError):
            continue
        return _unverified(token)
    raise InvalidIdentityToken(
        "The token's signature can't be verified with any key of its provider."
        if candidates
        else "The token's provider has no key such as the token is signed with."
    )


def _read(claims: dict[str, Any]) -> Claims:
    audiences = claims.get("aud")
    if isinstance(audiences, str):
        audiences = [audiences]
    if not isinstance(audiences, list) or not audiences or not all(map(_is_text, audiences)):
        raise _missing("aud")
    subject = _text_claim(claims, "sub")
    if len(subject) > _LONGEST_SUBJECT:
        raise InvalidIdentityToken(f"The claim 'sub' has more than {_LONGEST_SUBJECT} characters.")
    return Claims(
        issuer=_text_claim(claims, "iss"),
        subject=subject,
        audiences=tuple(audiences),
        authorized_party=_text_claim(claims, "azp") if "azp" in claims else None,
        issued_at=_time_claim(claims, "iat"),
        expires_at=_time_claim(claims, "exp"),
        values=claims,
    )


def _check_times(read: Claims, claims: dict[str, Any], now: Millis) -> None:
    if now >= read.expires_at + LEEWAY:
        raise ExpiredIdentityToken(now // SECOND, read.expires_at // SECOND)
    starts = [read.issued_at, *([_time_claim(claims, "nbf")] if "nbf" in claims else [])]
    if max(starts) > now + LEEWAY:
        raise InvalidIdentityToken(
            "The token isn't valid yet. Compare the clocks of its provider and of this server."
        )


def _check_audience(read: Claims, provider: Provider) -> None:
    is_known = not provider.client_ids.isdisjoint(read.audiences)
    party = read.authorized_party
    # One that was made for many says to whom it was given (OpenID Connect Core, 3.1.3.7).
    is_given_well = len(read.audiences) == 1 if party is None else party in provider.client_ids
    if not is_known or not is_given_well:
        raise InvalidIdentityToken("Incorrect token audience")


def _text_claim(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise _missing(name)
    return value


def _time_claim(claims: dict[str, Any], name: str) -> Millis:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _missing(name)
    if not math.isfinite(value) or abs(value) >= 2**40:
        raise InvalidIdentityToken(f"The claim '{name}' is no time.")
    return round(value * SECOND)


def _missing(name: str) -> InvalidIdentityToken:
    return InvalidIdentityToken(f"Missing a required claim: {name}")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _texts(value: object) -> tuple[str, ...]:
    """Return a claim as condition values, or nothing if it can't be one."""
    match value:
        case bool():
            return ("true" if value else "false",)
        case str() | int() | float():
            return (str(value),)
        case list() if all(isinstance(each, str) for each in value):
            return tuple(value)
        case _:
            return ()
