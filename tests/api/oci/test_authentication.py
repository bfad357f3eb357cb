"""Who may use the registry face: the holder of a token from GetAuthorizationToken."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from longshore.access.sealing import ServerKey
from longshore.api.oci.routes import ROUTES
from longshore.api.pages import write_token
from longshore.clock import HOUR, SECOND
from longshore.metadata import schema
from tests.support.identities import key_of_new_user
from tests.support.images import oci_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.api.stage import Stage
    from tests.support.server import Answer, RunningServer


def ping(server: RunningServer, *headers: tuple[str, str]) -> Answer:
    return server.send("GET", "/v2/", headers)


def basic(credentials: str | bytes) -> tuple[str, str]:
    raw = credentials if isinstance(credentials, bytes) else credentials.encode()
    return "Authorization", f"Basic {base64.b64encode(raw).decode()}"


def check_not_authorized(answer: Answer, host: str) -> None:
    """What Amazon's registries answer, to the letter (it isn't JSON)."""
    assert answer.status == 401
    assert answer.headers == {
        "content-length": "15",
        "content-type": "text/plain; charset=utf-8",
        "docker-distribution-api-version": "registry/2.0",
        "www-authenticate": f'Basic realm="http://{host}/",service="ecr.amazonaws.com"',
    }
    assert answer.body == b"Not Authorized\n"


def check_denied(answer: Answer, message: str) -> None:
    assert answer.status == 403
    assert answer.json() == {"errors": [{"code": "DENIED", "message": message}]}


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_token_opens_the_registry(server: RunningServer, method: str, path: str) -> None:
    answer = server.oci(method, path)

    assert answer.status == 200
    assert answer.body == (b"{}" if method == "GET" else b"")
    assert answer.headers == {
        "content-length": "2",
        "content-type": "application/json",
        "docker-distribution-api-version": "registry/2.0",
    }


def test_the_token_is_the_one_of_get_authorization_token(server: RunningServer) -> None:
    [authorization] = server.ecr.get_authorization_token()["authorizationData"]

    token = authorization["authorizationToken"]
    assert ping(server, ("Authorization", f"Basic {token}")).status == 200


@pytest.mark.parametrize("spelling", ["Basic {}", "basic {}", "BASIC {}", "Basic  {}", "Basic {} "])
def test_spellings_of_basic(server: RunningServer, spelling: str) -> None:
    header = ("Authorization", spelling.format(server.token()))

    assert ping(server, header).status == 200


def password_of(server: RunningServer) -> str:
    return base64.b64decode(server.token()).decode().removeprefix("AWS:")


def changed_password(server: RunningServer, **changes: Any) -> str:
    document = json.loads(base64.b64decode(password_of(server))) | changes
    return base64.b64encode(json.dumps(document).encode()).decode()


def of_another_server(_: RunningServer) -> str:
    sealed = ServerKey(b"another server's secret of 32 b.").seal_for("registry token").close(b"{}")
    return base64.b64encode(
        json.dumps({"payload": base64.b64encode(sealed).decode()}).encode()
    ).decode()


def tampered(server: RunningServer) -> str:
    payload = json.loads(base64.b64decode(password_of(server)))["payload"]
    flipped = "A" if payload[30] != "A" else "B"
    return changed_password(server, payload=payload[:30] + flipped + payload[31:])


def sealed_for_something_else(server: RunningServer) -> str:
    token = write_token(server.context.server_key, "tags", (1,)) or ""
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    return changed_password(server, payload=base64.b64encode(raw).decode())


PASSWORDS: dict[str, Callable[[RunningServer], str]] = {
    "an empty password": lambda _: "",
    "a guess": lambda _: "password",
    "the administrator's secret": lambda server: server.administrator.secret,
    "a password with something behind it": lambda server: f"{password_of(server)}:x",
    "a password with something before it": lambda server: f"x{password_of(server)}",
    "no JSON in the password": lambda _: base64.b64encode(b"not json").decode(),
    "a list in the password": lambda _: base64.b64encode(b"[]").decode(),
    "a number in the password": lambda _: base64.b64encode(b"1").decode(),
    "a deep document in the password": lambda _: base64.b64encode(b"[" * 2000).decode(),
    "an empty document in the password": lambda _: base64.b64encode(b"{}").decode(),
    "a payload that is null": lambda server: changed_password(server, payload=None),
    "a payload that is a number": lambda server: changed_password(server, payload=5),
    "a payload that is empty": lambda server: changed_password(server, payload=""),
    "a payload that isn't base64": lambda server: changed_password(server, payload="é"),
    "a payload that was changed": tampered,
    "a payload of another server": of_another_server,
    "a payload sealed for another purpose": sealed_for_something_else,
    "a password too long to look at": lambda server: changed_password(server, x="x" * 20_000),
}


@pytest.mark.parametrize("password", PASSWORDS.values(), ids=PASSWORDS.keys())
def test_wrong_passwords(server: RunningServer, password: Callable[[RunningServer], str]) -> None:
    check_not_authorized(ping(server, basic(f"AWS:{password(server)}")), server.address)


def with_token(form: str) -> Callable[[RunningServer], list[tuple[str, str]]]:
    return lambda server: [("Authorization", form.format(server.token()))]


HEADERS: dict[str, Callable[[RunningServer], list[tuple[str, str]]]] = {
    "no Authorization": lambda _: [],
    "an empty Authorization": lambda _: [("Authorization", "")],
    "the scheme alone": lambda _: [("Authorization", "Basic")],
    "another scheme": with_token("Bearer {}"),
    "no scheme": with_token("{}"),
    "base64 cut short": lambda server: [("Authorization", f"Basic {server.token()[:-1]}")],
    "base64 with strange letters": with_token("Basic {}!"),
    "base64 that isn't UTF-8": lambda _: [basic(b"AWS:\xff\xfe")],
    "no colon": lambda _: [basic("AWS")],
    "no user name": lambda server: [basic(f":{password_of(server)}")],
    "another user name": lambda server: [basic(f"admin:{password_of(server)}")],
    "a user name in lower case": lambda server: [basic(f"aws:{password_of(server)}")],
    "Authorization twice": lambda server: [server.authorization, server.authorization],
    "Authorization twice, once wrong": lambda server: [server.authorization, basic("AWS:x")],
    "a signature": lambda server: [
        (name, value) for name, value in server.signed({}, b"") if name.lower() != "host"
    ],
}


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS.keys())
def test_wrong_headers(
    server: RunningServer, headers: Callable[[RunningServer], list[tuple[str, str]]]
) -> None:
    check_not_authorized(ping(server, *headers(server)), server.address)


@pytest.mark.parametrize("host", ["registry.example.org", "localhost:5000", "[::1]:5000"])
def test_the_realm_is_the_host_that_the_client_asked_for(server: RunningServer, host: str) -> None:
    check_not_authorized(ping(server, ("Host", host)), host)


ROUTED = [
    (method, re.sub(r"\(\?P<(\w+)>.*?\)", r"some-\1", pattern).replace("?", ""))
    for pattern, methods in ROUTES
    for method in methods
]
NOWHERE = [("GET", "/v2/nowhere"), ("POST", "/v2/"), ("GET", "/v2/Bad/tags/list")]


@pytest.mark.parametrize(("method", "path"), ROUTED + NOWHERE)
def test_nothing_below_v2_answers_without_credentials(
    plain_server: RunningServer, method: str, path: str
) -> None:
    answer = plain_server.send(method, path)

    assert answer.status == 401
    assert answer.body == (b"" if method == "HEAD" else b"Not Authorized\n")


@pytest.mark.parametrize(("method", "path"), ROUTED)
def test_no_route_takes_wrong_credentials(
    plain_server: RunningServer, method: str, path: str
) -> None:
    answer = plain_server.send(method, path, [basic("AWS:guess")])

    assert answer.status == 401
    assert answer.body == (b"" if method == "HEAD" else b"Not Authorized\n")


def test_a_stranger_starts_no_upload(stage: Stage) -> None:
    answer = stage.server.send("POST", f"/v2/{stage.name}/blobs/uploads/", [basic("AWS:guess")])

    assert answer.status == 401
    assert "location" not in answer.headers


def test_a_token_lasts_twelve_hours(server: RunningServer) -> None:
    authorization = "Authorization", f"Basic {server.token()}"

    with server.clock.ahead(12 * HOUR - SECOND * 60):
        assert ping(server, authorization).status == 200
    with server.clock.ahead(12 * HOUR):
        check_denied(
            ping(server, authorization),
            "Your authorization token has expired. Reauthenticate and try again.",
        )


def test_the_token_of_another_region_is_denied(server: RunningServer) -> None:
    [authorization] = server.ecr_in("eu-west-1").get_authorization_token()["authorizationData"]
    header = ("Authorization", f"Basic {authorization['authorizationToken']}")
    there = ("Host", "000000000000.dkr.ecr.eu-west-1.localhost")

    assert ping(server, header, there).status == 200
    check_denied(
        ping(server, header),
        "The authorization token was issued for the region 'eu-west-1' and this is a registry of "
        "'us-east-1'. Log in again with a token of that region.",
    )


def test_a_token_is_worth_nothing_once_its_key_is_gone(server: RunningServer) -> None:
    context, key = server.context, key_of_new_user(server.context)
    header = ("Authorization", f"Basic {server.token(key=key)}")
    assert ping(server, header).status == 200

    table = schema.access_keys
    with context.database.write() as tx:
        tx.execute(update(table).where(table.c.id == key.id).values(active=False))

    check_not_authorized(ping(server, header), server.address)


def test_what_is_refused_changes_nothing(stage: Stage) -> None:
    image = oci_image("safe")
    stage.push(image, "1")

    for method in ("DELETE", "PUT"):
        path = f"/v2/{stage.name}/manifests/1"
        assert stage.server.send(method, path, [basic("AWS:guess")], b"{}").status == 401

    assert stage.send("GET", "manifests/1").body == image.content
