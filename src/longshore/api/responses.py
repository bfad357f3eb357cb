"""Responses: what the faces answer, and how it is sent over plain ASGI."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from longshore import files
from longshore.api.http import ClientDisconnected

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from typing import BinaryIO, TypeAlias

    from longshore.api.http import Request, Send
    from longshore.api.workers import Workers

_FILE_CHUNK = 1024 * 1024
# A smaller piece of a file is read first and goes with the head: one write in place of two.
_SMALL = 64 * 1024
# An extension of ASGI, "Zero Copy Send" in its specification.
_ZERO_COPY_SEND = "http.response.zerocopysend"
# An extension of our own server (`longshore.transport`).
_WHOLE_ANSWER = "longshore.response.whole"


@dataclass(frozen=True, slots=True)
class FileBody:
    """A body that is a piece of a file; sending it closes the file.

    Attributes:
        file: open for reading.
        offset: the first byte.
        length: the number of bytes.
        reopen: opens the file another time, where that can be done.
    """

    file: BinaryIO
    offset: int
    length: int
    reopen: Callable[[], BinaryIO] | None = None


@dataclass(frozen=True, slots=True)
class StreamBody:
    """A body whose end nobody knows; it is sent as it comes.

    Attributes:
        pieces: the body.
    """

    pieces: AsyncGenerator[bytes]


Whole: TypeAlias = "tuple[int, bytes, bytes | FileBody]"
"""Status, lines of the headers and body (empty to HEAD) of an answer."""


# Not frozen: each request has one, and freezing costs more than all that is in it.
@dataclass(slots=True)
class Response:
    """An answer. Its Content-Length comes from the body unless a header says it."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | FileBody | StreamBody = b""

    def with_header(self, name: str, value: str) -> Response:
        """Add a header, and return the answer."""
        self.headers[name] = value
        return self

    def length_to(self, request: Request) -> int:
        """Return how many bytes of a body the client is to get; 0 where nobody knows."""
        body = self.body
        if request.method == "HEAD":
            return 0
        return len(body) if isinstance(body, bytes) else _length(body) or 0

    async def send(self, request: Request, send: Send, workers: Workers) -> None:
        """Send the answer; to HEAD, only its head.

        Raises:
            ClientDisconnected: the client broke off.
        """
        try:
            await self._send(request, send, workers)
        except ConnectionError:
            raise ClientDisconnected from None
        finally:
            if isinstance(self.body, FileBody):
                self.body.file.close()
            elif isinstance(self.body, StreamBody):
                await self.body.pieces.aclose()

    def whole(self, request: Request) -> Whole | None:
        """Return it as it is to be sent.

        None where nobody knows the end, or where the connection is to be closed: then `send` has
        to.
        """
        if self.status == HTTPStatus.REQUEST_TIMEOUT:
            return None
        body: bytes | FileBody | StreamBody = b""
        if request.method != "HEAD":
            self.read_small_file(_SMALL)
            body = self.body
        elif not isinstance(self.body, bytes):
            return None
        return None if isinstance(body, StreamBody) else (self.status, self.lines(), body)

    def read_small_file(self, limit: int) -> None:
        """Put the bytes of a file in its place, if they are few and the kernel has them in memory.

        Args:
            limit: how many they may be.
        """
        body = self.body
        if isinstance(body, FileBody) and body.length <= limit:
            content = files.read_at_once(body.file.fileno(), body.offset, body.length)
            if content is not None:
                body.file.close()
                self.body = content

    def lines(self) -> bytes:
        """Return the headers as they are sent."""
        return _lines(self._headers())

    def _headers(self) -> dict[str, str]:
        headers = {}
        length = _length(self.body)
        # RFC 9110, section 8.6: no Content-Length in a 204.
        if length is not None and self.status != HTTPStatus.NO_CONTENT:
            headers["content-length"] = str(length)
        if self.status == HTTPStatus.REQUEST_TIMEOUT:
            # RFC 9110, section 15.5.9: nobody waits for the rest.
            headers["connection"] = "close"
        headers.update({name.lower(): value for name, value in self.headers.items()})
        return headers

    async def _send(self, request: Request, send: Send, workers: Workers) -> None:
        headers = self._headers()
        body: bytes | FileBody | StreamBody = b""
        if request.method != "HEAD":
            self.read_small_file(_SMALL)
            body = self.body
        if isinstance(body, FileBody) and body.length <= _SMALL:
            body = await workers.run(_read, body)
        encoded = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]
        if (
            isinstance(body, bytes)
            # Behind this one the connection has to be closed.
            and self.status != HTTPStatus.REQUEST_TIMEOUT
            and _WHOLE_ANSWER in request.extensions
            and request.extensions[_WHOLE_ANSWER](self.status, encoded, body)
        ):
            return
        await send({"type": "http.response.start", "status": self.status, "headers": encoded})
        if isinstance(body, bytes):
            await send({"type": "http.response.body", "body": body})
        elif isinstance(body, StreamBody):
            async for piece in body.pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        elif _ZERO_COPY_SEND in request.extensions:
            file = {"file": body.file, "offset": body.offset, "count": body.length}
            await send({"type": _ZERO_COPY_SEND, **file})
        else:
            await _send_copy(body, send, workers)


def _length(body: bytes | FileBody | StreamBody) -> int | None:
    if isinstance(body, bytes):
        return len(body)
    return body.length if isinstance(body, FileBody) else None


def _lines(headers: Mapping[str, str]) -> bytes:
    text = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if text.count("\r") != len(headers) or text.count("\n") != len(headers):
        # A client's word must not begin a header of its own.
        raise ValueError("a header of the answer holds a line break")
    return text.encode("latin-1")


async def _send_copy(body: FileBody, send: Send, workers: Workers) -> None:
    done = 0
    while done < body.length:
        size = min(_FILE_CHUNK, body.length - done)
        chunk = await workers.run(_read, FileBody(body.file, body.offset + done, size))
        done += size
        more = done < body.length
        await send({"type": "http.response.body", "body": chunk, "more_body": more})


def _read(body: FileBody) -> bytes:
    content = b""
    while missing := body.length - len(content):
        piece = os.pread(body.file.fileno(), missing, body.offset + len(content))
        if not piece:
            raise EOFError(f"a file ends {missing} bytes early")
        content += piece
    return content


def text_response(status: int, message: str) -> Response:
    """Return an answer for people."""
    return Response(status, {"Content-Type": "text/plain; charset=utf-8"}, f"{message}\n".encode())
