"""Requests that come again from the same address: the very same bytes, or as good as the same.

Whoever waits for a tag to move, or pulls what others pull, sends one request over and over. What it
was answered from memory alone is kept there too, and given again without reading it. Where proxies
give each request a number, or clients a date, its bytes differ each time: it is parsed, and then
its answer is found by what of it has a say.

A request to read is decided by its bytes, by who sends them, by the database, by the server's keys
and by the time; all else stays as it is while the process runs. Of its bytes, the line and those
headers have a say that somebody asks for while it is answered (`Request.asked`): where one is asked
for that isn't among those we know of, nothing is kept. These and the sender are the questions
under which the answer is kept, the database's generation is the memory's, the keys are compared,
and the clock was watched (`longshore.clock.Horizon`): where a condition of a policy has asked for
the time, or for anything else of the request, nothing is kept. Whatever each request does besides
is done each time: failures to authenticate and rate limits are looked at, the pull is noted, the
audit and the metrics are told. Where anything is not as it was, the request takes the usual way.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, cast

from longshore.api.http import peer_of, raw_path_of, sent_of
from longshore.api.measuring import REGISTRY_FACE
from longshore.api.responses import FileBody
from longshore.audit.records import RepeatedCall
from longshore.blobs.store import BlobMissing
from longshore.errors import RegistryError
from longshore.ids import random_id

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from typing import BinaryIO

    from longshore.api.attempts import Attempts
    from longshore.api.http import Request, Scope
    from longshore.api.oci.exchanges import Exchange
    from longshore.api.responses import Response, Whole
    from longshore.api.throttle import Throttle
    from longshore.audit.records import ApiCall, Outline
    from longshore.audit.trail import Trail
    from longshore.clock import Millis
    from longshore.metrics.counts import Counts
    from longshore.names import Registry
    from longshore.registry.context import Context, WithoutWaiting
    from longshore.registry.pulls import PulledImage

# What an answer takes in bytes, besides its headers and a blob. Manifests and pages of listings the
# memory holds anyway.
_SIZE = 4 * 1024
# Larger blobs are opened each time; the configurations of images are smaller.
_LARGEST_BLOB = 16 * 1024
# Those that came last. What comes once drives out nothing that is kept.
_MOST_SEEN = 4096
# The headers that have a say in what is read on the registry face. The address of the client, if
# not the connection's, is in the last one.
_DECIDING = frozenset(
    {b"accept", b"authorization", b"host", b"range", b"user-agent", b"x-forwarded-for"}
)

# An extension of ASGI for nobody else: the question under which an answer is looked for, and kept.
_QUESTION = "longshore.request.question"


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
        size: how many bytes it takes.
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
    size: int


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
        self._seen = _Seen()
        self._seen_bytes = _Seen()

    def answer(self, peer: str, sent: bytes) -> Whole | None:
        """Return status, lines of the headers and body of the answer; None if it isn't known.

        Args:
            peer: who holds the connection.
            sent: the request as it came.
        """
        came_at = perf_counter()
        question = self._by_bytes(peer, sent)
        known = self._recall(question) if question in self._seen_bytes else None
        return None if known is None else self._give(known, came_at)

    def answer_like(self, scope: Scope) -> Whole | None:
        """Return the answer to a request by what of it has a say, as `answer` does by its bytes.

        Args:
            scope: ASGI's description of the request, which has no body.
        """
        came_at = perf_counter()
        question = scope["extensions"][_QUESTION] = self._by_say(scope)
        known = self._recall(question) if question in self._seen else None
        whole = None if known is None else self._give(known, came_at)
        if known is not None and whole is not None:
            for sent_before in self._sent_before(scope):
                self._without_waiting.keep(sent_before, known, known.size)
        return whole

    def keep(self, exchange: Exchange, told: ApiCall, response: Response) -> None:
        """Keep an answer that was just found, if it came from memory alone and has come before.

        Args:
            exchange: what became known of the request.
            told: what the audit was told of it.
            response: the answer.
        """
        request, route, basis = exchange.request, exchange.route, exchange.basis
        if route is None or basis is None or not request.asked <= _DECIDING:
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
        questions = self._come_before(request.scope)
        if not questions:
            return
        lines = response.lines()
        known = _Known(
            basis=basis,
            status=response.status,
            lines=lines,
            body=body,
            address=request.client_address,
            credentials=exchange.credentials,
            limited=route.operation,
            registry=exchange.registry,
            operation=exchange.operation,
            outline=told.outline,
            pulled=exchange.pulled,
            puller=exchange.puller,
            # A client may have a say in how long the address of the next page is.
            size=size + len(lines),
        )
        for question in questions:
            self._without_waiting.keep(question, known, known.size)

    def _give(self, known: _Known, came_at: float) -> Whole | None:
        """Do all that giving an answer again takes; None where it may not be given."""
        now = self._context.clock()
        if not known.basis.holds(self._context.server_key.ids, now):
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
        self._trail.write(RepeatedCall(known.outline, now, random_id()))
        seconds = perf_counter() - came_at
        size = len(body) if isinstance(body, bytes) else body.length
        self._counts.request(
            REGISTRY_FACE, known.operation, known.status, seconds, received=0, sent=size
        )
        return known.status, known.lines, body

    def _come_before(self, scope: Scope) -> list[Hashable]:
        """Return the questions of a request that have come before; take note of the others."""
        # Most have been asked for before they were answered.
        question = (scope.get("extensions") or {}).get(_QUESTION) or self._by_say(scope)
        return [*([question] if self._seen.note(question) else []), *self._sent_before(scope)]

    def _sent_before(self, scope: Scope) -> list[Hashable]:
        """Return the question of a request's bytes if they have come before; else take note."""
        sent = sent_of(scope)
        if sent is None:
            return []
        question = self._by_bytes(peer_of(scope), sent)
        return [question] if self._seen_bytes.note(question) else []

    def _recall(self, question: Hashable) -> _Known | None:
        found = self._without_waiting.run(lambda context: context.memory.recall(question))
        return cast("_Known | None", found)

    def _by_bytes(self, peer: str, sent: bytes) -> Hashable:
        return "bytes", peer, self._digest(sent)

    def _by_say(self, scope: Scope) -> Hashable:
        said = [raw_path_of(scope), scope["query_string"]]
        for header in scope["headers"]:
            if header[0] in _DECIDING:
                said += header
        # In no path, query, name or value is a line break.
        return "say", peer_of(scope), scope["method"], self._digest(b"\n".join(said))

    def _digest(self, content: bytes) -> bytes:
        return sha256(self._secret + content).digest()


def _to_keep(response: Response, request: Request) -> bytes | Callable[[], FileBody] | None:
    """Return what gives the body of an answer again; None where nothing does."""
    body = response.body
    if isinstance(body, bytes):
        return b"" if request.method == "HEAD" else body
    if isinstance(body, FileBody) and body.reopen is not None and request.method != "HEAD":
        return partial(_opened_again, body.reopen, body.offset, body.length)
    return None


def _opened_again(reopen: Callable[[], BinaryIO], offset: int, length: int) -> FileBody:
    return FileBody(reopen(), offset, length)


class _Seen:
    """The requests that came last."""

    def __init__(self) -> None:
        self._questions: OrderedDict[Hashable, None] = OrderedDict()

    def __contains__(self, question: Hashable) -> bool:
        return question in self._questions

    def note(self, question: Hashable) -> bool:
        """Take note that a request came; tell whether it had come before."""
        if question in self._questions:
            return True
        if len(self._questions) >= _MOST_SEEN:
            self._questions.popitem(last=False)
        self._questions[question] = None
        return False
