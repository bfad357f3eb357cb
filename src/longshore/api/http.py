"""As much HTTP as the faces need, over plain ASGI."""

from __future__ import annotations

import asyncio
import os
import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl, unquote

from longshore.access.sigv4 import RequestHead
from longshore.errors import RegistryError, RequestEntityTooLarge, RequestTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from typing import BinaryIO

    from longshore.api.workers import Workers

Scope: TypeAlias = "Mapping[str, Any]"
Receive: TypeAlias = "Callable[[], Awaitable[Mapping[str, Any]]]"
Send: TypeAlias = "Callable[[Mapping[str, Any]], Awaitable[None]]"

_FILE_CHUNK = 1024 * 1024
_HOST = re.compile(r"[A-Za-z0-9._-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")


class BadRequest(RegistryError):
    """The request isn't HTTP as it should be."""

    code = "BadRequestException"


class ClientDisconnected(Exception):
    """The client went away in the middle of its request: nobody is left to answer."""


class Request:
    """A request whose body hasn't been read yet.

    Args:
        scope: ASGI's description of the request.
        receive: ASGI's source of the body.
        idle_timeout: how long the client may pause in the middle of the body, in seconds.
    """

    def __init__(self, scope: Scope, receive: Receive, idle_timeout: float) -> None:
        self.id = str(uuid.uuid4())
        self.method: str = scope["method"]
        self.scheme: str = scope.get("scheme", "http")
        self.headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        self.raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        self.raw_query: bytes = scope.get("query_string", b"")
        self._receive = receive
        self._idle_timeout = idle_timeout

    @property
    def path(self) -> str:
        """The path as it was sent, percent-encodings included."""
        return self.raw_path.partition(b"?")[0].decode("latin-1")

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters of the query, in order.

        Raises:
            BadRequest: there is a NUL among them, which no database keeps in a text.
        """
        parameters = parse_qsl(self.raw_query.decode("latin-1"), keep_blank_values=True)
        if any("\0" in part for parameter in parameters for part in parameter):
            raise BadRequest("The query holds a NUL character.")
        return parameters

    def parameter(self, name: str) -> str | None:
        """Return the first parameter of the query called `name`."""
        return next((value for key, value in self.query if key == name), None)

    def header(self, name: bytes) -> str | None:
        """Return the first header called `name`, which is lower-case."""
        return next((value.decode("latin-1") for key, value in self.headers if key == name), None)

    @property
    def host(self) -> str:
        """The host, and the port where there is one, that the client asked for.

        Raises:
            BadRequest: there is none, or it isn't one.
        """
        host = self.header(b"host") or ""
        if _HOST.fullmatch(host) is None:
            raise BadRequest("The Host header is missing or isn't a host name.")
        return host

    @property
    def base_url(self) -> str:
        """Scheme and host, as the client wrote them."""
        return f"{self.scheme}://{self.host}"

    @property
    def content_length(self) -> int | None:
        """The length of the body in bytes, where the client announced it."""
        length = self.header(b"content-length")
        return int(length) if length is not None and length.isdecimal() else None

    def head(self) -> RequestHead:
        """Return what a signature covers."""
        return RequestHead(
            self.method, self.raw_path.partition(b"?")[0], self.raw_query, self.headers
        )

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes.

        Raises:
            ClientDisconnected: it broke off.
            RequestTimeout: the client paused for too long.
        """
        more = True
        while more:
            try:
                async with asyncio.timeout(self._idle_timeout):
                    message = await self._receive()
            except TimeoutError:
                raise RequestTimeout(
                    f"No byte of the body came for {self._idle_timeout:g} seconds"
                ) from None
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            more = message.get("more_body", False)
            if chunk := message.get("body", b""):
                yield chunk

    async def body(self, limit: int) -> bytes:
        """Return the whole body.

        Raises:
            RequestEntityTooLarge: it has more than `limit` bytes.
        """
        if (self.content_length or 0) > limit:
            raise _too_large(limit)
        chunks: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            chunks.append(chunk)
        return b"".join(chunks)


def _too_large(limit: int) -> RequestEntityTooLarge:
    return RequestEntityTooLarge(f"The body of this request may have at most {limit} bytes")


@dataclass(frozen=True, slots=True)
class FileBody:
    """A body that is a piece of a file; sending it closes the file.

    Attributes:
        file: open for reading.
        offset: the first byte.
        length: the number of bytes.
    """

    file: BinaryIO
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. Its Content-Length comes from the body unless a header says it."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | FileBody = b""

    def with_headers(self, **headers: str) -> Response:
        """Return the same answer with further headers; `_` in their names stands for `-`."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return Response(self.status, self.headers | more, self.body)

    async def send(self, request: Request, send: Send, workers: Workers) -> None:
        """Send the answer; to HEAD, only its head."""
        length = len(self.body) if isinstance(self.body, bytes) else self.body.length
        headers = {"content-length": str(length)} if _has_body(self.status) else {}
        headers |= {name.lower(): value for name, value in self.headers.items()}
        await send(
            {
                "type": "http.response.start",
                "status": self.status,
                "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()],
            }
        )
        if isinstance(self.body, FileBody):
            await _send_file(self.body, send, workers, head_only=request.method == "HEAD")
        else:
            body = b"" if request.method == "HEAD" else self.body
            await send({"type": "http.response.body", "body": body})


def _has_body(status: int) -> bool:
    # RFC 9110, section 8.6: no Content-Length in a 204.
    return status != 204


async def _send_file(body: FileBody, send: Send, workers: Workers, *, head_only: bool) -> None:
    with body.file as file:
        offset, end = body.offset, body.offset if head_only else body.offset + body.length
        while offset < end:
            size = min(_FILE_CHUNK, end - offset)
            chunk = await workers.run(os.pread, file.fileno(), size, offset)
            if not chunk:
                raise EOFError(f"a file ends {end - offset} bytes early")
            offset += len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def decode_segment(segment: str) -> str:
    """Undo the percent-encoding of one path segment; a broken one stays, and names nothing.

    Raises:
        BadRequest: there is a NUL in it.
    """
    decoded = unquote(segment, errors="replace")
    if "\0" in decoded:
        raise BadRequest("The path holds a NUL character.")
    return decoded
