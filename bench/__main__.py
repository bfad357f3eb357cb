"""The command line: `python -m bench`."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import click

from bench import growth, large, lifecycle, machine
from bench.clients import Clients
from bench.measuring import Bench
from bench.programs import REPOSITORY, ProgramFailed, ProgramMissing
from bench.results import Results, RowResult, ServerFacts, Summary
from bench.rows import every_row
from bench.scale import Scale
from bench.servers import every_server
from bench.tables import markdown

if TYPE_CHECKING:
    from bench.measuring import Row
    from bench.servers import Server

# Beside the rows, these can be named by `--only`.
_START, _GROWTH, _LARGE = "start", "growth", "large"


@dataclass(frozen=True, slots=True)
class Choices:
    """What the command line says."""

    scale: Scale
    short: bool
    rounds: int
    only: tuple[str, ...]
    servers: tuple[str, ...]
    processes: int
    limit: float

    def wants(self, row: str) -> bool:
        """Tell whether a row is to be measured."""
        return not self.only or any(fnmatchcase(row, pattern) for pattern in self.only)

    def wants_row(self, row: Row) -> bool:
        """Tell whether a row is to be measured; the short form leaves most of them out."""
        return self.wants(row.id) and (row.short or bool(self.only) or not self.short)

    def wants_server(self, server: Server) -> bool:
        """Tell whether a server is to be measured."""
        return not self.servers or any(
            fnmatchcase(server.name, pattern) for pattern in self.servers
        )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--short", is_flag=True, help="Fewer rows and smaller things: two minutes at most.")
@click.option("--rounds", type=click.IntRange(1), help="Turns of each server [3; short: 2].")
@click.option(
    "--seconds",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="How long one load of many requests goes on.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="PATTERN",
    help="Measure the rows of this name, such as 'blob-*', 'start', 'growth' or 'large'.",
)
@click.option(
    "--servers",
    multiple=True,
    metavar="PATTERN",
    help="Measure the servers of this name, such as 'distribution-*'.",
)
@click.option(
    "--processes",
    type=click.IntRange(1),
    help="Server processes of a second Longshore; 1 for none [one for each core; short: 1].",
)
@click.option(
    "--limit",
    type=click.FloatRange(1),
    help="Seconds after which nothing new is begun [900; short: 110].",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Where the servers' data goes: a directory on the disk to be measured.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where results.json, table.md and the charts go; without it, nowhere.",
)
@click.option(
    "--add", is_flag=True, help="Keep of what --output holds already what isn't measured now."
)
@click.option(
    "--redraw", is_flag=True, help="Make table and charts anew from the results.json in --output."
)
@click.option("--list", "listing", is_flag=True, help="Name the rows and the servers.")
def main(
    *,
    short: bool,
    rounds: int | None,
    seconds: int,
    only: tuple[str, ...],
    servers: tuple[str, ...],
    processes: int | None,
    limit: float | None,
    data: Path | None,
    output: Path | None,
    add: bool,
    redraw: bool,
    listing: bool,
) -> None:
    """Measure Longshore beside its peers, on this machine, in turn."""  # fmt: skip
    scale = Scale(seconds).shortened() if short else Scale(seconds)
    choices = Choices(
        scale=scale,
        short=short,
        rounds=rounds or (2 if short else 3),
        only=only,
        servers=servers,
        processes=processes or (1 if short else os.cpu_count() or 1),
        limit=limit or (110.0 if short else 900.0),
    )
    if redraw:
        if output is None:
            raise click.UsageError("--redraw needs --output")
        _show(Results.read(output / "results.json"), output)
        return
    # So that a SIGTERM ends the servers as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    home = Path(mkdtemp(prefix="bench-", dir=data))
    try:
        if listing:
            _list(choices, home)
        else:
            results = _measure(choices, home)
            if add and output is not None:
                results = _in_order(results.over(Results.read(output / "results.json")), choices)
            _show(results, output)
    finally:
        shutil.rmtree(home)


def _list(choices: Choices, home: Path) -> None:
    for row in every_row(choices.scale, Clients(home)):
        if choices.wants_row(row):
            click.echo(f"{row.id:32} {row.title}")
    click.echo(f"{_START:32} first answer, and memory at rest")
    click.echo(f"{_GROWTH:32} the cost of each operation as the store grows")
    click.echo(
        f"{_LARGE:32} a repository of {choices.scale.images:,} images: list, describe, evaluate"
    )
    for server in _installed(choices, home, []):
        click.echo(f"{server.name:32} {server.title} {server.version()}")


def _measure(choices: Choices, home: Path) -> Results:
    began = time.monotonic()
    bench = Bench(choices.rounds, began + choices.limit, _tell)
    results = Results(machine.facts(home), _switches(choices))
    load = machine.load_average()
    if choices.wants(_START):
        _tell("start and rest")
        results.starts = lifecycle.measure(
            bench, lambda directory: _installed(choices, directory, []), home
        )
    if choices.wants(_GROWTH):
        _tell("growth")
        results.growth = growth.measure(bench, choices.scale, home)
    if choices.wants(_LARGE):
        _tell("a large repository")
        results.large = large.measure(bench, choices.scale, home)
    with ExitStack() as stack:
        clients = stack.enter_context(Clients(home))
        rows = [row for row in every_row(choices.scale, clients) if choices.wants_row(row)]
        servers = _installed(choices, home, results.notes)
        results.servers = [_facts(server) for server in servers]
        if rows:
            for server in servers:
                stack.enter_context(server.running())
        measured = {}
        for row in sorted(rows, key=lambda row: row.long):
            if time.monotonic() > bench.deadline:
                results.notes.append(f"There was no time left for: {row.title}")
            else:
                measured[row.id] = _measure_row(bench, row, servers)
        results.rows = [measured[row.id] for row in rows if row.id in measured]
    results.notes.append(
        f"It took {time.monotonic() - began:.0f} s. Beforehand, {load:.1f} processes of others "
        "wanted to run, on average of a minute."
    )
    return results


def _in_order(results: Results, choices: Choices) -> Results:
    order = [row.id for row in every_row(choices.scale, Clients(Path()))]
    return replace(results, rows=sorted(results.rows, key=lambda row: order.index(row.id)))


def _measure_row(bench: Bench, row: Row, servers: list[Server]) -> RowResult:
    began = time.monotonic()
    able = [
        server
        for server in servers
        if row.face in server.faces and (row.scaling or not server.name.startswith("longshore-x"))
    ]
    samples = bench.measure(row, able)
    result = RowResult(row.id, row.title, row.unit, samples)
    medians = "  ".join(
        f"{name} {Summary.of([each.value for each in taken]).median:,.4g}"
        for name, taken in samples.items()
    )
    _tell(f"{row.id:30} {row.unit:10} {medians}  [{time.monotonic() - began:.0f} s]")
    return result


def _installed(choices: Choices, home: Path, notes: list[str]) -> list[Server]:
    installed = []
    for make in every_server(choices.processes):
        try:
            server = make(home)
            server.version()
        except (ProgramMissing, ProgramFailed, ImportError) as error:
            notes.append(f"Not measured: {error}")
            continue
        if choices.wants_server(server):
            installed.append(server)
    return installed


def _facts(server: Server) -> ServerFacts:
    return ServerFacts(
        server.name, server.title, server.version(), server.durability, server.choices
    )


def _switches(choices: Choices) -> dict[str, str]:
    return {
        "form": "short" if choices.short else "full",
        "rounds": str(choices.rounds),
        "seconds of a load": str(choices.scale.seconds),
        **({"only": ", ".join(choices.only)} if choices.only else {}),
        **({"servers": ", ".join(choices.servers)} if choices.servers else {}),
    }


def _show(results: Results, output: Path | None) -> None:
    text = markdown(results)
    click.echo(text)
    if output is None:
        return
    output.mkdir(parents=True, exist_ok=True)
    results.write(output / "results.json")
    (output / "table.md").write_text(text)
    try:
        # Not at the top: a machine without matplotlib can measure all the same.
        from bench.charts import draw  # noqa: PLC0415
    except ImportError:
        _tell("no charts: matplotlib isn't installed")
        return
    draw(results, output)
    where = output.resolve()
    _tell(
        f"written: {where.relative_to(REPOSITORY) if where.is_relative_to(REPOSITORY) else where}"
    )


def _tell(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main(prog_name="python -m bench")
