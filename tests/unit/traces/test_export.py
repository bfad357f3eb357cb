from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from opentelemetry.trace import SpanKind

from longshore.traces import parts as tracing
from longshore.traces.export import Exporting
from longshore.traces.parts import CannotTrace
from longshore.traces.spans import Spans
from tests.support.collector import ENDPOINT, collecting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.receiver import Received

QUEUE = "OTEL_BSP_MAX_QUEUE_SIZE"


def tell(exporting: Exporting, count: int) -> None:
    spans = Spans(exporting.tracer)
    for number in range(count):
        with spans.root(f"span {number}", SpanKind.SERVER, {"long": "x" * 100_000}):
            pass


def test_a_collector_that_stands_still_costs_no_more_than_the_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    goes_on, came = threading.Event(), threading.Event()
    dropped: list[int] = []
    with collecting() as collector:

        def stand_still(received: Received) -> tuple[int, Mapping[str, str], bytes]:
            came.set()
            goes_on.wait(60)
            return collector.take(received)

        collector.receiver.answer = stand_still
        monkeypatch.setenv(ENDPOINT, collector.receiver.url)
        monkeypatch.setenv(QUEUE, "10")
        exporting = Exporting(dropped.append)
        tell(exporting, 10)
        assert came.wait(60)
        tell(exporting, 100)
        goes_on.set()
        exporting.close()
    assert sum(dropped) == 100
    assert [span.name for span in collector.spans] == [f"span {number}" for number in range(10)]
    assert {len(span.attributes["long"]) for span in collector.spans} == {1_024}


def test_what_the_collector_refuses_is_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dropped: list[int] = []
    with collecting() as collector:
        collector.receiver.answer_with(400)
        monkeypatch.setenv(ENDPOINT, collector.receiver.url)
        exporting = Exporting(dropped.append)
        tell(exporting, 7)
        exporting.close()
    assert sum(dropped) == 7
    lines = [record.getMessage() for record in caplog.records]
    assert "7 spans of traces are lost: the collector didn't take them in time" in lines


def test_the_service_has_the_name_that_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "registry")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    with collecting() as collector:
        monkeypatch.setenv(ENDPOINT, collector.receiver.url)
        exporting = Exporting(lambda _: None)
        tell(exporting, 1)
        exporting.close()
    [span] = collector.spans
    assert span.resource["service.name"] == "registry"
    assert span.resource["deployment.environment.name"] == "test"


def test_the_variables_choose_the_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with collecting() as collector:
        monkeypatch.setenv(ENDPOINT, collector.receiver.url)
        exporting = Exporting(lambda _: None)
        tell(exporting, 5)
        exporting.close()
    assert collector.receiver.received == []


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        (QUEUE, "many", f"{QUEUE}: write how many spans may wait, such as 2048."),
        (QUEUE, "0", f"{QUEUE}: write how many spans may wait, such as 2048."),
        (ENDPOINT, "localhost:4318", f"{ENDPOINT}: write the URL of a collector, "),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "traces are sent by http/protobuf, and by nothing"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "traces are sent by otlp, and by nothing else."),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "x", "OTEL_SPAN_EVENT_COUNT_LIMIT must be"),
    ],
)
def test_what_cannot_be_done_is_found_out_at_the_start(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(CannotTrace) as refusal:
        tracing.check()
    assert told in str(refusal.value)
