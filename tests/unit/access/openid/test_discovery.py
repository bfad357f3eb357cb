from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import pytest

from longshore.access.fetching import CannotFetch, Fetcher
from longshore.access.openid import tokens
from longshore.access.openid.discovery import Discovery
from longshore.access.openid.tokens import Provider
from longshore.clock import HOUR, MINUTE, SECOND
from longshore.errors import ProviderUnreachable
from tests.support.identity_provider import SigningKey, key_set
from tests.support.threads import at_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.clock import FakeClock
    from tests.support.identity_provider import Site

ISSUER = "https://ci.example/auth"
CONFIGURATION = f"{ISSUER}/.well-known/openid-configuration"
KEYS = "https://ci.example/keys"


class Web:
    """What lies where, and what was asked for."""

    def __init__(self, keys: str, keys_url: object = KEYS, issuer: object = ISSUER) -> None:
        self.documents = {
            CONFIGURATION: json.dumps({"issuer": issuer, "jwks_uri": keys_url}),
            str(keys_url): keys,
        }
        self.asked: list[str] = []

    def __call__(self, url: str) -> bytes:
        self.asked.append(url)
        if url not in self.documents:
            raise CannotFetch(f"{url} answered 404")
        return self.documents[url].encode()


@pytest.fixture
def web(ec_key: SigningKey) -> Web:
    return Web(key_set(ec_key))


def test_the_configuration_of_a_provider_leads_to_its_keys(
    web: Web, ec_key: SigningKey, clock: FakeClock
) -> None:
    [found] = Discovery(web, clock).find(ISSUER, "ec", "ES256")
    assert found.public == ec_key.private.public_key()
    assert web.asked == [CONFIGURATION, KEYS]


def test_keys_are_kept_for_an_hour(web: Web, clock: FakeClock) -> None:
    discovery = Discovery(web, clock)
    discovery.find(ISSUER, "ec", "ES256")
    clock.advance(HOUR - 1)
    discovery.find(ISSUER, "ec", "ES256")
    assert len(web.asked) == 2
    clock.advance(1)
    discovery.find(ISSUER, "ec", "ES256")
    assert len(web.asked) == 4


def test_a_key_that_went_is_not_believed_longer(
    web: Web, rsa_key: SigningKey, clock: FakeClock
) -> None:
    discovery = Discovery(web, clock)
    assert discovery.find(ISSUER, "ec", "ES256")
    web.documents[KEYS] = key_set(rsa_key)
    clock.advance(HOUR)
    assert discovery.find(ISSUER, "ec", "ES256") == ()


def test_keys_that_are_too_old_are_not_believed_while_the_provider_is_gone(
    web: Web, clock: FakeClock
) -> None:
    discovery = Discovery(web, clock)
    discovery.find(ISSUER, "ec", "ES256")
    del web.documents[KEYS]
    clock.advance(HOUR)
    with pytest.raises(ProviderUnreachable):
        discovery.find(ISSUER, "ec", "ES256")


def test_a_new_key_is_found_within_a_minute(
    web: Web, ec_key: SigningKey, rsa_key: SigningKey, clock: FakeClock
) -> None:
    discovery = Discovery(web, clock)
    discovery.find(ISSUER, "ec", "ES256")
    web.documents[KEYS] = key_set(ec_key, rsa_key)
    clock.advance(MINUTE)
    assert discovery.find(ISSUER, "rsa", "RS256")


def test_made_up_keys_make_nobody_ask_again_and_again(web: Web, clock: FakeClock) -> None:
    discovery = Discovery(web, clock)
    for number in range(100):
        assert discovery.find(ISSUER, f"made up {number}", "ES256") == ()
    assert len(web.asked) == 2
    clock.advance(MINUTE)
    for number in range(100):
        assert discovery.find(ISSUER, f"made up {number}", "ES256") == ()
    assert len(web.asked) == 4


def test_a_provider_that_failed_is_left_alone_for_some_seconds(web: Web, clock: FakeClock) -> None:
    keys = web.documents.pop(KEYS)
    discovery = Discovery(web, clock)
    for _ in range(10):
        with pytest.raises(ProviderUnreachable, match="Couldn't retrieve verification key"):
            discovery.find(ISSUER, "ec", "ES256")
    assert len(web.asked) == 2
    web.documents[KEYS] = keys
    clock.advance(5 * SECOND)
    assert discovery.find(ISSUER, "ec", "ES256")


def test_known_keys_count_while_the_provider_fails(web: Web, clock: FakeClock) -> None:
    discovery = Discovery(web, clock)
    discovery.find(ISSUER, "ec", "ES256")
    web.documents.clear()
    clock.advance(MINUTE)
    with pytest.raises(ProviderUnreachable):
        discovery.find(ISSUER, "new", "ES256")
    assert discovery.find(ISSUER, "ec", "ES256")


def test_threads_that_want_the_same_keys_ask_once(web: Web, clock: FakeClock) -> None:
    discovery = Discovery(web, clock)
    found = at_once([partial(discovery.find, ISSUER, "ec", "ES256")] * 8)
    assert all(found)
    assert len(web.asked) == 2


def test_providers_are_told_apart(web: Web, clock: FakeClock) -> None:
    discovery = Discovery(web, clock)
    discovery.find(ISSUER, "ec", "ES256")
    with pytest.raises(ProviderUnreachable):
        discovery.find("https://other.example", "ec", "ES256")


@pytest.mark.parametrize("issuer", ["https://evil.example", ISSUER + "/", None, [ISSUER]])
def test_a_configuration_must_be_the_issuer_s_own(
    ec_key: SigningKey, clock: FakeClock, issuer: object
) -> None:
    with pytest.raises(ProviderUnreachable):
        Discovery(Web(key_set(ec_key), issuer=issuer), clock).find(ISSUER, "ec", "ES256")


@pytest.mark.parametrize(
    "keys_url",
    [
        "https://evil.example/keys",
        "https://ci.example.evil/keys",
        "https://ci.example@evil.example/keys",
        "https://ci.example:8443/keys",
        "https://[::1/keys",
        "",
        None,
        [KEYS],
    ],
)
def test_keys_lie_at_the_provider_s_own_host(
    ec_key: SigningKey, clock: FakeClock, keys_url: object
) -> None:
    web = Web(key_set(ec_key), keys_url)
    with pytest.raises(ProviderUnreachable):
        Discovery(web, clock).find(ISSUER, "ec", "ES256")
    assert web.asked == [CONFIGURATION]


def test_keys_may_lie_at_a_host_that_is_listed(ec_key: SigningKey, clock: FakeClock) -> None:
    web = Web(key_set(ec_key), "https://keys.example/oauth2/v3/certs")
    discovery = Discovery(web, clock, key_hosts=frozenset({"keys.example"}))
    assert discovery.find(ISSUER, "ec", "ES256")


@pytest.mark.parametrize("where", [CONFIGURATION, KEYS])
@pytest.mark.parametrize("content", ["", "[]", "<html>", "[" * 10_000, "{}"], ids=range(5))
def test_what_is_no_such_document_is_refused(
    web: Web, clock: FakeClock, where: str, content: str
) -> None:
    web.documents[where] = content
    with pytest.raises(ProviderUnreachable):
        Discovery(web, clock).find(ISSUER, "ec", "ES256")


def test_a_token_is_verified_with_keys_from_a_real_site(
    site: Site, ec_key: SigningKey, clock: FakeClock
) -> None:
    issuer = site.url("")
    configuration = {"issuer": issuer, "jwks_uri": site.url("/keys")}
    site.publish("/.well-known/openid-configuration", json.dumps(configuration))
    site.publish("/keys", key_set(ec_key))
    fetch: Callable[[str], bytes] = Fetcher(allows_private=True, tls=site.trusted()).get
    now = clock.now // SECOND
    claims = {"iss": issuer, "sub": "job", "aud": "registry", "iat": now, "exp": now + 60}
    provider = Provider(issuer, frozenset({"registry"}))
    token = ec_key.sign(claims)
    assert tokens.verify(token, provider, Discovery(fetch, clock), clock.now).subject == "job"
    with pytest.raises(ProviderUnreachable):
        tokens.verify(token, provider, Discovery(Fetcher().get, clock), clock.now)
    assert len(site.asked) == 2
