from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from longshore.access.sealing import ServerKey
from longshore.clock import HOUR, SECOND
from longshore.errors import AccessDenied, ExpiredToken, RegistryError, UnrecognizedClient
from longshore.identity import access_keys, registry_tokens
from longshore.metadata import schema
from longshore.names import Registry
from tests.support.pushing import ACCOUNT, REGISTRY

if TYPE_CHECKING:
    from longshore.identity.access_keys import AccessKey, Credentials
    from longshore.registry.context import Context
    from tests.support.clock import FakeClock


@pytest.fixture
def credentials(context: Context, key: AccessKey) -> Credentials:
    return access_keys.find(context, key.id)


@pytest.fixture
def password(context: Context, credentials: Credentials) -> str:
    return registry_tokens.issue(context, credentials, REGISTRY.region).password


def document_of(password: str) -> dict[str, Any]:
    document = json.loads(base64.b64decode(password))
    assert isinstance(document, dict)
    return document


def password_of(document: object) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def test_a_token_stands_for_the_principal_of_its_key(
    context: Context, credentials: Credentials, password: str
) -> None:
    assert registry_tokens.authenticate(context, password, REGISTRY) == credentials.principal


def test_a_token_is_good_for_every_registry_of_its_region(
    context: Context, credentials: Credentials, password: str
) -> None:
    other = Registry("999999999999", REGISTRY.region)
    assert registry_tokens.authenticate(context, password, other) == credentials.principal


def test_a_token_of_another_region_is_refused_with_a_way_on(
    context: Context, password: str
) -> None:
    with pytest.raises(AccessDenied) as refusal:
        registry_tokens.authenticate(context, password, Registry(ACCOUNT, "us-east-1"))
    assert refusal.value.message == (
        "The authorization token was issued for the region 'eu-west-1' and this is a registry of "
        "'us-east-1'. Log in again with a token of that region."
    )


def test_a_token_is_good_for_twelve_hours(
    context: Context, credentials: Credentials, clock: FakeClock
) -> None:
    clock.now = clock.now // SECOND * SECOND + 999
    token = registry_tokens.issue(context, credentials, REGISTRY.region)
    assert token.expires_at == clock.now - 999 + 12 * HOUR
    clock.now = token.expires_at - 1
    registry_tokens.authenticate(context, token.password, REGISTRY)
    clock.advance(1)
    with pytest.raises(ExpiredToken):
        registry_tokens.authenticate(context, token.password, REGISTRY)


@pytest.mark.parametrize("revoke", ["deactivate", "delete"])
def test_a_token_is_good_for_nothing_once_its_key_is_gone(
    context: Context, password: str, revoke: str
) -> None:
    table = schema.access_keys
    with context.database.write() as tx:
        tx.execute(delete(table) if revoke == "delete" else update(table).values(active=False))
    with pytest.raises(UnrecognizedClient):
        registry_tokens.authenticate(context, password, REGISTRY)


def test_a_password_has_the_form_that_tools_expect(
    context: Context, credentials: Credentials, clock: FakeClock
) -> None:
    token = registry_tokens.issue(context, credentials, REGISTRY.region)
    # `aws ecr get-login-password` splits "AWS:<password>" at the colon.
    assert ":" not in token.password
    assert len(token.password) > 100
    assert token.password.startswith("eyJwYXlsb2Fk")
    document = document_of(token.password)
    assert document["version"] == "2"
    assert document["type"] == "DATA_KEY"
    assert document["expiration"] == (clock.now + 12 * HOUR) // SECOND
    assert credentials.key_id not in base64.b64decode(document["payload"]).decode("latin-1")


def test_no_byte_of_what_is_sealed_can_be_changed(context: Context, password: str) -> None:
    document = document_of(password)
    payload = base64.b64decode(document["payload"])
    for position in range(len(payload)):
        changed = bytearray(payload)
        changed[position] ^= 1
        forged = {**document, "payload": base64.b64encode(changed).decode()}
        with pytest.raises(UnrecognizedClient):
            registry_tokens.authenticate(context, password_of(forged), REGISTRY)


def test_no_change_of_a_password_makes_it_worth_more(
    context: Context, credentials: Credentials, password: str, clock: FakeClock
) -> None:
    changed = [
        password[:position] + letter + password[position + 1 :]
        for position in range(len(password))
        for letter in "A=\0"
    ]
    # What stands outside the seal is for people to look at; it may say anything.
    for each in changed:
        try:
            principal = registry_tokens.authenticate(context, each, REGISTRY)
        except UnrecognizedClient:
            continue
        assert principal == credentials.principal
    clock.advance(12 * HOUR)
    for each in changed:
        with pytest.raises((UnrecognizedClient, ExpiredToken)):
            registry_tokens.authenticate(context, each, REGISTRY)


def test_the_expiration_that_tools_read_is_not_the_one_that_counts(
    context: Context, password: str, clock: FakeClock
) -> None:
    forged = password_of({**document_of(password), "expiration": 2**40})
    clock.advance(12 * HOUR)
    with pytest.raises(ExpiredToken):
        registry_tokens.authenticate(context, forged, REGISTRY)


@pytest.mark.parametrize(
    "password",
    [
        "",
        "password",
        "AWS",
        "é",
        "\0",
        "\ud800",
        "====",
        "A" * 70_000,
        base64.b64encode(b"\xff\xfe").decode(),
        base64.b64encode(b"[" * 3000).decode(),
        *map(
            password_of,
            [
                None,
                1,
                "payload",
                [],
                {},
                {"payload": None},
                {"payload": 1},
                {"payload": []},
                {"payload": ""},
                {"payload": "!"},
                {"payload": "é"},
                {"payload": "AAAA"},
            ],
        ),
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_what_is_no_token_is_refused(context: Context, password: str) -> None:
    with pytest.raises(UnrecognizedClient):
        registry_tokens.authenticate(context, password, REGISTRY)


@given(password=st.text() | st.binary().map(lambda data: base64.b64encode(data).decode()))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_no_text_at_all_gets_in_by_accident(context: Context, password: str) -> None:
    with pytest.raises(UnrecognizedClient):
        registry_tokens.authenticate(context, password, REGISTRY)


@pytest.mark.parametrize("purpose", ["page token", "download URL", "access key", ""])
def test_what_was_sealed_for_another_purpose_is_no_token(
    context: Context, key: AccessKey, purpose: str
) -> None:
    claims = {"key": key.id, "region": REGISTRY.region, "expires": context.clock() + HOUR}
    sealed = context.server_key.seal_for(purpose).close(json.dumps(claims).encode())
    forged = password_of({"payload": base64.b64encode(sealed).decode()})
    with pytest.raises(UnrecognizedClient):
        registry_tokens.authenticate(context, forged, REGISTRY)


def test_a_token_of_another_server_is_refused(context: Context, credentials: Credentials) -> None:
    other = replace(context, server_key=ServerKey(b"x" * 32))
    password = registry_tokens.issue(other, credentials, REGISTRY.region).password
    with pytest.raises(UnrecognizedClient):
        registry_tokens.authenticate(context, password, REGISTRY)


def test_a_refusal_does_not_repeat_the_password(context: Context, password: str) -> None:
    with pytest.raises(RegistryError) as refusal:
        registry_tokens.authenticate(context, password, Registry(ACCOUNT, "us-east-1"))
    assert password not in refusal.value.message
