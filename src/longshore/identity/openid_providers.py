"""OpenID Connect providers: those whose tokens an account lets roles be assumed with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from longshore.access.openid import tokens
from longshore.access.openid.key_sets import KeySet, MalformedKeySet
from longshore.access.openid.tokens import Provider
from longshore.errors import InvalidIdentityToken
from longshore.identity import words
from longshore.identity.errors import (
    EntityAlreadyExists,
    InvalidInput,
    NoSuchEntity,
    QuotaExceeded,
    ValidationError,
)
from longshore.identity.sessions import WebIdentity
from longshore.metadata import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy import Row

    from longshore.access.openid.tokens import Claims
    from longshore.clock import Millis
    from longshore.registry.context import Context

_SCHEME = "https://"
_URL = re.compile(
    r"https://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~%/-]*)?"
)
_ARN = re.compile(r"arn:aws:iam::(?P<account>[0-9]{12}):oidc-provider/(?P<url>.+)")
_THUMBPRINT = re.compile(r"[0-9A-Fa-f]{40}")
_LONGEST_URL = 255
_LONGEST_CLIENT_ID = 255
_MOST_CLIENT_IDS = 100
_MOST_THUMBPRINTS = 5
_MOST_IN_ACCOUNT = 100

_table = schema.openid_providers


@dataclass(frozen=True, slots=True)
class OpenIdProvider:
    """A provider.

    Attributes:
        url: its issuer's, without `https://`, as the ARN has it.
        client_ids: whom its tokens may be made for.
        thumbprints: kept for those who ask; its keys are what counts.
        key_set: its keys (RFC 7517); None where they are fetched from it.
    """

    account: str
    url: str
    client_ids: tuple[str, ...]
    thumbprints: tuple[str, ...]
    key_set: str | None
    tags: Mapping[str, str]
    created_at: Millis

    @property
    def arn(self) -> str:
        """The provider's ARN."""
        return f"arn:aws:iam::{self.account}:oidc-provider/{self.url}"

    @property
    def issuer(self) -> str:
        """What its tokens have as `iss`."""
        return _SCHEME + self.url


def create(
    context: Context,
    account: str,
    issuer: str,
    client_ids: Iterable[str] = (),
    *,
    thumbprints: Iterable[str] = (),
    key_set: str | None = None,
    tags: Iterable[tuple[str, str]] = (),
) -> OpenIdProvider:
    """Make a provider known.

    Args:
        context: the store.
        account: whose roles its tokens may be for.
        issuer: its URL, as its tokens have it as `iss`.
        client_ids: whom its tokens may be made for (`aud`).
        thumbprints: SHA-1 of certificates, as IAM has them.
        key_set: its keys, where the server can't or shall not fetch them.
        tags: its tags.

    Raises:
        EntityAlreadyExists: the account knows it.
        ValidationError, InvalidInput, QuotaExceeded: something of it is none, or too much.
    """
    if len(issuer) > _LONGEST_URL or _URL.fullmatch(issuer) is None:
        raise ValidationError(
            "Invalid Open ID Connect Provider URL: write that of the issuer, such as "
            "https://ci.example, without a query"
        )
    row = {
        "account": account,
        "url": issuer.removeprefix(_SCHEME),
        "client_ids": _checked_client_ids(client_ids),
        "thumbprints": _checked_thumbprints(thumbprints),
        "jwks": _checked_key_set(key_set),
        "tags": words.tagged({}, tags),
        "created_at": context.clock(),
    }
    try:
        with context.database.write() as tx:
            made = tx.execute(insert(_table).values(row).returning(_table)).one()
            count = select(func.count()).where(_table.c.account == account)
            if tx.execute(count).scalar_one() > _MOST_IN_ACCOUNT:
                raise QuotaExceeded.of("OpenIdConnectProvidersPerAccount", _MOST_IN_ACCOUNT)
            return _provider(made)
    except IntegrityError:
        raise EntityAlreadyExists(f"Provider with url {issuer} already exists.") from None


def get(context: Context, account: str, arn: str) -> OpenIdProvider:
    """Return the provider with this ARN.

    Raises:
        NoSuchEntity: the account has none.
    """
    query = select(_table).where(_table.c.account == account, _table.c.url == _url_of(account, arn))
    with context.database.read() as tx:
        row = tx.execute(query).one_or_none()
    if row is None:
        raise _missing(arn)
    return _provider(row)


def list_all(context: Context, account: str) -> list[OpenIdProvider]:
    """Return the providers of an account: there are a hundred at most."""
    query = select(_table).where(_table.c.account == account).order_by(_table.c.url)
    with context.database.read() as tx:
        return [_provider(row) for row in tx.execute(query)]


def change(
    context: Context,
    account: str,
    arn: str,
    *,
    client_ids: Iterable[str] | None = None,
    thumbprints: Iterable[str] | None = None,
    tags: Iterable[tuple[str, str]] | None = None,
) -> None:
    """Replace what of a provider is given; None leaves it as it is.

    Raises:
        NoSuchEntity: the account has no such provider.
        ValidationError, InvalidInput, QuotaExceeded: something of it is none, or too much.
    """
    columns: dict[str, object] = {}
    if client_ids is not None:
        columns["client_ids"] = _checked_client_ids(client_ids)
    if thumbprints is not None:
        columns["thumbprints"] = _checked_thumbprints(thumbprints)
    if tags is not None:
        columns["tags"] = words.tagged({}, tags)
    _write(context, account, arn, columns)


def add_client_id(context: Context, account: str, arn: str, client_id: str) -> None:
    """Let tokens of a provider be made for one more client; one that is known stays.

    Raises:
        NoSuchEntity: the account has no such provider.
        ValidationError, QuotaExceeded: the client's id is none, or there are too many.
    """
    _rewrite(
        context,
        account,
        arn,
        lambda known: {"client_ids": _checked_client_ids((*known.client_ids, client_id))},
    )


def remove_client_id(context: Context, account: str, arn: str, client_id: str) -> None:
    """Let tokens of a provider no longer be made for a client, if they could be.

    Raises:
        NoSuchEntity: the account has no such provider.
    """

    def others(known: OpenIdProvider) -> dict[str, object]:
        return {"client_ids": [each for each in known.client_ids if each != client_id]}

    _rewrite(context, account, arn, others)


def tag(context: Context, account: str, arn: str, tags: Iterable[tuple[str, str]]) -> None:
    """Set tags of a provider; those with other keys stay.

    Raises:
        NoSuchEntity: the account has no such provider.
        InvalidInput, QuotaExceeded: as `words.tagged`.
    """
    new = tuple(tags)
    _rewrite(context, account, arn, lambda known: {"tags": words.tagged(known.tags, new)})


def untag(context: Context, account: str, arn: str, keys: Iterable[str]) -> None:
    """Remove the tags with these keys from a provider, where they exist.

    Raises:
        NoSuchEntity: the account has no such provider.
    """
    gone = tuple(keys)
    _rewrite(context, account, arn, lambda known: {"tags": words.untagged(known.tags, gone)})


def put_key_set(context: Context, account: str, arn: str, key_set: str | None) -> None:
    """Store the keys of a provider, or have them fetched from it where `key_set` is None.

    Raises:
        NoSuchEntity: the account has no such provider.
        InvalidInput: it is no key set.
    """
    _write(context, account, arn, {"jwks": _checked_key_set(key_set)})


def remove(context: Context, account: str, arn: str) -> None:
    """Forget a provider; sessions that its tokens were exchanged for go on until they end.

    Raises:
        NoSuchEntity: the account has no such provider.
    """
    with context.database.write() as tx:
        gone = tx.execute(
            delete(_table).where(_table.c.account == account, _table.c.url == _url_of(account, arn))
        ).rowcount
        if gone == 0:
            raise _missing(arn)


def verify(context: Context, account: str, token: str) -> tuple[WebIdentity, Claims]:
    """Return whom a token of one of the account's providers stands for, and what it says.

    Raises:
        InvalidIdentityToken: it isn't such a token.
        ExpiredIdentityToken: its time is over.
        ProviderUnreachable: the provider's keys can't be had.
    """
    issuer = tokens.issuer_of(token)
    query = select(_table).where(
        _table.c.account == account, _table.c.url == issuer.removeprefix(_SCHEME)
    )
    with context.database.read() as tx:
        row = tx.execute(query).one_or_none()
    known = None if row is None else _provider(row)
    if known is None or known.issuer != issuer:
        raise InvalidIdentityToken(
            f"No OpenIDConnect provider found in your account for {issuer[:_LONGEST_URL]}"
        )
    provider = Provider(issuer, frozenset(known.client_ids), known.key_set)
    claims = tokens.verify(token, provider, context.openid_keys, context.clock())
    return WebIdentity(known.arn, claims.condition_values()), claims


def _write(context: Context, account: str, arn: str, columns: dict[str, object]) -> None:
    _rewrite(context, account, arn, lambda _: columns)


def _rewrite(
    context: Context,
    account: str,
    arn: str,
    columns_of: Callable[[OpenIdProvider], dict[str, object]],
) -> None:
    mine = _table.c.account == account, _table.c.url == _url_of(account, arn)
    with context.database.write() as tx:
        row = tx.execute(select(_table).where(*mine).with_for_update()).one_or_none()
        if row is None:
            raise _missing(arn)
        if columns := columns_of(_provider(row)):
            tx.execute(update(_table).where(*mine).values(columns))


def _url_of(account: str, arn: str) -> str:
    match = _ARN.fullmatch(arn)
    if match is None:
        raise InvalidInput(f"ARN {arn} is not valid.")
    if match["account"] != account:
        raise _missing(arn)
    return match["url"]


def _checked_client_ids(client_ids: Iterable[str]) -> list[str]:
    listed = list(dict.fromkeys(client_ids))
    if len(listed) > _MOST_CLIENT_IDS:
        raise QuotaExceeded.of("ClientIdsPerOpenIdConnectProvider", _MOST_CLIENT_IDS)
    for each in listed:
        if not 1 <= len(each) <= _LONGEST_CLIENT_ID or "\0" in each:
            raise ValidationError.at(
                "clientIDList", each, f"have length between 1 and {_LONGEST_CLIENT_ID}"
            )
    return listed


def _checked_thumbprints(thumbprints: Iterable[str]) -> list[str]:
    listed = list(dict.fromkeys(thumbprints))
    if len(listed) > _MOST_THUMBPRINTS:
        raise InvalidInput(f"There can be {_MOST_THUMBPRINTS} thumbprints at most.")
    for each in listed:
        if _THUMBPRINT.fullmatch(each) is None:
            raise ValidationError.at("thumbprintList", each, "have 40 hexadecimal digits")
    return listed


def _checked_key_set(key_set: str | None) -> str | None:
    if key_set is None:
        return None
    try:
        KeySet.parse(key_set)
    except MalformedKeySet as error:
        raise InvalidInput(f"The keys of the provider can't be used: {error}.") from None
    return key_set


def _missing(arn: str) -> NoSuchEntity:
    return NoSuchEntity(f"OpenIDConnect Provider not found for arn {arn}")


def _provider(row: Row[Any]) -> OpenIdProvider:
    return OpenIdProvider(
        row.account,
        row.url,
        tuple(row.client_ids),
        tuple(row.thumbprints),
        row.jwks,
        row.tags,
        row.created_at,
    )
