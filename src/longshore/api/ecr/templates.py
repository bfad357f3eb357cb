"""ECR operations on repository creation templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.access.policy.documents import Grammar
from longshore.access.policy.principals import UNBOUND, Bindings
from longshore.api.ecr.calls import DEFAULT_PAGE, Call, Output
from longshore.api.ecr.repositories import mutability_members, tags_of
from longshore.clock import as_datetime
from longshore.identity import resource_policies
from longshore.registry import creation_templates
from longshore.registry.creation_templates import Changes, Scenario
from longshore.registry.mutability import Mode
from longshore.registry.repositories import Encryption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from types_boto3_ecr import type_defs as ecr

    from longshore.registry.creation_templates import CreationTemplate


def create(call: Call, request: ecr.CreateRepositoryCreationTemplateRequestTypeDef) -> Output:
    """CreateRepositoryCreationTemplate."""
    template = creation_templates.create(
        call.context, call.own_registry, request["prefix"], _changes(call, request)
    )
    return _shown(call, template)


def describe(call: Call, request: ecr.DescribeRepositoryCreationTemplatesRequestTypeDef) -> Output:
    """DescribeRepositoryCreationTemplates."""
    registry, prefixes = call.own_registry, list(request.get("prefixes", ()))
    listing = f"DescribeRepositoryCreationTemplates {registry} {prefixes}"
    page = call.read_page(listing, request, DEFAULT_PAGE)
    listed = creation_templates.list_all(call.context, registry, prefixes, page.after, page.limit)
    return {
        "registryId": registry.account,
        "repositoryCreationTemplates": _templates(call, listed.items),
        "nextToken": call.next_token(page, listed.next),
    }


def update(call: Call, request: ecr.UpdateRepositoryCreationTemplateRequestTypeDef) -> Output:
    """UpdateRepositoryCreationTemplate."""
    template = creation_templates.change(
        call.context, call.own_registry, request["prefix"], _changes(call, request)
    )
    return _shown(call, template)


def delete(call: Call, request: ecr.DeleteRepositoryCreationTemplateRequestTypeDef) -> Output:
    """DeleteRepositoryCreationTemplate."""
    template = creation_templates.remove(call.context, call.own_registry, request["prefix"])
    return _shown(call, template)


def _changes(call: Call, request: Mapping[str, Any]) -> Changes:
    """Return what a request says of a template; what it leaves out is None."""
    encryption, tags = request.get("encryptionConfiguration"), request.get("resourceTags")
    mode, policy = request.get("imageTagMutability"), request.get("repositoryPolicy")
    filters = request.get("imageTagMutabilityExclusionFilters")
    applied_for = request.get("appliedFor")
    bindings: Bindings | None = None if policy is None else UNBOUND
    if policy:
        document = resource_policies.read(call.context, policy, Grammar.REPOSITORY)
        policy, bindings = document.text, document.bindings
    return Changes(
        description=request.get("description"),
        encryption=encryption
        and Encryption(encryption["encryptionType"], encryption.get("kmsKey") or None),
        tags=None if tags is None else tags_of(tags),
        mode=mode and Mode(mode),
        exclusions=None if filters is None else tuple(each["filter"] for each in filters),
        repository_policy=policy,
        policy_bindings=bindings,
        lifecycle_policy=request.get("lifecyclePolicy"),
        applied_for=None
        if applied_for is None
        else tuple(dict.fromkeys(Scenario(each) for each in applied_for)),
        role_arn=request.get("customRoleArn"),
    )


def _shown(call: Call, template: CreationTemplate) -> Output:
    [shown] = _templates(call, [template])
    return {
        "registryId": template.registry.account,
        "repositoryCreationTemplate": shown,
    }


def _templates(call: Call, templates: Sequence[CreationTemplate]) -> list[Output]:
    policies = resource_policies.shown(call.context, [each.stored_policy for each in templates])
    return [_template(each, policy) for each, policy in zip(templates, policies, strict=True)]


def _template(template: CreationTemplate, policy: str) -> Output:
    return {
        "prefix": template.prefix,
        "description": template.description or None,
        "encryptionConfiguration": {"encryptionType": template.encryption.type},
        "resourceTags": [{"Key": key, "Value": value} for key, value in template.tags.items()],
        **mutability_members(template.mutability),
        "repositoryPolicy": policy or None,
        "lifecyclePolicy": template.lifecycle_policy or None,
        "appliedFor": [scenario.value for scenario in template.applied_for],
        "customRoleArn": template.role_arn or None,
        "createdAt": as_datetime(template.created_at),
        "updatedAt": as_datetime(template.updated_at),
    }
