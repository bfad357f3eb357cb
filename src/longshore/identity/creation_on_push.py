"""Creation on push: a repository comes to be by the first push to it.

Whoever pushes needs no permission to create repositories, but only those of a push. The registry
creates the repository itself, or in the role that the template names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from longshore.errors import AccessDenied, RepositoryAlreadyExists, RepositoryNotFound
from longshore.identity import authorization, condition_keys, sessions
from longshore.identity.authorization import Need, Surroundings
from longshore.registry import creation_templates, repositories
from longshore.registry.creation_templates import Scenario
from longshore.registry.mutability import TagMutability
from longshore.registry.repositories import Encryption

if TYPE_CHECKING:
    from longshore.identity.principals import Principal
    from longshore.names import Registry
    from longshore.registry.context import Context
    from longshore.registry.creation_templates import CreationTemplate
    from longshore.registry.repositories import Repository

SERVICE = "ecr.amazonaws.com"
_SESSION = "ECR-RepositoryCreation"


@dataclass(frozen=True, slots=True)
class Creation:
    """A repository that came to be by a push.

    Attributes:
        repository: the repository.
        template: whose settings it has, or None for the default ones.
        role: in which role it was created, or None for the registry itself.
    """

    repository: Repository
    template: CreationTemplate | None = None
    role: Principal | None = None


def create(context: Context, registry: Registry, name: str) -> Creation | None:
    """Create the repository that somebody pushes to, who may, and that wasn't there.

    Returns:
        What was created, or None where another push has been quicker.

    Raises:
        RepositoryNotFound: repositories of this name aren't created on push.
        AccessDenied: the template's role may not create it, or the template needs one.
        LimitExceeded: a quota is used up.
    """
    template = creation_templates.find_for(context, registry, name, Scenario.CREATE_ON_PUSH)
    if template is None and not context.creates_on_push:
        raise RepositoryNotFound(name, registry.account)
    try:
        if template is None:
            return Creation(_create_default(context, registry, name))
        role = _role(context, template, name)
        return Creation(
            creation_templates.create_repository(context, name, template), template, role
        )
    except RepositoryAlreadyExists:
        return None


def _create_default(context: Context, registry: Registry, name: str) -> Repository:
    return repositories.create(
        context,
        registry,
        name,
        mutability=TagMutability(),
        scan_on_push=False,
        encryption=Encryption(),
        tags={},
    )


def _role(context: Context, template: CreationTemplate, name: str) -> Principal | None:
    """Return the role that creates a repository, if it isn't the registry itself.

    Raises:
        AccessDenied: the role doesn't trust the registry or may not create the repository, or
            there should be one.
    """
    registry, tags = template.registry, template.tags
    if not template.role_arn:
        if tags and context.dialect.tagging_takes_role:
            raise AccessDenied(
                f"The repository with name '{name}' can't be created: the repository creation "
                f"template with the prefix '{template.prefix}' sets resource tags and names no "
                "role that may. Give it a customRoleArn."
            )
        return None
    role = sessions.assume_role_as_service(context, SERVICE, template.role_arn, _SESSION)
    for action in ("ecr:CreateRepository", *(["ecr:TagResource"] if tags else [])):
        need = Need(
            action,
            registry.repository_arn(name),
            registry,
            values=condition_keys.of_requested_tags(tags),
        )
        authorization.require(context, role, need, Surroundings(registry.region))
    return role
