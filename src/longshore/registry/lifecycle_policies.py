"""The lifecycle policies of repositories: each has one or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, select, update

from longshore.errors import LifecyclePolicyNotFound
from longshore.metadata import schema
from longshore.metadata.statements import upsert
from longshore.registry import repositories
from longshore.registry.lifecycle_grammar import normal_form, parse

if TYPE_CHECKING:
    from sqlalchemy import Row

    from longshore.clock import Millis
    from longshore.names import Registry
    from longshore.registry.context import Context
    from longshore.registry.repositories import Repository

_TABLE = schema.lifecycle_policies


@dataclass(frozen=True, slots=True)
class LifecyclePolicy:
    """A policy as it is kept.

    Attributes:
        text: its normal form.
        evaluated_at: when its last run began, or None before the first.
    """

    text: str
    evaluated_at: Millis | None = None


def put(context: Context, registry: Registry, repository: str, text: str) -> LifecyclePolicy:
    """Give a repository a policy, in place of the one it has.

    Raises:
        InvalidParameter: the text is no lifecycle policy.
    """
    parse(text)
    policy = LifecyclePolicy(normal_form(text))
    with context.database.write() as tx:
        write(tx, repositories.find(tx, registry, repository, lock=True).id, policy)
    return policy


def write(tx: Connection, repository_id: int, policy: LifecyclePolicy) -> None:
    """Give a repository, which is locked or new, a policy that was checked."""
    upsert(
        tx,
        _TABLE,
        {"repository_id": repository_id},
        {"document": policy.text, "evaluated_at": policy.evaluated_at},
    )


def get(context: Context, registry: Registry, repository: str) -> LifecyclePolicy:
    """Return the policy of a repository.

    Raises:
        RepositoryNotFound, LifecyclePolicyNotFound: there is none.
    """
    with context.database.read() as tx:
        return find(tx, repositories.find(tx, registry, repository))


def remove(context: Context, registry: Registry, repository: str) -> LifecyclePolicy:
    """Take a repository's policy away, and return what it was.

    Raises:
        RepositoryNotFound, LifecyclePolicyNotFound: there is none.
    """
    with context.database.write() as tx:
        found = repositories.find(tx, registry, repository, lock=True)
        policy = find(tx, found)
        tx.execute(delete(_TABLE).where(_TABLE.c.repository_id == found.id))
    return policy


def find(tx: Connection, repository: Repository) -> LifecyclePolicy:
    """Return the policy of a repository.

    Raises:
        LifecyclePolicyNotFound: it has none.
    """
    row: Row[Any] | None = tx.execute(
        select(_TABLE).where(_TABLE.c.repository_id == repository.id)
    ).one_or_none()
    if row is None:
        raise LifecyclePolicyNotFound(repository.name, repository.registry.account)
    return LifecyclePolicy(row.document, row.evaluated_at)


def is_current(tx: Connection, repository: Repository, text: str) -> bool:
    """Tell whether a repository, which is locked, still has the policy with this text."""
    current = tx.execute(
        select(_TABLE.c.document).where(_TABLE.c.repository_id == repository.id)
    ).scalar_one_or_none()
    return current == text


def note_evaluation(tx: Connection, repository: Repository, text: str, began_at: Millis) -> None:
    """Remember when a run of the policy with this text began, unless it has been replaced."""
    tx.execute(
        update(_TABLE)
        .where(_TABLE.c.repository_id == repository.id, _TABLE.c.document == text)
        .values(evaluated_at=began_at)
    )
