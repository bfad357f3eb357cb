"""`longshore iam key`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from longshore.cli.commands import opened_context
from longshore.cli.iam.group import iam, on_store
from longshore.cli.output import as_json, output_option, write_json, write_rows
from longshore.cli.values import moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.identity.access_keys import Description
    from longshore.settings import Settings


def _owner_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say whose key it is about."""
    root = click.option("--root", "is_root", is_flag=True, help="That of the account's root user.")
    return click.option("--user", "owner", help="Whose: the name of a user.")(root(command))


def _owner(owner: str | None, *, is_root: bool) -> str | None:
    if is_root == (owner is not None):
        raise click.UsageError("Say whose key: with --user NAME, or with --root.")
    return owner


@iam.group()
def key() -> None:
    """Manage access keys: what requests are signed with."""


@key.command()
@on_store
@_owner_options
@output_option
def create(settings: Settings, *, owner: str | None, is_root: bool, output: str) -> None:
    """Make a key, and show its secret this once."""
    from longshore.identity import access_keys  # noqa: PLC0415

    user = _owner(owner, is_root=is_root)
    with opened_context(settings) as context:
        made, description = access_keys.create(context, settings.account, user)
    if output == as_json:
        write_json({**_members(description), "secret": made.secret})
        return
    click.echo(f"AWS_ACCESS_KEY_ID={made.id}")
    click.echo(f"AWS_SECRET_ACCESS_KEY={made.secret}")
    click.echo("The secret is shown this once.", err=True)


@key.command("list")
@on_store
@_owner_options
@output_option
def list_(settings: Settings, *, owner: str | None, is_root: bool, output: str) -> None:
    """List keys, without their secrets."""
    from longshore.identity import access_keys  # noqa: PLC0415

    user = _owner(owner, is_root=is_root)
    with opened_context(settings) as context:
        found = access_keys.list_all(context, settings.account, user)
    write_rows(map(_members, found), ("id", "user", "status", "created", "last used"), output)


def _add_switch(name: str, word: str, *, active: bool) -> None:
    @key.command(name, help=f"Make a key {word}.")
    @on_store
    @click.argument("key_id", metavar="ID")
    @_owner_options
    def switch(settings: Settings, *, key_id: str, owner: str | None, is_root: bool) -> None:
        from longshore.identity import access_keys  # noqa: PLC0415

        user = _owner(owner, is_root=is_root)
        with opened_context(settings) as context:
            access_keys.set_active(context, settings.account, user, key_id, active=active)
        click.echo(f"The key {key_id} is {word}")


_add_switch("enable", "active", active=True)
_add_switch("disable", "inactive", active=False)


@key.command()
@on_store
@click.argument("key_id", metavar="ID")
@_owner_options
def delete(settings: Settings, *, key_id: str, owner: str | None, is_root: bool) -> None:
    """Delete a key, and by that end the tokens that were made with it."""
    from longshore.identity import access_keys  # noqa: PLC0415

    user = _owner(owner, is_root=is_root)
    with opened_context(settings) as context:
        access_keys.remove(context, settings.account, user, key_id)
    click.echo(f"The key {key_id} is deleted")


def _members(description: Description) -> dict[str, object]:
    use = description.last_use
    return {
        "id": description.id,
        "user": description.user or "root",
        "status": "active" if description.active else "inactive",
        "created": moment(description.created_at),
        "last used": None if use is None else moment(use.moment),
        "service": None if use is None else use.service,
        "region": None if use is None else use.region,
    }
