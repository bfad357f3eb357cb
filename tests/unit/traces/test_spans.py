from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from longshore.errors import RepositoryNotFound, StorageFull
from longshore.logs import TRACE, JsonFormatter
from longshore.registry.memory import NotInMemory
from longshore.traces.spans import Spans, current_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import ReadableSpan


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[Spans]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield Spans(provider.get_tracer("test"))
    provider.shutdown()


def only(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    [span] = [span for span in exporter.get_finished_spans() if span.name == name]
    return span


def test_a_root_has_so_many_spans_below_it_and_tells_how_many_it_has_not(
    spans: Spans, exporter: InMemorySpanExporter
) -> None:
    with spans.root("root", SpanKind.SERVER, {}):
        for _ in range(1_000):
            with spans.below("part"):
                pass
    finished = exporter.get_finished_spans()
    left_out = (only(exporter, "root").attributes or {})["longshore.spans_left_out"]
    assert left_out == 800
    assert len(finished) == 1 + 1_000 - 800


def test_what_nobody_asked_for_is_not_told(spans: Spans, exporter: InMemorySpanExporter) -> None:
    with spans.below("part") as span:
        assert not span.is_recording()
    assert exporter.get_finished_spans() == ()


def test_when_a_root_ends_nothing_is_left_of_it(spans: Spans) -> None:
    with spans.root("root", SpanKind.SERVER, {}):
        assert current_root() is not None
        assert TRACE.get() is not None
    assert current_root() is None
    assert TRACE.get() is None


@pytest.mark.parametrize(
    ("error", "kind", "has_failed"),
    [
        (RepositoryNotFound("a", "1"), "RepositoryNotFoundException", False),
        (StorageFull(), "ServerException", True),
        (ValueError("s3cr3t"), "ValueError", True),
        (NotInMemory(), None, False),
    ],
)
def test_errors_are_told_by_their_kind_and_go_on(
    spans: Spans,
    exporter: InMemorySpanExporter,
    error: Exception,
    kind: str | None,
    has_failed: bool,
) -> None:
    with (
        pytest.raises(type(error)),
        spans.root("root", SpanKind.CONSUMER, {}),
        spans.below("part", has_parts=True),
    ):
        raise error
    for name in ("root", "part"):
        span = only(exporter, name)
        assert (span.attributes or {}).get("error.type") == kind
        assert (span.status.status_code is StatusCode.ERROR) == has_failed
        assert "s3cr3t" not in span.to_json()


def test_what_is_logged_names_the_trace(spans: Spans, exporter: InMemorySpanExporter) -> None:
    record = logging.makeLogRecord({"msg": "here"})
    with spans.root("root", SpanKind.SERVER, {}):
        line = JsonFormatter().format(record)
    context = only(exporter, "root").get_span_context()
    assert context is not None
    assert f'"trace_id": "{context.trace_id:032x}"' in line
    assert "trace_id" not in JsonFormatter().format(record)
