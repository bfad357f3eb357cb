"""Requests sent by hand over a socket, for what no HTTP client would do: stop in the middle."""

from __future__ import annotations

import http.client
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.server import read_answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.server import Answer, RunningServer

_PATIENCE_SECONDS = 60


class Wire:
    """A connection of which every byte is the test's own."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, content: bytes) -> None:
        """Send bytes."""
        self._connection.sendall(content)

    def close(self) -> None:
        """Break off."""
        self._connection.close()

    def read_answer(self) -> Answer:
        """Wait for an answer and read it to its end."""
        response = http.client.HTTPResponse(self._connection)
        response.begin()
        return read_answer(response)

    def is_closed(self) -> bool:
        """Wait for the server to say something or to close; tell whether it closed."""
        try:
            return self._connection.recv(1) == b""
        except ConnectionResetError:
            return True

    def await_continue(self) -> None:
        """Wait until the server asks for the body: it has begun to work on the request."""
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += self._connection.recv(1)
        assert answer.startswith(b"HTTP/1.1 100 "), answer


@contextmanager
def wire(server: RunningServer) -> Iterator[Wire]:
    """Connect to a server."""
    host, _, port = server.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=_PATIENCE_SECONDS) as connection:
        yield Wire(connection)


def head(method: str, path: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Return the head of a request as it is sent."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
