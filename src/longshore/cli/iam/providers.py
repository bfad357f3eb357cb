"""`longshore iam provider`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from longshore.cli.commands import opened_context
from longshore.cli.iam.group import iam, on_store, tags_option
from longshore.cli.output import output_option, write_rows, write_thing
from longshore.cli.values import moment, read_document

if TYPE_CHECKING:
    from longshore.identity.openid_providers import OpenIdProvider
    from longshore.settings import Settings


@iam.group()
def provider() -> None:
    """Manage OpenID Connect providers, whose tokens roles can be taken with."""


@provider.command()
@on_store
@click.argument("url")
@click.option(
    "--client-id",
    "client_ids",
    multiple=True,
    required=True,
    help="Whom its tokens may be made for (aud); several times for several.",
)
@click.option(
    "--keys",
    "key_set",
    callback=read_document,
    metavar="FILE",
    help="A file with its keys, a JSON Web Key Set, where the server can't fetch them.",
)
@tags_option
@output_option
def create(
    settings: Settings,
    *,
    url: str,
    client_ids: tuple[str, ...],
    key_set: str | None,
    tags: list[tuple[str, str]],
    output: str,
) -> None:
    """Make a provider known, by its URL as its tokens have it (iss)."""
    from longshore.identity import openid_providers  # noqa: PLC0415

    with opened_context(settings) as context:
        made = openid_providers.create(
            context, settings.account, url, client_ids, key_set=key_set, tags=tags
        )
    write_thing(_members(made), output)


@provider.command("list")
@on_store
@output_option
def list_(settings: Settings, *, output: str) -> None:
    """List the providers that an account knows."""
    from longshore.identity import openid_providers  # noqa: PLC0415

    with opened_context(settings) as context:
        found = openid_providers.list_all(context, settings.account)
    write_rows(map(_members, found), ("url", "client ids", "keys", "created"), output)


@provider.command()
@on_store
@click.argument("url")
@output_option
def show(settings: Settings, *, url: str, output: str) -> None:
    """Show a provider."""
    from longshore.identity import openid_providers  # noqa: PLC0415

    with opened_context(settings) as context:
        found = openid_providers.get(context, settings.account, _arn(settings, url))
    write_thing({**_members(found), "tags": dict(found.tags)}, output)


@provider.command("set-keys")
@on_store
@click.argument("url")
@click.argument("key_set", callback=read_document, metavar="FILE", required=False)
@click.option("--fetch", is_flag=True, help="Have the server fetch them, in place of a file.")
def set_keys(settings: Settings, *, url: str, key_set: str | None, fetch: bool) -> None:
    """Store the keys of a provider, a JSON Web Key Set from a file or -."""
    from longshore.identity import openid_providers  # noqa: PLC0415

    if fetch == (key_set is not None):
        raise click.UsageError("Name a file of keys, or say --fetch.")
    with opened_context(settings) as context:
        arn = _arn(settings, url)
        openid_providers.put_key_set(context, settings.account, arn, key_set)
    click.echo(f"The keys of {url} are {'fetched' if fetch else 'stored'}")


@provider.command()
@on_store
@click.argument("url")
def delete(settings: Settings, *, url: str) -> None:
    """Forget a provider."""
    from longshore.identity import openid_providers  # noqa: PLC0415

    with opened_context(settings) as context:
        openid_providers.remove(context, settings.account, _arn(settings, url))
    click.echo(f"The provider {url} is deleted")


def _arn(settings: Settings, url: str) -> str:
    if url.startswith("arn:"):
        return url
    name = url.removeprefix("https://")
    return f"arn:aws:iam::{settings.account}:oidc-provider/{name}"


def _members(each: OpenIdProvider) -> dict[str, object]:
    return {
        "url": each.issuer,
        "arn": each.arn,
        "client ids": list(each.client_ids),
        "keys": "fetched" if each.key_set is None else "stored",
        "created": moment(each.created_at),
    }
