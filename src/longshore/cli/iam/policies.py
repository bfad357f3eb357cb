"""`longshore iam policy`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from longshore.cli.commands import opened_context
from longshore.cli.iam.group import everything, iam, on_store, path_option, policy_arn, tags_option
from longshore.cli.output import output_option, write_rows, write_thing
from longshore.cli.values import moment, read_document

if TYPE_CHECKING:
    from longshore.identity.managed_policies import ManagedPolicy
    from longshore.settings import Settings


@iam.group()
def policy() -> None:
    """Manage managed policies: those that many can have."""


@policy.command()
@on_store
@click.argument("name")
@click.argument("document", callback=read_document, metavar="FILE")
@click.option("--description", default="", help="What it is for.")
@path_option
@tags_option
@output_option
def create(
    settings: Settings,
    *,
    name: str,
    document: str,
    description: str,
    path: str,
    tags: list[tuple[str, str]],
    output: str,
) -> None:
    """Make a managed policy of a document, from a file or -."""
    from longshore.identity import managed_policies  # noqa: PLC0415

    with opened_context(settings) as context:
        made = managed_policies.create(
            context,
            settings.account,
            name,
            document,
            path=path,
            description=description,
            tags=tags,
        )
    write_thing(_members(made), output)


@policy.command("list")
@on_store
@click.option("--aws", "with_aws", is_flag=True, help="Those that AWS gives everybody, too.")
@output_option
def list_(settings: Settings, *, with_aws: bool, output: str) -> None:
    """List the managed policies of an account."""
    from longshore.identity import managed_policies  # noqa: PLC0415
    from longshore.identity.managed_policies import Scope  # noqa: PLC0415

    scope = Scope.ALL if with_aws else Scope.LOCAL
    with opened_context(settings) as context:
        found = everything(
            lambda after: managed_policies.list_all(
                context, settings.account, scope=scope, after=after
            )
        )
    write_rows(map(_members, found), ("name", "arn", "attached", "description"), output)


@policy.command()
@on_store
@click.argument("name")
@output_option
def show(settings: Settings, *, name: str, output: str) -> None:
    """Show a managed policy, by its name or its ARN, with the document that counts."""
    from longshore.identity import managed_policies, policy_versions  # noqa: PLC0415

    account = settings.account
    with opened_context(settings) as context:
        arn = policy_arn(context, account, name)
        found = managed_policies.get(context, account, arn)
        versions = policy_versions.list_all(context, account, arn)
        [current] = [each for each in versions if each.is_default]
    shown = {
        **_members(found),
        "tags": dict(found.tags),
        "version": current.id,
        "other versions": [each.id for each in versions if not each.is_default],
        "document": json.loads(current.document),
    }
    write_thing(shown, output)


@policy.command()
@on_store
@click.argument("name")
@click.argument("document", callback=read_document, metavar="FILE")
def update(settings: Settings, *, name: str, document: str) -> None:
    """Give a managed policy another document, from a file or -, as its new version.

    Of its versions, the oldest goes where there would be too many.
    """
    from longshore.identity import policy_versions  # noqa: PLC0415

    account = settings.account
    with opened_context(settings) as context:
        arn = policy_arn(context, account, name)
        made = policy_versions.replace(context, account, arn, document)
    click.echo(f"{arn} has the version {made.id}")


@policy.command()
@on_store
@click.argument("name")
def delete(settings: Settings, *, name: str) -> None:
    """Delete a managed policy that nobody has, with all its versions."""
    from longshore.identity import managed_policies, policy_versions  # noqa: PLC0415

    account = settings.account
    with opened_context(settings) as context:
        arn = policy_arn(context, account, name)
        with context.database.write() as tx:
            inside = context.within(tx)
            for version in policy_versions.list_all(inside, account, arn):
                if not version.is_default:
                    policy_versions.remove(inside, account, arn, version.id)
            managed_policies.remove(inside, account, arn)
    click.echo(f"{arn} is deleted")


def _members(each: ManagedPolicy) -> dict[str, object]:
    return {
        "name": each.name,
        "arn": each.arn,
        "id": each.id,
        "description": each.description,
        "created": moment(each.created_at),
        "updated": moment(each.updated_at),
        "attached": each.attachments,
        "bounds": each.boundaries,
    }
