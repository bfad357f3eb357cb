"""Requests that are answered at once: no task, no cycle of uvicorn's, no messages of ASGI's.

A request that has come whole, with nothing behind it and nobody before it, is handed to the
application in the callback that has read it. Most answers come from memory, and are written there
and then. One that has to wait for something goes on in a task, and from there on as all others do.

For this the application has a method `begin` beside ASGI's: see `Application`.
"""

from __future__ import annotations

import asyncio
from array import array
from contextvars import copy_context
from fcntl import ioctl
from functools import partial
from termios import FIONREAD
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from longshore.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
    from contextvars import Context
    from typing import TypeAlias

    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from longshore.files import FilePiece

    Scope: TypeAlias = "Mapping[str, Any]"
    Send: TypeAlias = "Callable[[Any], Awaitable[None]]"

WHOLE_BODY = "longshore.request.wholebody"
"""An extension of our own: a function that returns what is left of the body if all of it has come,
else None."""
SENT = "longshore.request.sent"
"""An extension of our own: the request as it came over the wire. It is there where all of it came
at once, and nothing with it."""

# Larger bodies are received while the application runs.
_SMALL_BODY = 16 * 1024


Whole: TypeAlias = "tuple[int, bytes, bytes | FilePiece]"
"""Status, lines of the headers and body (empty to HEAD) of an answer."""


class Answer(Protocol):
    """What an application answers, to be sent."""

    def whole(self) -> Whole | None:
        """Return it as it is to be sent.

        None where its end isn't known, or more than headers and body is to be done: then `send`
        has to.
        """

    async def send(self, send: Send) -> None:
        """Send it by ASGI's messages."""


class Application(Protocol):
    """An application of ASGI that can do without ASGI's messages."""

    def begin(self, scope: Scope, receive: Any) -> Coroutine[Any, Any, Answer] | None:  # noqa: ANN401 - as ASGI has it
        """Return what will answer a request; None where only a task of asyncio's can."""

    def again(self, peer: str, sent: bytes) -> Whole | None:
        """Return the answer to a request that came before, as `Answer.whole` does.

        None where it has to be read to be answered.

        Args:
            peer: the address of whoever holds the connection, "" where it has none.
            sent: the request as it came, from its first byte to its last, if it is one.
        """

    def known(self, scope: Scope) -> Whole | None:
        """Return the answer to a request without a body, if one like it came before; as `again`.

        Args:
            scope: ASGI's description of the request, as `begin` gets it.
        """


class AnswersAtOnce(HttpToolsProtocol):
    """A connection of uvicorn's that answers requests at once where it can.

    What is relied on: a request begins with `on_message_begin`, which makes `self.scope`; uvicorn
    begins to answer it in `on_headers_complete`, which is put off here until all has come that
    came with the head; `self.cycle` is the newest one that isn't answered at once.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # What uvicorn counts and logs for each request is its cycle's to do.
        is_counted = self.limit_concurrency is not None or self.access_log
        self._begin: Any = None if is_counted else getattr(self.app, "begin", None)
        self._again: Any = None if is_counted else getattr(self.app, "again", None)
        self._known: Any = None if is_counted else getattr(self.app, "known", None)
        self._is_put_off = False
        self._is_whole = False
        self._body = b""
        # Whether the parser waits for the first byte of a request, and nobody for an answer.
        self._is_at_rest = True
        # Whether the answer that is being sent is the last thing that the client has asked for.
        self._is_last = False
        # Whether the next answer is the last one on this connection.
        self._is_leaving = False
        self._idle = Deadline(self.loop, self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._idle.end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Answer what came before; parse what didn't, and answer it or begin to."""
        if self._is_at_rest and self._answer_again(data):
            return
        sent = data if self._is_at_rest else None
        self._is_at_rest = self._is_last = False
        super().data_received(data)
        if not self._is_put_off or self.transport.is_closing():
            return
        if self._is_whole:
            self._answer_at_once(sent)
        else:
            self._start_put_off()

    def on_message_begin(self) -> None:
        """Begin a request; the one before it, if it isn't answered yet, takes the usual way."""
        if self._is_put_off:
            self._start_put_off()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Put the request off, or begin to answer it."""
        if not self._can_put_off():
            super().on_headers_complete()
            return
        url = httptools.parse_url(self.url)
        scope = cast("dict[str, Any]", self.scope)
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["raw_path"] = url.path
        path = url.path.decode("ascii")
        scope["path"] = unquote(path) if "%" in path else path
        scope["query_string"] = url.query or b""
        self._is_put_off, self._is_whole, self._body = True, False, b""

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        if self._is_put_off:
            if len(self._body) + len(body) <= _SMALL_BODY:
                self._body += body
                return
            self._start_put_off()
        if not self.cycle.body:
            # Nothing plus `body` is `body` itself; uvicorn's bytearray would make two copies of it.
            self.cycle.body = cast("bytearray", b"")
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        if self._is_put_off:
            self._is_whole = True
        else:
            super().on_message_complete()

    def _unset_keepalive_if_required(self) -> None:
        self._idle.clear()
        super()._unset_keepalive_if_required()

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection, on which nothing has been asked for long enough.

        A request that has come and waits to be read is answered: its client would see the
        connection reset, and couldn't know whether it may be sent again.
        """
        if not self.transport.is_closing() and self.has_unread():
            self._idle.set()
        else:
            super().timeout_keep_alive_handler()

    def has_unread(self) -> bool:
        """Tell whether bytes have come that nobody has read yet."""
        client = self.transport.get_extra_info("socket")
        count = array("i", [0])
        ioctl(client.fileno(), FIONREAD, count)
        return count[0] > 0

    def _can_put_off(self) -> bool:
        newest = cast("RequestResponseCycle | None", self.cycle)
        parser = self.parser
        return (
            self._begin is not None
            and (newest is None or newest.response_complete)
            and not (self.expect_100_continue or self.flow.write_paused or self.root_path)
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
        )

    def _start_put_off(self) -> None:
        self._is_put_off = False
        self._start(self.app)

    def _start(self, app: Any) -> None:  # noqa: ANN401 - an application of ASGI
        """Go on with the request as uvicorn does, in a task."""
        self.cycle = cycle = RequestResponseCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=True,
            on_response=self.on_response_complete,
        )
        if self._is_leaving:
            make_last(cycle)
        cycle.body = bytearray(self._body)
        cycle.more_body = not self._is_whole
        cycle.message_event.set()
        self._start_asgi_task(cycle, app)

    def begin_request(self) -> None:
        """Take note that the head of a request is there."""

    def _answer_again(self, data: bytes) -> bool:
        """Answer a request without parsing it, if that is known; tell whether it was.

        What these bytes are, the parser has told when they came before: one request, and nothing
        else. In between it sees none of them, and goes on where it stands: before a request.
        """
        if self._again is None or self.flow.write_paused or self.transport.is_closing():
            return False
        whole = self._again(self.client[0] if self.client else "", data)
        if whole is None:
            return False
        self._unset_keepalive_if_required()
        self.begin_request()
        left = self._write(*whole)
        if left is not None:
            self._is_at_rest, self._is_last, self._is_whole, self._body = False, True, True, b""
            self.scope = cast("Any", {})
            self._start(left)
        return True

    def _answer_at_once(self, sent: bytes | None) -> None:
        context = copy_context()
        try:
            left = self._answer_or_rest(context, sent)
        except Exception as error:  # noqa: BLE001 - the task fails by it, and uvicorn tells
            left = partial(_fail, error)
        self._is_put_off = False
        if left is not None:
            context.run(self._start, left)

    def _answer_or_rest(self, context: Context, sent: bytes | None) -> Any:  # noqa: ANN401 - an application of ASGI
        """Answer a request, or return the application of ASGI that does what is left to do."""
        scope, body = cast("dict[str, Any]", self.scope), self._body
        scope["extensions"] = {WHOLE_BODY: lambda: body}
        if sent is not None:
            scope["extensions"][SENT] = sent
        known = None if body or self._known is None else self._known(scope)
        if known is not None:
            return self._end(*known)
        begun = self._begin(scope, _nothing_more)
        if begun is None:
            return self.app
        try:
            waits_for = context.run(begun.send, None)
        except StopIteration as ended:
            answer: Answer = ended.value
            whole = answer.whole()
            if whole is None:
                return partial(_send, answer)
            return self._end(*whole)
        return partial(_finish, Rest(begun, waits_for))

    def _end(self, status: int, lines: bytes, body: bytes | FilePiece) -> Any:  # noqa: ANN401 - an application of ASGI
        """Answer the request that has come whole, or return what sends what is left."""
        left = self._write(status, lines, body)
        self._is_at_rest, self._is_last = left is None, True
        return left

    def _write(self, status: int, lines: bytes, body: bytes | FilePiece) -> Any:  # noqa: ANN401 - an application of ASGI
        """Send an answer, or return the application of ASGI that sends what is left of it."""
        if self._is_leaving:
            lines += b"connection: close\r\n"
        head = self.head(status, lines)
        if isinstance(body, bytes):
            self.transport.write(head + body)
        elif (left := self.write_file(head, body)) is not None:
            return left
        self.server_state.total_requests += 1
        if self._is_leaving:
            self.transport.close()
        else:
            self._idle.set()
        return None

    def write_file(self, head: bytes, piece: FilePiece) -> Any:  # noqa: ANN401 - an application of ASGI
        """Send a head and a piece of a file, or return what sends what is left of them.

        That has to call `come_to_rest` in the end.
        """
        raise NotImplementedError

    def come_to_rest(self) -> None:
        """Take note that a piece of a file has been sent to its end."""
        self._is_at_rest = self._is_last

    def head(self, status: int, lines: bytes) -> bytes:
        """Return the head of an answer with these headers and those that all answers have."""
        common = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        return b"".join((STATUS_LINE[status], *common, lines, b"\r\n"))


def make_last(cycle: RequestResponseCycle) -> None:
    """Let a connection end with this answer, which says so if it hasn't begun."""
    if cycle.keep_alive and not cycle.response_started:
        cycle.default_headers = [*cycle.default_headers, (b"connection", b"close")]
    cycle.keep_alive = False


class Rest:
    """A coroutine that has been begun by hand: to wait for it is to go on with it.

    Args:
        begun: the coroutine.
        waits_for: what it yielded, for the event loop to wait for.
    """

    def __init__(self, begun: Coroutine[Any, Any, Answer], waits_for: object) -> None:
        self._begun = begun
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Answer]:
        """Go on."""
        while True:
            try:
                step = partial(self._begun.send, (yield self._waits_for))
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is for the coroutine
                step = partial(self._begun.throw, error)
            try:
                self._waits_for = step()
            except StopIteration as ended:
                return cast("Answer", ended.value)


async def _nothing_more() -> dict[str, Any]:
    raise AssertionError("the body was there from the beginning")


async def _send(answer: Answer, _scope: Scope, _receive: object, send: Send) -> None:
    await answer.send(send)


async def _finish(rest: Rest, _scope: Scope, _receive: object, send: Send) -> None:
    await (await rest).send(send)


async def _fail(error: Exception, _scope: Scope, _receive: object, _send: object) -> None:
    raise error
