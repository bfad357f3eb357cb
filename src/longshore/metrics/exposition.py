"""The text that Prometheus reads: its exposition format, version 0.0.4."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPED: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Kind(StrEnum):
    """What the numbers of a metric mean."""

    # It only grows, until the server starts anew.
    COUNTER = "counter"
    # It is what it is at the moment.
    GAUGE = "gauge"
    # How many were at most so large, of each bucket; their number and their sum.
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric.

    Attributes:
        name: its name.
        kind: what its numbers mean.
        help: what it tells, for people; one sentence without a full stop.
        labels: the names of what tells its numbers apart.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


@dataclass(slots=True)
class Page:
    """The text of several metrics."""

    _lines: list[str] = field(default_factory=list)

    def tell(self, metric: Metric, values: Iterable[tuple[Sequence[str], float]]) -> None:
        """Add a metric's numbers, each with the values of its labels; nothing if there are none."""
        lines = [
            f"{metric.name}{_labels(metric.labels, labels)} {_number(value)}"
            for labels, value in values
        ]
        if lines:
            self._begin(metric)
            self._lines += lines

    def tell_histogram(
        self,
        metric: Metric,
        bounds: Sequence[float],
        values: Iterable[tuple[Sequence[str], Sequence[int], float]],
    ) -> None:
        """Add a histogram.

        Args:
            metric: which.
            bounds: the upper bounds of the buckets, without the last one, which has none.
            values: the values of the labels, how many were in each bucket, and the sum of all.
        """
        lines: list[str] = []
        written = [*map(_number, bounds), "+Inf"]
        for labels, counts, total in values:
            for bound, count in zip(written, accumulate(counts), strict=True):
                bucket = _labels((*metric.labels, "le"), (*labels, bound))
                lines.append(f"{metric.name}_bucket{bucket} {count}")
            own = _labels(metric.labels, labels)
            lines.append(f"{metric.name}_sum{own} {_number(total)}")
            lines.append(f"{metric.name}_count{own} {sum(counts)}")
        if lines:
            self._begin(metric)
            self._lines += lines

    def add(self, page: Page) -> None:
        """Add what another page tells."""
        self._lines += page._lines

    def encode(self) -> bytes:
        """Return the text."""
        return "".join(f"{line}\n" for line in self._lines).encode()

    def _begin(self, metric: Metric) -> None:
        self._lines.append(f"# HELP {metric.name} {metric.help}.")
        self._lines.append(f"# TYPE {metric.name} {metric.kind}")


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return ""
    pairs = zip(names, values, strict=True)
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in pairs) + "}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
