"""How commands write what they list: as a table for people, or as JSON for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

as_json = "json"


def output_option(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option that chooses between people and programs."""
    return click.option(
        "--output",
        type=click.Choice(["text", as_json]),
        default="text",
        show_default=True,
        help="For people, or for programs.",
    )(command)


def write_json(document: object) -> None:
    """Write a document for programs."""
    click.echo(json.dumps(document, indent=2))


def write_rows(rows: Iterable[Mapping[str, object]], columns: Sequence[str], output: str) -> None:
    """Write a listing: every member of its rows as JSON, or these columns as a table."""
    listed = list(rows)
    if output == as_json:
        write_json(listed)
        return
    lines = [list(columns), *([_cell(row[name]) for name in columns] for row in listed)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def write_thing(members: Mapping[str, object], output: str) -> None:
    """Write one thing: its members as JSON, or a line for each."""
    if output == as_json:
        write_json(members)
        return
    width = max(map(len, members)) + 1
    for name, value in members.items():
        first, *rest = _text(value).splitlines() or [""]
        click.echo(f"{name + ':':{width}}  {first}".rstrip())
        for line in rest:
            click.echo(f"{'':{width}}  {line}".rstrip())


def _text(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return "\n".join(map(_text, value)) or "-"
        case dict():
            return json.dumps(value, indent=2)
        case _:
            return str(value)


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return " ".join(_text(value).split()) or "-"
