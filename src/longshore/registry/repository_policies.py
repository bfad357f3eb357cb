"""Repository policies: who besides the owner's own people may use a repository, and who may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from longshore.access.policy.principals import UNBOUND
from longshore.errors import RepositoryPolicyNotFound
from longshore.metadata import schema
from longshore.metadata.statements import upsert
from longshore.registry import repositories
from longshore.registry.policies import StoredPolicy

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from longshore.access.policy.principals import Bindings
    from longshore.names import Registry
    from longshore.registry.context import Context
    from longshore.registry.policies import PolicyDocument


def put(context: Context, registry: Registry, name: str, document: PolicyDocument) -> None:
    """Set the policy of a repository, in place of the one that it has."""
    with context.database.write() as tx:
        repository = repositories.find(tx, registry, name, lock=True)
        write(tx, repository.id, document.text, document.bindings)


def write(tx: Connection, repository_id: int, text: str, bindings: Bindings) -> None:
    """Set the policy of a repository, which is locked or new, in ECR's normal form."""
    upsert(
        tx,
        schema.repository_policies,
        key={"repository_id": repository_id},
        values={"document": text, "bindings": dict(bindings)},
    )


def get(context: Context, registry: Registry, name: str) -> StoredPolicy:
    """Return the policy of a repository.

    Raises:
        RepositoryPolicyNotFound: it has none.
    """
    with context.database.read() as tx:
        return _read(tx, registry, name, repositories.find(tx, registry, name).id)


def remove(context: Context, registry: Registry, name: str) -> str:
    """Take the policy off a repository, and return it.

    Raises:
        RepositoryPolicyNotFound: it has none.
    """
    table = schema.repository_policies
    with context.database.write() as tx:
        repository = repositories.find(tx, registry, name, lock=True)
        text = _read(tx, registry, name, repository.id).text
        tx.execute(delete(table).where(table.c.repository_id == repository.id))
        return text


def _read(tx: Connection, registry: Registry, name: str, repository_id: int) -> StoredPolicy:
    table = schema.repository_policies
    row = tx.execute(
        select(table.c.document, table.c.bindings).where(table.c.repository_id == repository_id)
    ).one_or_none()
    if row is None:
        raise RepositoryPolicyNotFound(name, registry.account)
    return StoredPolicy(row.document, row.bindings or UNBOUND)
