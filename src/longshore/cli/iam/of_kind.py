"""The commands that users, groups and roles have in common."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from longshore.cli.commands import fail, opened_context
from longshore.cli.iam.group import everything, on_store, policy_arn
from longshore.cli.output import output_option, write_rows
from longshore.cli.values import moment, read_document

if TYPE_CHECKING:
    from longshore.identity.identities import Identity
    from longshore.registry.context import Context
    from longshore.settings import Settings


def add_common_commands(group: click.Group, word: str) -> None:
    """Give a group of commands those that list, delete, attach and so on.

    Args:
        group: the group.
        word: which kind it is about: user, group or role.
    """

    @group.command("list", help=f"List the {word}s of an account.")
    @on_store
    @output_option
    def list_(settings: Settings, *, output: str) -> None:
        from longshore.identity import identities  # noqa: PLC0415
        from longshore.identity.kinds import Kind  # noqa: PLC0415

        with opened_context(settings) as context:
            found = everything(
                lambda after: identities.list_all(
                    context, settings.account, Kind(word), after=after, limit=100
                )
            )
        write_rows(map(members, found), ("name", "path", "id", "created"), output)

    @group.command(help=f"Delete a {word}.")
    @on_store
    @click.argument("name")
    @click.option(
        "--force", is_flag=True, help="With its policies, memberships, keys and robot tokens."
    )
    def delete(settings: Settings, *, name: str, force: bool) -> None:
        from longshore.identity import identities, removal  # noqa: PLC0415
        from longshore.identity.errors import DeleteConflict  # noqa: PLC0415
        from longshore.identity.kinds import Kind  # noqa: PLC0415

        account, kind = settings.account, Kind(word)
        with opened_context(settings) as context:
            if force:
                removal.remove_whole(context, account, kind, name)
            else:
                try:
                    with context.database.write() as tx:
                        identities.remove(tx, identities.find(tx, account, kind, name, lock=True))
                except DeleteConflict as error:
                    fail(f"{error} To delete the {word} with whatever it has, say --force.")
        click.echo(f"The {word} {name} is deleted")

    @group.command(help=f"Give a {word} a managed policy, by its name or its ARN.")
    @on_store
    @click.argument("name")
    @click.argument("policy")
    def attach(settings: Settings, *, name: str, policy: str) -> None:
        from longshore.identity import attachments  # noqa: PLC0415
        from longshore.identity.kinds import Kind  # noqa: PLC0415

        with opened_context(settings) as context:
            arn = policy_arn(context, settings.account, policy)
            attachments.attach(context, settings.account, Kind(word), name, arn)
        click.echo(f"The {word} {name} has {arn}")

    @group.command(help=f"Take a managed policy from a {word}.")
    @on_store
    @click.argument("name")
    @click.argument("policy")
    def detach(settings: Settings, *, name: str, policy: str) -> None:
        from longshore.identity import attachments  # noqa: PLC0415
        from longshore.identity.kinds import Kind  # noqa: PLC0415

        with opened_context(settings) as context:
            arn = policy_arn(context, settings.account, policy)
            attachments.detach(context, settings.account, Kind(word), name, arn)
        click.echo(f"The {word} {name} has {arn} no more")

    @group.command("put-policy", help=f"Write an inline policy of a {word}, from a file or -.")
    @on_store
    @click.argument("name")
    @click.argument("policy_name", metavar="POLICY-NAME")
    @click.argument("document", callback=read_document, metavar="FILE")
    def put_policy(settings: Settings, *, name: str, policy_name: str, document: str) -> None:
        from longshore.identity import inline_policies  # noqa: PLC0415
        from longshore.identity.kinds import Kind  # noqa: PLC0415

        with opened_context(settings) as context:
            inline_policies.put(
                context, settings.account, Kind(word), name, policy_name, document=document
            )
        click.echo(f"The {word} {name} has the inline policy {policy_name}")

    @group.command("delete-policy", help=f"Delete an inline policy of a {word}.")
    @on_store
    @click.argument("name")
    @click.argument("policy_name", metavar="POLICY-NAME")
    def delete_policy(settings: Settings, *, name: str, policy_name: str) -> None:
        from longshore.identity import inline_policies  # noqa: PLC0415
        from longshore.identity.kinds import Kind  # noqa: PLC0415

        with opened_context(settings) as context:
            inline_policies.remove(context, settings.account, Kind(word), name, policy_name)
        click.echo(f"The {word} {name} has the inline policy {policy_name} no more")


def add_boundary_command(group: click.Group, word: str) -> None:
    """Give a group of commands the one that bounds what somebody may do."""

    @group.command("set-boundary", help=f"Bound what a {word} may do by a managed policy.")
    @on_store
    @click.argument("name")
    @click.argument("policy", required=False)
    @click.option("--none", "is_none", is_flag=True, help="By none.")
    def set_boundary(settings: Settings, *, name: str, policy: str | None, is_none: bool) -> None:
        from longshore.identity import boundaries  # noqa: PLC0415
        from longshore.identity.kinds import Kind  # noqa: PLC0415

        if is_none == (policy is not None):
            raise click.UsageError("Name a policy, or say --none.")
        account, kind = settings.account, Kind(word)
        with opened_context(settings) as context:
            if policy is None:
                boundaries.remove(context, account, kind, name)
                click.echo(f"The {word} {name} is bounded by none")
            else:
                arn = policy_arn(context, account, policy)
                boundaries.put(context, account, kind, name, arn)
                click.echo(f"The {word} {name} is bounded by {arn}")


def members(identity: Identity) -> dict[str, object]:
    """Return what is told of every identity."""
    return {
        "name": identity.name,
        "arn": identity.arn,
        "id": identity.id,
        "path": identity.path,
        "created": moment(identity.created_at),
    }


def policies_of(context: Context, identity: Identity) -> dict[str, object]:
    """Return the policies of an identity, as they are shown."""
    from longshore.identity import attachments, inline_policies  # noqa: PLC0415

    account, kind, name = identity.account, identity.kind, identity.name
    attached = everything(
        lambda after: attachments.list_all(context, account, kind, name, after=after)
    )
    inline = everything(
        lambda after: inline_policies.list_all(context, account, kind, name, after=after)
    )
    return {
        "policies": [each.arn for each in attached],
        "inline policies": {
            each: json.loads(inline_policies.get(context, account, kind, name, each))
            for each in inline
        },
    }
