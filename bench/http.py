"""HTTP as the benchmark speaks it: requests made beforehand, and a connection that costs little."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

_PATIENCE_SECONDS = 120
_HEAD_SIZE = 64 * 1024
_BODY_SIZE = 1024 * 1024
# The kernel takes at most this many pieces at once (IOV_MAX).
_MOST_PIECES = 1024


class BadAnswer(Exception):
    """A server answered otherwise than it should; the message holds its answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def expect(self, *statuses: int) -> Answer:
        """Return the answer itself.

        Raises:
            BadAnswer: its status is none of these.
        """
        if self.status not in statuses:
            raise BadAnswer(f"{self.status} {self.headers} {self.body[:500]!r}")
        return self


def raw_request(
    method: str, path: str, host: str, headers: Mapping[str, str], body: bytes | None = b""
) -> bytes:
    """Return a request as it goes over the wire.

    Args:
        method: the method.
        path: the path and the query.
        host: the Host header.
        headers: further headers; the body's length is added where there is one.
        body: the body, or None where it is sent apart and `headers` tell of it.
    """
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body or (body is not None and method not in {"GET", "HEAD"}):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def ask(
    address: str,
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """Send one request over a connection of its own: for what isn't measured."""
    connection = http.client.HTTPConnection(address, timeout=_PATIENCE_SECONDS)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, named, response.read())
    finally:
        connection.close()


def path_of(location: str) -> str:
    """Return the path and the query of a Location header."""
    parts = urlsplit(location)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


class Connection:
    """A kept connection that sends pieces without joining them, and throws bodies away.

    Args:
        address: the server, `HOST:PORT`.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), _PATIENCE_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Without a time-out of Python's own, which would cost another system call each time.
        self._socket.settimeout(None)
        self._buffer = bytearray(_BODY_SIZE)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._socket.close()

    def send(self, pieces: Iterable[bytes | memoryview]) -> None:
        """Send these bytes."""
        waiting = [memoryview(piece) for piece in pieces if len(piece)]
        waiting.reverse()
        while waiting:
            batch = waiting[: -_MOST_PIECES - 1 : -1]
            sent = self._socket.sendmsg(batch)
            while sent:
                piece = waiting.pop()
                if len(piece) > sent:
                    waiting.append(piece[sent:])
                    break
                sent -= len(piece)

    def exchange(self, *pieces: bytes | memoryview, head_only: bool = False) -> Answer:
        """Send a request and return the answer without its body.

        Args:
            pieces: the request.
            head_only: whether no body follows, whatever the Content-Length says.

        Raises:
            BadAnswer: the server broke off, or sent a body without a Content-Length.
        """
        self.send(pieces)
        received = b""
        while b"\r\n\r\n" not in received:
            more = self._socket.recv(_HEAD_SIZE)
            if not more:
                raise BadAnswer(f"the connection ended after {received[:500]!r}")
            received += more
        head, _, body = received.partition(b"\r\n\r\n")
        answer = _parsed(head)
        if head_only or answer.status == 204:
            return answer
        if "content-length" not in answer.headers:
            raise BadAnswer(f"no Content-Length: {answer}")
        self._skip(int(answer.headers["content-length"]) - len(body))
        return answer

    def _skip(self, size: int) -> None:
        while size > 0:
            received = self._socket.recv_into(self._buffer, min(size, _BODY_SIZE))
            if not received:
                raise BadAnswer(f"the connection ended {size} bytes early")
            size -= received


def _parsed(head: bytes) -> Answer:
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Answer(int(first.split(" ", 2)[1]), headers)
