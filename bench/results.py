"""The results: what was measured, kept as JSON, and what follows from it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.growth import Cost
from bench.large import LargeCost
from bench.lifecycle import Start
from bench.measuring import Sample

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

OURS = "longshore"


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a reader has to know about a server."""

    name: str
    title: str
    version: str
    durability: str
    choices: str


@dataclass(frozen=True, slots=True)
class RowResult:
    """The samples of a row, by server, in the order of the rounds."""

    id: str
    title: str
    unit: str
    samples: dict[str, list[Sample]]

    def ratios(self, peer: str, ours: str = OURS) -> list[float]:
        """Return how many times faster we were than a peer, round by round."""
        pairs = zip(self.samples.get(ours, []), self.samples.get(peer, []), strict=False)
        if self.unit == "s":
            return [theirs.value / our.value for our, theirs in pairs]
        return [our.value / theirs.value for our, theirs in pairs]


@dataclass(slots=True)
class Results:
    """Everything that a run found out."""

    machine: dict[str, str]
    switches: dict[str, str]
    servers: list[ServerFacts] = field(default_factory=list)
    rows: list[RowResult] = field(default_factory=list)
    starts: dict[str, list[Start]] = field(default_factory=dict)
    growth: dict[str, list[Cost]] = field(default_factory=dict)
    large: dict[str, LargeCost] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def title(self, name: str) -> str:
        """Return a server's name for people."""
        return next((each.title for each in self.servers if each.name == name), name)

    def over(self, before: Results) -> Results:
        """Return these results, and of earlier ones what these don't have."""
        rows = {row.id: row for row in (*before.rows, *self.rows)}
        titles = [f": {row.title}" for row in self.rows]
        return Results(
            machine=self.machine,
            switches=self.switches,
            servers=list({each.name: each for each in (*before.servers, *self.servers)}.values()),
            rows=list(rows.values()),
            starts=before.starts | self.starts,
            growth=before.growth | self.growth,
            large=before.large | self.large,
            # What there was no time for then has been measured now.
            notes=[
                *(each for each in before.notes if not each.endswith(tuple(titles))),
                *self.notes,
            ],
        )

    def write(self, file: Path) -> None:
        """Write it all as JSON."""
        file.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, file: Path) -> Results:
        """Read what `write` has written."""
        document: dict[str, Any] = json.loads(file.read_text())
        return cls(
            machine=document["machine"],
            switches=document["switches"],
            servers=[ServerFacts(**each) for each in document["servers"]],
            rows=[_row(each) for each in document["rows"]],
            starts={
                name: [Start(**each) for each in starts]
                for name, starts in document["starts"].items()
            },
            growth={
                name: [Cost(**each) for each in costs] for name, costs in document["growth"].items()
            },
            # Results from before it was measured have none.
            large={name: LargeCost(**each) for name, each in document.get("large", {}).items()},
            notes=document["notes"],
        )


def _row(document: dict[str, Any]) -> RowResult:
    samples = {
        name: [Sample(**each) for each in taken] for name, taken in document["samples"].items()
    }
    return RowResult(document["id"], document["title"], document["unit"], samples)


@dataclass(frozen=True, slots=True)
class Summary:
    """The median of some figures, with the least and the greatest of them."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Summary:
        """Return the summary of figures, of which there is at least one."""
        return cls(median(figures), min(figures), max(figures))

    @property
    def spread(self) -> float:
        """How far least and greatest lie apart, as a part of the median."""
        return (self.greatest - self.least) / self.median if self.median else 0.0
