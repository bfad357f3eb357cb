"""The connection: what the server adds to uvicorn's HTTP protocol.

Files go to the client without passing through Python: the ASGI extension
`http.response.zerocopysend`, offered where the connection isn't encrypted. Applications that find
it in `scope["extensions"]` may use it; they send copies elsewhere.

Bodies come from the client without ASGI's messages: the extension `DIRECT_BODY` reads what is left
of one into the application's memory, and a large one of known length without passing through the
parser, where the connection isn't encrypted.

What needs no waiting can be had without ASGI's messages: see `longshore.at_once`. Where a task
answers, `WHOLE_BODY` returns a body that has come already, and `WHOLE_ANSWER` sends head and body
of an answer in one write.

Clients that keep connections open and do nothing with them lose them: see `Patience`.
"""

from __future__ import annotations

import asyncio
import math
import os
import socket
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import httptools

from longshore.at_once import WHOLE_BODY, AnswersAtOnce, make_last
from longshore.deadline import Deadline
from longshore.direct_body import WORTH_READING, DirectBody
from longshore.file_sender import FileSender
from longshore.parsed_body import ParsedBody

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from uvicorn import _types as asgi
    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState

    from longshore.files import FilePiece

ZERO_COPY_SEND = "http.response.zerocopysend"
"""The extension of ASGI ("Zero Copy Send" in its specification) and the type of its message."""
STOPPING = "longshore.stopping"
"""The extension of ours that tells when the server is about to stop: an `asyncio.Event`."""

DIRECT_BODY = "longshore.request.directbody"
"""An extension of our own: a function that returns what is left of the body of the request that is
being answered, as a `DirectBody` or a `ParsedBody`, or None where there is none. What `receive`
gave before is the beginning of the body; nothing may be received after it."""

WHOLE_ANSWER = "longshore.response.whole"
"""An extension of our own: a function of status, headers and body (empty to HEAD) that sends an
answer and returns True, or does nothing and returns False: then messages have to."""

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\r\n"
_ZEROS = bytes(64 * 1024)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the server waits for its clients, and how much of their idle talk it reads.

    Attributes:
        stall: how long a client may take no byte of an answer that waits for it, in seconds.
        head: how long it may take to send the head of a request, in seconds.
        head_size: how many bytes may come before they make a head or a piece of a body.
    """

    stall: float = 60.0
    head: float = 30.0
    head_size: int = 64 * 1024


def http_protocol(patience: Patience) -> type[asyncio.Protocol]:
    """Return what `uvicorn.Config` takes as `http`."""
    # uvicorn asks for a class, and only calls it.
    return cast("type[asyncio.Protocol]", partial(Connection, patience))


class Connection(AnswersAtOnce):
    """A connection of a client: uvicorn's, which is no public interface, and what we add.

    What is relied on: a cycle is a request and its answer, `self.cycle` is the newest one, every
    answer begins in `_start_asgi_task`, and `cycle.expected_content_length` is what remains to be
    sent. The tests of this module fail where an update of uvicorn changes that.
    """

    def __init__(
        self,
        patience: Patience,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._patience = patience
        self._head_due = Deadline(self.loop, patience.head, self._abort)
        self._idle_talk = 0
        self._answered: RequestResponseCycle | None = None
        self._files: FileSender
        self._stopping = asyncio.Event()
        self._parsed_of_body = 0
        self._direct_body: DirectBody | None = None
        self._parsed_body: ParsedBody | None = None
        self._is_skipping = False

    # What uvicorn and the event loop call.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        self._files = FileSender(
            self.loop, transport, self.flow, is_encrypted=self.scheme != "http"
        )
        if sys.platform == "linux":
            # The kernel sees best whether the client takes anything, and ends the connection even
            # where the last bytes of an answer are all that is left of it.
            milliseconds = min(math.ceil(self._patience.stall * 1000), 2**31 - 1)
            transport.get_extra_info("socket").setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds
            )
        self._head_due.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; whoever waits for the connection wakes up."""
        if self._answered is not None:
            # uvicorn tells the newest request, which in a pipeline is another one.
            self._answered.disconnected = True
        super().connection_lost(exc)
        self._head_due.end()
        self._files.break_off()
        if self._parsed_body is not None:
            self._parsed_body.break_off()

    def data_received(self, data: bytes) -> None:
        """Parse what came; give up on a client that says nothing with many bytes."""
        self._idle_talk += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._idle_talk > self._patience.head_size:
            self._refuse()
        elif not (self._idle.is_set or self._head_due.is_set or self._is_in_request()):
            self._head_due.set()

    def take_leave(self) -> None:
        """Answer one more request, and tell the client that it is the last one here."""
        self._is_leaving = True
        if self._is_in_request():
            make_last(self.cycle)

    def shutdown(self) -> None:
        """Begin no further answer but to what has come; those that would never end are told to."""
        self._stopping.set()
        if self.transport.is_closing():
            return
        self.take_leave()
        if self._is_in_request() or not (self._is_put_off or self.has_unread()):
            super().shutdown()

    def on_headers_complete(self) -> None:
        """Begin a request."""
        self.begin_request()
        super().on_headers_complete()
        if self._is_leaving and not self._is_put_off and self._is_in_request():
            make_last(self.cycle)

    def begin_request(self) -> None:
        """Take note that the head of a request is there."""
        self._idle_talk = self._parsed_of_body = 0
        self._head_due.clear()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        if self._is_skipping:
            return
        self._idle_talk = 0
        self._parsed_of_body += len(body)
        if self._parsed_body is not None and self.cycle is self._answered:
            self._parsed_body.take(body)
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        if self._parsed_body is not None and self.cycle is self._answered:
            self._parsed_body.end()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what isn't HTTP, unless that would land in the middle of another answer."""
        if self._is_in_answer():
            self.transport.close()
        else:
            super().send_400_response(msg)

    # Clients that don't get on with it.

    def _abort(self) -> None:
        self.transport.abort()

    def _refuse(self) -> None:
        if not self._is_in_answer():
            self.transport.write(_TOO_LARGE)
        self.transport.close()

    def _is_in_request(self) -> bool:
        newest = cast("RequestResponseCycle | None", self.cycle)
        return newest is not None and not newest.response_complete

    def _is_in_answer(self) -> bool:
        cycle = self._answered
        return cycle is not None and cycle.response_started and not cycle.response_complete

    # Answers to the client.

    def _send_whole(
        self,
        cycle: RequestResponseCycle,
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
    ) -> bool:
        self._end_direct_body()
        may_wait = self.flow.write_paused or self.transport.is_closing() or cycle.disconnected
        if may_wait or cycle.response_started or not cycle.keep_alive:
            return False
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        if lines.count(b"\r") != len(headers) or lines.count(b"\n") != len(headers):
            raise RuntimeError("Invalid HTTP header")
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        self.transport.write(self.head(status, lines) + body)
        cycle.message_event.set()
        cycle.on_response()
        return True

    # Files to the client.

    def write_file(self, head: bytes, piece: FilePiece) -> asgi.ASGI3Application | None:
        """Send a head and a piece of a file, or return what sends what is left of them."""
        sent = self._files.send_at_once(head, piece)
        if sent == len(head) + piece.length:
            piece.file.close()
            return None
        if sent < len(head):
            self.transport.write(head[sent:])
        return partial(self._send_rest, piece, max(sent - len(head), 0))

    async def _send_rest(
        self,
        piece: FilePiece,
        sent: int,
        _scope: asgi.Scope,
        _receive: asgi.ASGIReceiveCallable,
        _send: asgi.ASGISendCallable,
    ) -> None:
        cycle = cast("RequestResponseCycle", self._answered)
        cycle.response_started = True
        try:
            await self._files.send(piece.file.fileno(), piece.offset + sent, piece.length - sent)
        except (ConnectionError, TimeoutError):
            cycle.disconnected = True
            self.transport.abort()
            return
        finally:
            piece.file.close()
        cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.come_to_rest()
        cycle.on_response()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: asgi.ASGI3Application) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, partial(self._answer, cycle, app))

    async def _answer(
        self,
        cycle: RequestResponseCycle,
        app: asgi.ASGI3Application,
        scope: asgi.Scope,
        receive: asgi.ASGIReceiveCallable,
        send: asgi.ASGISendCallable,
    ) -> None:
        async def send_or_copy(message: Mapping[str, Any]) -> None:
            self._end_direct_body()
            try:
                if self.transport.is_closing():
                    raise ConnectionResetError
                if message["type"] == ZERO_COPY_SEND:
                    await self._send_file(cycle, message)
                    more = message.get("more_body", False)
                    message = {"type": "http.response.body", "body": b"", "more_body": more}
                await send(cast("asgi.ASGISendEvent", message))
            except (ConnectionError, TimeoutError) as error:
                # uvicorn would let the application go on sending to nobody.
                cycle.disconnected = True
                self.transport.abort()
                raise ConnectionResetError("the client is gone") from error

        extensions: dict[str, Any] = {
            STOPPING: self._stopping,
            WHOLE_BODY: partial(_whole_body, cycle),
            WHOLE_ANSWER: partial(self._send_whole, cycle),
            DIRECT_BODY: partial(self._begin_direct_body, cycle),
        }
        if self.scheme == "http":
            extensions[ZERO_COPY_SEND] = {}
        # What has been begun at once has the dictionary already.
        cast("dict[str, Any]", scope).setdefault("extensions", {}).update(extensions)
        try:
            await app(scope, receive, cast("asgi.ASGISendCallable", send_or_copy))
        finally:
            self._end_direct_body()

    # Bodies from the client.

    def _begin_direct_body(self, cycle: RequestResponseCycle) -> DirectBody | ParsedBody | None:
        # What follows on a request to speak another protocol is no body.
        if not cycle.more_body or self.transport.is_closing() or self.parser.should_upgrade():
            return None
        left = _announced_length(cycle.scope) - self._parsed_of_body
        if left < WORTH_READING or self.scheme != "http":
            self._parsed_body = ParsedBody(self.loop, self.flow)
            return self._parsed_body
        self.flow.pause_reading()
        client = self.transport.get_extra_info("socket")
        self._direct_body = DirectBody(self.loop, client, left)
        return self._direct_body

    def _end_direct_body(self) -> None:
        """Go on with the parser behind the body, or behind what was read of it."""
        body, self._direct_body, self._parsed_body = self._direct_body, None, None
        if body is None:
            return
        body.close()
        if self.transport.is_closing():
            return
        if body.left == 0:
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.on_message_complete()
            return
        # The parser skips the rest, as it does with every body that nobody wants.
        self._is_skipping = True
        for offset in range(0, body.read, len(_ZEROS)):
            self.parser.feed_data(_ZEROS[: body.read - offset])
        self._is_skipping = False

    async def _send_file(self, cycle: RequestResponseCycle, message: Mapping[str, Any]) -> None:
        file = message["file"].fileno()
        offset = message.get("offset")
        offset = os.lseek(file, 0, os.SEEK_CUR) if offset is None else offset
        count = message.get("count")
        count = os.fstat(file).st_size - offset if count is None else count
        if not cycle.response_started or cycle.response_complete or cycle.chunked_encoding:
            raise RuntimeError(f"{ZERO_COPY_SEND} needs a response with a Content-Length")
        if cycle.scope["method"] == "HEAD" or count == 0:
            return
        if count > cycle.expected_content_length:
            raise RuntimeError("Response content longer than Content-Length")
        await self._files.send(file, offset, count)
        cycle.expected_content_length -= count


def _whole_body(cycle: RequestResponseCycle) -> bytes | None:
    if cycle.more_body or cycle.disconnected or cycle.response_complete:
        return None
    body, cycle.body = bytes(cycle.body), bytearray()
    return body


def _announced_length(scope: Mapping[str, Any]) -> int:
    return next((int(value) for key, value in scope["headers"] if key == b"content-length"), 0)
