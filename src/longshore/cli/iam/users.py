"""`longshore iam user`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from longshore.cli.commands import opened_context
from longshore.cli.iam.group import (
    boundary_option,
    everything,
    iam,
    on_store,
    path_option,
    policy_arn,
    tags_option,
)
from longshore.cli.iam.of_kind import (
    add_boundary_command,
    add_common_commands,
    members,
    policies_of,
)
from longshore.cli.output import output_option, write_thing

if TYPE_CHECKING:
    from longshore.settings import Settings


@iam.group()
def user() -> None:
    """Manage users: people and machines with keys of their own."""


@user.command()
@on_store
@click.argument("name")
@path_option
@boundary_option
@tags_option
@output_option
def create(
    settings: Settings,
    *,
    name: str,
    path: str,
    boundary: str | None,
    tags: list[tuple[str, str]],
    output: str,
) -> None:
    """Make a user, who may do nothing yet and has no key."""
    from longshore.identity import users  # noqa: PLC0415

    account = settings.account
    with opened_context(settings) as context:
        bound = None if boundary is None else policy_arn(context, account, boundary)
        made = users.create(context, account, name, path=path, boundary=bound, tags=tags)
    write_thing(members(made), output)


@user.command()
@on_store
@click.argument("name")
@output_option
def show(settings: Settings, *, name: str, output: str) -> None:
    """Show a user, with groups, policies, keys and robot tokens."""
    from longshore.identity import access_keys, groups, robot_tokens, users  # noqa: PLC0415

    account = settings.account
    with opened_context(settings) as context:
        found = users.get(context, account, name)
        memberships = everything(
            lambda after: groups.list_of_user(context, account, name, after=after)
        )
        shown = {
            **members(found),
            "boundary": found.boundary,
            "tags": dict(found.tags),
            "groups": [each.name for each in memberships],
            **policies_of(context, found),
            "keys": [
                f"{key.id} ({'active' if key.active else 'inactive'})"
                for key in access_keys.list_all(context, account, name)
            ],
            "robot tokens": [each.id for each in robot_tokens.list_all(context, account, name)],
        }
    write_thing(shown, output)


add_common_commands(user, "user")
add_boundary_command(user, "user")
