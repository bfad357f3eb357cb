"""A collector of traces on loopback: it takes OTLP over HTTP, and keeps the spans that it got."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.support.receiver import Receiver, receiving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue
    from opentelemetry.proto.trace.v1 import trace_pb2

    from tests.support.receiver import Received

_PATIENCE_SECONDS = 60
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@dataclass(frozen=True)
class Span:
    """A span as it came over the wire.

    Attributes:
        resource: what has sent it.
        message: the span itself.
    """

    resource: Mapping[str, Any]
    message: trace_pb2.Span

    @property
    def name(self) -> str:
        name: str = self.message.name
        return name

    @property
    def trace_id(self) -> str:
        return bytes(self.message.trace_id).hex()

    @property
    def id(self) -> str:
        return bytes(self.message.span_id).hex()

    @property
    def parent_id(self) -> str:
        """Of a root span, nothing."""
        return bytes(self.message.parent_span_id).hex()

    @property
    def kind(self) -> str:
        return str(self.message.SpanKind.Name(self.message.kind)).removeprefix("SPAN_KIND_")

    @property
    def has_failed(self) -> bool:
        return bool(self.message.status.code == Status.STATUS_CODE_ERROR)

    @cached_property
    def attributes(self) -> dict[str, Any]:
        return _read(self.message.attributes)


@dataclass
class Collector:
    """What takes spans.

    Attributes:
        receiver: the server.
        spans: what it got so far.
    """

    receiver: Receiver
    spans: list[Span] = field(default_factory=list)
    _came: threading.Condition = field(default_factory=threading.Condition)

    @property
    def variables(self) -> dict[str, str]:
        """The variables that let a server send to it, at once."""
        return {
            ENDPOINT: self.receiver.url,
            "OTEL_BSP_SCHEDULE_DELAY": "20",
            "LONGSHORE_TRACES": "true",
        }

    def await_span(self, is_meant: Callable[[Span], bool]) -> Span:
        """Return the first span that is meant, as soon as it is there."""
        with self._came:
            found = self._came.wait_for(
                lambda: next(filter(is_meant, self.spans), None), _PATIENCE_SECONDS
            )
            assert found is not None, [span.name for span in self.spans]
            return found

    def await_request(self, request_id: str) -> Span:
        """Return the span of the request that was answered with this id."""
        return self.await_span(lambda it: it.attributes.get("longshore.request_id") == request_id)

    def below(self, span: Span) -> list[Span]:
        """Return the spans of the same trace, without this one; those that ended before it."""
        return [it for it in self.spans if it.trace_id == span.trace_id and it.id != span.id]

    def take(self, received: Received) -> tuple[int, Mapping[str, str], bytes]:
        """Keep what came."""
        assert received.path == "/v1/traces"
        request = ExportTraceServiceRequest.FromString(received.body)
        with self._came:
            self.spans += [
                Span(_read(of_resource.resource.attributes), span)
                for of_resource in request.resource_spans
                for of_scope in of_resource.scope_spans
                for span in of_scope.spans
            ]
            self._came.notify_all()
        return 200, {"Content-Type": "application/x-protobuf"}, b""


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector; it is stopped when the block ends."""
    with receiving() as receiver:
        collector = Collector(receiver)
        receiver.answer = collector.take
        yield collector


def _read(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    return getattr(value, str(value.WhichOneof("value")))
