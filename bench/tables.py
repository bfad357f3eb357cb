"""The results as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.content import MIB
from bench.results import OURS, Summary
from bench.targets import IDLE_MEMORY, START_SECONDS, target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bench.growth import Cost
    from bench.measuring import Sample
    from bench.results import Results, RowResult

_UNITS = {"requests/s": "request", "MiB/s": "MiB", "s": "whole"}


def markdown(results: Results) -> str:
    """Return everything as Markdown."""
    parts = [
        _facts(results),
        _servers(results),
        _speed(results),
        _misses(results),
        _cost(results),
        _latency(results),
        _starts(results),
        _growth(results),
        _large(results),
        _notes(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """Return a table whose first columns hold words and the others numbers."""
    lines = [head, ["---"] * words + ["---:"] * (len(head) - words), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _facts(results: Results) -> str:
    facts = {**results.machine, **results.switches}
    return "## Machine and switches\n\n" + table(
        ["what", "which"], [[name, value] for name, value in facts.items()], words=2
    )


def _servers(results: Results) -> str:
    rows = [[each.title, each.version, each.choices, each.durability] for each in results.servers]
    head = ["server", "version", "settings", "synced to disk before it answers"]
    return "## Servers\n\n" + table(head, rows, words=4)


def _speed(results: Results) -> str:
    parts = [_speed_of(results, rows, names) for names, rows in _by_servers(results.rows).items()]
    if not parts:
        return ""
    return (
        "## Speed\n\nMedians of the rounds; in brackets how far the least and the greatest lie "
        "apart. `a × b` says how many times faster Longshore was than server b: the median of the "
        "rounds' ratios, with the least and the greatest, and with what it should be. Where it was "
        "measured with more processes as well, what that comes to stands behind it.\n\n"
        + "\n\n".join(parts)
    )


def _by_servers(rows: Sequence[RowResult]) -> dict[tuple[str, ...], list[RowResult]]:
    """Return the rows that belong into one table, under the servers that it has."""
    groups: dict[str, list[RowResult]] = {}
    for row in rows:
        groups.setdefault("api" if row.id.startswith("api-") else "", []).append(row)
    tables = {}
    for group in groups.values():
        names = dict.fromkeys(name for row in group for name in row.samples)
        tables[tuple(names)] = group
    return tables


def _speed_of(results: Results, rows: Sequence[RowResult], names: Sequence[str]) -> str:
    peers = [name for name in names if not name.startswith(OURS)]
    head = [
        "work", "unit",
        *(results.title(name) for name in names),
        *(f"× {results.title(peer)}" for peer in peers),
    ]  # fmt: skip
    lines = [
        [
            row.title,
            row.unit,
            *(_median(row, name) for name in names),
            *(_ratio(row, peer) for peer in peers),
        ]
        for row in rows
    ]
    return table(head, lines, words=2)


def _median(row: RowResult, name: str) -> str:
    taken = row.samples.get(name)
    if not taken:
        return "–"
    summary = Summary.of([each.value for each in taken])
    errors = sum(each.errors for each in taken)
    failed = f", **{errors} errors**" if errors else ""
    return f"{_number(summary.median)} ({summary.spread:.0%}{failed})"


def _ratio(row: RowResult, peer: str) -> str:
    ratios = row.ratios(peer)
    if not ratios:
        return "–"
    summary = Summary.of(ratios)
    wanted = target(row.id, peer)
    text = f"{_times(summary.median)} ({_times(summary.least)}–{_times(summary.greatest)})"
    if wanted is not None:
        text = f"{text} of {wanted:g}" if summary.median >= wanted else f"**{text} of {wanted:g}**"
    return text + "".join(f"; {each}" for each in _ratios_of_more(row, peer))


def _ratios_of_more(row: RowResult, peer: str) -> list[str]:
    """Return how many times faster Longshore was with more processes than one, if it was asked."""
    more = (name for name in row.samples if name.startswith(f"{OURS}-x"))
    return [
        f"×{name.removeprefix(f'{OURS}-x')}: {_times(Summary.of(ratios).median)}"
        for name in more
        if (ratios := row.ratios(peer, name))
    ]


def _misses(results: Results) -> str:
    missed = [
        f"- {row.title}: {median:.3g} × {results.title(peer)}, and should be {wanted:g} ×"
        + "".join(f" ({each})" for each in _ratios_of_more(row, peer))
        for row in results.rows
        for peer in row.samples
        if (wanted := target(row.id, peer)) is not None
        if (ratios := row.ratios(peer))
        if (median := Summary.of(ratios).median) < wanted
    ]
    wanted_at_all = any(target(row.id, peer) for row in results.rows for peer in row.samples)
    if not wanted_at_all:
        return ""
    return "## Targets missed\n\n" + ("\n".join(missed) or "None.")


def _cost(results: Results) -> str:
    names = list(dict.fromkeys(name for row in results.rows for name in row.samples))
    if not names:
        return ""
    head = ["work", "for one", *(results.title(name) for name in names), "the load generator"]
    lines = [
        [
            row.title,
            _UNITS[row.unit],
            *(_of(row.samples.get(name, []), _cpu_and_memory) for name in names),
            _of(row.samples.get(OURS, []), lambda each: _time(_middle(each, _client_cpu))),
        ]
        for row in results.rows
    ]
    return (
        "## Processor time and memory\n\nThe server's processor time for one unit of work, over "
        "all its processes, and the most memory that they took while it was done. Last, what the "
        "load generator took, on the same cores, for Longshore.\n\n" + table(head, lines, words=2)
    )


def _of(taken: Sequence[Sample], show: Callable[[Sequence[Sample]], str]) -> str:
    return show(taken) if taken else "–"


def _middle(taken: Sequence[Sample], figure: Callable[[Sample], float]) -> float:
    return Summary.of([figure(each) for each in taken]).median


def _client_cpu(sample: Sample) -> float:
    return sample.client_cpu


def _cpu_and_memory(taken: Sequence[Sample]) -> str:
    peak = max(each.peak_memory for each in taken)
    return f"{_time(_middle(taken, lambda each: each.cpu))}, {peak / MIB:.0f} MiB"


def _latency(results: Results) -> str:
    lines = [
        [
            f"{row.title}: {results.title(name)}",
            _time(_middle(taken, lambda each: each.p50 or 0)),
            _time(_middle(taken, lambda each: each.p99 or 0)),
            str(sum(each.errors for each in taken)),
        ]
        for row in results.rows
        if row.id.endswith("-crowd")
        for name, taken in row.samples.items()
    ]
    if not lines:
        return ""
    return "## Many clients\n\n" + table(["work", "p50", "p99", "errors"], lines)


def _starts(results: Results) -> str:
    if not results.starts:
        return ""
    lines = []
    for name, starts in results.starts.items():
        first = Summary.of([each.first for each in starts]).median
        again = Summary.of([each.again for each in starts]).median
        memory = Summary.of([each.processes[0] for each in starts]).median
        together = Summary.of([each.proportional for each in starts]).median
        ours = name.startswith(OURS)
        lines.append(
            [
                results.title(name),
                _flagged(f"{first:.2f} s", miss=ours and first >= START_SECONDS),
                _flagged(f"{again:.2f} s", miss=ours and again >= START_SECONDS),
                _flagged(f"{memory / MIB:.0f} MiB", miss=ours and memory >= IDLE_MEMORY),
                f"{together / MIB:.0f} MiB",
                str(len(starts[0].processes)),
            ]
        )
    head = ["server", "first answer, new directory", "used directory",
            "largest process, idle", "all, shared pages once", "processes"]  # fmt: skip
    return (
        f"## Start and rest\n\nLongshore should answer within {START_SECONDS:g} s and take less "
        f"than {IDLE_MEMORY // MIB} MiB a process.\n\n" + table(head, lines)
    )


def _flagged(text: str, *, miss: bool) -> str:
    return f"**{text}**" if miss else text


def _growth(results: Results) -> str:
    if not results.growth:
        return ""
    sizes = list(dict.fromkeys(cost.tags for costs in results.growth.values() for cost in costs))
    lines = []
    for name, costs in results.growth.items():
        known = {cost.tags: cost for cost in costs}
        cells = [
            f"{_time(cost.median)}, {_time(cost.cpu)}" if (cost := known.get(size)) else "–"
            for size in sizes
        ]
        lines.append([name, *cells, _factor(costs, _median_of), _factor(costs, _cpu_of)])
    head = [
        "operation",
        *(f"{size:,} tags" for size in sizes),
        "time, last ÷ first",
        "processor, last ÷ first",
    ]
    return (
        "## Growth\n\nOne client, one request after the other, each about something else: the "
        "median time of a request, and the server's processor time for it. A tenth of all "
        "tags is in one repository, the others in a hundred times fewer repositories than tags.\n\n"
        + table(head, lines)
    )


def _large(results: Results) -> str:
    if not results.large:
        return ""
    lines = [
        [
            name,
            f"{cost.found:,}",
            _time(cost.seconds),
            _time(cost.cpu),
            f"{cost.memory / MIB:.1f} MiB",
        ]
        for name, cost in results.large.items()
    ]
    head = ["operation", "images told of, or taken", "time", "processor", "memory beyond rest"]
    [images] = {cost.images for cost in results.large.values()}
    return (
        f"## A large repository\n\n{images:,} images in one repository of Longshore's. Each "
        "operation has a server that was started for it; the memory is the most that it took "
        "beyond what it had at rest.\n\n" + table(head, lines)
    )


def _factor(costs: Sequence[Cost], figure: Callable[[Cost], float]) -> str:
    return f"{figure(costs[-1]) / figure(costs[0]):.2g}"


def _median_of(cost: Cost) -> float:
    return cost.median


def _cpu_of(cost: Cost) -> float:
    return cost.cpu


def _notes(results: Results) -> str:
    return (
        "## Notes\n\n" + "\n".join(f"- {note}" for note in results.notes) if results.notes else ""
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2g}"


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.0f} µs"
