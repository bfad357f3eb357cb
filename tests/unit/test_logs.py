from __future__ import annotations

import asyncio
import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from longshore.api.workers import Workers
from longshore.logs import CURRENT, JsonFormatter

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    log = logging.getLogger("test.logs")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    log.propagate = False
    yield stream
    log.removeHandler(handler)


LOG = logging.getLogger("test.logs")


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class Asked:
    """A request as far as the log knows it."""

    def __init__(self, name: str) -> None:
        self.id = name


def test_an_event_is_one_object_in_one_line(written: io.StringIO) -> None:
    fields = {"status": 200, "path": '/"\n\ud800'}
    LOG.info("%s of\n%d", "one", 2, extra={"fields": fields})
    LOG.error("it failed", exc_info=LookupError("gone"))
    first, second = lines(written)
    assert first.pop("time").endswith("+00:00")
    assert first == {"level": "info", "logger": "test.logs", "message": "one of\n2", **fields}
    assert (second["level"], second["message"]) == ("error", "it failed")
    assert second["exception"].endswith("LookupError: gone")


def test_what_is_logged_for_a_request_has_its_id(written: io.StringIO) -> None:
    workers = Workers()

    async def answer(name: str) -> None:
        CURRENT.set(Asked(name))
        LOG.info("here")
        await workers.run(LOG.info, "in a thread")

    async def answer_two() -> None:
        await asyncio.gather(*(answer(name) for name in ("a", "b")))
        LOG.info("for nobody")

    asyncio.run(answer_two())
    workers.close()
    told = sorted((line["message"], line.get("request_id")) for line in lines(written)[:-1])
    assert told == [("here", "a"), ("here", "b"), ("in a thread", "a"), ("in a thread", "b")]
    assert "request_id" not in lines(written)[-1]
