"""Commands about the server's key."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from longshore.cli.commands import app, fail, opened_context, setting_options

if TYPE_CHECKING:
    from longshore.settings import Settings

# The longest that anything lasts which a key has sealed: credentials of GetSessionToken.
_LONGEST_LIFE_HOURS = 36


@app.group()
def key() -> None:
    """Change the server's key, from which all others derive."""


@key.command()
@setting_options("data", "database_url")
def rotate(settings: Settings) -> None:
    """Make a new server key, and seal with it all secrets that are stored.

    Servers that run take it up by themselves. What the older key has sealed, such as registry
    tokens, goes on being good until that key is retired.
    """
    from longshore.identity import key_rotation  # noqa: PLC0415

    with opened_context(settings) as context:
        count = key_rotation.rotate(context)
        newest, *older = context.server_key.ids
    click.echo(f"The server's key is {newest} now; secrets sealed with it: {count}")
    click.echo(f"Older keys that still open what they sealed: {', '.join(older)}")
    click.echo(f"In {_LONGEST_LIFE_HOURS} hours nobody needs them: longshore key retire")


@key.command()
@setting_options("data", "database_url")
@click.option("--now", is_flag=True, help="End tokens that are in use, too.")
def retire(settings: Settings, *, now: bool) -> None:
    """Forget all server keys but the newest.

    Sessions and registry tokens that an older key has sealed end by that. Backups of the
    database from before the last rotation need the older keys: keep the old server.key with them.
    """
    from longshore import server  # noqa: PLC0415
    from longshore.identity import key_rotation  # noqa: PLC0415

    with opened_context(settings) as context:
        changed_at = server.server_key_file(settings).stat().st_mtime
        hours = (time.time() - changed_at) / 3600
        if len(context.server_key.ids) > 1 and hours < _LONGEST_LIFE_HOURS and not now:
            fail(
                f"The server's key was changed {hours:.1f} hours ago, and tokens that an older one "
                f"has sealed may be in use until it is {_LONGEST_LIFE_HOURS}. "
                "Wait, or end them with --now."
            )
        count = key_rotation.retire(context)
    click.echo(f"Server keys forgotten: {count}")


@key.command("list")
@setting_options("data", "database_url")
def list_(settings: Settings) -> None:
    """List the server's keys by their names, the newest first."""
    with opened_context(settings) as context:
        for name in context.server_key.ids:
            click.echo(name)
