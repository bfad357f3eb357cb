"""`longshore iam group`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from longshore.cli.commands import opened_context
from longshore.cli.iam.group import everything, iam, on_store, path_option
from longshore.cli.iam.of_kind import add_common_commands, members, policies_of
from longshore.cli.output import output_option, write_thing

if TYPE_CHECKING:
    from longshore.registry.context import Context
    from longshore.settings import Settings


@iam.group()
def group() -> None:
    """Manage groups: policies that many users share."""


@group.command()
@on_store
@click.argument("name")
@path_option
@output_option
def create(settings: Settings, *, name: str, path: str, output: str) -> None:
    """Make a group, without policies and members."""
    from longshore.identity import groups  # noqa: PLC0415

    with opened_context(settings) as context:
        made = groups.create(context, settings.account, name, path=path)
    write_thing(members(made), output)


@group.command()
@on_store
@click.argument("name")
@output_option
def show(settings: Settings, *, name: str, output: str) -> None:
    """Show a group, with its members and its policies."""
    from longshore.identity import groups  # noqa: PLC0415

    with opened_context(settings) as context:
        found = groups.get(context, settings.account, name).group
        shown = {
            **members(found),
            "members": _members(context, settings.account, name),
            **policies_of(context, found),
        }
    write_thing(shown, output)


@group.command()
@on_store
@click.argument("name")
@click.argument("user")
def add(settings: Settings, *, name: str, user: str) -> None:
    """Make a user a member of a group."""
    from longshore.identity import groups  # noqa: PLC0415

    with opened_context(settings) as context:
        groups.add(context, settings.account, name, user)
    click.echo(f"The user {user} is in the group {name}")


@group.command()
@on_store
@click.argument("name")
@click.argument("user")
def remove(settings: Settings, *, name: str, user: str) -> None:
    """Take a user out of a group."""
    from longshore.identity import groups  # noqa: PLC0415

    with opened_context(settings) as context:
        groups.discard(context, settings.account, name, user)
    click.echo(f"The user {user} isn't in the group {name}")


def _members(context: Context, account: str, name: str) -> list[str]:
    from longshore.identity import groups  # noqa: PLC0415

    found = everything(lambda after: groups.get(context, account, name, after=after).users)
    return [each.name for each in found]


add_common_commands(group, "group")
