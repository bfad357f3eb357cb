"""What the decision on a request has to know of a repository and of its registry."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, select

from longshore.access.policy.compiled import compiled
from longshore.access.policy.documents import Grammar
from longshore.access.policy.principals import UNBOUND
from longshore.errors import RepositoryNotFound
from longshore.metadata import schema
from longshore.metadata.prepared import Prepared
from longshore.registry import account_settings, policies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Table

    from longshore.access.policy.evaluation import Source
    from longshore.access.policy.principals import Bindings
    from longshore.names import Registry
    from longshore.registry.context import Context


@dataclass(frozen=True, slots=True)
class PoliciesInForce:
    """The policies that have a say, and what they may ask of the repository.

    Attributes:
        registry: the registry's policy, if it has one.
        scope: for which actions it counts: the account setting `REGISTRY_POLICY_SCOPE`.
        repository: the repository's policy, if it has one.
        tags: the repository's resource tags.
    """

    registry: Source | None
    scope: str
    repository: Source | None = None
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def of_registry(context: Context, registry: Registry) -> PoliciesInForce:
    """Return what is in force in a registry, for a request that concerns no repository there is."""
    return context.memory.answer(
        ("policies in force", registry),
        lambda: _of_registry(context, registry),
        beside_content=True,
    )


def of_repository(context: Context, registry: Registry, name: str) -> PoliciesInForce:
    """Return what is in force in a repository.

    Raises:
        RepositoryNotFound: there is none of this name. That isn't remembered: strangers may ask
            for any number of names.
    """
    return context.memory.answer(
        ("policies in force", registry, name),
        lambda: _of_repository(context, registry, name),
        beside_content=True,
    )


def _of_registry(context: Context, registry: Registry) -> PoliciesInForce:
    with context.database.read() as tx:
        row = _OF_REGISTRY.one_or_none(tx, account=registry.account, region=registry.region)
        scope = account_settings.read(tx, registry, account_settings.REGISTRY_POLICY_SCOPE)
    text, bindings = (None, None) if row is None else (row.document, row.bindings)
    return PoliciesInForce(_source(text, bindings, Grammar.REGISTRY), scope)


def _of_repository(context: Context, registry: Registry, name: str) -> PoliciesInForce:
    with context.database.read() as tx:
        rows = _OF_REPOSITORY.all(tx, account=registry.account, region=registry.region, name=name)
    if not rows:
        raise RepositoryNotFound(name, registry.account)
    first = rows[0]
    return PoliciesInForce(
        registry=_source(first.registry_policy, first.registry_bindings, Grammar.REGISTRY),
        scope=first.scope or account_settings.unset(account_settings.REGISTRY_POLICY_SCOPE),
        repository=_source(first.repository_policy, first.repository_bindings, Grammar.REPOSITORY),
        tags={row.key: row.value for row in rows if row.key is not None},
    )


def _source(text: str | None, bindings: Bindings | None, grammar: Grammar) -> Source | None:
    return None if text is None else policies.source(compiled(text, grammar), bindings or UNBOUND)


def _same_registry(table: Table) -> ColumnElement[bool]:
    repositories = schema.repositories
    return and_(table.c.account == repositories.c.account, table.c.region == repositories.c.region)


_OF_REGISTRY = Prepared(
    select(schema.registry_policies.c.document, schema.registry_policies.c.bindings).where(
        schema.registry_policies.c.account == bindparam("account"),
        schema.registry_policies.c.region == bindparam("region"),
    )
)
_SCOPE = schema.account_settings.c.name == account_settings.REGISTRY_POLICY_SCOPE
# One statement, for each costs a way to the server and back; one row for each tag.
_OF_REPOSITORY = Prepared(
    select(
        schema.repository_policies.c.document.label("repository_policy"),
        schema.repository_policies.c.bindings.label("repository_bindings"),
        schema.registry_policies.c.document.label("registry_policy"),
        schema.registry_policies.c.bindings.label("registry_bindings"),
        schema.account_settings.c.value.label("scope"),
        schema.resource_tags.c.key,
        schema.resource_tags.c.value,
    )
    .select_from(schema.repositories)
    .outerjoin(
        schema.repository_policies,
        schema.repository_policies.c.repository_id == schema.repositories.c.id,
    )
    .outerjoin(schema.registry_policies, _same_registry(schema.registry_policies))
    .outerjoin(schema.account_settings, and_(_same_registry(schema.account_settings), _SCOPE))
    .outerjoin(
        schema.resource_tags, schema.resource_tags.c.repository_id == schema.repositories.c.id
    )
    .where(
        schema.repositories.c.account == bindparam("account"),
        schema.repositories.c.region == bindparam("region"),
        schema.repositories.c.name == bindparam("name"),
    )
    .order_by(schema.resource_tags.c.key)
)
