"""The parts of a server as they are where traces are wanted: each tells what it does.

The others know nothing of traces: without these parts, nothing is asked or done for them.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, StatusCode, format_trace_id, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from longshore.api.app import UNTRACED_PATHS, without_secrets
from longshore.api.ecr.layers import DOWNLOAD_PATH
from longshore.api.http import Request
from longshore.api.oci.routes import template_of
from longshore.api.workers import Workers
from longshore.audit.records import ApiCall
from longshore.audit.trail import Trail
from longshore.logs import CURRENT
from longshore.metadata.database import Database
from longshore.traces.export import Exporting
from longshore.traces.parts import Parts
from longshore.traces.spans import Spans, current_root
from longshore.transport import WHOLE_ANSWER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue
    from sqlalchemy import Connection

    from longshore.api.app import App
    from longshore.api.http import Receive, Scope, Send
    from longshore.api.workers import Parameters, Result
    from longshore.audit.trail import Record
    from longshore.blobs.store import BlobStore, BlobWriter, Location
    from longshore.lifespan import Application
    from longshore.metadata.database import Generation
    from longshore.names import Digest
    from longshore.registry.context import Context as Store
    from longshore.work.runner import Handler, Work


# What the audit's parameters tell of a request's subject, and what spans call it.
_SUBJECTS = {
    "repositoryName": "longshore.repository",
    "imageTag": "longshore.image.tag",
    "imageDigest": "longshore.image.digest",
    "layerDigest": "longshore.layer.digest",
    "uploadId": "longshore.upload",
}
_TRACE_HEADERS = frozenset({b"traceparent", b"tracestate"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# OpenTelemetry's word for a method that nobody knows.
_OTHER = "_OTHER"


class TracedParts(Parts):
    """What a process is made of where traces are wanted.

    Args:
        dropped: is called with how many spans nobody will get to see.
    """

    def __init__(self, dropped: Callable[[int], Any]) -> None:
        self._exporting = Exporting(dropped)
        self._spans = Spans(self._exporting.tracer)

    def app(self, app: App) -> Application:
        """See `Parts`."""
        return _TracedApp(app, self._spans)

    def workers(self) -> Workers:
        """See `Parts`."""
        return _TracedWorkers(self._spans)

    def context(self, context: Store) -> Store:
        """See `Parts`."""
        return replace(
            context,
            database=_TracedDatabase(context.database, self._spans),
            blobs=cast("BlobStore", _TracedBlobs(context.blobs, self._spans)),
            authorizing=self._authorizing,
        )

    def trail(self, trail: Trail) -> Trail:
        """See `Parts`."""
        return _TracedTrail(trail)

    def handler(self, kind: str, handler: Handler) -> Handler:
        """See `Parts`."""

        def run(work: Work) -> None:
            job = work.job
            attributes: dict[str, AttributeValue] = {
                "longshore.job.id": job.id,
                "longshore.job.kind": kind,
                "longshore.job.attempt": job.attempts,
                **({"longshore.job.key": job.key} if job.key else {}),
            }
            with self._spans.root(f"job: {kind}", SpanKind.CONSUMER, attributes):
                handler.run(work)

        return replace(handler, run=run)

    def close(self) -> None:
        """See `Parts`."""
        self._exporting.close()

    def _authorizing(self, action: str, resource: str) -> AbstractContextManager[object]:
        attributes = {"longshore.action": action, "longshore.resource": resource}
        return self._spans.below("authorize", attributes, has_parts=True)


class _TracedApp:
    """Tells of each request on the two faces: of a client's trace, if it is in one."""

    def __init__(self, app: App, spans: Spans) -> None:
        self._app = app
        self._spans = spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _path_of(scope)
        if path in UNTRACED_PATHS:
            return await self._app(scope, receive, send)
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        route = _route_of(path)
        attributes: dict[str, AttributeValue] = {
            "http.request.method": method,
            "url.scheme": scope["scheme"],
            **({} if route is None else {"http.route": route}),
        }
        name = method if route is None else f"{method} {route}"
        is_api_call = route == "/" and method == "POST"
        parent = _parent_of(scope)
        with self._spans.root(
            name, SpanKind.SERVER, attributes, parent=parent, is_api_call=is_api_call
        ) as span:
            if not span.is_recording():
                return await self._app(scope, receive, send)
            answer = _Answer(scope, send)
            try:
                return await self._app(answer.scope, receive, answer.send)
            finally:
                span.set_attributes(answer.attributes)
                if answer.status is not None and answer.status >= 500:
                    span.set_status(StatusCode.ERROR)

    def begin(self, scope: Scope, receive: Receive) -> None:
        """Let every request have a task, for its spans belong to one."""

    def again(self, peer: str, sent: bytes) -> None:
        """Let every request be looked at, for each has its spans."""

    def known(self, scope: Scope) -> None:
        """The same."""


class _Answer:
    """Sees what a request is answered with, on its way to the client."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.status: int | None = None
        self._size = 0
        self._send = send
        self.scope = scope
        extensions = scope.get("extensions") or {}
        if WHOLE_ANSWER in extensions:
            self._send_whole = extensions[WHOLE_ANSWER]
            whole = {**extensions, WHOLE_ANSWER: self.send_whole}
            self.scope = {**scope, "extensions": whole}

    async def send(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._see(message["status"], int(dict(message["headers"]).get(b"content-length", 0)))
        await self._send(message)

    def send_whole(self, status: int, lines: bytes, body: bytes) -> bool:
        self._see(status, len(body))
        sent: bool = self._send_whole(status, lines, body)
        return sent

    def _see(self, status: int, size: int) -> None:
        self.status = status
        self._size = size

    @property
    def attributes(self) -> dict[str, AttributeValue]:
        """What spans tell of the request and of the answer, if there was one."""
        request = CURRENT.get()
        told: dict[str, AttributeValue] = {}
        if isinstance(request, Request):
            told = {
                "longshore.request_id": request.id,
                "url.path": without_secrets(request.path),
                "client.address": request.client_address,
                "user_agent.original": request.user_agent or "",
                "http.request.body.size": request.received,
            }
        if self.status is None:
            return told
        answered = {
            "http.response.status_code": self.status,
            "http.response.body.size": self._size,
        }
        return {**told, **answered}


def _path_of(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.partition(b"?")[0].decode("latin-1")


def _route_of(path: str) -> str | None:
    if path == "/":
        return path
    return f"{DOWNLOAD_PATH}{{ticket}}" if path.startswith(DOWNLOAD_PATH) else template_of(path)


def _parent_of(scope: Scope) -> Context:
    """Return the span that a request names as its parent (W3C Trace Context), if it names one."""
    carrier: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        if name in _TRACE_HEADERS:
            carrier.setdefault(name.decode("ascii"), []).append(value.decode("latin-1"))
    if len(carrier.get("traceparent", ())) != 1:
        return Context()
    return TraceContextTextMapPropagator().extract(carrier, Context())


class _TracedTrail(Trail):
    """Lets records and spans name each other, and takes from the records what spans tell."""

    def __init__(self, trail: Trail) -> None:
        self._trail = trail

    def write(self, record: Record) -> None:
        """See `Trail`."""
        span = get_current_span()
        context = span.get_span_context()
        if isinstance(record, ApiCall) and context.is_valid:
            trace = {"traceId": format_trace_id(context.trace_id)}
            record = replace(record, additional={**(record.additional or {}), **trace})
            if span.is_recording():
                _tell_call(span, record)
        self._trail.write(record)

    def append(self, lines: bytes) -> None:
        """See `Trail`."""
        self._trail.append(lines)

    def close(self) -> None:
        """See `Trail`."""
        self._trail.close()


def _tell_call(span: Span, record: ApiCall) -> None:
    root = current_root()
    if root is not None and root.is_api_call:
        service = record.service.upper()
        span.update_name(f"{service}.{record.operation}")
        span.set_attribute("rpc.system", "aws-api")
        span.set_attribute("rpc.service", service)
        span.set_attribute("rpc.method", record.operation)
    parameters = record.parameters or {}
    attributes: dict[str, AttributeValue] = {
        "longshore.operation": record.operation,
        "longshore.account": record.account,
        "longshore.region": record.region,
        **{
            attribute: value
            for parameter, attribute in _SUBJECTS.items()
            if isinstance(value := parameters.get(parameter), str)
        },
    }
    if record.error_code is not None:
        attributes["error.type"] = record.error_code
    span.set_attributes(attributes)


class _TracedWorkers(Workers):
    """Tells of what threads do, and for how long it had to wait for a thread."""

    def __init__(self, spans: Spans) -> None:
        super().__init__()
        self._spans = spans

    async def run(
        self,
        function: Callable[Parameters, Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """See `Workers`."""
        if current_root() is None:
            return await super().run(function, *args, **kwargs)
        wanted_at = time.perf_counter()

        def run() -> Result:
            attributes: dict[str, AttributeValue] = {
                "code.function.name": getattr(function, "__qualname__", "?"),
                "longshore.waited": time.perf_counter() - wanted_at,
            }
            with self._spans.below("worker", attributes, has_parts=True):
                return function(*args, **kwargs)

        return await super().run(run)


class _TracedDatabase(Database):
    """Tells of transactions: when they were let begin, and when their commit began."""

    def __init__(self, database: Database, spans: Spans) -> None:
        self.url, self.is_sqlite = database.url, database.is_sqlite
        self._database = database
        self._spans = spans
        self._attributes = {"db.system.name": database.url.get_backend_name()}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a database has
        return getattr(self._database, name)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """See `Database`."""
        with self._span("read transaction"), self._database.read() as tx:
            yield tx

    @contextmanager
    def write(self, *, durable: bool = True, content_only: bool = False) -> Iterator[Connection]:
        """See `Database`."""
        with (
            self._span("write transaction") as span,
            self._database.write(durable=durable, content_only=content_only) as tx,
        ):
            span.add_event("begun")
            yield tx
            span.add_event("to be committed")

    def at_once(self) -> Database:
        """See `Database`."""
        return _TracedDatabase(self._database.at_once(), self._spans)

    def _span(self, name: str) -> AbstractContextManager[Span]:
        return self._spans.below(name, self._attributes, kind=SpanKind.CLIENT)

    def generation(self) -> Generation | None:
        """See `Database`."""
        return self._database.generation()

    def joined(self, tx: Connection) -> Database:
        """See `Database`."""
        return self._database.joined(tx)

    def close(self) -> None:
        """See `Database`."""
        self._database.close()


class _TracedBlobs:
    """Tells of what takes a blob store time. Everything else goes straight to the store."""

    def __init__(self, blobs: BlobStore, spans: Spans) -> None:
        self._blobs = blobs
        self._spans = spans

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a store has
        return getattr(self._blobs, name)

    @contextmanager
    def writer(self, upload_id: str, offset: int) -> Iterator[BlobWriter]:
        attributes: dict[str, AttributeValue] = {
            "longshore.upload": upload_id,
            "longshore.offset": offset,
        }
        with (
            self._spans.below("blob write", attributes) as span,
            self._blobs.writer(upload_id, offset) as writer,
        ):
            try:
                yield writer
            finally:
                span.set_attribute("longshore.bytes", writer.offset - offset)

    def commit(
        self,
        upload_id: str,
        size: int,
        context: str,
        digest: Digest,
        writer: BlobWriter | None = None,
    ) -> Location:
        attributes: dict[str, AttributeValue] = {
            "longshore.upload": upload_id,
            "longshore.bytes": size,
            "longshore.layer.digest": str(digest),
        }
        with self._spans.below("blob commit", attributes):
            return self._blobs.commit(upload_id, size, context, digest, writer)

    def open(self, location: Location) -> BinaryIO:
        with self._spans.below("blob open"):
            return self._blobs.open(location)
