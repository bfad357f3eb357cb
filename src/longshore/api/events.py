"""What happens, as it happens: server-sent events for those who administer the server.

The form is that of the HTML standard ("Server-sent events"): the data of each message is an event
as EventBridge delivers it, and its id is its place in the log. Who comes back and says what it had
last (`Last-Event-ID`) misses nothing that is still kept.

A client that reads slowly holds up nobody: what it hasn't read yet is in the log, and not here.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from longshore.api.basic import read_basic
from longshore.api.responses import Response, StreamBody
from longshore.errors import AccessDenied, RegistryError, TooManyFailures, UnrecognizedClient
from longshore.events import log
from longshore.identity import registry_tokens

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from longshore.api.attempts import Attempts
    from longshore.api.hosts import Hosts
    from longshore.api.http import Request
    from longshore.api.workers import Workers
    from longshore.events.log import Entry
    from longshore.registry.context import Context

PATH = "/events"
_AT_ONCE = 100
_ID = re.compile(r"[0-9]{1,18}")
_NONE: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Pace:
    """How a stream behaves while nothing happens.

    Attributes:
        look: how many seconds lie between two looks at the log.
        beat: after how many looks without an event the client hears that the server is there, and
            the server looks whether the client still may.
    """

    look: float = 1.0
    beat: int = 15


class EventStream:
    """Answers `GET /events`.

    Args:
        context: the store.
        hosts: the names under which the server is known.
        attempts: counts failures to authenticate.
        workers: where the database is asked.
        pace: how a stream behaves while nothing happens.
    """

    def __init__(
        self,
        *,
        context: Context,
        hosts: Hosts,
        attempts: Attempts,
        workers: Workers,
        pace: Pace,
    ) -> None:
        self._context = context
        self._hosts = hosts
        self._attempts = attempts
        self._workers = workers
        self._pace = pace

    async def answer(self, request: Request) -> Response:
        """Answer a request for events."""
        if not request.only_reads:
            return _refusal(405, "Events are read with GET.", {"Allow": "GET, HEAD"})
        last = request.header(b"last-event-id")
        if last is not None and _ID.fullmatch(last) is None:
            return _refusal(400, "Last-Event-ID must be the id of an event that was received here.")
        try:
            await self._workers.run(self._admit, request)
        except UnrecognizedClient:
            message = "Log in as AWS, with the password of aws ecr get-login-password."
            challenge = {"WWW-Authenticate": f'Basic realm="{request.base_url}",service="events"'}
            return _refusal(401, message, challenge)
        except TooManyFailures as error:
            return _refusal(429, error.message)
        except RegistryError as error:
            return _refusal(403, error.message)
        newest = await self._workers.run(self._newest)
        # An id from the future is one of another database's.
        position = newest if last is None else min(int(last), newest)
        headers = {
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            # nginx would keep the events until it has many.
            "X-Accel-Buffering": "no",
        }
        return Response(200, headers, StreamBody(self._messages(request, position)))

    async def _messages(self, request: Request, position: int) -> AsyncGenerator[bytes]:
        """Yield what happens behind a place in the log, until somebody stops."""
        yield b": what happens follows\n\n"
        quiet = 0
        while not request.stopping.is_set():
            entries = await self._workers.run(partial(self._after, position))
            for entry in entries:
                if lost := entry.position - 1 - position:
                    yield b'event: dropped\ndata: {"events":%d}\n\n' % lost
                yield b"id: %d\ndata: %s\n\n" % (entry.position, entry.document.encode())
                position = entry.position
            if entries:
                quiet = 0
                continue
            quiet += 1
            if quiet % self._pace.beat == 0:
                try:
                    await self._workers.run(self._admit, request)
                except RegistryError:
                    return
                yield b": still here\n\n"
            with suppress(TimeoutError):
                await asyncio.wait_for(request.stopping.wait(), self._pace.look)

    def _admit(self, request: Request) -> None:
        """Let the server's administrators in.

        Raises:
            UnrecognizedClient, ExpiredToken: nobody knows who it is, any more.
            AccessDenied: it is somebody else.
            TooManyFailures: it has to wait.
        """
        credentials = read_basic(request)
        if credentials is None:
            raise UnrecognizedClient
        registry = self._hosts.registry_of(request.host)
        with self._attempts.watch(request.client_address, credentials.digest):
            principal = registry_tokens.authenticate(
                self._context, credentials.password, registry, credentials.user
            )
        if not principal.subject.is_operator:
            raise AccessDenied("Only the administrator of the server sees all that happens on it.")

    def _newest(self) -> int:
        with self._context.database.read() as tx:
            return log.newest(tx)

    def _after(self, position: int) -> list[Entry]:
        with self._context.database.read() as tx:
            return log.after(tx, position, _AT_ONCE)


def _refusal(status: int, message: str, headers: Mapping[str, str] = _NONE) -> Response:
    kind = {"Content-Type": "text/plain; charset=utf-8"}
    return Response(status, {**kind, **headers}, f"{message}\n".encode())
