"""Registry policies: who may do what in all repositories of a registry, and who may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from longshore.access.policy.principals import UNBOUND
from longshore.errors import RegistryPolicyNotFound
from longshore.metadata import schema
from longshore.metadata.statements import upsert
from longshore.registry.policies import StoredPolicy

if TYPE_CHECKING:
    from longshore.names import Registry
    from longshore.registry.context import Context
    from longshore.registry.policies import PolicyDocument


def put(context: Context, registry: Registry, document: PolicyDocument) -> None:
    """Set the policy of a registry, in place of the one that it has."""
    with context.database.write() as tx:
        upsert(
            tx,
            schema.registry_policies,
            key={"account": registry.account, "region": registry.region},
            values={"document": document.text, "bindings": dict(document.bindings)},
        )


def get(context: Context, registry: Registry) -> StoredPolicy:
    """Return the policy of a registry.

    Raises:
        RegistryPolicyNotFound: it has none.
    """
    table = schema.registry_policies
    with context.database.read() as tx:
        row = tx.execute(
            select(table.c.document, table.c.bindings).where(
                table.c.account == registry.account, table.c.region == registry.region
            )
        ).one_or_none()
    if row is None:
        raise RegistryPolicyNotFound(registry.account)
    return StoredPolicy(row.document, row.bindings or UNBOUND)


def remove(context: Context, registry: Registry) -> str:
    """Take the policy off a registry, and return it.

    Raises:
        RegistryPolicyNotFound: it has none.
    """
    table = schema.registry_policies
    with context.database.write() as tx:
        text: str | None = tx.execute(
            delete(table)
            .where(table.c.account == registry.account, table.c.region == registry.region)
            .returning(table.c.document)
        ).scalar_one_or_none()
    if text is None:
        raise RegistryPolicyNotFound(registry.account)
    return text
