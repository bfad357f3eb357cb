"""Who guesses credentials is slowed down, on both faces."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from longshore.clock import MINUTE
from longshore.identity import robot_tokens, users
from tests.support.policies import allow
from tests.support.server import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.server import Answer, RunningServer

ACCOUNT = "000000000000"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[RunningServer]:
    """A server whose time stands still, so that nothing is forgotten meanwhile."""
    with (
        running_server(
            tmp_path, failed_attempts=3, failed_attempts_per_minute=1, trusted_proxies="127.0.0.1"
        ) as server,
        server.clock.stopped(),
    ):
        yield server


def login(server: RunningServer, user: str, password: str, address: str = "192.0.2.7") -> Answer:
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    headers = [("Authorization", f"Basic {basic}"), ("X-Forwarded-For", address)]
    return server.send("GET", "/v2/", headers)


def call(server: RunningServer, secret: str) -> Answer:
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.DescribeRegistry",
    }
    signed = server.signed(headers, b"{}", key=(server.administrator.id, secret))
    return server.send("POST", "/", signed, b"{}")


def test_passwords_cannot_be_guessed_quickly(guarded: RunningServer) -> None:
    users.create(guarded.context, ACCOUNT, "robot")
    _, password = robot_tokens.create(guarded.context, ACCOUNT, "robot", allow("*"))
    statuses = [login(guarded, "AWS", f"guess {number}").status for number in range(6)]
    assert statuses == [401, 401, 401, 429, 429, 429]
    refused = login(guarded, "robot", password)
    assert refused.status == 429
    [error] = refused.json()["errors"]
    assert error["code"] == "TOOMANYREQUESTS"
    assert error["message"].startswith("Rate exceeded: too many requests with wrong credentials")
    # Elsewhere nobody has to wait, and here not for long.
    for user in ("robot", "AWS"):
        assert login(guarded, user, password, "198.51.100.7").status == 200
    assert login(guarded, "root", password, "198.51.100.7").status == 401
    with guarded.clock.ahead(MINUTE):
        assert login(guarded, "robot", password).status == 200


def test_secrets_cannot_be_guessed_quickly(guarded: RunningServer) -> None:
    codes = [call(guarded, f"guess {number}").json()["__type"] for number in range(5)]
    assert codes == ["InvalidSignatureException"] * 3 + ["ThrottlingException"] * 2
    assert call(guarded, guarded.administrator.secret).json()["__type"] == "ThrottlingException"
    with guarded.clock.ahead(MINUTE):
        assert call(guarded, guarded.administrator.secret).status == 200


def test_good_credentials_never_wait(guarded: RunningServer) -> None:
    for _ in range(20):
        assert call(guarded, guarded.administrator.secret).status == 200
        assert guarded.oci("GET", "/v2/").status == 200
