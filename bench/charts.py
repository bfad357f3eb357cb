"""The results as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.results import OURS, Summary
from bench.targets import target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from bench.results import Results, RowResult

# Blue, orange, green, purple and grey that colour-blind people can tell apart (Okabe and Ito).
_COLOURS = {
    "longshore": "#0072B2",
    "distribution-2.8": "#E69F00",
    "distribution-3": "#009E73",
    "moto": "#CC79A7",
}
_OTHER_COLOUR = "#56B4E9"
_LINE_STYLES = ("-", "--", ":", "-.")
_INCHES_PER_ROW = 0.34
# The same results make the same files.
_SETTINGS: dict[Any, Any] = {"svg.hashsalt": "longshore", "font.size": 9, "axes.axisbelow": True}


def draw(results: Results, directory: Path) -> None:
    """Write each chart as SVG and as PNG."""
    with mpl.rc_context(_SETTINGS):
        if any(_peers(row) for row in results.rows):
            _save(_ratios(results), directory, "ratios")
        if results.rows:
            _save(_cpu(results), directory, "cpu")
        if results.growth:
            _save(_growth(results), directory, "growth")


def _save(figure: Figure, directory: Path, name: str) -> None:
    figure.savefig(directory / f"{name}.svg", metadata={"Date": None})
    figure.savefig(directory / f"{name}.png", dpi=150)


def _peers(row: RowResult) -> list[str]:
    return [name for name in row.samples if not name.startswith(OURS) and row.ratios(name)]


def _ratios(results: Results) -> Figure:
    """Draw how many times faster we were: a dot a row and peer, with the range of the rounds."""
    rows = [row for row in results.rows if _peers(row)]
    figure, axes = _sheet(len(rows), "times as fast as the peer, and the targets (|)")
    shown: set[str] = set()
    for place, row in enumerate(rows):
        for peer in _peers(row):
            summary = Summary.of(row.ratios(peer))
            colour = _COLOURS.get(peer, _OTHER_COLOUR)
            axes.plot([summary.least, summary.greatest], [place, place], color=colour, linewidth=2)
            label = None if peer in shown else results.title(peer)
            axes.plot(summary.median, place, "o", color=colour, label=label)
            shown.add(peer)
            wanted = target(row.id, peer)
            if wanted is not None:
                axes.plot(wanted, place, "|", color=colour, markersize=13, markeredgewidth=2)
    axes.axvline(1, color="black", linewidth=1)
    _finish(axes, rows)
    return figure


def _cpu(results: Results) -> Figure:
    """Draw each server's processor time for one unit of work."""
    figure, axes = _sheet(len(results.rows), "processor time for one request, MiB or image, in µs")
    names = dict.fromkeys(name for row in results.rows for name in row.samples)
    for name in names:
        points = [
            (Summary.of([each.cpu for each in row.samples[name]]).median * 1e6, place)
            for place, row in enumerate(results.rows)
            if name in row.samples
        ]
        axes.plot(
            [cpu for cpu, _ in points],
            [place for _, place in points],
            "o",
            color=_COLOURS.get(name, _OTHER_COLOUR),
            label=results.title(name),
        )
    _finish(axes, results.rows)
    return figure


def _sheet(rows: int, label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(9, 1.5 + _INCHES_PER_ROW * rows), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_xlabel(label)
    axes.xaxis.set_major_formatter("{x:g}")
    return figure, axes


def _finish(axes: Axes, rows: Sequence[RowResult]) -> None:
    axes.set_yticks(range(len(rows)), [row.title for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(color="#DDDDDD")
    axes.legend(loc="lower center", bbox_to_anchor=(0.3, 1.0), ncols=5, frameon=False)


def _growth(results: Results) -> Figure:
    """Draw what each operation costs at each size of the store: the time, and the processor's."""
    figure = Figure(figsize=(11, 5.5), layout="constrained")
    time, processor = figure.subplots(1, 2, sharex=True, sharey=True)
    for number, (name, costs) in enumerate(results.growth.items()):
        for axes, seconds in (
            (time, [cost.median for cost in costs]),
            (processor, [cost.cpu for cost in costs]),
        ):
            axes.plot(
                [cost.tags for cost in costs],
                [each * 1e3 for each in seconds],
                marker="o",
                markersize=4,
                color=f"C{number % 10}",
                linestyle=_LINE_STYLES[number // 10],
                label=name,
            )
    time.set_ylabel("time of one request, median, in ms")
    processor.set_ylabel("processor time of the server for it, in ms")
    for axes in (time, processor):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("tags in the store")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(color="#DDDDDD")
    processor.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure
