"""Commands about robot tokens: passwords for `docker login` that last longer than twelve hours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from longshore.cli.commands import app, opened_context, setting_options
from longshore.cli.output import as_json, output_option, write_json, write_rows
from longshore.cli.values import moment, read_document, read_duration

if TYPE_CHECKING:
    from longshore.clock import Millis
    from longshore.identity.robot_tokens import RobotToken
    from longshore.settings import Settings

_STORE = ("data", "database_url", "account")


@app.group()
def token() -> None:
    """Manage robot tokens: passwords for the registry face, with a scope."""


@token.command()
@setting_options(*_STORE)
@click.option("--user", required=True, help="Whose: it can't do more than this user may.")
@click.option(
    "--pull",
    multiple=True,
    metavar="PATTERN",
    help="Repositories to pull from, such as team/*; several times for several.",
)
@click.option(
    "--push",
    multiple=True,
    metavar="PATTERN",
    help="Repositories to push to and pull from; several times for several.",
)
@click.option(
    "--policy",
    callback=read_document,
    metavar="FILE",
    help="An identity policy as the scope, instead of --pull and --push; - is standard input.",
)
@click.option(
    "--expires",
    callback=read_duration,
    metavar="DURATION",
    help="How long it lasts, such as 90d; else for ever.",
)
@click.option("--description", default="", help="What it is for.")
@output_option
def create(
    settings: Settings,
    *,
    user: str,
    pull: tuple[str, ...],
    push: tuple[str, ...],
    policy: str | None,
    expires: Millis | None,
    description: str,
    output: str,
) -> None:
    """Make a token, and show its password this once.

    It logs in with the user name AWS or with that of its user:

    docker login --username NAME --password-stdin HOST
    """
    from longshore.identity import robot_tokens  # noqa: PLC0415

    if (policy is None) != bool(pull or push):
        raise click.UsageError("Say what it is for: with --pull and --push, or with --policy.")
    with opened_context(settings) as context:
        account = settings.account
        scope = robot_tokens.scope_of(account, pull, push) if policy is None else policy
        made, password = robot_tokens.create(
            context,
            account,
            user,
            scope,
            description=description,
            lifetime=expires,
        )
    if output == as_json:
        write_json({**_members(made), "password": password})
        return
    click.echo(f"id        {made.id}")
    click.echo(f"expires   {moment(made.expires_at) or 'never'}")
    click.echo(f"password  {password}")
    click.echo("The password is shown this once.", err=True)


@token.command("list")
@setting_options(*_STORE)
@click.option("--user", help="Only those of this user.")
@output_option
def list_(settings: Settings, *, user: str | None, output: str) -> None:
    """List the tokens of an account."""
    from longshore.identity import robot_tokens  # noqa: PLC0415

    with opened_context(settings) as context:
        tokens = robot_tokens.list_all(context, settings.account, user)
    columns = ("id", "user", "created", "expires", "description")
    write_rows(map(_members, tokens), columns, output)


@token.command()
@setting_options(*_STORE)
@click.argument("token_id", metavar="ID")
def revoke(settings: Settings, *, token_id: str) -> None:
    """End a token: it is good for nothing from the next request on."""
    from longshore.identity import robot_tokens  # noqa: PLC0415

    with opened_context(settings) as context:
        robot_tokens.revoke(context, settings.account, token_id)
    click.echo(f"{token_id} is revoked")


def _members(each: RobotToken) -> dict[str, object]:
    return {
        "id": each.id,
        "user": each.user,
        "created": moment(each.created_at),
        "expires": moment(each.expires_at) or "never",
        "description": each.description,
        "scope": json.loads(each.scope),
    }
