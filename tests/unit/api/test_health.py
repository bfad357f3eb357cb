from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from longshore.api.health import Health
from longshore.api.http import Request
from longshore.api.workers import Workers
from tests.support.cold import with_archive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from longshore.api.responses import Response
    from longshore.registry.context import Context


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers()
    yield workers
    workers.close()


def request(method: str = "GET") -> Request:
    async def receive() -> dict[str, object]:
        raise AssertionError("nobody reads the body")

    return Request({"method": method, "path": "/readyz", "headers": []}, receive, 1.0)


def ready(health: Health) -> Response:
    return asyncio.run(health.ready(request()))


def test_a_server_is_ready_whose_parts_are(context: Context, workers: Workers) -> None:
    response = ready(Health(context, workers))
    assert (response.status, response.body) == (200, b"store: ok\ndatabase: ok\nschema: ok\n")


def test_a_database_of_another_version_is_told(context: Context, workers: Workers) -> None:
    with context.database.read() as tx:
        revision = tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one()

    def become(version: str) -> None:
        with context.database.write() as tx:
            tx.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": version})

    become("9999")
    try:
        response = ready(Health(context, workers))
    finally:
        become(revision)
    assert response.status == 503
    assert b"schema: isn't that of this version" in response.body  # type: ignore[operator]


class Broken:
    """A part of the store that fails, and says why in words that nobody else may hear."""

    def __init__(self, *, held: threading.Event | None = None) -> None:
        self.looks = 0
        self._held = held

    def probe(self) -> None:
        self.looks += 1
        if self._held is not None:
            self._held.wait(60)
        raise OSError("secret-path")

    def read(self) -> None:
        self.probe()


def broken(context: Context, **parts: object) -> Context:
    for name, part in parts.items():
        object.__setattr__(context, name, part)
    return context


def test_what_is_broken_is_told_without_its_secrets(context: Context, workers: Workers) -> None:
    response = ready(Health(broken(context, blobs=Broken()), workers))
    assert (response.status, response.body) == (
        503,
        b"store: can't be written and read\ndatabase: ok\nschema: ok\n",
    )
    response = ready(Health(broken(context, database=Broken()), workers))
    assert (response.status, response.body) == (
        503,
        b"store: can't be written and read\ndatabase: doesn't answer\n",
    )


def test_however_many_ask_the_server_looks_once(context: Context, workers: Workers) -> None:
    async def ask_all(health: Health) -> set[int]:
        answers = await asyncio.gather(*(health.ready(request()) for _ in range(20)))
        answers.append(await health.ready(request()))
        return {answer.status for answer in answers}

    part = Broken()
    assert asyncio.run(ask_all(Health(broken(context, blobs=part), workers, kept=3600))) == {503}
    assert part.looks == 1


def test_what_does_not_answer_is_not_waited_for(context: Context, workers: Workers) -> None:
    release = threading.Event()

    async def ask(health: Health) -> list[Response]:
        try:
            return [await health.ready(request()) for _ in range(2)]
        finally:
            release.set()

    part = Broken(held=release)
    answers = asyncio.run(ask(Health(broken(context, blobs=part), workers, patience=0.01)))
    assert [(each.status, each.body) for each in answers] == [
        (503, b"store and database: no answer for 0.01 seconds\n")
    ] * 2
    assert part.looks == 1


def test_health_is_only_read(context: Context, workers: Workers) -> None:
    response = asyncio.run(Health(context, workers).live(request("POST")))
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


def test_an_archive_that_is_away_is_told_and_the_server_is_ready(
    context: Context, workers: Workers, tmp_path: Path
) -> None:
    context = with_archive(context, tmp_path)
    response = ready(Health(context, workers))
    assert (response.status, response.body) == (
        200,
        b"store: ok\ndatabase: ok\nschema: ok\narchive: ok\n",
    )
    (tmp_path / "cold" / "database.id").unlink()
    response = ready(Health(context, workers))
    assert response.status == 200
    assert response.body.endswith(b"archive: can't be used\n")  # type: ignore[union-attr]


def test_the_store_does_not_wait_for_an_archive_that_does_not_answer(
    context: Context, workers: Workers
) -> None:
    release = threading.Event()
    part = Broken(held=release)

    async def ask(health: Health) -> list[Response]:
        try:
            return [await health.ready(request()) for _ in range(2)]
        finally:
            release.set()

    health = Health(broken(context, archive=part), workers, kept=0, patience=0.5)
    answers = asyncio.run(ask(health))
    told = b"store: ok\ndatabase: ok\nschema: ok\narchive: doesn't answer\n"
    assert [(each.status, each.body) for each in answers] == [(200, told)] * 2
    assert part.looks == 1
