"""The ASGI application: which face a request is for."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from longshore.api.ecr.layers import DOWNLOAD_PATH
from longshore.api.events import PATH as EVENTS_PATH
from longshore.api.health import LIVE_PATH, READY_PATH
from longshore.api.http import READING, ClientDisconnected, Request
from longshore.api.metrics import PATH as METRICS_PATH
from longshore.api.responses import Response, text_response
from longshore.logs import CURRENT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from longshore.api.aws.face import AwsFace
    from longshore.api.downloads import Downloads
    from longshore.api.events import EventStream
    from longshore.api.health import Health
    from longshore.api.http import Receive, Scope, Send
    from longshore.api.metrics import MetricsPage
    from longshore.api.oci.face import OciFace
    from longshore.api.proxies import Proxies
    from longshore.api.responses import Whole
    from longshore.api.workers import Workers

_log = logging.getLogger(__name__)
_access_log = logging.getLogger("longshore.access")
_LINE = "%(method)s %(path)s %(status)d %(milliseconds).1fms %(request_id)s"

UNTRACED_PATHS: Final = frozenset({LIVE_PATH, READY_PATH, METRICS_PATH, EVENTS_PATH})
"""What machines ask for every few seconds, or for hours: nobody looks for it in traces."""

_READS_OF_REGISTRY = (b"GET /v2/", b"HEAD /v2/")

_WELCOME = b"""Longshore, a container registry that speaks Amazon ECR.

  the APIs of AWS:  aws ecr|iam|sts ... --endpoint-url <this address>
  the registry:     docker login <this host>
  what happens:     <this address>/events
  credentials:      longshore env, on the machine that runs the server
"""


class App:
    """Answers every request: the two faces on one port.

    Args:
        aws: answers `POST /`.
        oci: answers what is below `/v2/`.
        events: answers `/events`.
        downloads: answers what is below `/layers/`.
        health: answers `/livez` and `/readyz`.
        metrics: answers `/metrics`.
        workers: where the rules run.
        idle_timeout: how long a client may pause in the middle of a body, in seconds.
        proxies: who may stand between a client and this server.
    """

    def __init__(
        self,
        *,
        aws: AwsFace,
        oci: OciFace,
        events: EventStream,
        downloads: Downloads,
        health: Health,
        metrics: MetricsPage,
        workers: Workers,
        idle_timeout: float,
        proxies: Proxies,
    ) -> None:
        self._aws = aws
        self._oci = oci
        self._events = events
        self._downloads = downloads
        self._monitoring = {
            LIVE_PATH: health.live,
            READY_PATH: health.ready,
            METRICS_PATH: metrics.answer,
        }
        self._workers = workers
        self._idle_timeout = idle_timeout
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            raise NotImplementedError(f"Longshore serves HTTP, not {scope['type']}")
        with suppress(ClientDisconnected):
            answer = await self._serve(self._request(scope, receive))
            await answer.send(send)

    def begin(self, scope: Scope, receive: Receive) -> Coroutine[Any, Any, Answer] | None:
        """Return what answers a request for one of the faces, as `longshore.at_once` asks for it.

        None for all others: they have timers, which are of a task.
        """
        request = self._request(scope, receive)
        is_for_face = request.path.startswith("/v2/") or request.path == "/"
        return self._serve(request) if is_for_face else None

    def again(self, peer: str, sent: bytes) -> Whole | None:
        """Return the answer to a request that has come before, as `longshore.at_once` asks for it.

        None for most, and where each is logged.
        """
        if not sent.startswith(_READS_OF_REGISTRY) or _access_log.isEnabledFor(logging.INFO):
            return None
        try:
            return self._oci.repeats.answer(peer, sent)
        except Exception:  # noqa: BLE001 - it is answered the usual way, and that tells
            return None

    def known(self, scope: Scope) -> Whole | None:
        """Return the answer to a request if one came before that is as good as the same.

        None for most, and where each is logged.
        """
        is_read = scope["method"] in READING and scope["path"].startswith("/v2/")
        if not is_read or _access_log.isEnabledFor(logging.INFO):
            return None
        try:
            return self._oci.repeats.answer_like(scope)
        except Exception:  # noqa: BLE001 - it is answered the usual way, and that tells
            return None

    def _request(self, scope: Scope, receive: Receive) -> Request:
        return Request(scope, receive, self._idle_timeout, self._proxies)

    async def _serve(self, request: Request) -> Answer:
        CURRENT.set(request)
        return Answer(request, await self._answer(request), self._workers)

    async def _answer(self, request: Request) -> Response:
        answer, answer_to_failure = self._face_of(request)
        try:
            return await answer(request)
        except ClientDisconnected:
            raise
        except Exception:  # noqa: BLE001 - the outermost place: every client gets an answer
            _log.exception("request %s failed: %s", request.id, request.method)
            return answer_to_failure(request)

    def _face_of(
        self, request: Request
    ) -> tuple[Callable[[Request], Awaitable[Response]], Callable[[Request], Response]]:
        path = request.path
        if path == "/v2" or path.startswith("/v2/"):
            return self._oci.answer, self._oci.answer_to_failure
        if path == "/" and request.method == "POST":
            return self._aws.answer, self._aws.answer_to_failure
        if path == EVENTS_PATH:
            return self._events.answer, _failure
        if path in self._monitoring:
            return self._monitoring[path], _failure
        return self._elsewhere, _failure

    async def _elsewhere(self, request: Request) -> Response:
        if request.only_reads and request.path.startswith(DOWNLOAD_PATH):
            return await self._downloads.answer(request)
        if request.only_reads and request.path == "/":
            return Response(200, {"Content-Type": "text/plain; charset=utf-8"}, _WELCOME)
        return text_response(
            404, "Nothing is here. The APIs of AWS are POST /, the registry is below /v2/."
        )


class Answer:
    """A request and what is answered, to be sent to whoever waits for it."""

    __slots__ = ("_request", "_response", "_workers")

    def __init__(self, request: Request, response: Response, workers: Workers) -> None:
        self._request = request
        self._response = response
        self._workers = workers

    def whole(self) -> Whole | None:
        """See `longshore.api.http.Response.whole`."""
        whole = self._response.whole(self._request)
        if whole is not None:
            self._log()
        return whole

    async def send(self, send: Send) -> None:
        """Send it by ASGI's messages; if the client is gone, nobody is told."""
        with suppress(ClientDisconnected):
            await self._response.send(self._request, send, self._workers)
            self._log()

    def _log(self) -> None:
        if _access_log.isEnabledFor(logging.INFO):
            told = {
                "method": self._request.method,
                "path": without_secrets(self._request.path),
                "status": self._response.status,
                "milliseconds": round(self._request.seconds * 1000, 1),
                "request_id": self._request.id,
            }
            _access_log.info(_LINE, told, extra={"fields": told})


def _failure(request: Request) -> Response:
    return text_response(
        500, f"The server failed. Its log tells why, under the request id {request.id}."
    )


def without_secrets(path: str) -> str:
    """Return what of a path may be told: a ticket opens a layer to whoever holds it."""
    return DOWNLOAD_PATH + "***" if path.startswith(DOWNLOAD_PATH) else path
