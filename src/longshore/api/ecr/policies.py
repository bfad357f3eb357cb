"""ECR operations on the policies of repositories and of the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.identity import resource_policies
from longshore.registry import registry_policies, repository_policies

if TYPE_CHECKING:
    from types_boto3_ecr import type_defs as ecr

    from longshore.api.ecr.calls import Call, Output


def set_repository_policy(call: Call, request: ecr.SetRepositoryPolicyRequestTypeDef) -> Output:
    """SetRepositoryPolicy."""
    registry, name = call.registry(request.get("registryId")), request["repositoryName"]
    text = resource_policies.set_on_repository(
        call.context,
        registry,
        name,
        request["policyText"],
        principal=call.principal,
        surroundings=call.surroundings,
        force=request.get("force", False),
    )
    return {"registryId": registry.account, "repositoryName": name, "policyText": text}


def get_repository_policy(call: Call, request: ecr.GetRepositoryPolicyRequestTypeDef) -> Output:
    """GetRepositoryPolicy."""
    registry, name = call.registry(request.get("registryId")), request["repositoryName"]
    text = resource_policies.of_repository(call.context, registry, name)
    return {"registryId": registry.account, "repositoryName": name, "policyText": text}


def delete_repository_policy(
    call: Call, request: ecr.DeleteRepositoryPolicyRequestTypeDef
) -> Output:
    """DeleteRepositoryPolicy."""
    registry, name = call.registry(request.get("registryId")), request["repositoryName"]
    text = repository_policies.remove(call.context, registry, name)
    return {"registryId": registry.account, "repositoryName": name, "policyText": text}


def put_registry_policy(call: Call, request: ecr.PutRegistryPolicyRequestTypeDef) -> Output:
    """PutRegistryPolicy."""
    registry = call.own_registry
    text = resource_policies.put_on_registry(call.context, registry, request["policyText"])
    return {"registryId": registry.account, "policyText": text}


def get_registry_policy(call: Call, _request: object) -> Output:
    """GetRegistryPolicy."""
    registry = call.own_registry
    text = resource_policies.of_registry(call.context, registry)
    return {"registryId": registry.account, "policyText": text}


def delete_registry_policy(call: Call, _request: object) -> Output:
    """DeleteRegistryPolicy."""
    registry = call.own_registry
    text = registry_policies.remove(call.context, registry)
    return {"registryId": registry.account, "policyText": text}
