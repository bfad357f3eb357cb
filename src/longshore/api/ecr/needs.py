"""What operations need: for each, the resources that its IAM action is done to.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon Elastic
Container Registry". The ECR user guide says what has no policy but the caller's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.api.ecr.repositories import resource_of, tags_of
from longshore.identity import condition_keys
from longshore.identity.authorization import Need

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from longshore.api.ecr.calls import Call
    from longshore.identity.condition_keys import Values


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
    values = _values_of_tags(tags_of(request["tags"]))
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
            values=_values_of_tags(tags),
        )


def _values_of_tags(tags: Mapping[str, str]) -> Values:
    if not tags:
        return {}
    return {**condition_keys.of_tags("aws:requesttag/", tags), "aws:tagkeys": tuple(tags)}
