"""The text as Prometheus's own client library reads it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from longshore.metrics.exposition import Kind, Metric, Page

PULLS = Metric("pulls_total", Kind.COUNTER, "Pulls", ("repository", "by"))
SIZE = Metric("size_bytes", Kind.GAUGE, "How large it is")
WAIT = Metric("wait_seconds", Kind.HISTOGRAM, "How long it took", ("what",))


def read(page: Page) -> dict[str, list[tuple[str, dict[str, str], float]]]:
    return {
        f"{family.type} {family.name}": [
            (sample.name, sample.labels, sample.value) for sample in family.samples
        ]
        for family in text_string_to_metric_families(page.encode().decode())
    }


def test_values_are_read_as_they_were_told() -> None:
    labels = [("a", "b"), ('"', "\\"), ("new\nline", ""), ("ü{}=,", "\\n")]
    page = Page()
    page.tell(PULLS, [(names, number) for number, names in enumerate(labels)])
    page.tell(SIZE, [((), 0.1 + 0.2)])
    assert read(page) == {
        "counter pulls": [
            ("pulls_total", {"repository": one, "by": other}, number)
            for number, (one, other) in enumerate(labels)
        ],
        "gauge size_bytes": [("size_bytes", {}, 0.1 + 0.2)],
    }


def test_a_histogram_counts_what_is_at_most_so_large() -> None:
    page = Page()
    page.tell_histogram(WAIT, [0.5, 2], [(("x",), [1, 0, 3], 30.25)])
    assert read(page) == {
        "histogram wait_seconds": [
            ("wait_seconds_bucket", {"what": "x", "le": "0.5"}, 1),
            ("wait_seconds_bucket", {"what": "x", "le": "2"}, 1),
            ("wait_seconds_bucket", {"what": "x", "le": "+Inf"}, 4),
            ("wait_seconds_sum", {"what": "x"}, 30.25),
            ("wait_seconds_count", {"what": "x"}, 4),
        ]
    }


def test_a_metric_without_numbers_is_not_told() -> None:
    page = Page()
    page.tell(PULLS, [])
    page.tell_histogram(WAIT, [1], [])
    assert page.encode() == b""
