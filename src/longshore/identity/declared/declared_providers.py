"""OpenID Connect providers that are declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.identity import openid_providers
from longshore.identity.declared.application import told_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.identity.declared.application import Application
    from longshore.identity.declared.declaration import DeclaredAccount, DeclaredProvider
    from longshore.identity.openid_providers import OpenIdProvider

_KIND = "provider"


def write(application: Application, account: DeclaredAccount) -> None:
    """Make the providers of an account known as they are declared.

    Raises:
        InvalidFile: IAM's rules refuse one, or one of its URL was made otherwise.
    """
    context = application.context
    known = {each.issuer: each for each in openid_providers.list_all(context, account.id)}
    for provider in account.providers:
        what = f"provider {provider.issuer}"
        with told_of(provider.line, what):
            found = known.get(provider.issuer)
            if found is None:
                _create(application, account.id, provider)
            else:
                application.require_own(account.id, _KIND, found.url, what, provider.line)
                _change(application, provider, found)


def remove_others(application: Application, declaration: Sequence[DeclaredAccount]) -> None:
    """Forget the providers that were declared before and are no longer."""
    named = {(account.id, each.issuer) for account in declaration for each in account.providers}
    for account, url in application.remembered(_KIND):
        found = [
            each
            for each in openid_providers.list_all(application.context, account)
            if each.url == url
        ]
        if found and (account, found[0].issuer) in named:
            continue
        for each in found:
            openid_providers.remove(application.context, account, each.arn)
            application.tell("delete", account, f"provider {each.issuer}")
        application.forget(account, _KIND, url)


def _create(application: Application, account: str, provider: DeclaredProvider) -> None:
    made = openid_providers.create(
        application.context,
        account,
        provider.issuer,
        provider.client_ids,
        key_set=provider.key_set,
        tags=provider.tags.items(),
    )
    application.remember(account, _KIND, made.url)
    application.tell("create", account, f"provider {provider.issuer}")


def _change(application: Application, provider: DeclaredProvider, found: OpenIdProvider) -> None:
    context, account, arn = application.context, found.account, found.arn
    details = []
    if found.client_ids != provider.client_ids:
        openid_providers.change(context, account, arn, client_ids=provider.client_ids)
        details.append("other client ids")
    if found.key_set != provider.key_set:
        openid_providers.put_key_set(context, account, arn, provider.key_set)
        details.append("other keys")
    if found.tags != provider.tags:
        openid_providers.change(context, account, arn, tags=provider.tags.items())
        details.append("other tags")
    if details:
        application.tell("change", account, f"provider {provider.issuer}", *details)
