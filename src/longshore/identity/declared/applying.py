"""Bringing a file of identities into force: all of it, in one transaction, or nothing.

What the file names is made, and made to be as the file says. What it named before and names no
longer is deleted. What was made otherwise is left alone: a name that such a thing has is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from longshore.identity.declared import declared_identities, declared_policies, declared_providers
from longshore.identity.declared.application import Application, Change
from longshore.metadata import schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.identity.declared.declaration import DeclaredAccount
    from longshore.registry.context import Context


def apply(
    context: Context, declaration: Sequence[DeclaredAccount], *, dry_run: bool = False
) -> list[Change]:
    """Bring what is declared into force, and return what that changed.

    Args:
        context: the store.
        declaration: what the file says.
        dry_run: do it all, and undo it.

    Raises:
        InvalidFile: something of it can't be; nothing was changed.
    """
    with context.database.write() as tx:
        # Servers that start together take turns.
        tx.execute(select(schema.identity.c.id).with_for_update())
        trial = tx.begin_nested()
        changes = _apply(Application(context.within(tx), tx), declaration)
        if dry_run:
            trial.rollback()
    return changes


def _apply(application: Application, declaration: Sequence[DeclaredAccount]) -> list[Change]:
    # Whoever goes may have policies that go, and whoever comes may need policies that come.
    declared_identities.remove_others(application, declaration)
    for account in declaration:
        declared_policies.write(application, account)
        declared_providers.write(application, account)
    # Trust policies may name anybody who is declared anywhere.
    declared_identities.make(application, declaration)
    declared_identities.write(application, declaration)
    declared_policies.remove_others(application, declaration)
    declared_providers.remove_others(application, declaration)
    return application.changes
