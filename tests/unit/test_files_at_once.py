"""Pieces of files that are sent at once, or as far as that can be, over real sockets."""

from __future__ import annotations

import io
import os
import socket
import struct
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest

from longshore.api.http import Request
from longshore.api.responses import FileBody, Response
from longshore.api.workers import Workers
from longshore.at_once import SENT
from longshore.transport import Patience
from tests.support.certificates import write_certificate
from tests.unit.test_transport import (
    BIG,
    CLOSE,
    LINUX_ONLY,
    LONG,
    SHORT,
    Served,
    begin_to_serve,
    read_all,
    read_answer,
    read_head,
    request,
    send_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

KIB, MIB = 1 << 10, 1 << 20


class File(io.FileIO):
    """A file that tells when it is closed."""

    def __init__(self, path: Path) -> None:
        self.ended = threading.Event()
        super().__init__(path)

    def close(self) -> None:
        super().close()
        self.ended.set()


@dataclass
class Piece:
    """An answer: a piece of a file."""

    body: FileBody

    def whole(self) -> tuple[int, bytes, FileBody]:
        return 200, b"content-length: %d\r\n" % self.body.length, self.body

    async def send(self, _send: Any) -> None:
        raise AssertionError("it can be sent whole")


@dataclass
class App:
    """An application that answers with the piece of a file that the query names.

    Args:
        path: the file.

    Attributes:
        sent: the requests that it would know again.
        files: all that were opened.
        repeated: how many requests were answered without being read.
    """

    path: Path
    sent: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)
    repeated: int = 0
    workers: Workers = field(default_factory=lambda: Workers(1))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer by messages, as who comes before another answer has ended is answered."""
        if scope["path"] == "/text":
            await send_text(send, b"text")
            return
        response = Response(200, body=(await self._answer(scope)).body)
        await response.send(Request(scope, receive, LONG), send, self.workers)

    def begin(self, scope: Any, _receive: Any) -> Coroutine[Any, Any, Piece] | None:
        return None if scope["path"] == "/text" else self._answer(scope)

    def again(self, _peer: str, sent: bytes) -> tuple[int, bytes, FileBody] | None:
        if sent not in self.sent:
            return None
        self.repeated += 1
        return self._piece(*self.sent[sent]).whole()

    async def _answer(self, scope: Any) -> Piece:
        asked = {key.decode(): int(value) for key, value in parse_qsl(scope["query_string"])}
        offset, length = asked["offset"], asked["length"]
        if SENT in scope.get("extensions", {}):
            self.sent[scope["extensions"][SENT]] = (offset, length)
        return self._piece(offset, length)

    def _piece(self, offset: int, length: int) -> Piece:
        file = File(self.path)
        self.files.append(file)
        return Piece(FileBody(file, offset, length))


@pytest.fixture(scope="module")
def content() -> bytes:
    return os.urandom(BIG)


@pytest.fixture(scope="module")
def path(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("files") / "file"
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def app(path: Path) -> Iterator[App]:
    app = App(path)
    yield app
    app.workers.close()


@pytest.fixture
def start(app: App) -> Iterator[Callable[..., Served]]:
    """Serve the application."""
    with ExitStack() as running:

        def start(patience: Patience | None = None, **options: Any) -> Served:
            served = begin_to_serve(app, patience, proxy_headers=False, **options)
            running.callback(served.stop)
            return served

        yield start


def piece(offset: int, length: int, *headers: str) -> bytes:
    return request(*headers, path=f"/?offset={offset}&length={length}")


PIECES = [
    (0, 0), (BIG, 0), (5, 1), (3, 70 * KIB), (0, MIB), (7, MIB), (BIG - MIB, MIB),
    (1, MIB + 1), (0, 9 * MIB), (0, BIG),
]  # fmt: skip


@pytest.mark.parametrize("is_encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("receive_buffer", [None, 4 * KIB], ids=["usual", "small"])
def test_a_piece_comes_whole_the_first_time_and_again(
    app: App,
    start: Any,
    content: bytes,
    certificate: Path,
    *,
    is_encrypted: bool,
    receive_buffer: int | None,
) -> None:
    trusted = certificate if is_encrypted else None
    pieces = PIECES if receive_buffer is None else PIECES[:-2]
    with start(ssl_certfile=trusted).connect(
        trusting=trusted, receive_buffer=receive_buffer
    ) as client:
        for offset, length in pieces:
            for _ in range(4):
                client.sendall(piece(offset, length))
                assert read_answer(client) == content[offset : offset + length]
    assert app.repeated > 0
    assert all(file.ended.wait(LONG) for file in app.files)


def test_answers_in_a_pipeline_come_in_their_order(start: Any, content: bytes) -> None:
    with start().connect(receive_buffer=64 * KIB) as client:
        client.sendall(piece(0, MIB) + request(path="/text") + piece(1, BIG - 1) + piece(2, 10))
        assert read_answer(client) == content[:MIB]
        assert read_answer(client) == b"text"
        assert read_answer(client) == content[1:]
        assert read_answer(client) == content[2:12]


def test_who_asks_again_before_all_has_come_gets_both_in_order(start: Any, content: bytes) -> None:
    with start().connect(receive_buffer=64 * KIB) as client:
        for _ in range(2):
            client.sendall(piece(0, BIG))
            assert read_answer(client) == content
        client.sendall(piece(0, BIG))
        head = read_head(client)
        assert b"content-length: %d" % BIG in head
        client.sendall(piece(0, BIG))
        assert read_exactly(client, BIG) == content
        assert read_answer(client) == content


def read_exactly(client: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        came = client.recv(min(MIB, size - len(received)))
        assert came
        received += came
    return bytes(received)


@pytest.mark.parametrize("length", [MIB, BIG])
@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_file_is_closed_when_its_client_goes(
    app: App, start: Any, *, length: int, is_reset: bool, times: int, caplog: Any
) -> None:
    served = start()
    for _ in range(times):
        with served.connect(receive_buffer=4 * KIB) as client:
            client.sendall(piece(0, length))
            read_head(client)
            if is_reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert all(file.ended.wait(LONG) for file in app.files)
    served.stop()
    assert len(app.files) == times
    assert caplog.text == ""


@LINUX_ONLY
def test_a_client_that_takes_nothing_is_given_up(app: App, start: Any) -> None:
    with start(Patience(stall=SHORT)).connect(receive_buffer=4 * KIB) as client:
        client.sendall(piece(0, BIG))
        read_head(client)
        assert app.files[0].ended.wait(LONG)


def test_a_server_that_stops_sends_a_piece_to_its_end(start: Any, content: bytes) -> None:
    served = start()
    with served.connect(receive_buffer=4 * KIB) as client:
        client.sendall(piece(0, BIG))
        read_head(client)
        served.begin_to_stop()
        assert read_all(client) == content


def test_who_does_not_keep_the_connection_sees_it_closed_behind_a_piece(
    start: Any, content: bytes
) -> None:
    with start().connect() as client:
        client.sendall(piece(0, MIB, CLOSE))
        assert read_all(client).endswith(content[:MIB])


@pytest.mark.parametrize("length", [MIB, 3 * MIB])
def test_a_file_that_ends_early_ends_the_connection(
    app: App, start: Any, length: int, caplog: Any
) -> None:
    with start().connect() as client:
        client.sendall(piece(BIG - MIB // 2, length))
        read_head(client)
        assert len(read_all(client)) == MIB // 2
    assert app.files[0].ended.wait(LONG)
    assert "a file ends" in caplog.text
