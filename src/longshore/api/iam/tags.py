"""IAM operations on tags: the same three for users, roles and managed policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.api.iam import descriptions
from longshore.api.iam.listings import whole
from longshore.identity import identities, managed_policies, roles, users

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_iam import type_defs as iam

    from longshore.api.aws.calls import Call, Output
    from longshore.identity.kinds import Kind


def tag(kind: Kind, call: Call, request: Mapping[str, Any]) -> Output:
    """TagUser, TagRole."""
    name, tags = request[f"{kind.title}Name"], descriptions.pairs(request["Tags"])
    identities.tag(call.context, call.caller.account, kind, name, tags)
    return {}


def untag(kind: Kind, call: Call, request: Mapping[str, Any]) -> Output:
    """UntagUser, UntagRole."""
    name = request[f"{kind.title}Name"]
    identities.untag(call.context, call.caller.account, kind, name, request["TagKeys"])
    return {}


def list_user_tags(call: Call, request: iam.ListUserTagsRequestTypeDef) -> Output:
    """ListUserTags: there are fifty at most, so that there is no second page."""
    user = users.get(call.context, call.caller.account, request["UserName"])
    return whole("Tags", descriptions.tags(user.tags))


def list_role_tags(call: Call, request: iam.ListRoleTagsRequestTypeDef) -> Output:
    """ListRoleTags: there are fifty at most, so that there is no second page."""
    role = roles.get(call.context, call.caller.account, request["RoleName"])
    return whole("Tags", descriptions.tags(role.identity.tags))


def tag_policy(call: Call, request: iam.TagPolicyRequestTypeDef) -> Output:
    """TagPolicy."""
    tags = descriptions.pairs(request["Tags"])
    managed_policies.tag(call.context, call.caller.account, request["PolicyArn"], tags)
    return {}


def untag_policy(call: Call, request: iam.UntagPolicyRequestTypeDef) -> Output:
    """UntagPolicy."""
    keys = request["TagKeys"]
    managed_policies.untag(call.context, call.caller.account, request["PolicyArn"], keys)
    return {}


def list_policy_tags(call: Call, request: iam.ListPolicyTagsRequestTypeDef) -> Output:
    """ListPolicyTags: there are fifty at most, so that there is no second page."""
    policy = managed_policies.get(call.context, call.caller.account, request["PolicyArn"])
    return whole("Tags", descriptions.tags(policy.tags))
