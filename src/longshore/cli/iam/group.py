"""What the commands of `longshore iam` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from longshore.cli.commands import app, setting_options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.registry.context import Context
    from longshore.registry.slices import Position, Slice

# Commands are decorated before anybody calls them.
Command: TypeAlias = Callable[..., None]


@app.group()
def iam() -> None:
    """Manage users, groups, roles, keys, policies and OpenID Connect providers.

    It works on the data directory and the database, whether the server runs or not; a change
    counts from the next request on.
    """


def on_store(command: Command) -> Command:
    """Give a command the options that say which store, and which account in it."""
    return setting_options("data", "database_url", "account")(command)


def tags_option(command: Command) -> Command:
    """Give a command an option for tags."""
    return click.option(
        "--tag",
        "tags",
        multiple=True,
        metavar="KEY=VALUE",
        callback=_read_tags,
        help="A tag; several times for several.",
    )(command)


def path_option(command: Command) -> Command:
    """Give a command an option for a path."""
    return click.option(
        "--path", default="/", show_default=True, help="Where it stands, as in /team/."
    )(command)


def boundary_option(command: Command) -> Command:
    """Give a command an option for a permissions boundary."""
    return click.option("--boundary", help="The policy that bounds what it may do: name or ARN.")(
        command
    )


def everything(listing: Callable[[Position | None], Slice[Any]]) -> list[Any]:
    """Return all items of a listing that comes in slices."""
    found: list[Any] = []
    after: Position | None = None
    while True:
        part = listing(after)
        found += part.items
        if part.next is None:
            return found
        after = part.next


def policy_arn(context: Context, account: str, text: str) -> str:
    """Return the ARN of a managed policy that somebody named: by its ARN, or by its name alone.

    Raises:
        NoSuchEntity: the account sees none of this name.
    """
    from longshore.identity import policy_names  # noqa: PLC0415

    with context.database.read() as tx:
        return policy_names.arn_of(tx, account, text)


def _read_tags(
    ctx: click.Context, param: click.Parameter, given: Iterable[str]
) -> list[tuple[str, str]]:
    pairs = []
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r}: write KEY=VALUE", ctx, param)
        pairs.append((key, value))
    return pairs
