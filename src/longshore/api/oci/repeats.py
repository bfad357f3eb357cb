"""Requests that come again: the very same bytes, from the same address.

Whoever waits for a tag to move, or pulls what others pull, sends one request over and over. What it
was answered from memory alone is kept there too, and given again without reading it.

A request to read is decided by its bytes, by who sends them, by the database, by the server's keys
and by the time; all else stays as it is while the process runs. The first two are the question
under which the answer is kept, the database's generation is the memory's, the keys are compared,
and the clock was watched (`longshore.clock.Horizon`): where a condition of a policy has asked for
the time, or for anything else of the request, nothing is kept. Whatever each request does besides
is done each time: failures to authenticate and rate limits are looked at, the pull is noted, the
audit and the metrics are told. Where anything is not as it was, the request takes the usual way.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING

from longshore.api.http import FileBody
from longshore.api.measuring import REGISTRY_FACE
from longshore.blobs.store import BlobMissing
from longshore.errors import RegistryError
from longshore.registry.memory import NotInMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from typing import BinaryIO

    from longshore.api.attempts import Attempts
    from longshore.api.http import Request, Response
    from longshore.api.oci.exchanges import Exchange
    from longshore.api.throttle import Throttle
    from longshore.audit.records import ApiCall, Outline
    from longshore.audit.trail import Trail
    from longshore.clock import Millis
    from longshore.metrics.counts import Counts
    from longshore.names import Registry
    from longshore.registry.context import Context, WithoutWaiting
    from longshore.registry.pulls import PulledImage

# What an answer takes in bytes, besides a manifest, which the memory holds anyway, or a blob.
_SIZE = 4 * 1024
# Larger blobs are opened each time; the configurations of images are smaller.
_LARGEST_BLOB = 16 * 1024
# Those that came last. Where each request has a number of its own, nothing is kept of any.
_MOST_SEEN = 4096


@dataclass(slots=True)
class Basis:
    """What an answer from memory rests on beside the request and the database.

    Attributes:
        key_ids: the names of the server's keys, from before it was looked for.
        until: before which moment it holds; None where it doesn't depend on the time.
    """

    key_ids: tuple[str, ...]
    until: Millis | None

    def holds(self, key_ids: tuple[str, ...], now: Millis) -> bool:
        """Tell whether it is still so."""
        return key_ids == self.key_ids and (self.until is None or now < self.until)


@dataclass(frozen=True, slots=True)
class _Known:
    """An answer that was given, and what giving it again takes.

    Attributes:
        basis: what it rests on.
        status: that of the answer.
        lines: those of its headers.
        body: that of the answer, or what opens it.
        address: where the request comes from.
        credentials: a digest of those that it shows, "" for none.
        limited: the operation that rate limits count.
        registry: the registry that it is for.
        operation: what the metrics call it.
        outline: what the audit tells of it.
        pulled: the images that it hands out.
        puller: the ARN of whose pull it is.
    """

    basis: Basis
    status: int
    lines: bytes
    body: bytes | Callable[[], FileBody]
    address: str
    credentials: str
    limited: str
    registry: Registry
    operation: str
    outline: Outline
    pulled: Sequence[PulledImage]
    puller: str


class Repeats:
    """Answers to requests that may come again.

    Args:
        context: the store.
        without_waiting: the same for the event loop; the answers are kept in its memory.
        throttle: counts requests.
        attempts: counts failures to authenticate.
        trail: what is told of each request.
        counts: where requests are counted.
    """

    def __init__(
        self,
        context: Context,
        without_waiting: WithoutWaiting,
        *,
        throttle: Throttle,
        attempts: Attempts,
        trail: Trail,
        counts: Counts,
    ) -> None:
        self._context = context
        self._without_waiting = without_waiting
        self._throttle = throttle
        self._attempts = attempts
        self._trail = trail
        self._counts = counts
        # The bytes hold passwords, and nothing of those is kept.
        self._secret = secrets.token_bytes(32)
        self._seen: dict[Hashable, None] = {}

    def answer(self, peer: str, sent: bytes) -> tuple[int, bytes, bytes | FileBody] | None:
        """Return status, lines of the headers and body of the answer; None if it isn't known.

        Args:
            peer: who holds the connection.
            sent: the request as it came.
        """
        came_at = perf_counter()
        question = self._question(peer, sent)
        known = self._recall(question) if question in self._seen else None
        now = self._context.clock()
        if known is None or not known.basis.holds(self._context.server_key.ids, now):
            return None
        try:
            if known.credentials:
                with self._attempts.watch(known.address, known.credentials):
                    pass
            self._throttle.count(known.limited, known.registry)
            body = known.body if isinstance(known.body, bytes) else known.body()
        except (RegistryError, BlobMissing):
            return None
        for image in known.pulled:
            self._context.pulls.note(image, known.puller, now)
        self._trail.write(known.outline.at(now))
        seconds = perf_counter() - came_at
        size = len(body) if isinstance(body, bytes) else body.length
        self._counts.request(
            REGISTRY_FACE, known.operation, known.status, seconds, received=0, sent=size
        )
        return known.status, known.lines, body

    def keep(self, exchange: Exchange, told: ApiCall, response: Response) -> None:
        """Keep an answer that was just found, if it came from memory alone and has come before.

        Args:
            exchange: what became known of the request.
            told: what the audit was told of it.
            response: the answer.
        """
        request, route, basis = exchange.request, exchange.route, exchange.basis
        if request.sent is None or route is None or basis is None:
            return
        # There are as many pieces of a blob as anybody likes.
        if response.status != HTTPStatus.OK or not basis.holds(
            basis.key_ids, self._context.clock()
        ):
            return
        size = _SIZE
        if isinstance(response.body, FileBody) and response.body.length <= _LARGEST_BLOB:
            size += response.body.length
            response.read_small_file(_LARGEST_BLOB)
        body = _to_keep(response, request)
        if body is None:
            return
        question = self._question(request.peer, request.sent)
        if not self._has_seen(question):
            return
        known = _Known(
            basis=basis,
            status=response.status,
            lines=response.lines(),
            body=body,
            address=request.client_address,
            credentials=exchange.credentials,
            limited=route.operation,
            registry=exchange.registry,
            operation=exchange.operation,
            outline=told.outline,
            pulled=exchange.pulled,
            puller=exchange.puller,
        )
        self._without_waiting.keep(question, known, size)

    def _has_seen(self, question: Hashable) -> bool:
        """Tell whether a request has come before, and remember that it came."""
        if question in self._seen:
            return True
        if len(self._seen) >= _MOST_SEEN:
            del self._seen[next(iter(self._seen))]
        self._seen[question] = None
        return False

    def _recall(self, question: Hashable) -> _Known | None:
        try:
            return self._without_waiting.run(lambda context: _find(context, question))
        except NotInMemory:
            return None

    def _question(self, peer: str, sent: bytes) -> Hashable:
        return "request", peer, blake2b(sent, key=self._secret, digest_size=32).digest()


def _to_keep(response: Response, request: Request) -> bytes | Callable[[], FileBody] | None:
    """Return what gives the body of an answer again; None where nothing does."""
    body = response.body
    if isinstance(body, bytes):
        return b"" if request.method == "HEAD" else body
    if isinstance(body, FileBody) and body.reopen is not None:
        return partial(_opened_again, body.reopen, body.offset, body.length)
    return None


def _opened_again(reopen: Callable[[], BinaryIO], offset: int, length: int) -> FileBody:
    return FileBody(reopen(), offset, length)


def _find(context: Context, question: Hashable) -> _Known:
    def find() -> _Known:
        raise NotInMemory

    return context.memory.answer(question, find)
