from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from longshore.api.http import ClientDisconnected, Request
from longshore.api.oci.buffers import Buffers
from longshore.api.oci.calls import Call
from longshore.api.oci.receiving import PIECE, receive
from longshore.api.workers import Workers
from longshore.identity.principals import ANONYMOUS
from longshore.names import Digest
from longshore.registry import uploads
from longshore.registry.upload_parts import Part
from longshore.registry.uploads import Upload, UploadConflict
from tests.support.pushing import CALLER, REGISTRY, REPOSITORY, create_repository

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.registry.context import Context
    from tests.support.clock import FakeClock

Step = bytes | None
"""A piece of a body, or None for a client that breaks off."""


@pytest.fixture
def upload(context: Context) -> Upload:
    create_repository(context)
    return uploads.start(context, CALLER, REGISTRY, REPOSITORY)


def again(context: Context, upload: Upload) -> Upload:
    return uploads.find(context, CALLER, REGISTRY, REPOSITORY, upload.id)


def send(
    context: Context,
    upload: Upload,
    steps: list[Step],
    headers: dict[str, str],
    meanwhile: Callable[[], object] = lambda: None,
) -> int:
    """Send a body; return how large the upload is then. `meanwhile` comes before its last piece."""
    left = list(steps)

    async def next_message() -> dict[str, Any]:
        if len(left) == 1:
            await asyncio.to_thread(meanwhile)
        step = left.pop(0)
        if step is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": step, "more_body": bool(left)}

    async def run() -> int:
        given = [(name.encode(), value.encode()) for name, value in headers.items()]
        request = Request(
            {"method": "PATCH", "path": "/", "headers": given}, next_message, idle_timeout=60
        )
        call = Call(
            context=context,
            workers=workers,
            buffers=Buffers(PIECE),
            request=request,
            body=b"",
            registry=REGISTRY,
            principal=ANONYMOUS,
            surroundings=request.surroundings(REGISTRY.region),
            name=REPOSITORY,
            argument=upload.id,
            admit_again=lambda: None,
        )

        def find(since: int) -> Upload:
            return uploads.find(
                context, CALLER, REGISTRY, REPOSITORY, upload.id, untouched_since=since
            )

        return await receive(call, find, lambda _: None, lambda part: part.close().size)

    workers = Workers(2)
    try:
        return asyncio.run(run())
    finally:
        workers.close()


@pytest.mark.parametrize("announced", [False, True])
@pytest.mark.parametrize("asks_first", [False, True])
@pytest.mark.parametrize("size", [1, 9, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 5])
def test_all_of_a_body_is_received(
    context: Context, upload: Upload, size: int, *, announced: bool, asks_first: bool
) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    steps: list[Step] = [content[: size // 2], content[size // 2 : size]]
    headers = {"content-length": str(size)} if announced else {}
    headers |= {"expect": "100-continue"} if asks_first else {}
    assert send(context, upload, steps, headers) == size
    assert again(context, upload).size == size
    assert context.blobs.digest(upload.id, size, "sha256") == Digest.of(content[:size])


@pytest.mark.parametrize("asks_first", [False, True])
@pytest.mark.parametrize("came", [3, PIECE + 3])
def test_what_came_of_a_body_that_broke_off_counts(
    context: Context, upload: Upload, came: int, *, asks_first: bool
) -> None:
    headers = {"content-length": str(2 * PIECE if came > PIECE else 9)}
    headers |= {"expect": "100-continue"} if asks_first else {}
    with pytest.raises(ClientDisconnected):
        send(context, upload, [bytes(came), None], headers)
    assert again(context, upload).size == came


def test_of_a_body_of_which_nothing_came_nothing_is_begun(context: Context, upload: Upload) -> None:
    with pytest.raises(ClientDisconnected):
        send(context, upload, [None], {"content-length": "9"})
    assert again(context, upload) == upload
    assert list(context.blobs.uploads()) == []


@pytest.mark.parametrize("last", [b"late", None], ids=["whole", "broken off"])
def test_a_body_does_not_follow_on_what_came_while_it_was_sent(
    context: Context, upload: Upload, clock: FakeClock, last: Step
) -> None:
    def somebody_else() -> None:
        clock.advance(1)
        with Part(context, again(context, upload)) as part:
            part.append(b"in time")

    with pytest.raises(UploadConflict):
        send(context, upload, [b"too ", last], {}, meanwhile=somebody_else)
    assert again(context, upload).size == len(b"in time")


def test_who_asks_first_holds_the_upload_until_all_has_come(
    context: Context, upload: Upload
) -> None:
    def somebody_else() -> None:
        with pytest.raises(UploadConflict):
            Part(context, upload).__enter__()

    headers = {"expect": "100-continue"}
    assert send(context, upload, [b"mine", b" alone"], headers, meanwhile=somebody_else) == 10
