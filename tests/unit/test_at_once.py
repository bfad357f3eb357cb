"""Requests that are answered at once, between real sockets and a real uvicorn."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from dataclasses import dataclass, field
from select import select
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.at_once import SENT, WHOLE_BODY, Rest
from longshore.transport import Patience
from tests.unit.test_transport import (
    CLOSE,
    LONG,
    SHORT,
    Served,
    begin_to_serve,
    body_of,
    read_all,
    read_answer,
    read_head,
    request,
    send_text,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator


@dataclass
class Text:
    """An answer: a text."""

    text: bytes
    is_whole: bool = True
    is_head: bool = False

    def whole(self) -> tuple[int, bytes, bytes] | None:
        if not self.is_whole:
            return None
        length = b"content-length: %d\r\n" % len(self.text)
        return 200, length, b"" if self.is_head else self.text

    async def send(self, send: Any) -> None:
        await send_text(send, self.text)


@dataclass
class App:
    """An application that tells how it was asked, and what was in the body.

    What `/known` is answered is known. To `/wait` it answers after a turn of the event loop, to
    `/pieces` by messages, to `/task` in a task alone, to `/meanwhile` when it has done what it was
    given for that; to `/fail` it doesn't.
    """

    tasks: list[asyncio.Task[Any] | None] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    meanwhile: Callable[[], None] = field(default=lambda: None)

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        await send_text(send, b"task:" + await body_of(receive))

    def begin(self, scope: Any, _receive: Any) -> Coroutine[Any, Any, Text] | None:
        return None if scope["path"] == "/task" else self._answer(scope)

    def again(self, peer: str, sent: bytes) -> tuple[int, bytes, bytes] | None:
        assert peer == "127.0.0.1"
        text = b"again"
        length = b"content-length: %d\r\n" % len(text)
        return (200, length, text) if sent in self.sent else None

    def known(self, scope: Any) -> tuple[int, bytes, bytes] | None:
        number = dict(scope["headers"]).get(b"number", b"none")
        length = b"content-length: %d\r\n" % len(number)
        return (200, length, number) if scope["path"] == "/known" else None

    async def _answer(self, scope: Any) -> Text:
        if SENT in scope["extensions"]:
            self.sent.append(scope["extensions"][SENT])
        self.tasks.append(asyncio.current_task())
        text = b"once:" + scope["extensions"][WHOLE_BODY]()
        match scope["path"]:
            case "/fail":
                raise ValueError("on purpose")
            case "/meanwhile":
                self.meanwhile()
            case "/wait":
                await asyncio.sleep(0)
                self.tasks.append(asyncio.current_task())
            case "/fail/later":
                await asyncio.sleep(0)
                raise ValueError("on purpose")
        return Text(text, is_whole=scope["path"] != "/pieces", is_head=scope["method"] == "HEAD")


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def start(app: App) -> Iterator[Callable[..., Served]]:
    """Serve the application."""
    with ExitStack() as running:

        def start(patience: Patience | None = None, **options: Any) -> Served:
            served = begin_to_serve(app, patience, proxy_headers=False, **options)
            running.callback(served.stop)
            return served

        yield start


def ask(client: socket.socket, body: bytes = b"", *headers: str, path: str = "/") -> bytes:
    length = f"Content-Length: {len(body)}"
    client.sendall(request(length, *headers, path=path, method="POST") + body)
    return read_answer(client)


def test_what_came_whole_is_answered_without_a_task(app: App, start: Any) -> None:
    with start().connect() as client:
        assert [ask(client, body) for body in (b"", b"a", b"b" * 16 * 1024)] == [
            b"once:",
            b"once:a",
            b"once:" + b"b" * 16 * 1024,
        ]
    assert app.tasks == [None, None, None]


def test_what_came_before_in_the_same_bytes_is_answered_without_being_read(start: Any) -> None:
    with start().connect() as client:
        assert ask(client, b"a") == b"once:a"
        assert [ask(client, b"a") for _ in range(3)] == [b"again"] * 3
        # The parser has seen nothing of it, and reads on.
        assert ask(client, b"b") == b"once:b"
        with socket.create_connection(client.getpeername()) as other:
            assert ask(other, b"a") == b"again"


def test_what_is_known_by_what_it_says_is_answered_without_being_begun(
    app: App, start: Any
) -> None:
    with start().connect() as client:
        for number in ("1", "2"):
            client.sendall(request(f"Number: {number}", path="/known"))
            assert read_answer(client) == number.encode()
        assert app.tasks == []
        assert ask(client, b"a", path="/known") == b"once:a"
        # In a pipeline, too.
        client.sendall(request("Number: 3", path="/known") * 2)
        assert {read_answer(client) for _ in range(2)} <= {b"3", b"task:"}


def test_what_came_in_pieces_or_with_another_request_is_not_known_by_its_bytes(
    app: App, start: Any
) -> None:
    one = request("Content-Length: 1", method="POST")
    with start().connect() as client:
        client.sendall(one)
        with socket.create_connection(client.getpeername()) as other:
            assert ask(other, b"z") == b"once:z"
        client.sendall(b"a")
        assert read_answer(client) in {b"task:a", b"once:a"}
        client.sendall((one + b"b") * 2)
        assert {read_answer(client) for _ in range(2)} <= {b"task:b", b"once:b"}
        assert app.sent == [one + b"z"]
        assert ask(client, b"a") == b"once:a"
        # Bytes that are a request only together with those before them.
        client.sendall(one[:10])
        with socket.create_connection(client.getpeername()) as other:
            assert ask(other, b"z") == b"again"
        client.sendall(one[10:] + b"a")
        assert read_answer(client) == b"once:a"


def test_what_has_to_wait_goes_on_in_a_task(app: App, start: Any) -> None:
    with start().connect() as client:
        assert ask(client, b"a", path="/wait") == b"once:a"
        assert ask(client, b"b") == b"once:b"
    assert [task is None for task in app.tasks] == [True, False, True]


@pytest.mark.parametrize("path", ["/pieces", "/task"])
def test_what_can_not_be_answered_at_once_is_answered_by_messages(start: Any, path: str) -> None:
    with start().connect() as client:
        assert ask(client, b"a", path=path) == (b"task:a" if path == "/task" else b"once:a")
        assert ask(client, b"b") == b"once:b"


def test_a_body_in_pieces_or_a_large_one_is_received_by_a_task(start: Any) -> None:
    large = bytes(16 * 1024 + 1)
    with start().connect() as client:
        assert ask(client, large) == b"task:" + large
        client.sendall(request("Content-Length: 2", method="POST") + b"a")
        # The first piece has been taken when what another connection asks is answered.
        with socket.create_connection(client.getpeername()) as other:
            assert ask(other) == b"once:"
        client.sendall(b"b")
        assert read_answer(client) in {b"task:ab", b"once:ab"}
        assert ask(client) == b"once:"


def test_requests_in_a_pipeline_are_answered_in_their_order(start: Any) -> None:
    with start().connect() as client:
        paths = ["/", "/wait", "/", "/task", "/pieces", "/"]
        numbered = [
            request("Content-Length: 1", path=path, method="POST") + b"%d" % number
            for number, path in enumerate(paths)
        ]
        client.sendall(b"".join(numbered))
        assert [read_answer(client)[-1:] for _ in paths] == [b"%d" % n for n in range(len(paths))]
        assert ask(client) == b"once:"


def test_to_head_there_is_no_body(start: Any) -> None:
    with start().connect() as client:
        client.sendall(request(method="HEAD"))
        assert b"content-length: 5" in read_head(client)
        assert ask(client, b"next") == b"once:next"


@pytest.mark.parametrize("path", ["/fail", "/fail/later"])
def test_a_failure_is_told(start: Any, path: str, caplog: pytest.LogCaptureFixture) -> None:
    with start().connect() as client:
        client.sendall(request(path=path))
        assert read_all(client).startswith(b"HTTP/1.1 500 ")
    assert "on purpose" in caplog.text


def test_every_answer_has_a_date(start: Any) -> None:
    with start().connect() as client:
        client.sendall(request())
        assert b"\r\ndate: " in read_head(client)


@pytest.mark.parametrize(
    ("version", "headers"), [("1.0", ()), ("1.1", (CLOSE,)), ("1.0", ("Connection: keep-alive",))]
)
def test_who_does_not_keep_the_connection_sees_it_closed(
    start: Any, version: str, headers: tuple[str, ...]
) -> None:
    with start().connect() as client:
        client.sendall(request(*headers, version=version))
        assert read_all(client).endswith(b"task:")


def test_who_expects_to_be_told_to_go_on_is_told(start: Any) -> None:
    with start().connect() as client:
        client.sendall(request("Content-Length: 1", "Expect: 100-continue", method="POST"))
        assert read_head(client).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"a")
        assert read_answer(client) == b"task:a"


@pytest.mark.parametrize(("body", "answer"), [(b"b", b"once:b"), (b"a", b"again")])
def test_who_says_nothing_after_an_answer_is_left(start: Any, body: bytes, answer: bytes) -> None:
    with start(timeout_keep_alive=SHORT).connect() as client:
        assert ask(client, b"a") == b"once:a"
        assert ask(client, body) == answer
        assert read_all(client) == b""


def served_end(served: Served, client: socket.socket) -> Any:
    """Return the connection that a server has with a client."""
    connections: set[Any] = served.server.server_state.connections
    [found] = [each for each in connections if each.client == client.getsockname()]
    return found


@pytest.mark.parametrize("end", ["timeout_keep_alive_handler", "shutdown"])
def test_who_asks_in_the_last_moment_is_answered(app: App, start: Any, end: str) -> None:
    served = start()
    with served.connect() as client, served.connect() as other:
        assert ask(client) == b"once:"
        idle = served_end(served, client)

        def ask_before_the_end() -> None:
            client.sendall(request("Content-Length: 4", method="POST") + b"late")
            assert select([idle.transport.get_extra_info("socket")], [], [], LONG)[0]
            getattr(idle, end)()

        app.meanwhile = ask_before_the_end
        assert ask(other, path="/meanwhile") == b"once:"
        assert read_answer(client) == b"once:late"

    with served.connect() as client, served.connect() as other:
        assert ask(client, b"c") == b"once:c"
        app.meanwhile = getattr(served_end(served, client), end)
        assert ask(other, b"b", path="/meanwhile") == b"once:b"
        assert read_all(client) == b""


@pytest.mark.parametrize("path", ["/", "/again", "/known", "/wait", "/pieces", "/task"])
def test_who_is_taken_leave_of_hears_so_with_one_more_answer(
    app: App, start: Any, path: str
) -> None:
    served = start()
    with served.connect() as client, served.connect() as other:
        asked = request(path=path)
        client.sendall(asked)
        before = read_answer(client)
        app.meanwhile = served_end(served, client).take_leave
        ask(other, path="/meanwhile")
        # Nobody else is.
        assert ask(other) == b"once:"

        client.sendall(asked)
        last = read_all(client)
    head, _, body = last.partition(b"\r\n\r\n")
    assert head.lower().split(b"\r\n").count(b"connection: close") == 1
    assert body in {before, b"again"}


def test_who_is_in_the_middle_of_asking_is_answered_before_the_leave(app: App, start: Any) -> None:
    served = start()
    with served.connect() as client, served.connect() as other:
        client.sendall(request("Content-Length: 2", method="POST") + b"a")
        ask(other)
        app.meanwhile = served_end(served, client).shutdown
        ask(other, path="/meanwhile")
        client.sendall(b"b")
        last = read_all(client)
    assert b"\r\nconnection: close\r\n" in last
    assert last.endswith((b"task:ab", b"once:ab"))


@pytest.mark.parametrize(("body", "answer"), [(b"b", b"once:b"), (b"a", b"again")])
def test_who_never_ends_a_head_after_an_answer_is_left(
    start: Any, body: bytes, answer: bytes
) -> None:
    with start(Patience(head=SHORT)).connect() as client:
        assert ask(client, b"a") == b"once:a"
        assert ask(client, body) == answer
        client.sendall(b"GET / HTTP/1.1\r\n")
        assert read_all(client) == b""


def test_a_server_that_stops_closes_what_is_answered(start: Any) -> None:
    served = start()
    with served.connect() as client:
        assert ask(client) == b"once:"
        served.begin_to_stop()
        assert read_all(client) == b""


def test_where_uvicorn_limits_requests_they_take_its_way(start: Any) -> None:
    with start(limit_concurrency=10).connect() as client:
        assert ask(client) == b"task:"


# --- Coroutines that are begun by hand ------------------------------------------------------------


async def _some(turns: list[str], gone_through: list[str]) -> str:
    for turn in turns:
        try:
            match turn:
                case "sleep":
                    await asyncio.sleep(0)
                case "future":
                    future = asyncio.get_running_loop().create_future()
                    asyncio.get_running_loop().call_soon(future.set_result, turn)
                    assert await future == turn
                case "failure":
                    failing = asyncio.get_running_loop().create_future()
                    asyncio.get_running_loop().call_soon(failing.set_exception, KeyError(turn))
                    await failing
        except KeyError:
            gone_through.append("caught")
        gone_through.append(turn)
    return "".join(turns)


@given(turns=st.lists(st.sampled_from(["sleep", "future", "failure"]), min_size=1))
def test_what_was_begun_goes_on_as_if_it_were_awaited(turns: list[str]) -> None:
    async def awaited(gone: list[str]) -> str:
        return await _some(turns, gone)

    async def begun_by_hand(gone: list[str]) -> str:
        begun: Any = _some(turns, gone)
        waits_for = begun.send(None)
        rest: Awaitable[Any] = Rest(begun, waits_for)
        return str(await rest)

    expected: list[str] = []
    found: list[str] = []
    assert asyncio.run(awaited(expected)) == asyncio.run(begun_by_hand(found))
    assert found == expected


def test_what_was_begun_is_cancelled_with_the_task_that_waits_for_it() -> None:
    ended: list[str] = []

    async def for_ever() -> Text:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        raise AssertionError("nothing sets it")

    async def main() -> None:
        begun: Any = for_ever()
        rest = Rest(begun, begun.send(None))

        async def wait() -> None:
            await rest

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ended == ["cancelled"]
