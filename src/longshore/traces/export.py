"""How spans get to a collector: in the background, as OpenTelemetry's variables say, or not at all.

What the collector doesn't take in time is dropped and counted. Nobody waits for it, and what waits
for it is bounded.
"""

from __future__ import annotations

import logging
import os
import threading
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from longshore.clock import MINUTE, SECOND, system_clock
from longshore.traces.parts import CannotTrace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Tracer

    from longshore.clock import Millis

_SERVICE: Final = "longshore"
_QUEUE_VARIABLE: Final = "OTEL_BSP_MAX_QUEUE_SIZE"
_USUAL_QUEUE: Final = 2048
_LENGTH_VARIABLES: Final = (
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
)
_LONGEST_TEXT: Final = 1_024
_BATCH: Final = 512
_ENDPOINT_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOL_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
_PROTOCOL: Final = "http/protobuf"
_EXPORTER_VARIABLE: Final = "OTEL_TRACES_EXPORTER"
_EXPORTER: Final = "otlp"
# How long the end of a process may take for what hasn't been sent yet.
_LAST_SECONDS: Final = 5.0

_log = logging.getLogger(__name__)


def check_variables() -> None:
    """Find out whether the variables ask for something that can be done.

    Raises:
        CannotTrace, ValueError: they don't.
    """
    for variable in _ENDPOINT_VARIABLES:
        value = os.environ.get(variable)
        if value and (
            urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).netloc
        ):
            raise CannotTrace(
                f"{variable}: write the URL of a collector, such as http://localhost:4318."
            )
    for variable, only in (
        *((variable, _PROTOCOL) for variable in _PROTOCOL_VARIABLES),
        (_EXPORTER_VARIABLE, _EXPORTER),
    ):
        if os.environ.get(variable, only) not in {"", only}:
            raise CannotTrace(f"{variable}: traces are sent by {only}, and by nothing else.")
    # The rest is found out by whoever is to use it.
    Exporting(lambda _: None).close()


class Exporting:
    """What takes the spans of a process to the collector.

    Args:
        dropped: is called with how many spans nobody will get to see.

    Attributes:
        tracer: makes spans.
    """

    def __init__(self, dropped: Callable[[int], Any]) -> None:
        logging.getLogger(OTLPSpanExporter.__module__).addFilter(_Seldom())
        queue = _Queue(_queue_size(), dropped)
        self._provider = TracerProvider(
            resource=_resource(), span_limits=_limits(), shutdown_on_exit=False
        )
        self._provider.add_span_processor(_Processor(_Exporter(OTLPSpanExporter(), queue), queue))
        self.tracer: Tracer = self._provider.get_tracer(_SERVICE, version("longshore"))

    def close(self) -> None:
        """Send what hasn't been sent yet, or give it up after a few seconds."""
        # A thread that nobody waits for in the end: the collector may take each batch slowly.
        ending = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        ending.start()
        ending.join(_LAST_SECONDS)
        if ending.is_alive():
            _log.warning("the last spans couldn't be sent within %g seconds", _LAST_SECONDS)


class _Queue:
    """How many spans wait to be sent, and what becomes of those that there is no room for.

    Args:
        most: how many may wait.
        dropped: is called with how many were dropped.
    """

    def __init__(self, most: int, dropped: Callable[[int], Any]) -> None:
        self.most = most
        self._dropped = dropped
        self._lock = threading.Lock()
        self._waiting = 0
        self._untold = 0
        self._told_at: Millis | None = None

    def enter(self) -> bool:
        """Let a span wait, unless there is no room; tell whether it does."""
        with self._lock:
            if self._waiting < self.most:
                self._waiting += 1
                return True
        self.drop(1)
        return False

    def leave(self, count: int) -> None:
        """Say that so many wait no longer."""
        with self._lock:
            self._waiting -= count

    def drop(self, count: int) -> None:
        """Count spans that are lost, and tell the log once a minute."""
        self._dropped(count)
        now = system_clock()
        with self._lock:
            self._untold += count
            if self._told_at is not None and 0 <= now - self._told_at < MINUTE:
                return
            untold, self._untold, self._told_at = self._untold, 0, now
        _log.warning("%d spans of traces are lost: the collector didn't take them in time", untold)


class _Processor(SpanProcessor):
    """Lets spans that have ended wait for the exporter."""

    def __init__(self, exporter: SpanExporter, queue: _Queue) -> None:
        self._queue = queue
        self._batches: SpanProcessor = BatchSpanProcessor(
            exporter, max_queue_size=queue.most, max_export_batch_size=min(_BATCH, queue.most)
        )

    def on_end(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        if context is not None and context.trace_flags.sampled and self._queue.enter():
            self._batches.on_end(span)

    def shutdown(self) -> None:
        self._batches.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._batches.force_flush(timeout_millis)


class _Exporter(SpanExporter):
    """Sends spans, and says of each that it waits no longer."""

    def __init__(self, exporter: SpanExporter, queue: _Queue) -> None:
        self._exporter = exporter
        self._queue = queue

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self._queue.leave(len(spans))
            if result is not SpanExportResult.SUCCESS:
                self._queue.drop(len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _Seldom(logging.Filter):
    """Lets each line pass once a minute: a collector that is down is told of all the time."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[int, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        passed = self._passed.get(record.lineno)
        if passed is not None and 0 <= record.created - passed < MINUTE / SECOND:
            return False
        self._passed[record.lineno] = record.created
        return True


def _resource() -> Resource:
    """Return what is sending: what the variables say, and what they leave open."""
    named = "service.name" in OTELResourceDetector().detect().attributes
    return Resource.create(
        {"service.version": version("longshore"), **({} if named else {"service.name": _SERVICE})}
    )


def _limits() -> SpanLimits:
    """Return how much a span may hold: what clients send, too, is told up to a length."""
    chosen = any(os.environ.get(variable) for variable in _LENGTH_VARIABLES)
    return SpanLimits() if chosen else SpanLimits(max_span_attribute_length=_LONGEST_TEXT)


def _queue_size() -> int:
    value = os.environ.get(_QUEUE_VARIABLE) or str(_USUAL_QUEUE)
    if not value.isdecimal() or int(value) == 0:
        raise CannotTrace(f"{_QUEUE_VARIABLE}: write how many spans may wait, such as 2048.")
    return int(value)
