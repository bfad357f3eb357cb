"""What the page on events tells receivers to do."""

from __future__ import annotations

import json
import tomllib
from ipaddress import ip_network
from typing import Any

import pytest

from longshore.clock import system_clock
from longshore.events import shapes
from longshore.events.log import Entry
from longshore.events.webhooks import Webhook, read_secret
from longshore.names import Registry
from longshore.outbound import Reach, Url
from longshore.settings import load
from tests.docs import pages
from tests.support.receiver import Received, receiving

PAGE = pages.read("docs/events.md")


@pytest.fixture(scope="module")
def secret() -> str:
    """The secret that the page shows."""
    document = tomllib.loads(pages.blocks(PAGE, "toml")[0])
    shown: str = document["events"]["webhooks"]["ci"]["secret"]
    return shown


@pytest.fixture(scope="module")
def received(secret: str) -> Received:
    """An event that was sent to a receiver."""
    event = shapes.image_pushed(Registry("0" * 12, "us-east-1"), 0, "demo/app", "sha256:0", "1")
    reach = Reach((ip_network("127.0.0.0/8"),))
    with receiving() as receiver:
        url = Url.parse(receiver.url)
        webhook = Webhook("webhooks.ci", url, read_secret(secret), reach, system_clock)
        webhook.deliver([Entry(1, event.id, event.as_json())])
    return receiver.received[0]


def is_genuine(*arguments: Any) -> bool:
    """Do as the page says."""
    [recipe] = pages.blocks(PAGE, "python")
    names: dict[str, Any] = {}
    exec(compile(recipe, "docs/events.md", "exec"), names)  # noqa: S102 - our own page
    return bool(names["is_genuine"](*arguments))


def test_a_receiver_can_tell_what_comes_from_the_registry(secret: str, received: Received) -> None:
    headers, body = dict(received.headers), received.body
    assert is_genuine(secret, headers, body)
    # As the specification has it, while a secret is replaced.
    both = {"webhook-signature": f"v1,AAAA {headers['webhook-signature']}"}
    assert is_genuine(secret, headers | both, body)

    assert not is_genuine("whsec_" + "A" * 32, headers, body)
    assert not is_genuine(secret, headers, body + b" ")
    assert not is_genuine(secret, headers | {"webhook-id": "another"}, body)
    later = str(int(headers["webhook-timestamp"]) + 1)
    assert not is_genuine(secret, headers | {"webhook-timestamp": later}, body)
    assert not is_genuine(secret, headers, body, -1)


def test_the_event_that_is_shown_has_the_members_of_a_real_one(received: Received) -> None:
    [shown] = [json.loads(block) for block in pages.blocks(PAGE, "json")]
    real = received.json()
    assert list(shown) == list(real)
    assert list(shown["detail"]) == list(real["detail"])


def test_the_settings_that_are_shown_can_be_used(tmp_path_factory: pytest.TempPathFactory) -> None:
    for block in pages.blocks(PAGE, "toml"):
        file = tmp_path_factory.mktemp("settings") / "longshore.toml"
        file.write_text(block)
        load({}, file)
