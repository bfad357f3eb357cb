from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from longshore.access.openid.key_sets import KeySet
from longshore.clock import HOUR, SECOND
from longshore.errors import ExpiredIdentityToken, InvalidIdentityToken, ProviderUnreachable
from longshore.identity import openid_providers
from longshore.identity.errors import (
    EntityAlreadyExists,
    InvalidInput,
    NoSuchEntity,
    QuotaExceeded,
    ValidationError,
)
from tests.support.identities import ACCOUNT
from tests.support.identity_provider import SigningKey, key_set

if TYPE_CHECKING:
    from longshore.access.openid.key_sets import Key
    from longshore.registry.context import Context
    from tests.support.clock import FakeClock

ISSUER = "https://ci.example/auth"
ARN = f"arn:aws:iam::{ACCOUNT}:oidc-provider/ci.example/auth"
OTHER = "999999999999"


@pytest.fixture(scope="module")
def signing() -> SigningKey:
    return SigningKey.make("k", "ES256")


def token(key: SigningKey, clock: FakeClock, **changes: Any) -> str:
    now = clock.now // SECOND
    claims = {"iss": ISSUER, "sub": "job", "aud": "registry", "iat": now, "exp": now + 600}
    return key.sign(claims | changes)


def test_a_provider_is_made_found_changed_and_removed(context: Context) -> None:
    made = openid_providers.create(
        context, ACCOUNT, ISSUER, ["b", "a", "b"], thumbprints=["a" * 40], tags=[("Cost", "1")]
    )
    assert made.arn == ARN
    assert (made.issuer, made.client_ids) == (ISSUER, ("b", "a"))
    assert (made.thumbprints, made.tags) == (("a" * 40,), {"Cost": "1"})
    assert (made.key_set, made.created_at) == (None, context.clock())
    assert openid_providers.get(context, ACCOUNT, ARN) == made
    assert openid_providers.list_all(context, ACCOUNT) == [made]
    assert openid_providers.list_all(context, OTHER) == []
    openid_providers.change(context, ACCOUNT, ARN, client_ids=["c"], thumbprints=[], tags=[])
    changed = openid_providers.get(context, ACCOUNT, ARN)
    assert changed == replace(made, client_ids=("c",), thumbprints=(), tags={})
    openid_providers.change(context, ACCOUNT, ARN)
    assert openid_providers.get(context, ACCOUNT, ARN) == changed
    openid_providers.remove(context, ACCOUNT, ARN)
    assert openid_providers.list_all(context, ACCOUNT) == []


def test_what_an_account_does_not_know_is_not_found(context: Context) -> None:
    openid_providers.create(context, OTHER, ISSUER)
    for arn in (ARN, ARN.replace(ACCOUNT, OTHER), ARN + "/"):
        for use in (
            openid_providers.get,
            openid_providers.remove,
            openid_providers.change,
            partial(openid_providers.put_key_set, key_set=None),
        ):
            with pytest.raises(NoSuchEntity, match="not found for arn"):
                use(context, ACCOUNT, arn)
    with pytest.raises(InvalidInput, match="is not valid"):
        openid_providers.get(context, ACCOUNT, "arn:aws:iam::nobody:oidc-provider/x")


def test_a_provider_is_known_once_in_each_account(context: Context) -> None:
    openid_providers.create(context, ACCOUNT, ISSUER)
    openid_providers.create(context, OTHER, ISSUER)
    with pytest.raises(EntityAlreadyExists, match=f"Provider with url {ISSUER} already exists"):
        openid_providers.create(context, ACCOUNT, ISSUER)


def test_what_makes_no_provider_is_refused(context: Context, signing: SigningKey) -> None:
    create = partial(openid_providers.create, context, ACCOUNT)
    for url in (
        *("", "ci.example", "http://ci.example", "https://", "https://ci.example?x=1"),
        *("https://ci.example#x", "https://user@ci.example", "https://ci.example/a b"),
        *("https://ci.example/\n", "https://" + "a" * 256, "https://*", "https://-x"),
    ):
        with pytest.raises(ValidationError):
            create(url)
    with pytest.raises(ValidationError):
        create(ISSUER, [""])
    with pytest.raises(ValidationError):
        create(ISSUER, ["a" * 256])
    with pytest.raises(QuotaExceeded):
        create(ISSUER, [str(number) for number in range(101)])
    with pytest.raises(ValidationError):
        create(ISSUER, thumbprints=["g" * 40])
    with pytest.raises(InvalidInput):
        create(ISSUER, thumbprints=[str(number) * 40 for number in range(6)])
    for keys in ("", "{}", key_set(signing).replace("EC", "oct")):
        with pytest.raises(InvalidInput, match="keys of the provider"):
            create(ISSUER, key_set=keys)
    assert openid_providers.list_all(context, ACCOUNT) == []


def test_an_account_knows_a_hundred_providers(context: Context) -> None:
    with context.database.write() as tx:
        inside = context.within(tx)
        for number in range(100):
            openid_providers.create(inside, ACCOUNT, f"https://ci{number}.example")
        with pytest.raises(QuotaExceeded):
            openid_providers.create(inside, ACCOUNT, ISSUER)
    assert len(openid_providers.list_all(context, ACCOUNT)) == 100


def test_a_token_of_a_known_provider_is_believed(
    context: Context, clock: FakeClock, signing: SigningKey
) -> None:
    openid_providers.create(context, ACCOUNT, ISSUER, ["registry"], key_set=key_set(signing))
    identity, claims = openid_providers.verify(context, ACCOUNT, token(signing, clock))
    assert identity.provider_arn == ARN
    assert identity.values["ci.example/auth:sub"] == ("job",)
    assert identity.values["ci.example/auth:aud"] == ("registry",)
    assert claims.subject == "job"
    with pytest.raises(InvalidIdentityToken, match="No OpenIDConnect provider found"):
        openid_providers.verify(context, OTHER, token(signing, clock))
    for issuer in (ISSUER + "/", "http://ci.example/auth", "ci.example/auth"):
        with pytest.raises(InvalidIdentityToken, match="No OpenIDConnect provider found"):
            openid_providers.verify(context, ACCOUNT, token(signing, clock, iss=issuer))
    with pytest.raises(InvalidIdentityToken, match="Incorrect token audience"):
        openid_providers.verify(context, ACCOUNT, token(signing, clock, aud="another"))
    good = token(signing, clock)
    clock.advance(HOUR)
    with pytest.raises(ExpiredIdentityToken):
        openid_providers.verify(context, ACCOUNT, good)


def test_keys_that_are_not_stored_are_looked_for(
    context: Context, clock: FakeClock, signing: SigningKey
) -> None:
    class Published:
        def find(self, issuer: str, key_id: str | None, algorithm: str) -> tuple[Key, ...]:
            assert issuer == ISSUER
            return KeySet.parse(key_set(signing)).find(key_id, algorithm)

    openid_providers.create(context, ACCOUNT, ISSUER, ["registry"])
    good = token(signing, clock)
    with pytest.raises(ProviderUnreachable):
        openid_providers.verify(context, ACCOUNT, good)
    fetching = replace(context, openid_keys=Published())
    assert openid_providers.verify(fetching, ACCOUNT, good)[1].subject == "job"
    stranger = SigningKey.make("k", "ES256")
    openid_providers.put_key_set(context, ACCOUNT, ARN, key_set(stranger))
    with pytest.raises(InvalidIdentityToken, match="signature can't be verified"):
        openid_providers.verify(fetching, ACCOUNT, good)
