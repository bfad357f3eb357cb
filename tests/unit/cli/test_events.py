from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from longshore import server
from longshore.events import log, progress, shapes
from longshore.events.progress import Delivery, Outcome
from longshore.settings import Settings
from tests.support.pushing import REGISTRY
from tests.unit.cli.test_commands import check_failed, run

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A registry with a receiver that waits for two events, and one that nobody has asked."""
    server.prepare(Settings(data=tmp_path / "data"))
    context = server.open_context(Settings(data=tmp_path / "data"))
    event = shapes.image_pushed(REGISTRY, 0, "a", "sha256:0", None)
    with context.database.write() as tx:
        progress.begin(tx, "webhooks.ci")
        log.emit(tx, [event, event])
        log.place(tx, 100)
        progress.begin(tx, "file")
        for at, outcome in enumerate((Outcome.FAILED, Outcome.DELIVERED)):
            progress.record(tx, Delivery("webhooks.ci", at * 1000, outcome, "id", 1, "200 ok"))
        progress.record(tx, Delivery("other", 5000, Outcome.DROPPED, None, 7, "away"))
    context.database.close()
    return tmp_path / "data"


def events(data: Path, *words: str) -> Result:
    return run("events", *words, "--data", data)


def test_receivers_are_listed_with_what_they_wait_for(data: Path) -> None:
    assert events(data, "receivers").stdout.splitlines() == [
        "receiver     backlog  last       at                    answer",
        "file         0        -          -                     -",
        "webhooks.ci  2        delivered  1970-01-01T00:00:01Z  200 ok",
    ]
    listed = json.loads(events(data, "receivers", "--output", "json").stdout)
    assert [each["backlog"] for each in listed] == [0, 2]


def test_deliveries_are_listed_the_newest_first(data: Path) -> None:
    assert events(data, "deliveries").stdout.splitlines() == [
        "at                    receiver     outcome    events  event  answer",
        "1970-01-01T00:00:05Z  other        dropped    7       -      away",
        "1970-01-01T00:00:01Z  webhooks.ci  delivered  1       id     200 ok",
        "1970-01-01T00:00:00Z  webhooks.ci  failed     1       id     200 ok",
    ]
    chosen = events(data, "deliveries", "--receiver", "webhooks.ci", "--limit", "1").stdout
    assert [line.split()[2] for line in chosen.splitlines()] == ["outcome", "delivered"]


def test_a_receiver_is_forgotten(data: Path) -> None:
    assert events(data, "forget", "webhooks.ci").stdout == "webhooks.ci is forgotten\n"
    assert "webhooks.ci" not in events(data, "receivers").stdout
    check_failed(
        events(data, "forget", "webhooks.ci"),
        "There is no receiver 'webhooks.ci'. See longshore events receivers.",
    )
