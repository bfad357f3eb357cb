from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from longshore.clock import SECOND
from longshore.events import shapes
from longshore.events.eventbridge import EventBridge, NotInstalled
from longshore.events.log import Entry
from longshore.events.receivers import Undelivered
from tests.support.pushing import REGISTRY
from tests.support.receiver import Received, Receiver, receiving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PUSHED = [
    shapes.image_pushed(REGISTRY, 1_573_869_274_740, "demo/app", f"sha256:{n}", str(n))
    for n in range(3)
]
EVENTS = [Entry(n, event.id, event.as_json()) for n, event in enumerate(PUSHED)]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody who answers for EventBridge."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def bus(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> EventBridge:
    """A bus there."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return connect(receiver.url)


def connect(url: str) -> EventBridge:
    return EventBridge.connect(
        "eventbridge",
        bus="builds",
        source="longshore.ecr",
        region="eu-west-1",
        endpoint=url,
        timeout=10 * SECOND,
    )


def answer(*results: Mapping[str, str]) -> bytes:
    failed = sum("ErrorCode" in result for result in results)
    return json.dumps({"FailedEntryCount": failed, "Entries": results}).encode()


def entries(received: Received) -> list[dict[str, Any]]:
    assert received.headers["x-amz-target"] == "AWSEvents.PutEvents"
    found: list[dict[str, Any]] = received.json()["Entries"]
    return found


def test_events_are_put_on_the_bus(receiver: Receiver, bus: EventBridge) -> None:
    receiver.answer_with(200, answer({"EventId": "a"}, {"EventId": "b"}, {"EventId": "c"}))
    assert bus.deliver(EVENTS) == "3 entries taken"
    [received] = receiver.received
    assert "/eu-west-1/events/" in received.headers["authorization"]
    put = entries(received)
    details = [json.loads(entry.pop("Detail")) for entry in put]
    same = {
        "EventBusName": "builds",
        "Source": "longshore.ecr",
        "DetailType": "ECR Image Action",
        "Resources": [],
        "Time": 1_573_869_274,
    }
    assert put == [same] * 3
    assert details == [
        {
            **event.detail,
            "id": event.id,
            "account": REGISTRY.account,
            "region": REGISTRY.region,
        }
        for event in PUSHED
    ]


def test_what_the_bus_takes_before_a_failure_it_has(receiver: Receiver, bus: EventBridge) -> None:
    failure = {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}
    receiver.answer_with(200, answer({"EventId": "a"}, failure, {"EventId": "c"}))
    with pytest.raises(Undelivered, match="ThrottlingException: slow down") as raised:
        bus.deliver(EVENTS)
    assert (raised.value.delivered, raised.value.is_refusal) == (1, False)


def test_an_event_that_is_never_taken_is_a_refusal(receiver: Receiver, bus: EventBridge) -> None:
    failure = {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized"}
    receiver.answer_with(200, answer(failure))
    with pytest.raises(Undelivered, match="Not authorized") as raised:
        bus.deliver(EVENTS[:1])
    assert raised.value.is_refusal


def test_a_bus_that_refuses_the_call_is_tried_again(receiver: Receiver, bus: EventBridge) -> None:
    receiver.answer_with(400, b'{"__type":"AccessDeniedException","message":"no"}')
    with pytest.raises(Undelivered, match="AccessDeniedException: ") as raised:
        bus.deliver(EVENTS)
    assert not raised.value.is_refusal
    # boto3 doesn't try again by itself.
    assert len(receiver.received) == 1


@pytest.mark.usefixtures("bus")
def test_a_bus_that_is_away_is_tried_again() -> None:
    with receiving() as gone:
        pass
    with pytest.raises(Undelivered, match="EndpointConnectionError"):
        connect(gone.url).deliver(EVENTS)


def test_without_boto3_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(NotInstalled, match=r"pip install '\.\[eventbridge\]'"):
        connect("http://127.0.0.1:1")
