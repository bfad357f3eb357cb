"""IAM operations on inline policies: the same four for users, groups and roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.api.iam.descriptions import document
from longshore.api.iam.listings import Page
from longshore.identity import inline_policies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.api.aws.calls import Call, Output
    from longshore.identity.kinds import Kind


def put(kind: Kind, call: Call, request: Mapping[str, Any]) -> Output:
    """PutUserPolicy, PutGroupPolicy, PutRolePolicy."""
    inline_policies.put(
        call.context,
        call.caller.account,
        kind,
        request[f"{kind.title}Name"],
        request["PolicyName"],
        document=request["PolicyDocument"],
    )
    return {}


def get(kind: Kind, call: Call, request: Mapping[str, Any]) -> Output:
    """GetUserPolicy, GetGroupPolicy, GetRolePolicy."""
    name, policy = request[f"{kind.title}Name"], request["PolicyName"]
    text = inline_policies.get(call.context, call.caller.account, kind, name, policy)
    return {f"{kind.title}Name": name, "PolicyName": policy, "PolicyDocument": document(text)}


def list_all(kind: Kind, call: Call, request: Mapping[str, Any]) -> Output:
    """ListUserPolicies, ListGroupPolicies, ListRolePolicies."""
    page = Page.of(call, f"List{kind.title}Policies", request)
    found = inline_policies.list_all(
        call.context,
        call.caller.account,
        kind,
        request[f"{kind.title}Name"],
        after=page.after,
        limit=page.limit,
    )
    return page.listed(call, "PolicyNames", found, str)


def delete(kind: Kind, call: Call, request: Mapping[str, Any]) -> Output:
    """DeleteUserPolicy, DeleteGroupPolicy, DeleteRolePolicy."""
    inline_policies.remove(
        call.context,
        call.caller.account,
        kind,
        request[f"{kind.title}Name"],
        request["PolicyName"],
    )
    return {}
