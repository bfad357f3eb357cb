"""What operations need: for each, the resources that its IAM action is done to.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon Elastic
Container Registry". The ECR user guide says what has no policy but the caller's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.api.ecr.repositories import resource_of, tags_of
from longshore.identity import condition_keys
from longshore.identity.authorization import Need
from longshore.identity.creation_on_push import SERVICE
from longshore.registry import creation_templates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from longshore.api.ecr.calls import Call
    from longshore.names import Registry


def of_the_caller(action: str, _call: Call, _request: object) -> Iterable[Need]:
    """Only the caller's own policies have a say."""
    yield Need(action)


def on_the_registry(action: str, call: Call, _request: object) -> Iterable[Need]:
    """The action knows no resources: it is allowed in a registry, or not."""
    yield Need(action, registry=call.own_registry)


def on_a_setting(action: str, call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """The same, and policies may ask which setting it is."""
    values = {"ecr:accountsetting": (request["name"],)}
    yield Need(action, registry=call.own_registry, values=values)


def on_the_repository(action: str, call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """The action is done to the repository that the request names."""
    registry = call.registry(request.get("registryId"))
    yield Need.on(registry, request["repositoryName"], action)


def on_the_repositories(action: str, call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """The action is done to every repository named, or else to all that there are."""
    registry = call.registry(request.get("registryId"))
    names = request.get("repositoryNames")
    if not names:
        yield Need.on_all(registry, action)
    for name in names or ():
        yield Need.on(registry, name, action)


def on_the_resource(action: str, call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """The action is done to the repository that the request names by its ARN."""
    yield Need.on(*resource_of(call, request), action)


def to_tag(action: str, call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """The same, and policies may ask which tags it gets."""
    values = condition_keys.of_requested_tags(tags_of(request["tags"]))
    yield Need.on(*resource_of(call, request), action, values)


def to_untag(action: str, call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """The same, and policies may ask which tags it loses."""
    values = {"aws:tagkeys": tuple(request["tagKeys"])}
    yield Need.on(*resource_of(call, request), action, values)


def to_create(action: str, call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """The action makes a repository: one with tags needs the permission to tag it, too.

    The policy and the tags of a repository that is there already have no say.
    """
    registry = call.registry(request.get("registryId"))
    tags = tags_of(request.get("tags", ()))
    actions = (action, "ecr:TagResource") if tags else (action,)
    for each in actions:
        yield Need(
            each,
            registry.repository_arn(request["repositoryName"]),
            registry,
            values=condition_keys.of_requested_tags(tags),
        )


def to_make_templates(action: str, call: Call, request: Mapping[str, Any]) -> Iterable[Need]:
    """Who says how repositories are created needs what they would need to create them so."""
    registry = call.own_registry
    yield Need(action, registry=registry)
    yield from _to_create_later(registry, request)
    if role := request.get("customRoleArn"):
        creation_templates.check_role(registry, role)
        yield Need("iam:PassRole", role, values={"iam:passedtoservice": (SERVICE,)})


def _to_create_later(registry: Registry, request: Mapping[str, Any]) -> Iterator[Need]:
    repositories = creation_templates.repositories_of(request["prefix"])
    arn = registry.repository_arn(repositories)
    tags = tags_of(request.get("resourceTags", ()))
    yield Need("ecr:CreateRepository", arn, registry, values=condition_keys.of_requested_tags(tags))
    if request.get("repositoryPolicy"):
        yield Need("ecr:SetRepositoryPolicy", arn, registry)
    if request.get("lifecyclePolicy"):
        yield Need("ecr:PutLifecyclePolicy", arn, registry)
