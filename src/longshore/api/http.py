"""As much HTTP as the faces need, over plain ASGI."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import parse_qsl, unquote

from longshore.access.sigv4 import RequestHead
from longshore.api.proxies import Proxies
from longshore.errors import RegistryError, RequestEntityTooLarge, RequestTimeout, Server
from longshore.identity.authorization import Surroundings
from longshore.ids import random_id

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
    from typing import BinaryIO, Protocol

    from longshore.api.workers import Workers

    class DirectBody(Protocol):
        """What is left of a body, as the server offers it past ASGI's messages."""

        read: int

        @property
        def is_over(self) -> bool:
            """Whether all of it has been read."""

        async def read_into(self, buffer: memoryview, patience: float) -> int:
            """See `longshore.direct_body.DirectBody`."""


Scope: TypeAlias = "Mapping[str, Any]"
Receive: TypeAlias = "Callable[[], Awaitable[Mapping[str, Any]]]"
Send: TypeAlias = "Callable[[Mapping[str, Any]], Awaitable[None]]"

_log = logging.getLogger(__name__)

NO_PROXIES = Proxies()

# What clients call themselves may be as long as a head; policies match as much of it, in
# characters, and the audit tells as much.
_LONGEST_USER_AGENT = 1_024
_READING = frozenset({"GET", "HEAD"})
_FILE_CHUNK = 1024 * 1024
# A smaller piece of a file is read first and goes with the head: one write in place of two.
_SMALL = 64 * 1024
# Linux has it.
_IN_MEMORY_ONLY: int | None = getattr(os, "RWF_NOWAIT", None)
# An extension of ASGI, "Zero Copy Send" in its specification.
_ZERO_COPY_SEND = "http.response.zerocopysend"
# An extension of our transport's: an event that tells that the server is about to stop.
_STOPPING = "longshore.stopping"
# Extensions of our own server (`longshore.transport`).
_DIRECT_BODY = "longshore.request.directbody"
_WHOLE_BODY = "longshore.request.wholebody"
_WHOLE_ANSWER = "longshore.response.whole"
_SENT = "longshore.request.sent"
_HOST = re.compile(r"[A-Za-z0-9._-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")


class BadRequest(RegistryError):
    """The request isn't HTTP as it should be."""

    code = "BadRequestException"


class ClientDisconnected(Exception):
    """The client went away in the middle of its request: nobody is left to answer.

    Attributes:
        received: how many bytes of what was being read had come until then.
    """

    def __init__(self, received: int = 0) -> None:
        super().__init__(received)
        self.received = received


class Request:
    """A request whose body hasn't been read yet.

    Args:
        scope: ASGI's description of the request.
        receive: ASGI's source of the body.
        idle_timeout: how long the client may pause in the middle of the body, in seconds.
        proxies: who may stand between the client and this server.

    Attributes:
        path: the path as it was sent, percent-encodings included.
        client_address: the client's IP address, or "" where it has none; trusted proxies aren't the
            client.
        peer: who holds the connection, "" where it has no address.
        received: how many bytes of the body have been received.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        idle_timeout: float,
        proxies: Proxies = NO_PROXIES,
    ) -> None:
        self.method: str = scope["method"]
        self.scheme: str = scope.get("scheme", "http")
        self.headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        # The first of each name.
        self._named = dict(reversed(self.headers))
        self.raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        self.path: str = self.raw_path.partition(b"?")[0].decode("latin-1")
        self.raw_query: bytes = scope.get("query_string", b"")
        self.extensions: Mapping[str, Any] = scope.get("extensions") or {}
        # A socket of the file system knows no address.
        peer: str = (scope.get("client") or ("",))[0]
        forwarded = [each.decode("latin-1") for each in self.all_headers(b"x-forwarded-for")]
        self.client_address: str = proxies.client_of(peer, forwarded)
        self.peer = peer
        self._receive = receive
        self._idle_timeout = idle_timeout
        self._is_read = False
        self.received = 0
        self._unread = memoryview(b"")
        self._direct_body: DirectBody | None = None
        self._came_at = time.perf_counter()
        self._id = ""
        self._head: RequestHead | None = None
        self._query: list[tuple[str, str]] | None = None

    @property
    def id(self) -> str:
        """The name of the request in the log and in answers."""
        if not self._id:
            self._id = random_id()
        return self._id

    @property
    def seconds(self) -> float:
        """How long ago the request came, in seconds."""
        return time.perf_counter() - self._came_at

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters of the query, in order.

        Raises:
            BadRequest: there is a NUL among them, which no database keeps in a text.
        """
        if self._query is None:
            parameters = parse_qsl(self.raw_query.decode("latin-1"), keep_blank_values=True)
            if any("\0" in part for parameter in parameters for part in parameter):
                raise BadRequest("The query holds a NUL character.")
            self._query = parameters
        return self._query

    @property
    def sent(self) -> bytes | None:
        """The whole request as it came, where the server tells."""
        return self.extensions.get(_SENT)

    @property
    def only_reads(self) -> bool:
        """Whether its method changes nothing."""
        return self.method in _READING

    def parameter(self, name: str) -> str | None:
        """Return the first parameter of the query called `name`."""
        return next((value for key, value in self.query if key == name), None)

    def header(self, name: bytes) -> str | None:
        """Return the first header called `name`, which is lower-case."""
        value = self._named.get(name)
        return None if value is None else value.decode("latin-1")

    def all_headers(self, name: bytes) -> tuple[bytes, ...]:
        """Return all headers called `name`, which is lower-case."""
        if name not in self._named:
            return ()
        if len(self._named) == len(self.headers):
            return (self._named[name],)
        return tuple([value for key, value in self.headers if key == name])

    @property
    def host(self) -> str:
        """The host, and the port where there is one, that the client asked for.

        Raises:
            BadRequest: there is none, it isn't one, or there are several (RFC 9112, section 3.2).
        """
        host = _read_host(self.all_headers(b"host"))
        if host is None:
            raise BadRequest("There must be one Host header, and in it the name of a host.")
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

    @property
    def asks_first(self) -> bool:
        """Whether the client waits to be told to go on before it sends the body."""
        return (self.header(b"expect") or "").lower() == "100-continue"

    @property
    def stopping(self) -> asyncio.Event:
        """Is set when the server is about to stop, and answers without an end have to end."""
        return cast("asyncio.Event", self.extensions[_STOPPING])

    def head(self) -> RequestHead:
        """Return what a signature covers, one and the same each time."""
        if self._head is None:
            path = self.raw_path.partition(b"?")[0]
            self._head = RequestHead(self.method, path, self.raw_query, self.headers)
        return self._head

    @property
    def user_agent(self) -> str | None:
        """What the client calls itself, as far as it counts."""
        name = self.header(b"user-agent")
        return None if name is None else name[:_LONGEST_USER_AGENT]

    def surroundings(self, region: str) -> Surroundings:
        """Return what the conditions of policies may ask of a request for `region`."""
        return Surroundings(
            request_id=self.id,
            region=region,
            source_ip=self.client_address,
            secure_transport=self.scheme == "https",
            user_agent=self.user_agent,
        )

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes.

        Raises:
            ClientDisconnected: it broke off.
            RequestTimeout: the client paused for too long.
        """
        while not self._is_read:
            if chunk := await self._next_chunk():
                yield chunk

    @property
    def is_read(self) -> bool:
        """Whether the whole body has been read."""
        return self._is_read and not self._unread

    async def read_into(self, buffer: memoryview) -> int:
        """Fill `buffer` with what follows of the body; less only at its end.

        Returns:
            How many bytes it was.

        Raises:
            ClientDisconnected, RequestTimeout: as `chunks`.
        """
        filled = 0
        try:
            while filled < len(buffer) and not self.is_read:
                if self._unread:
                    piece = self._unread[: len(buffer) - filled]
                    buffer[filled : filled + len(piece)] = piece
                    self._unread = self._unread[len(piece) :]
                    filled += len(piece)
                elif self._direct_body is not None:
                    filled += await self._read_directly(self._direct_body, buffer[filled:])
                else:
                    self._unread = memoryview(await self._next_chunk())
                    if not self._is_read and _DIRECT_BODY in self.extensions:
                        self._direct_body = self.extensions[_DIRECT_BODY]()
        except ClientDisconnected as error:
            raise ClientDisconnected(filled + error.received) from None
        return filled

    async def _read_directly(self, body: DirectBody, buffer: memoryview) -> int:
        before = body.read
        try:
            count = await body.read_into(buffer, self._idle_timeout)
        except TimeoutError:
            raise self._timeout() from None
        except ConnectionError:
            raise ClientDisconnected(body.read - before) from None
        self.received += count
        self._is_read = body.is_over
        return count

    async def _next_chunk(self) -> bytes:
        chunk: bytes | None = None
        if _WHOLE_BODY in self.extensions:
            chunk = self.extensions[_WHOLE_BODY]()
            self._is_read = chunk is not None
        if chunk is None:
            chunk, self._is_read = await self._next_message()
        self.received += len(chunk)
        if self._is_read and self.received < (self.content_length or 0):
            # A server drops what follows a request to speak another protocol (Upgrade: h2c).
            raise BadRequest(
                f"The body ends after {self.received} bytes, before its Content-Length."
            )
        return chunk

    async def _next_message(self) -> tuple[bytes, bool]:
        try:
            async with asyncio.timeout(self._idle_timeout):
                message = await self._receive()
        except TimeoutError:
            raise self._timeout() from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        return message.get("body", b""), not message.get("more_body", False)

    def _timeout(self) -> RequestTimeout:
        return RequestTimeout(f"No byte of the body came for {self._idle_timeout:g} seconds")

    async def body(self, limit: int) -> bytes:
        """Return the whole body.

        Raises:
            RequestEntityTooLarge: it has more than `limit` bytes.
        """
        if (self.content_length or 0) > limit:
            raise _too_large(limit)
        # Most bodies come in one piece.
        first = b"" if self._is_read else await self._next_chunk()
        chunks, size = [first], len(first)
        if size > limit:
            raise _too_large(limit)
        if self._is_read:
            return first
        async for chunk in self.chunks():
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            chunks.append(chunk)
        return b"".join(chunks)


# Clients ask for the same few hosts again and again.
@lru_cache(64)
def _read_host(values: tuple[bytes, ...]) -> str | None:
    """Return the host that the Host headers of a request name, if they do."""
    if len(values) != 1:
        return None
    host = values[0].decode("latin-1")
    return None if _HOST.fullmatch(host) is None else host


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
class StreamBody:
    """A body whose end nobody knows; it is sent as it comes.

    Attributes:
        pieces: the body.
    """

    pieces: AsyncGenerator[bytes]


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

    def whole(self, request: Request) -> tuple[int, bytes, bytes] | None:
        """Return status, lines of the headers and body (empty to HEAD) of what is in memory.

        None where something has to be waited for, or where the connection is to be closed: then
        `send` has to.
        """
        if self.status == HTTPStatus.REQUEST_TIMEOUT:
            return None
        if request.method != "HEAD":
            self.read_small_file(_SMALL)
        return self.from_memory(request) if isinstance(self.body, bytes) else None

    def read_small_file(self, limit: int) -> None:
        """Put the bytes of a file in its place, if they are few and the kernel has them in memory.

        Args:
            limit: how many they may be.
        """
        body = self.body
        if isinstance(body, FileBody) and body.length <= limit:
            content = _read_from_memory(body)
            if content is not None:
                body.file.close()
                self.body = content

    def from_memory(self, request: Request) -> tuple[int, bytes, bytes]:
        """Return status, lines of the headers and body (empty to HEAD), which is in memory."""
        body = b"" if request.method == "HEAD" else cast("bytes", self.body)
        return self.status, _lines(self._headers()), body

    def _headers(self) -> dict[str, str]:
        headers = {}
        length = _length(self.body)
        # RFC 9110, section 8.6: no Content-Length in a 204.
        if length is not None and self.status != HTTPStatus.NO_CONTENT:
            headers["content-length"] = str(length)
        if self.status == HTTPStatus.REQUEST_TIMEOUT:
            # RFC 9110, section 15.5.9: nobody waits for the rest.
            headers["connection"] = "close"
        return headers | {name.lower(): value for name, value in self.headers.items()}

    async def _send(self, request: Request, send: Send, workers: Workers) -> None:
        body = self.body
        headers = self._headers()
        if request.method == "HEAD":
            body = b""
        elif isinstance(body, FileBody) and body.length <= _SMALL:
            read = _read_from_memory(body)
            body = await workers.run(_read, body) if read is None else read
        encoded = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]
        if (
            isinstance(body, bytes)
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
    match body:
        case bytes():
            return len(body)
        case FileBody():
            return body.length
        case StreamBody():
            return None


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


def _read_from_memory(body: FileBody) -> bytes | None:
    """Read what the kernel has in memory; None where the disk would have to be waited for."""
    if _IN_MEMORY_ONLY is None:
        return None
    content = bytearray(body.length)
    try:
        count = os.preadv(body.file.fileno(), [content], body.offset, _IN_MEMORY_ONLY)
    except OSError:
        # It isn't there, or this file system can't tell.
        return None
    return bytes(content) if count == body.length else None


def _read(body: FileBody) -> bytes:
    content = b""
    while missing := body.length - len(content):
        piece = os.pread(body.file.fileno(), missing, body.offset + len(content))
        if not piece:
            raise EOFError(f"a file ends {missing} bytes early")
        content += piece
    return content


def log_own_failure(error: RegistryError, request: Request) -> None:
    """Let the operator know of a refusal that isn't the client's doing."""
    if isinstance(error, Server):
        _log.error("request %s: %s", request.id, error.message, exc_info=error)


def text_response(status: int, message: str) -> Response:
    """Return an answer for people."""
    return Response(status, {"Content-Type": "text/plain; charset=utf-8"}, f"{message}\n".encode())


def decode_segment(segment: str) -> str:
    """Undo the percent-encoding of one path segment; a broken one stays, and names nothing.

    Raises:
        BadRequest: there is a NUL in it.
    """
    decoded = unquote(segment, errors="replace")
    if "\0" in decoded:
        raise BadRequest("The path holds a NUL character.")
    return decoded
