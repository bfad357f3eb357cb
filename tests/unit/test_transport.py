"""The connection, between real sockets and a real uvicorn: what is added and what must not change.

It stands on parts of uvicorn that are no public interface. These tests are what notices when an
update changes them.
"""

from __future__ import annotations

import io
import os
import socket
import ssl
import struct
import sys
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.api.http import ClientDisconnected, Request
from longshore.api.responses import FileBody, Response
from longshore.api.workers import Workers
from longshore.errors import RequestTimeout
from longshore.names import Digest
from longshore.transport import ZERO_COPY_SEND, Patience, http_protocol
from tests.support.certificates import write_certificate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from longshore.api.http import Receive, Scope, Send

    Answer: TypeAlias = "Callable[[Scope, Send, io.FileIO], Awaitable[None]]"
    Serve: TypeAlias = "Callable[..., Served]"

# How long a test waits for what must come, and a server for what never does; in seconds.
LONG = 60
SHORT = 0.2
# More than the sockets between the two hold, and than a thread sends in one turn.
BIG = 24 * 1024 * 1024
CLOSE = "Connection: close"
LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="of Linux")


@dataclass
class App:
    """An application that answers with a file, or to `/text` with the body of the request.

    Args:
        path: the file.
        answer: sends the answer.

    Attributes:
        ended: set when an answer is over.
        failures: what ended answers too early.
        files: all that were opened.
        extensions: what the last request was offered.
    """

    path: Path
    answer: Answer
    ended: threading.Event = field(default_factory=threading.Event)
    failures: list[str] = field(default_factory=list)
    files: list[io.FileIO] = field(default_factory=list)
    extensions: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.extensions = scope.get("extensions")
        if scope["path"] == "/text":
            await send_text(send, await body_of(receive))
            return
        with io.FileIO(self.path) as file:
            self.files.append(file)
            try:
                await self.answer(scope, send, file)
            except ConnectionResetError as error:
                self.failures.append(str(error))
            except BaseException as error:
                self.failures.append(type(error).__name__)
                raise
            finally:
                self.ended.set()


async def body_of(receive: Receive) -> bytes:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


async def send_head(send: Send, length: int | None) -> None:
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def send_text(send: Send, text: bytes, *, more: bool = False) -> None:
    await send_head(send, len(text))
    await send({"type": "http.response.body", "body": text, "more_body": more})


async def send_file(_: Scope, send: Send, file: io.FileIO) -> None:
    await send_head(send, os.fstat(file.fileno()).st_size)
    await send({"type": ZERO_COPY_SEND, "file": file})


async def send_range(scope: Scope, send: Send, file: io.FileIO) -> None:
    asked = {key.decode(): int(value) for key, value in parse_qsl(scope["query_string"])}
    length = asked.get("count", os.fstat(file.fileno()).st_size - asked.get("offset", 0))
    await send_head(send, length)
    await send({"type": ZERO_COPY_SEND, "file": file, **asked})


async def send_copies_for_ever(_: Scope, send: Send, __: io.FileIO) -> None:
    await send_head(send, None)
    while True:
        await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})


class Server(uvicorn.Server):
    """uvicorn's server, which tells when it begins to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopping = threading.Event()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.stopping.set()
        await super().shutdown(sockets)


class Served:
    """A server that runs, and how to reach it."""

    def __init__(self, config: uvicorn.Config) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = self._listening.getsockname()
        self.server = Server(config)
        self._thread = threading.Thread(
            target=self.server.run, kwargs={"sockets": [self._listening]}
        )
        self._thread.start()

    def connect(
        self, *, receive_buffer: int | None = None, trusting: Path | None = None
    ) -> socket.socket:
        client = socket.socket()
        if trusting is not None:
            context = ssl.create_default_context(cafile=str(trusting))
            client = context.wrap_socket(client, server_hostname="localhost")
        client.settimeout(LONG)
        if receive_buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect(self.address)
        return client

    def begin_to_stop(self) -> None:
        self.server.should_exit = True
        assert self.server.stopping.wait(LONG)

    def stop(self) -> None:
        self.server.should_exit = True
        self._thread.join()
        self._listening.close()


def begin_to_serve(app: Any, patience: Patience | None = None, **options: Any) -> Served:
    """Serve an application over our protocol, with uvicorn's `options`."""
    http = http_protocol(patience or Patience())
    chosen = {"timeout_graceful_shutdown": LONG, "access_log": False} | options
    config = uvicorn.Config(
        app, loop="uvloop", http=http, ws="none", lifespan="off", log_config=None, **chosen
    )
    return Served(config)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve an application."""
    with ExitStack() as running:

        def start(app: Any, patience: Patience | None = None, **options: Any) -> Served:
            served = begin_to_serve(app, patience, **options)
            running.callback(served.stop)
            return served

        yield start


@pytest.fixture(scope="module")
def content() -> bytes:
    return os.urandom(BIG)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> Path:
    path = tmp_path_factory.mktemp("transport") / "file"
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("transport"))


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was logged about things that went wrong."""
    return lambda: [r.getMessage() for r in caplog.records if r.levelname != "INFO"]


def request(*headers: str, path: str = "/", method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: x", *headers, "", ""]).encode()


def read_head(client: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = client.recv(1)
        assert piece, head
        head += piece
    return head


def read_answer(client: socket.socket) -> bytes:
    """Read the body of an answer and not a byte more, as another one may follow."""
    head = read_head(client).lower()
    assert head.startswith(b"http/1.1 200 ")
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body = bytearray()
    while len(body) < length:
        piece = client.recv(min(length - len(body), 1024 * 1024))
        assert piece, f"{len(body)} bytes of {length}"
        body += piece
    return bytes(body)


def read_all(client: socket.socket) -> bytes:
    """Read until the server closes, or gives up."""
    read = bytearray()
    with suppress(ConnectionResetError):
        while piece := client.recv(1024 * 1024):
            read += piece
    return bytes(read)


def test_a_file_arrives_whole(serve: Serve, path: Path, content: bytes, logged: Any) -> None:
    with serve(App(path, send_file)).connect() as client:
        client.sendall(request())
        assert read_answer(client) == content
    assert logged() == []


def test_a_file_arrives_at_a_client_that_has_little_room(
    serve: Serve, path: Path, content: bytes
) -> None:
    with serve(App(path, send_file)).connect(receive_buffer=4096) as client:
        client.sendall(request())
        assert read_answer(client) == content


def test_any_range_of_a_file_is_what_it_is_in_the_file(
    serve: Serve, path: Path, content: bytes
) -> None:
    edges = st.sampled_from([0, 1, 65536, BIG - 1, BIG]) | st.integers(0, BIG)

    with serve(App(path, send_range)).connect() as client:

        @settings(max_examples=30, deadline=None)
        @given(edges, edges)
        def check(one: int, other: int) -> None:
            begin, end = sorted([one, other])
            client.sendall(request(path=f"/?offset={begin}&count={end - begin}"))
            assert read_answer(client) == content[begin:end]

        check()


@pytest.mark.parametrize(
    ("query", "expected"),
    [("", slice(None)), ("offset=7", slice(7, None)), ("count=9", slice(9))],
)
def test_without_offset_and_count_a_file_is_sent_from_where_it_stands_to_its_end(
    serve: Serve, path: Path, content: bytes, query: str, expected: slice
) -> None:
    with serve(App(path, send_range)).connect() as client:
        client.sendall(request(path=f"/?{query}"))
        assert read_answer(client) == content[expected]


def test_a_file_can_be_a_piece_among_others(serve: Serve, path: Path, content: bytes) -> None:
    before = os.urandom(BIG)

    async def answer(_: Scope, send: Send, file: io.FileIO) -> None:
        await send_head(send, BIG + 2003)
        await send({"type": "http.response.body", "body": before, "more_body": True})
        piece = {"type": ZERO_COPY_SEND, "file": file, "count": 1000, "more_body": True}
        await send({**piece, "offset": 5})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await send({**piece, "offset": 9, "more_body": False})

    with serve(App(path, answer)).connect() as client:
        client.sendall(request())
        assert read_answer(client) == before + content[5:1005] + b"abc" + content[9:1009]


def test_a_file_is_not_sent_to_head(serve: Serve, path: Path) -> None:
    with serve(App(path, send_file)).connect() as client:
        client.sendall(request(method="HEAD") + request(path="/text"))
        assert f"content-length: {BIG}".encode() in read_head(client)
        assert read_answer(client) == b""


def test_a_file_keeps_its_place_in_a_pipeline(serve: Serve, path: Path, content: bytes) -> None:
    text = request("Content-Length: 3", path="/text", method="POST") + b"abc"
    with serve(App(path, send_file)).connect() as client:
        client.sendall(request() + text + request() + request() + text)
        answers = [read_answer(client) for _ in range(5)]
    assert answers == [content, b"abc", content, content, b"abc"]


@pytest.mark.parametrize("sent", [request(CLOSE), request(version="1.0")], ids=["close", "1.0"])
def test_the_end_of_a_file_ends_a_connection_that_is_not_kept(
    serve: Serve, path: Path, content: bytes, sent: bytes
) -> None:
    with serve(App(path, send_file)).connect() as client:
        client.sendall(sent)
        head = read_head(client)
        assert b"connection: close" in head
        assert read_all(client) == content


@LINUX_ONLY
def test_a_file_is_copied_where_its_file_system_does_not_send(serve: Serve) -> None:
    path = Path("/proc/self/cmdline")
    content = path.read_bytes()

    async def answer(_: Scope, send: Send, file: io.FileIO) -> None:
        await send_head(send, len(content))
        await send({"type": ZERO_COPY_SEND, "file": file, "offset": 0, "count": len(content)})

    with serve(App(path, answer)).connect() as client:
        client.sendall(request())
        assert read_answer(client) == content


def test_an_encrypted_connection_does_not_offer_it(
    serve: Serve, path: Path, certificate: Path, content: bytes
) -> None:
    async def answer(_: Scope, send: Send, file: io.FileIO) -> None:
        await send_text(send, file.read())

    app = App(path, answer)
    with serve(app, ssl_certfile=certificate).connect(trusting=certificate) as client:
        client.sendall(request())
        assert read_answer(client) == content
    assert ZERO_COPY_SEND not in app.extensions


@pytest.mark.parametrize("is_encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize(
    ("offset", "length"), [(0, 0), (BIG, 0), (3, 65536), (4, 65537), (0, BIG)], ids=str
)
def test_the_registry_sends_files_over_any_connection(
    serve: Serve,
    path: Path,
    content: bytes,
    certificate: Path,
    *,
    offset: int,
    length: int,
    is_encrypted: bool,
) -> None:
    workers = Workers(1)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        file = io.FileIO(path)
        response = Response(200, body=FileBody(file, offset, length))
        await response.send(Request(scope, receive, LONG), send, workers)
        assert file.closed

    trusted = certificate if is_encrypted else None
    with serve(app, ssl_certfile=trusted).connect(trusting=trusted) as client:
        client.sendall(request(method="HEAD") + request() + request())
        assert f"content-length: {length}".encode() in read_head(client)
        assert read_answer(client) == content[offset : offset + length]
        assert read_answer(client) == content[offset : offset + length]
    workers.close()


@pytest.mark.parametrize(
    ("announced", "message", "failure"),
    [
        (None, {"count": 5}, "RuntimeError"),
        (4, {"count": 5}, "RuntimeError"),
        (6, {"count": 5}, "RuntimeError"),
        (20, {"offset": BIG - 10, "count": 20}, "EOFError"),
    ],
    ids=["no length", "more than announced", "less than announced", "more than there is"],
)
def test_an_answer_that_cannot_be_right_ends_the_connection(
    serve: Serve,
    path: Path,
    *,
    announced: int | None,
    message: dict[str, int],
    failure: str,
    logged: Any,
) -> None:
    async def answer(_: Scope, send: Send, file: io.FileIO) -> None:
        await send_head(send, announced)
        await send({"type": ZERO_COPY_SEND, "file": file, "offset": 0, **message})

    app = App(path, answer)
    served = serve(app)
    with served.connect() as client:
        client.sendall(request())
        read_all(client)
    assert app.failures == [failure]
    served.stop()
    assert logged() == ["Exception in ASGI application\n"]


def test_a_file_cannot_come_before_the_head(serve: Serve, path: Path, logged: Any) -> None:
    async def answer(_: Scope, send: Send, file: io.FileIO) -> None:
        await send({"type": ZERO_COPY_SEND, "file": file})

    with serve(App(path, answer)).connect() as client:
        client.sendall(request())
        assert read_all(client).startswith(b"HTTP/1.1 500 ")
    assert logged() == ["Exception in ASGI application\n"]


@pytest.mark.parametrize("answer", [send_file, send_copies_for_ever])
@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("pipelined", [b"", request(path="/text")], ids=["alone", "pipelined"])
def test_an_answer_ends_when_its_client_goes(
    serve: Serve, path: Path, *, answer: Answer, is_reset: bool, pipelined: bytes, logged: Any
) -> None:
    app = App(path, answer)
    served = serve(app)
    with served.connect() as client:
        client.sendall(request() + pipelined)
        read_head(client)
        if is_reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert app.ended.wait(LONG)
    served.stop()
    assert app.failures == ["the client is gone"]
    assert [file.closed for file in app.files] == [True]
    assert logged() == []


@LINUX_ONLY
@pytest.mark.parametrize("answer", [send_file, send_copies_for_ever])
def test_a_client_that_takes_nothing_is_given_up(
    serve: Serve, path: Path, answer: Answer, logged: Any
) -> None:
    app = App(path, answer)
    served = serve(app, Patience(stall=SHORT))
    with served.connect() as client:
        client.sendall(request())
        assert app.ended.wait(LONG)
    served.stop()
    assert app.failures == ["the client is gone"]
    assert logged() == []


def test_clients_that_take_nothing_hold_no_thread(serve: Serve, path: Path, content: bytes) -> None:
    with ExitStack() as clients:
        served = serve(App(path, send_file))
        for _ in range(50):
            client = clients.enter_context(served.connect())
            client.sendall(request())
            read_head(client)
        last = clients.enter_context(served.connect())
        last.sendall(request())
        assert read_answer(last) == content


def test_a_server_that_stops_sends_a_file_to_its_end(
    serve: Serve, path: Path, content: bytes
) -> None:
    served = serve(App(path, send_file))
    with served.connect() as client:
        client.sendall(request())
        read_head(client)
        served.begin_to_stop()
        assert read_all(client) == content


def test_a_server_whose_time_is_over_stops_in_the_middle_of_a_file(
    serve: Serve, path: Path, content: bytes
) -> None:
    app = App(path, send_file)
    served = serve(app, timeout_graceful_shutdown=0)
    with served.connect() as client:
        client.sendall(request())
        read_head(client)
        served.stop()
        received = read_all(client)
    assert content.startswith(received)
    assert len(received) < len(content)
    assert app.failures == ["CancelledError"]
    assert app.files[0].closed


def test_what_is_not_http_does_not_get_into_an_answer(
    serve: Serve, path: Path, content: bytes
) -> None:
    with serve(App(path, send_file)).connect() as client:
        client.sendall(request())
        read_head(client)
        client.sendall(b"\0\r\n\r\n")
        assert content.startswith(read_all(client))


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n"], ids=repr)
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "second"])
def test_a_head_must_come_in_time(serve: Serve, path: Path, sent: bytes, is_first: bool) -> None:
    served = serve(App(path, send_file), Patience(head=SHORT), timeout_keep_alive=LONG)
    with served.connect() as client:
        if not is_first:
            client.sendall(request(path="/text"))
            read_answer(client)
        client.sendall(sent or b"\r\n")
        assert client.recv(1) == b""


def test_a_head_does_not_come_in_time_by_coming_slowly(serve: Serve, path: Path) -> None:
    with serve(App(path, send_file), Patience(head=SHORT)).connect() as client:
        client.settimeout(SHORT / 10)
        client.sendall(b"GET /")
        with suppress(ConnectionError):
            while True:
                with suppress(TimeoutError):
                    assert client.recv(1) == b""
                    break
                client.sendall(b"x")


def test_a_request_may_take_longer_than_its_head(serve: Serve, path: Path) -> None:
    served = serve(App(path, send_file), Patience(head=SHORT))
    with served.connect() as other, served.connect() as client:
        client.sendall(request("Content-Length: 2", path="/text", method="POST") + b"a")
        # Once the idle connection is gone, the patience with heads is over.
        assert other.recv(1) == b""
        client.sendall(b"b")
        assert read_answer(client) == b"ab"


def test_a_head_that_is_too_long_is_refused(serve: Serve, path: Path) -> None:
    with serve(App(path, send_file), Patience(head_size=1000)).connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 1000)
        assert read_all(client).startswith(b"HTTP/1.1 431 ")


def test_a_head_may_be_long(serve: Serve, path: Path) -> None:
    with serve(App(path, send_file)).connect() as client:
        client.sendall(request("X: " + "x" * 60_000, path="/text"))
        assert read_answer(client) == b""


CHUNKED = request("Transfer-Encoding: chunked", path="/text", method="POST")


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET /", b"x"),
        (b"GET / HTTP/1.1\r\nX: ", b"x"),
        (b"GET / HTTP/1.1\r\n", b"X: x\r\n"),
        (b"", b"\r\n"),
        (request(path="/text"), b"\r\n"),
        (CHUNKED + b"1;", b"x"),
        (CHUNKED + b"0\r\nX: ", b"x"),
        (CHUNKED + b"0\r\n", b"X: x\r\n"),
    ],
    ids=["path", "header", "headers", "lines", "later lines", "chunk", "trailer", "trailers"],
)
def test_talk_that_is_no_request_ends_the_connection(
    serve: Serve, path: Path, begin: bytes, more: bytes
) -> None:
    with serve(App(path, send_file)).connect() as client:
        client.sendall(begin)
        with pytest.raises(ConnectionError):
            send_often(client, more * (65536 // len(more)))


def send_often(client: socket.socket, data: bytes) -> None:
    for _ in range(1000):
        client.sendall(data)


@pytest.mark.parametrize("size", [1, 1000, 300_000])
def test_a_body_is_as_long_as_it_likes(serve: Serve, path: Path, size: int) -> None:
    chunks = [os.urandom(size) for _ in range(3_000_000 // size if size > 1 else 20_000)]
    body = b"".join(chunks)
    coded = b"".join(b"%x\r\n%b\r\n" % (size, chunk) for chunk in chunks) + b"0\r\n\r\n"
    with serve(App(path, send_file), Patience(head_size=1000)).connect() as client:
        client.sendall(CHUNKED + coded)
        assert read_answer(client) == body
        whole = request(f"Content-Length: {len(body)}", path="/text", method="POST")
        client.sendall(whole + body)
        assert read_answer(client) == body


# --- Bodies that are read into the reader's memory ------------------------------------------------

PIECE = 512 * 1024


# Past the parser, and out of it.
WITH_LENGTH_OR_IN_CHUNKS = pytest.mark.parametrize("chunk", [0, 1000, PIECE + 1])


@dataclass
class Reader:
    """An application that reads a body into memory of its own and answers with its digest.

    Args:
        idle_timeout: how long a client may pause, in seconds.
        enough: after how many bytes it answers, whatever follows.

    Attributes:
        began: set when the first piece has come.
        ended: set when an answer is over.
        received: how many bytes have come.
        failure: what ended a body too early.
        headers: what its answers have besides.
    """

    idle_timeout: float = LONG
    enough: int = sys.maxsize
    began: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    received: int = 0
    failure: Exception | None = None
    headers: dict[str, str] = field(default_factory=dict)
    workers: Workers = field(default_factory=lambda: Workers(1))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, self.idle_timeout)
        body = bytearray()
        buffer = memoryview(bytearray(PIECE))
        try:
            while not request.is_read and len(body) < self.enough:
                count = await request.read_into(buffer)
                body += buffer[:count]
                self.began.set()
            self.received = len(body)
            response = Response(200, self.headers, Digest.of(bytes(body)).hex.encode())
            await response.send(request, send, self.workers)
        except (ClientDisconnected, RequestTimeout) as error:
            self.failure = error
            self.received = len(body) + getattr(error, "received", 0)
        finally:
            self.ended.set()


def put(body: bytes, *, chunk: int = 0) -> bytes:
    """Return a request with a body, in chunks where they have a size."""
    head = b"PUT / HTTP/1.1\r\nHost: localhost\r\n"
    if not chunk:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    pieces = [body[at : at + chunk] for at in range(0, len(body), chunk)] + [b""]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + framed


def digest_of(content: bytes) -> bytes:
    return Digest.of(content).hex.encode()


@pytest.mark.parametrize(
    "size", [0, 1, PIECE // 2, PIECE // 2 + 1, PIECE, 3 * PIECE + 7, 4 * PIECE]
)
@WITH_LENGTH_OR_IN_CHUNKS
def test_a_body_is_read_whole_and_nothing_of_what_follows(
    serve: Serve, content: bytes, size: int, chunk: int
) -> None:
    bodies = [content[:size], content[-size - 1 :], b"small"]
    with serve(Reader()).connect() as client:
        client.sendall(b"".join(put(body, chunk=chunk) for body in bodies))
        assert [read_answer(client) for _ in bodies] == [digest_of(body) for body in bodies]


@WITH_LENGTH_OR_IN_CHUNKS
def test_an_encrypted_body_is_read_whole_and_nothing_of_what_follows(
    serve: Serve, certificate: Path, content: bytes, chunk: int
) -> None:
    bodies = [content[: 3 * PIECE + 7], content[:-PIECE], b"small"]
    with serve(Reader(), ssl_certfile=certificate).connect(trusting=certificate) as client:
        for body in bodies:
            client.sendall(put(body, chunk=chunk))
            assert read_answer(client) == digest_of(body)


@WITH_LENGTH_OR_IN_CHUNKS
def test_a_body_may_come_in_small_pieces(serve: Serve, content: bytes, chunk: int) -> None:
    sent = put(content[: 2 * PIECE], chunk=chunk)
    with serve(Reader()).connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(sent), 10_000):
            client.sendall(sent[at : at + 10_000])
        assert read_answer(client) == digest_of(content[: 2 * PIECE])


@WITH_LENGTH_OR_IN_CHUNKS
def test_what_nobody_read_of_a_body_does_not_get_into_the_next_request(
    serve: Serve, content: bytes, chunk: int
) -> None:
    with serve(Reader(enough=PIECE)).connect() as client:
        for _ in range(2):
            client.sendall(put(content, chunk=chunk))
            assert read_answer(client) == digest_of(content[:PIECE])


def test_of_a_body_that_breaks_off_it_is_known_how_much_came(serve: Serve, content: bytes) -> None:
    app = Reader()
    with serve(app).connect() as client:
        client.sendall(put(content)[: 3 * PIECE])
        assert app.began.wait(LONG)
    assert app.ended.wait(LONG)
    assert isinstance(app.failure, ClientDisconnected)
    assert app.received == 3 * PIECE - (len(put(content)) - len(content))


def test_of_a_body_in_chunks_that_breaks_off_it_is_known_how_much_came(
    serve: Serve, content: bytes
) -> None:
    app = Reader()
    sent = put(content, chunk=1000)[: 3 * PIECE]
    with serve(app).connect() as client:
        client.sendall(sent)
        assert app.began.wait(LONG)
    assert app.ended.wait(LONG)
    assert isinstance(app.failure, ClientDisconnected)
    whole, rest = divmod(len(sent.partition(b"\r\n\r\n")[2]), len(b"3e8\r\n\r\n") + 1000)
    assert app.received == whole * 1000 + min(max(rest - len(b"3e8\r\n"), 0), 1000)


@pytest.mark.parametrize("broken", [b"xyz\r\n", b"-1\r\n", b"\r\n\r\n", b"5 5\r\n"])
def test_a_body_whose_chunks_are_none_is_given_up(
    serve: Serve, content: bytes, broken: bytes, logged: Any
) -> None:
    app = Reader()
    sent = put(content[: 3 * PIECE], chunk=1000)
    with serve(app).connect() as client:
        client.sendall(sent.removesuffix(b"0\r\n\r\n") + broken + b"0\r\n\r\n" + request())
        assert read_all(client).startswith(b"HTTP/1.1 400 ")
    assert app.ended.wait(LONG)
    assert isinstance(app.failure, ClientDisconnected)
    assert logged() == ["Invalid HTTP request received."]


@WITH_LENGTH_OR_IN_CHUNKS
def test_a_body_that_pauses_too_long_is_given_up(serve: Serve, content: bytes, chunk: int) -> None:
    app = Reader(idle_timeout=SHORT)
    with serve(app).connect() as client:
        client.sendall(put(content, chunk=chunk)[: 3 * PIECE])
        assert app.ended.wait(LONG)
    assert isinstance(app.failure, RequestTimeout)


@pytest.mark.parametrize("chunk", [0, PIECE])
def test_a_few_bytes_of_a_body_are_no_pause(serve: Serve, content: bytes, chunk: int) -> None:
    app = Reader(idle_timeout=SHORT)
    sent = put(content[: 2 * PIECE], chunk=chunk)
    with serve(app).connect() as client:
        last = len(sent) - (len(b"\r\n0\r\n\r\n") if chunk else 0)
        client.sendall(sent[: last - 10])
        for at in range(last - 10, last):
            # Less than the server would wake up for, for longer in all than it waits.
            assert not app.ended.wait(SHORT / 2)
            client.sendall(sent[at : at + 1])
        client.sendall(sent[last:])
        assert read_answer(client) == digest_of(content[: 2 * PIECE])


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\rb"])
def test_a_header_can_not_become_two(serve: Serve, value: str) -> None:
    with serve(Reader(headers={"X-A": value})).connect() as client:
        client.sendall(put(b""))
        assert b"cookie" not in read_all(client).lower()
