"""Commands about the queue: what is in it, and a process that does it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING, NoReturn

import click

from longshore.cli.commands import (
    OPTIONS,
    app,
    fail,
    opened_context,
    opened_store,
    setting_options,
)
from longshore.cli.output import output_option, write_rows, write_thing
from longshore.cli.values import moment
from longshore.jobs.queue import State

if TYPE_CHECKING:
    from longshore.jobs.ledger import Entry
    from longshore.settings import Settings

_STORE = ("data", "database_url")
_OF_CONNECTIONS = {
    *("listen", "tls_certificate", "tls_key", "behind_tls", "workers", "idle_timeout"),
    *("keep_alive", "access_log", "jobs", "metrics"),
}
_OF_WORKER = [name for name in OPTIONS if name not in _OF_CONNECTIONS]
_LISTED = ("id", "kind", "key", "state", "due", "attempts", "error")
_STATES = [state.value for state in State]
_PAGE = 500


@app.command()
@setting_options(*_OF_WORKER)
def worker(settings: Settings) -> None:
    """Do the work that is queued, beside servers or in their place.

    It needs the database and the data directory of a server that was started before, and the
    settings that the servers have. It ends at SIGTERM or SIGINT, when what it is doing can be left.
    """
    from longshore import server  # noqa: PLC0415
    from longshore.events.receivers import NotInstalled  # noqa: PLC0415
    from longshore.housekeeping import create_runner  # noqa: PLC0415
    from longshore.traces import parts as tracing  # noqa: PLC0415

    server.configure_logging(settings)
    os.umask(0o077)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        parts = tracing.parts(traced=settings.traces)
    except tracing.CannotTrace as error:
        fail(f"traces: {error}")
    with closing(parts), opened_store(settings) as context:
        try:
            runner = create_runner(settings, parts.context(context), parts=parts)
        except (NotInstalled, ValueError) as error:
            fail(str(error))
        runner.start()
        click.echo(f"Longshore does jobs as {runner.worker}")
        sys.stdout.flush()
        stopped.wait()
        runner.stop()


@app.group()
def jobs() -> None:
    """Look at the work that is queued, retry what failed, cancel what is unwanted."""


@jobs.command("list")
@setting_options(*_STORE)
@click.option("--state", type=click.Choice(_STATES), help="Only those in this state.")
@click.option("--kind", help="Only those of this kind.")
@output_option
def list_(settings: Settings, *, state: str | None, kind: str | None, output: str) -> None:
    """List jobs: those that wait, run, or are dead. What is done isn't there any more."""
    from longshore.jobs import ledger  # noqa: PLC0415

    entries: list[Entry] = []
    with opened_context(settings) as context:
        while True:
            with context.database.read() as tx:
                page = ledger.list_some(
                    tx,
                    state=None if state is None else State(state),
                    kind=kind,
                    after=entries[-1].id if entries else 0,
                    limit=_PAGE,
                )
            entries += page
            if len(page) < _PAGE:
                break
    write_rows(map(_members, entries), _LISTED, output)


@jobs.command()
@setting_options(*_STORE)
@click.argument("job_id", metavar="ID", type=int)
@output_option
def show(settings: Settings, *, job_id: int, output: str) -> None:
    """Show all that is known of a job."""
    from longshore.jobs import ledger  # noqa: PLC0415

    with opened_context(settings) as context, context.database.read() as tx:
        entry = ledger.find(tx, job_id)
    if entry is None:
        _refuse(job_id, entry)
    write_thing(_members(entry), output)


@jobs.command()
@setting_options(*_STORE)
@click.argument("job_ids", metavar="ID...", type=int, nargs=-1)
@click.option("--dead", is_flag=True, help="All that are dead.")
def retry(settings: Settings, *, job_ids: tuple[int, ...], dead: bool) -> None:
    """Let jobs that are dead, or that wait for another attempt, begin at once."""
    from longshore.jobs import ledger, queue  # noqa: PLC0415

    if dead == bool(job_ids):
        raise click.UsageError("Name jobs by their ids, or all that are dead with --dead.")
    with opened_context(settings) as context:
        if dead:
            with context.database.read() as tx:
                found = ledger.list_some(tx, state=State.DEAD, limit=sys.maxsize)
            job_ids = tuple(entry.id for entry in found)
        for job_id in job_ids:
            with context.database.write() as tx:
                if not queue.revive(tx, job_id, context.clock()):
                    _refuse(job_id, ledger.find(tx, job_id))
            click.echo(f"{job_id} will be tried again")


@jobs.command()
@setting_options(*_STORE)
@click.argument("job_ids", metavar="ID...", type=int, nargs=-1, required=True)
def cancel(settings: Settings, *, job_ids: tuple[int, ...]) -> None:
    """Forget jobs, whatever their state: they won't be done.

    One that is running leaves off, or finds its effects undone when it ends.
    """
    from longshore.jobs import queue  # noqa: PLC0415

    with opened_context(settings) as context:
        for job_id in job_ids:
            with context.database.write() as tx:
                if not queue.cancel(tx, job_id):
                    _refuse(job_id, None)
            click.echo(f"{job_id} is cancelled")


def _refuse(job_id: int, entry: Entry | None) -> NoReturn:
    if entry is None:
        fail(f"There is no job {job_id}: it is done, or was cancelled. See longshore jobs list.")
    fail(f"Job {job_id} is {entry.state}: {entry.worker} has it.")


def _members(entry: Entry) -> dict[str, object]:
    return {
        "id": entry.id,
        "kind": entry.kind,
        "key": entry.key or None,
        "state": entry.state.value,
        "due": moment(entry.due_at),
        "attempts": entry.attempts,
        "enqueued": moment(entry.enqueued_at),
        "worker": entry.worker,
        "failed": moment(entry.failed_at),
        "error": entry.error,
        "payload": dict(entry.payload),
    }
