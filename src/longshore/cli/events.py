"""Commands about events: who has which, and what became of deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from longshore.cli.commands import app, fail, opened_context, setting_options
from longshore.cli.output import output_option, write_rows
from longshore.cli.values import moment

if TYPE_CHECKING:
    from longshore.settings import Settings

_STORE = ("data", "database_url")


@app.group()
def events() -> None:
    """See how far the receivers of events are, and what became of deliveries."""


@events.command()
@setting_options(*_STORE)
@output_option
def receivers(settings: Settings, *, output: str) -> None:
    """List the receivers, with the number of events that each is waiting for."""
    from longshore.events import progress  # noqa: PLC0415

    with opened_context(settings) as context, context.database.read() as tx:
        rows = []
        for each in progress.read_all(tx):
            last = progress.deliveries(tx, each.name, 1)
            rows.append(
                {
                    "receiver": each.name,
                    "backlog": progress.backlog(tx, each),
                    "last": last[0].outcome.value if last else None,
                    "at": moment(last[0].at) if last else None,
                    "answer": last[0].answer if last else None,
                }
            )
    write_rows(rows, ("receiver", "backlog", "last", "at", "answer"), output)


@events.command()
@setting_options(*_STORE)
@click.option("--receiver", help="Only those to this one.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@output_option
def deliveries(settings: Settings, *, receiver: str | None, limit: int, output: str) -> None:
    """List the newest deliveries, the newest first."""
    from longshore.events import progress  # noqa: PLC0415

    with opened_context(settings) as context, context.database.read() as tx:
        rows = [
            {
                "at": moment(each.at),
                "receiver": each.receiver,
                "outcome": each.outcome.value,
                "events": each.events,
                "event": each.event_id,
                "answer": each.answer,
            }
            for each in progress.deliveries(tx, receiver, limit)
        ]
    write_rows(rows, ("at", "receiver", "outcome", "events", "event", "answer"), output)


@events.command()
@setting_options(*_STORE)
@click.argument("receiver")
def forget(settings: Settings, *, receiver: str) -> None:
    """Forget a receiver that is no longer wanted, with what was delivered to it.

    One that is still in the settings begins anew, with what happens from then on.
    """
    from longshore.events import progress  # noqa: PLC0415

    with opened_context(settings) as context:
        with context.database.write() as tx:
            if not progress.forget(tx, receiver):
                fail(f"There is no receiver '{receiver}'. See longshore events receivers.")
        click.echo(f"{receiver} is forgotten")
