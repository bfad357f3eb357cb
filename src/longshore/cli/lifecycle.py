"""Commands about lifecycle policies: what they would do, and doing it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from longshore.cli.commands import app, opened_context, setting_options
from longshore.cli.output import output_option, write_rows
from longshore.cli.values import moment, read_document
from longshore.names import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from longshore.registry.context import Context
    from longshore.registry.lifecycle_runs import Outcome
    from longshore.settings import Settings

_COLUMNS = ("repository", "digest", "tags", "pushed", "action", "rule", "failure")
_REGISTRY = ("data", "database_url", "account", "region")
_AUDIT = ("audit", "audit_file", "audit_file_size", "audit_files_kept")

_names = click.argument("names", metavar="REPOSITORY...", nargs=-1, required=True)


@app.group()
def lifecycle() -> None:
    """See what lifecycle policies would do, or do it now."""


@lifecycle.command()
@setting_options(*_REGISTRY, "recycle_bin_days", *_AUDIT)
@_names
@output_option
def run(settings: Settings, *, names: tuple[str, ...], output: str) -> None:
    """Do what the lifecycle policies of repositories say.

    The server may go on running: it does the same each lifecycle_interval.
    """
    from longshore.housekeeping import audit_trail  # noqa: PLC0415
    from longshore.work import lifecycle as working  # noqa: PLC0415

    carry_out = partial(working.carry_out, trail=audit_trail(settings))
    _write(settings, names, output, carry_out)


@lifecycle.command()
@setting_options(*_REGISTRY)
@_names
@click.option(
    "--policy",
    "text",
    callback=read_document,
    metavar="FILE",
    help="A file with another policy than the repositories' own; - is standard input.",
)
@output_option
def preview(settings: Settings, *, names: tuple[str, ...], text: str | None, output: str) -> None:
    """Show what a run would do now, and change nothing."""
    from longshore.registry import lifecycle_runs  # noqa: PLC0415

    _write(settings, names, output, partial(lifecycle_runs.foresee, text=text))


def _write(
    settings: Settings,
    names: tuple[str, ...],
    output: str,
    outcomes_of: Callable[[Context, Registry, str], Iterator[Outcome]],
) -> None:
    registry = Registry(settings.account, settings.region)
    rows: list[dict[str, object]] = []
    with opened_context(settings) as context:
        try:
            for name in names:
                rows += (
                    {"repository": name, **_members(outcome)}
                    for outcome in outcomes_of(context, registry, name)
                )
        finally:
            # Whatever went wrong, what was done is told.
            write_rows(rows, _COLUMNS, output)


def _members(outcome: Outcome) -> dict[str, object]:
    return {
        "digest": outcome.digest,
        "tags": list(outcome.tags),
        "pushed": moment(outcome.pushed_at),
        "action": outcome.action.lower(),
        "rule": outcome.rule_priority,
        "failure": outcome.failure,
    }
