from __future__ import annotations

import base64
import json
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from longshore.events.log import Entry
from longshore.events.receivers import Undelivered
from longshore.events.webhooks import BadSecret, Webhook, read_secret, sign
from longshore.outbound import Reach, Url
from tests.support.clock import FakeClock
from tests.support.receiver import Receiver, receiving

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = bytes(range(32))
EVENT = Entry(7, "13cde686-328b-6117-af20-0e5566167482", '{"version":"0"}')
LOOPBACK = Reach((ip_network("127.0.0.0/8"),))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody who takes events."""
    with receiving() as receiver:
        yield receiver


def webhook(receiver: Receiver, reach: Reach = LOOPBACK) -> Webhook:
    return Webhook("webhooks.ci", Url.parse(f"{receiver.url}/hook"), KEY, reach, FakeClock())


def test_an_event_is_sent_as_it_is_and_signed(receiver: Receiver) -> None:
    receiver.answer_with(200, b" thanks\n")
    assert webhook(receiver).deliver([EVENT]) == "200 thanks"
    [received] = receiver.received
    assert (received.path, received.body) == ("/hook", EVENT.document.encode())
    assert received.headers["content-type"] == "application/json"
    assert received.headers["user-agent"].startswith("Longshore/")
    assert received.headers["webhook-id"] == EVENT.event_id
    assert received.headers["webhook-timestamp"] == "1700000000"
    assert received.headers["webhook-signature"] == sign(
        KEY, EVENT.event_id, 1_700_000_000, received.body
    )


def test_the_signature_is_that_of_the_specification() -> None:
    # The example of the Standard Webhooks specification.
    key = read_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    assert (
        sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body)
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_a_yes(receiver: Receiver, status: int) -> None:
    receiver.answer_with(status)
    assert webhook(receiver).deliver([EVENT]) == str(status)


@pytest.mark.parametrize("status", [400, 405, 410, 413, 422])
def test_what_is_wrong_with_the_event_is_a_refusal(receiver: Receiver, status: int) -> None:
    receiver.answer_with(status, b"not that")
    with pytest.raises(Undelivered, match=f"^{status} not that$") as raised:
        webhook(receiver).deliver([EVENT])
    assert raised.value.is_refusal


@pytest.mark.parametrize("status", [301, 302, 307, 401, 403, 404, 408, 425, 429, 500, 503, 504])
def test_what_may_pass_is_none(receiver: Receiver, status: int) -> None:
    receiver.answer_with(status, Location=receiver.url)
    with pytest.raises(Undelivered, match=f"^{status}$") as raised:
        webhook(receiver).deliver([EVENT])
    assert not raised.value.is_refusal
    assert len(receiver.received) == 1


def test_a_webhook_may_not_point_inside(receiver: Receiver) -> None:
    with pytest.raises(Undelivered, match="isn't a public address") as raised:
        webhook(receiver, Reach()).deliver([EVENT])
    assert not raised.value.is_refusal
    assert receiver.received == []


def test_nobody_sees_the_key(receiver: Receiver) -> None:
    assert str(KEY) not in repr(webhook(receiver))
    assert base64.b64encode(KEY).decode() not in repr(webhook(receiver))


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_secret_stands_for_its_bytes(size: int) -> None:
    assert read_secret("whsec_" + base64.b64encode(bytes(size)).decode()) == bytes(size)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "a-word",
        "whsec_a-word!",
        base64.b64encode(bytes(32)).decode(),
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        json.dumps("whsec_ä"),
    ],
)
def test_what_is_no_secret_is_refused_without_being_told(text: str) -> None:
    with pytest.raises(BadSecret, match="openssl rand -base64 32") as raised:
        read_secret(text)
    if secret := text.removeprefix("whsec_"):
        assert secret not in str(raised.value)
