"""`longshore iam role`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from longshore.cli.commands import opened_context
from longshore.cli.iam.group import (
    boundary_option,
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
from longshore.cli.values import read_document, read_duration
from longshore.clock import HOUR, SECOND

if TYPE_CHECKING:
    from longshore.clock import Millis
    from longshore.settings import Settings


@iam.group()
def role() -> None:
    """Manage roles: permissions that others take for a while."""


@role.command()
@on_store
@click.argument("name")
@click.option(
    "--trust",
    required=True,
    callback=read_document,
    metavar="FILE",
    help="A file with the policy of who may take it.",
)
@click.option("--description", default="", help="What it is for.")
@click.option(
    "--max-session",
    callback=read_duration,
    metavar="DURATION",
    default="1h",
    show_default=True,
    help="The longest session.",
)
@path_option
@boundary_option
@tags_option
@output_option
def create(
    settings: Settings,
    *,
    name: str,
    trust: str,
    description: str,
    max_session: Millis,
    path: str,
    boundary: str | None,
    tags: list[tuple[str, str]],
    output: str,
) -> None:
    """Make a role, which may do nothing yet."""
    from longshore.identity import roles  # noqa: PLC0415

    account = settings.account
    with opened_context(settings) as context:
        made = roles.create(
            context,
            account,
            name,
            trust,
            path=path,
            description=description,
            max_session_seconds=max_session // SECOND,
            boundary=None if boundary is None else policy_arn(context, account, boundary),
            tags=tags,
        )
    write_thing(members(made.identity), output)


@role.command()
@on_store
@click.argument("name")
@output_option
def show(settings: Settings, *, name: str, output: str) -> None:
    """Show a role, with who may take it and its policies."""
    from longshore.identity import roles  # noqa: PLC0415

    with opened_context(settings) as context:
        found = roles.describe(context, settings.account, name)
        shown = {
            **members(found.identity),
            "description": found.description,
            "longest session": f"{found.max_session_seconds * SECOND / HOUR:g} h",
            "boundary": found.identity.boundary,
            "tags": dict(found.identity.tags),
            "trust policy": json.loads(found.trust_policy),
            **policies_of(context, found.identity),
        }
    write_thing(shown, output)


@role.command("set-trust")
@on_store
@click.argument("name")
@click.argument("document", callback=read_document, metavar="FILE")
def set_trust(settings: Settings, *, name: str, document: str) -> None:
    """Say anew who may take a role, by a policy from a file or -."""
    from longshore.identity import roles  # noqa: PLC0415

    with opened_context(settings) as context:
        roles.put_trust_policy(context, settings.account, name, document)
    click.echo(f"The role {name} has another trust policy")


add_common_commands(role, "role")
add_boundary_command(role, "role")
