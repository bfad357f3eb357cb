"""Commands about policies."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from longshore.cli.commands import app, fail, opened_context, setting_options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.settings import Settings


@app.group()
def policy() -> None:
    """Ask what policies permit, and take away those that lock everybody out."""


@policy.command()
@setting_options("data", "database_url", "region")
@click.option(
    "--principal", "arn", required=True, help="Who asks: an ARN, or anonymous for nobody known."
)
@click.option("--action", required=True, help="What for, such as ecr:BatchGetImage.")
@click.option("--resource", required=True, help="On what: an ARN, or *.")
@click.option(
    "--context",
    "given",
    multiple=True,
    metavar="KEY=VALUE",
    help="A condition key that the request has, such as aws:SourceIp=192.0.2.7; "
    "several times for several values.",
)
@click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people, or for programs.",
)
def explain(
    settings: Settings,
    *,
    arn: str,
    action: str,
    resource: str,
    given: tuple[str, ...],
    output: str,
) -> None:
    """Tell whether somebody may do something, and which statement of which policy says so.

    It looks at the policies as they are now, and changes nothing.
    """
    # Not at the top: the other commands are quick because they don't load the server.
    from longshore.identity import authorization, principals  # noqa: PLC0415
    from longshore.identity.authorization import Need, Surroundings  # noqa: PLC0415
    from longshore.names import Registry  # noqa: PLC0415

    values = _values(given)
    _check_action(action)
    _check_resource(resource, settings)
    with opened_context(settings) as context:
        is_known = arn != "anonymous"
        principal = principals.of_arn(context, arn) if is_known else principals.ANONYMOUS
        account = principal.subject.account or settings.account
        own = Registry(account, settings.region)
        need = Need.of(action, resource, own, values)
        surroundings = Surroundings(region=settings.region)
        explanation = authorization.explain(context, principal, need, surroundings)
    if output == "json":
        click.echo(json.dumps(explanation.as_json(), indent=2))
    else:
        click.echo(explanation.as_text(), nl=False)


@policy.command()
@setting_options("data", "database_url", "account", "region")
@click.option("--repository", help="The repository; without it, the registry's own policy goes.")
def remove(settings: Settings, *, repository: str | None) -> None:
    """Take away a policy that locks everybody out, and print it.

    It asks nobody's permission but that of the file system and the database.
    """
    from longshore.names import Registry  # noqa: PLC0415
    from longshore.registry import registry_policies, repository_policies  # noqa: PLC0415

    registry = Registry(settings.account, settings.region)
    with opened_context(settings) as context:
        if repository is None:
            text = registry_policies.remove(context, registry)
        else:
            text = repository_policies.remove(context, registry, repository)
    click.echo(text)


def _check_action(action: str) -> None:
    """Refuse what nobody can ask for: every policy would have an answer, and none would be true."""
    from longshore.access.policy.statements import is_action  # noqa: PLC0415
    from longshore.operations import actions  # noqa: PLC0415

    if not is_action(action):
        fail(f"--action {action}: write SERVICE:NAME, such as ecr:BatchGetImage.")
    service, _, name = action.partition(":")
    known = {each.partition(":")[2].lower(): each for each in actions(service.lower())}
    if known and name.lower() not in known:
        nearest = get_close_matches(name.lower(), known, n=1)
        hint = (
            f"Did you mean {known[nearest[0]]}?"
            if nearest
            else "Most are named as operations of the API are, such as ecr:BatchGetImage."
        )
        fail(f"--action {action}: Longshore knows no such action. {hint}")


def _check_resource(resource: str, settings: Settings) -> None:
    from longshore.names import Registry, is_arn, is_repository_name  # noqa: PLC0415

    if resource != "*" and not is_arn(resource):
        name = resource if is_repository_name(resource) else "demo/app"
        arn = Registry(settings.account, settings.region).repository_arn(name)
        fail(f"--resource {resource}: write an ARN, such as {arn}, or *.")


def _values(given: Iterable[str]) -> dict[str, tuple[str, ...]]:
    values: dict[str, tuple[str, ...]] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            fail(f"--context {text}: write KEY=VALUE, such as aws:SourceIp=192.0.2.7")
        values[key.lower()] = (*values.get(key.lower(), ()), value)
    return values
