"""IAM operations on managed policies and their versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.api.iam import descriptions
from longshore.api.iam.listings import Page, whole
from longshore.identity import managed_policies, policy_versions
from longshore.identity.managed_policies import Scope

if TYPE_CHECKING:
    from types_boto3_iam import type_defs as iam

    from longshore.api.aws.calls import Call, Output


def create_policy(call: Call, request: iam.CreatePolicyRequestTypeDef) -> Output:
    """CreatePolicy."""
    policy = managed_policies.create(
        call.context,
        call.caller.account,
        request["PolicyName"],
        request["PolicyDocument"],
        path=request.get("Path", "/"),
        description=request.get("Description", ""),
        tags=descriptions.pairs(request.get("Tags", ())),
    )
    return {"Policy": descriptions.whole_policy(policy)}


def get_policy(call: Call, request: iam.GetPolicyRequestTypeDef) -> Output:
    """GetPolicy."""
    policy = managed_policies.get(call.context, call.caller.account, request["PolicyArn"])
    return {"Policy": descriptions.whole_policy(policy)}


def list_policies(call: Call, request: iam.ListPoliciesRequestTypeDef) -> Output:
    """ListPolicies."""
    page = Page.of(call, "ListPolicies", request)
    found = managed_policies.list_all(
        call.context,
        call.caller.account,
        scope=Scope(request.get("Scope", "All")),
        only_attached=request.get("OnlyAttached", False),
        path_prefix=request.get("PathPrefix", "/"),
        only_boundaries=request.get("PolicyUsageFilter") == "PermissionsBoundary",
        after=page.after,
        limit=page.limit,
    )
    return page.listed(call, "Policies", found, descriptions.policy)


def delete_policy(call: Call, request: iam.DeletePolicyRequestTypeDef) -> Output:
    """DeletePolicy."""
    managed_policies.remove(call.context, call.caller.account, request["PolicyArn"])
    return {}


def create_policy_version(call: Call, request: iam.CreatePolicyVersionRequestTypeDef) -> Output:
    """CreatePolicyVersion."""
    version = policy_versions.create(
        call.context,
        call.caller.account,
        request["PolicyArn"],
        request["PolicyDocument"],
        is_default=request.get("SetAsDefault", False),
    )
    return {"PolicyVersion": descriptions.version(version)}


def get_policy_version(call: Call, request: iam.GetPolicyVersionRequestTypeDef) -> Output:
    """GetPolicyVersion."""
    version = policy_versions.get(
        call.context, call.caller.account, request["PolicyArn"], request["VersionId"]
    )
    return {"PolicyVersion": descriptions.whole_version(version)}


def list_policy_versions(call: Call, request: iam.ListPolicyVersionsRequestTypeDef) -> Output:
    """ListPolicyVersions: a policy has five at most, so that there is no second page."""
    found = policy_versions.list_all(call.context, call.caller.account, request["PolicyArn"])
    return whole("Versions", [descriptions.version(version) for version in found])


def set_default_policy_version(
    call: Call, request: iam.SetDefaultPolicyVersionRequestTypeDef
) -> Output:
    """SetDefaultPolicyVersion."""
    policy_versions.set_default(
        call.context, call.caller.account, request["PolicyArn"], request["VersionId"]
    )
    return {}


def delete_policy_version(call: Call, request: iam.DeletePolicyVersionRequestTypeDef) -> Output:
    """DeletePolicyVersion."""
    policy_versions.remove(
        call.context, call.caller.account, request["PolicyArn"], request["VersionId"]
    )
    return {}
