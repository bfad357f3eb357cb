"""Requests: as much of HTTP as the faces need, over plain ASGI."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import parse_qsl, unquote

from longshore.access.signatures import RequestHead
from longshore.api.proxies import Proxies
from longshore.errors import RegistryError, RequestEntityTooLarge, RequestTimeout, Server
from longshore.identity.authorization import Surroundings
from longshore.ids import random_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from typing import Protocol

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

READING = frozenset({"GET", "HEAD"})
"""The methods that change nothing."""

# What clients call themselves may be as long as a head; policies match as much of it, in
# characters, and the audit tells as much.
_LONGEST_USER_AGENT = 1_024
# An extension of our transport's: an event that tells that the server is about to stop.
_STOPPING = "longshore.stopping"
# Extensions of our own server (`longshore.transport`).
_DIRECT_BODY = "longshore.request.directbody"
_WHOLE_BODY = "longshore.request.wholebody"
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


def peer_of(scope: Scope) -> str:
    """Return who holds the connection, "" where it has no address: a socket of the file system."""
    client = scope.get("client")
    return client[0] if client else ""


def raw_path_of(scope: Scope) -> bytes:
    """Return the path of a request, percent-encoded as it was sent."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw


def sent_of(scope: Scope) -> bytes | None:
    """Return the whole request as it came, where the server tells."""
    extensions = scope.get("extensions")
    return extensions.get(_SENT) if extensions else None


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
        scope: ASGI's description of it.
        asked: the names of the headers that anybody has asked for: no others have had a say.
        received: how many bytes of the body have been received.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        idle_timeout: float,
        proxies: Proxies = NO_PROXIES,
    ) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.scheme: str = scope.get("scheme", "http")
        self._headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        # The first of each name.
        self._named = dict(reversed(self._headers))
        self.asked: set[bytes] = set()
        self.raw_path = raw_path_of(scope)
        self.path: str = self.raw_path.partition(b"?")[0].decode("latin-1")
        self.raw_query: bytes = scope.get("query_string", b"")
        self.extensions: Mapping[str, Any] = scope.get("extensions") or {}
        peer = peer_of(scope)
        forwarded = [each.decode("latin-1") for each in self.all_headers(b"x-forwarded-for")]
        self.client_address: str = proxies.client_of(peer, forwarded)
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
    def only_reads(self) -> bool:
        """Whether its method changes nothing."""
        return self.method in READING

    def parameter(self, name: str) -> str | None:
        """Return the first parameter of the query called `name`."""
        return next((value for key, value in self.query if key == name), None)

    def header(self, name: bytes) -> str | None:
        """Return the first header called `name`, which is lower-case."""
        self.asked.add(name)
        value = self._named.get(name)
        return None if value is None else value.decode("latin-1")

    def all_headers(self, name: bytes) -> tuple[bytes, ...]:
        """Return all headers called `name`, which is lower-case."""
        self.asked.add(name)
        if name not in self._named:
            return ()
        if len(self._named) == len(self._headers):
            return (self._named[name],)
        return tuple([value for key, value in self._headers if key == name])

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
            self.asked.update(self._named)
            self._head = RequestHead(self.method, path, self.raw_query, self._headers)
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


def log_own_failure(error: RegistryError, request: Request) -> None:
    """Let the operator know of a refusal that isn't the client's doing."""
    if isinstance(error, Server):
        _log.error("request %s: %s", request.id, error.message, exc_info=error)


def decode_segment(segment: str) -> str:
    """Undo the percent-encoding of one path segment; a broken one stays, and names nothing.

    Raises:
        BadRequest: there is a NUL in it.
    """
    decoded = unquote(segment, errors="replace")
    if "\0" in decoded:
        raise BadRequest("The path holds a NUL character.")
    return decoded
