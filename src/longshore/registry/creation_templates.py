"""Repository creation templates: the settings of repositories that nobody creates expressly.

A template is for the repositories whose names begin with its prefix and a slash; the one with the
prefix `ROOT` is for all. Of those that are applied for what happens, the longest prefix counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from longshore.access.policy.principals import UNBOUND, Bindings
from longshore.errors import (
    InvalidParameter,
    InvalidTagParameter,
    LimitExceeded,
    TemplateAlreadyExists,
    TemplateNotFound,
    TooManyTags,
)
from longshore.metadata import schema
from longshore.names import Registry
from longshore.registry import (
    lifecycle_policies,
    repositories,
    repository_policies,
    resource_tags,
)
from longshore.registry.lifecycle_grammar import normal_form, parse
from longshore.registry.lifecycle_policies import LifecyclePolicy
from longshore.registry.mutability import Mode, TagMutability
from longshore.registry.policies import StoredPolicy
from longshore.registry.repositories import Encryption
from longshore.registry.slices import Slice

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import ColumnElement, Row

    from longshore.clock import Millis
    from longshore.registry.context import Context
    from longshore.registry.repositories import Repository
    from longshore.registry.slices import Position

ROOT = "ROOT"

_ROLE_ARN = re.compile(
    r"arn:aws:iam::(?P<account>[0-9]{12}):role/(?:[\x21-\x7e]+/)?[\w+=,.@-]+", re.ASCII
)
_WITH_EXCLUSION = frozenset({Mode.MUTABLE_WITH_EXCLUSION, Mode.IMMUTABLE_WITH_EXCLUSION})
_TABLE = schema.repository_creation_templates


class Scenario(StrEnum):
    """What a repository can come to be by, besides CreateRepository."""

    REPLICATION = "REPLICATION"
    PULL_THROUGH_CACHE = "PULL_THROUGH_CACHE"
    CREATE_ON_PUSH = "CREATE_ON_PUSH"


@dataclass(frozen=True, slots=True)
class CreationTemplate:
    """A template.

    Attributes:
        prefix: as it was given, `ROOT` for the one that is for all.
        tags: the resource tags of a repository.
        repository_policy: in ECR's normal form; "" for none.
        policy_bindings: to whom the ARNs belonged that it names, when it was set.
        lifecycle_policy: as it was given; "" for none.
        applied_for: for what it counts.
        role_arn: the role that creates the repositories; "" for the registry itself.
    """

    registry: Registry
    prefix: str
    created_at: Millis
    updated_at: Millis
    description: str = ""
    encryption: Encryption = field(default_factory=Encryption)
    tags: Mapping[str, str] = field(default_factory=dict)
    mutability: TagMutability = field(default_factory=TagMutability)
    repository_policy: str = ""
    policy_bindings: Bindings = field(default_factory=lambda: UNBOUND)
    lifecycle_policy: str = ""
    applied_for: tuple[Scenario, ...] = ()
    role_arn: str = ""

    @property
    def stored_policy(self) -> StoredPolicy:
        """The repository policy as it was set."""
        return StoredPolicy(self.repository_policy, self.policy_bindings)


@dataclass(frozen=True, slots=True)
class Changes:
    """What somebody wants a template to be; None leaves a setting as it is.

    Attributes:
        exclusions: the wildcards of the tags that the mode of mutability excludes.
    """

    description: str | None = None
    encryption: Encryption | None = None
    tags: Mapping[str, str] | None = None
    mode: Mode | None = None
    exclusions: tuple[str, ...] | None = None
    repository_policy: str | None = None
    policy_bindings: Bindings | None = None
    lifecycle_policy: str | None = None
    applied_for: tuple[Scenario, ...] | None = None
    role_arn: str | None = None


def create(
    context: Context, registry: Registry, prefix: str, settings: Changes
) -> CreationTemplate:
    """Make a template; what isn't chosen is as CreateRepository has it.

    Raises:
        TemplateAlreadyExists: the registry has one with this prefix, with or without a slash.
        InvalidParameter, NotBuiltYet: a setting can't be.
        LimitExceeded: a quota is used up.
    """
    now = context.clock()
    template = _changed(context, CreationTemplate(registry, prefix, now, now), settings)
    try:
        with context.database.write() as tx:
            tx.execute(insert(_TABLE).values(_key(registry, prefix) | _columns(template)))
            _check_count(context, tx, registry)
    except IntegrityError:
        raise TemplateAlreadyExists(prefix, registry.account) from None
    return template


def change(context: Context, registry: Registry, prefix: str, changes: Changes) -> CreationTemplate:
    """Change settings of a template; repositories that there are stay as they are.

    Raises:
        TemplateNotFound: there is none with this prefix.
        InvalidParameter, NotBuiltYet: a setting can't be.
    """
    with context.database.write() as tx:
        before = _find(tx, registry, prefix)
        template = _changed(context, replace(before, updated_at=context.clock()), changes)
        tx.execute(update(_TABLE).where(*_named(registry, prefix)).values(_columns(template)))
    return template


def remove(context: Context, registry: Registry, prefix: str) -> CreationTemplate:
    """Delete a template, and return it; repositories that there are stay.

    Raises:
        TemplateNotFound: there is none with this prefix.
    """
    with context.database.write() as tx:
        template = _find(tx, registry, prefix)
        tx.execute(delete(_TABLE).where(*_named(registry, prefix)))
    return template


def list_all(
    context: Context,
    registry: Registry,
    prefixes: Collection[str],
    after: Position | None,
    limit: int,
) -> Slice[CreationTemplate]:
    """Return up to `limit` templates by prefix, `ROOT` first: those named, or else all."""
    query = select(_TABLE).where(*_in(registry)).order_by(_TABLE.c.namespace).limit(limit + 1)
    if prefixes:
        query = query.where(_TABLE.c.namespace.in_([_namespace(each) for each in prefixes]))
    if after is not None:
        query = query.where(_TABLE.c.namespace > after[0])
    with context.database.read() as tx:
        rows = tx.execute(query).all()
    return Slice.of(rows, limit, lambda row: (row.namespace,), _template)


def find_for(
    context: Context, registry: Registry, repository: str, scenario: Scenario
) -> CreationTemplate | None:
    """Return the template for a repository that is to be, or None where no template is."""
    parents = repository.split("/")[:-1]
    namespaces = ["/".join(parents[:depth]) for depth in range(len(parents) + 1)]
    query = select(_TABLE).where(*_in(registry), _TABLE.c.namespace.in_(namespaces))
    with context.database.read() as tx:
        rows = tx.execute(query).all()
    found = [_template(row) for row in sorted(rows, key=lambda row: -len(row.namespace))]
    return next((each for each in found if scenario in each.applied_for), None)


def create_repository(context: Context, name: str, template: CreationTemplate) -> Repository:
    """Make a repository with the settings of a template.

    Raises:
        RepositoryAlreadyExists: there is one of this name.
        LimitExceeded: a quota is used up.
    """
    with context.database.write() as tx:
        repository = repositories.add(
            context,
            tx,
            template.registry,
            name,
            mutability=template.mutability,
            scan_on_push=False,
            encryption=template.encryption,
            tags=template.tags,
        )
        if template.repository_policy:
            repository_policies.write(
                tx, repository.id, template.repository_policy, template.policy_bindings
            )
        if template.lifecycle_policy:
            policy = LifecyclePolicy(normal_form(template.lifecycle_policy))
            lifecycle_policies.write(tx, repository.id, policy)
        return repository


def repositories_of(prefix: str) -> str:
    """Return which repositories a template is for, as the resource of an ARN names them."""
    return "*" if prefix == ROOT else f"{_namespace(prefix)}/*"


def check_role(registry: Registry, arn: str) -> None:
    """Make sure that an ARN can be that of a role which creates repositories of a registry.

    Raises:
        InvalidParameter: it isn't one of a role, or not of the registry's account.
    """
    match = _ROLE_ARN.fullmatch(arn)
    if match is None:
        raise InvalidParameter.at("customRoleArn", "Invalid ARN")
    if match["account"] != registry.account:
        raise InvalidParameter.at(
            "customRoleArn", "The role must be in the same account as the registry"
        )


def _changed(context: Context, template: CreationTemplate, changes: Changes) -> CreationTemplate:
    """Return a template with other settings, which are checked."""
    if changes.encryption is not None:
        repositories.context_of(changes.encryption)
    if changes.tags is not None:
        _check_tags(context, changes.tags)
    if changes.lifecycle_policy:
        parse(changes.lifecycle_policy)
    if changes.role_arn:
        check_role(template.registry, changes.role_arn)
    chosen: dict[str, Any] = {
        name: value
        for name, value in (
            ("description", changes.description),
            ("encryption", changes.encryption),
            ("tags", changes.tags),
            ("mutability", _mutability(template.mutability, changes)),
            ("repository_policy", changes.repository_policy),
            ("policy_bindings", changes.policy_bindings),
            ("lifecycle_policy", changes.lifecycle_policy),
            ("applied_for", changes.applied_for),
            ("role_arn", changes.role_arn),
        )
        if value is not None
    }
    return replace(template, **chosen)


def _mutability(before: TagMutability, changes: Changes) -> TagMutability | None:
    """Return the new mutability; the exclusions of before stay where the mode can have some."""
    if changes.mode is None and changes.exclusions is None:
        return None
    mode = changes.mode or before.mode
    kept = before.exclusions if mode in _WITH_EXCLUSION else ()
    return TagMutability(mode, kept if changes.exclusions is None else changes.exclusions)


def _check_tags(context: Context, tags: Mapping[str, str]) -> None:
    try:
        resource_tags.check_count(context, len(tags))
        resource_tags.check_keys(tags)
    except (InvalidTagParameter, TooManyTags) as error:
        # The words for it are those of operations on repositories alone.
        raise InvalidParameter.at("resourceTags", error.message) from error


def _check_count(context: Context, tx: Connection, registry: Registry) -> None:
    most = context.limits.creation_templates_per_registry
    if tx.execute(select(func.count()).where(*_in(registry))).scalar_one() > most:
        raise LimitExceeded(
            f"The registry with id '{registry.account}' already has {most} repository creation "
            "templates, the most it may have. Delete some or raise the limit "
            "(limits.creation_templates_per_registry)."
        )


def _find(tx: Connection, registry: Registry, prefix: str) -> CreationTemplate:
    """Return a template, which nobody else can change until the transaction ends."""
    row = tx.execute(
        select(_TABLE).where(*_named(registry, prefix)).with_for_update()
    ).one_or_none()
    if row is None:
        raise TemplateNotFound(prefix, registry.account)
    return _template(row)


def _namespace(prefix: str) -> str:
    """Return what the names of a template's repositories begin with, before a slash."""
    return "" if prefix == ROOT else prefix.removesuffix("/")


def _key(registry: Registry, prefix: str) -> dict[str, object]:
    return {
        "account": registry.account,
        "region": registry.region,
        "namespace": _namespace(prefix),
    }


def _in(registry: Registry) -> tuple[ColumnElement[bool], ...]:
    return _TABLE.c.account == registry.account, _TABLE.c.region == registry.region


def _named(registry: Registry, prefix: str) -> tuple[ColumnElement[bool], ...]:
    return *_in(registry), _TABLE.c.namespace == _namespace(prefix)


def _columns(template: CreationTemplate) -> dict[str, object]:
    return {
        "prefix": template.prefix,
        "description": template.description,
        "encryption_type": template.encryption.type,
        "resource_tags": dict(template.tags),
        "tag_mutability": template.mutability.mode.value,
        "tag_mutability_exclusions": list(template.mutability.exclusions),
        "repository_policy": template.repository_policy,
        "policy_bindings": dict(template.policy_bindings),
        "lifecycle_policy": template.lifecycle_policy,
        "applied_for": [scenario.value for scenario in template.applied_for],
        "custom_role_arn": template.role_arn,
        "created_at": template.created_at,
        "updated_at": template.updated_at,
    }


def _template(row: Row[Any]) -> CreationTemplate:
    return CreationTemplate(
        registry=Registry(row.account, row.region),
        prefix=row.prefix,
        created_at=row.created_at,
        updated_at=row.updated_at,
        description=row.description,
        encryption=Encryption(row.encryption_type),
        tags=row.resource_tags,
        mutability=TagMutability(Mode(row.tag_mutability), tuple(row.tag_mutability_exclusions)),
        repository_policy=row.repository_policy,
        policy_bindings=row.policy_bindings or UNBOUND,
        lifecycle_policy=row.lifecycle_policy,
        applied_for=tuple(Scenario(each) for each in row.applied_for),
        role_arn=row.custom_role_arn,
    )
