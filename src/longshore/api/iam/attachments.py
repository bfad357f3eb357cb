"""IAM operations on who has which managed policy, and whom one bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.api.iam.listings import Page
from longshore.identity import attachments, boundaries
from longshore.identity.attachments import Usage
from longshore.identity.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_iam import type_defs as iam

    from longshore.api.aws.calls import Call, Output
    from longshore.identity.attachments import AttachedPolicy


def attach(kind: Kind, call: Call, request: Mapping[str, Any]) -> Output:
    """AttachUserPolicy, AttachGroupPolicy, AttachRolePolicy."""
    name = request[f"{kind.title}Name"]
    attachments.attach(call.context, call.caller.account, kind, name, request["PolicyArn"])
    return {}


def detach(kind: Kind, call: Call, request: Mapping[str, Any]) -> Output:
    """DetachUserPolicy, DetachGroupPolicy, DetachRolePolicy."""
    name = request[f"{kind.title}Name"]
    attachments.detach(call.context, call.caller.account, kind, name, request["PolicyArn"])
    return {}


def list_all(kind: Kind, call: Call, request: Mapping[str, Any]) -> Output:
    """ListAttachedUserPolicies, ListAttachedGroupPolicies, ListAttachedRolePolicies."""
    page = Page.of(call, f"ListAttached{kind.title}Policies", request)
    found = attachments.list_all(
        call.context,
        call.caller.account,
        kind,
        request[f"{kind.title}Name"],
        path_prefix=request.get("PathPrefix", "/"),
        after=page.after,
        limit=page.limit,
    )
    return page.listed(call, "AttachedPolicies", found, _attached)


def list_entities_for_policy(
    call: Call, request: iam.ListEntitiesForPolicyRequestTypeDef
) -> Output:
    """ListEntitiesForPolicy."""
    page = Page.of(call, "ListEntitiesForPolicy", request)
    usage, wanted = request.get("PolicyUsageFilter"), request.get("EntityFilter")
    # No policy has a policy.
    no_entities = wanted in {"LocalManagedPolicy", "AWSManagedPolicy"}
    found = attachments.list_entities(
        call.context,
        call.caller.account,
        request["PolicyArn"],
        kind=None if wanted is None or no_entities else Kind(wanted.lower()),
        usage=None if usage is None else Usage(usage),
        path_prefix=request.get("PathPrefix", "/"),
        after=page.after,
        limit=0 if no_entities else page.limit,
    )
    of_kinds = {
        f"Policy{each.title}s": [
            {f"{each.title}Name": entity.name, f"{each.title}Id": entity.id}
            for entity in found.items
            if entity.kind is each
        ]
        for each in Kind
    }
    return of_kinds | page.end(call, found)


def put_boundary(kind: Kind, call: Call, request: Mapping[str, Any]) -> Output:
    """PutUserPermissionsBoundary, PutRolePermissionsBoundary."""
    name, arn = request[f"{kind.title}Name"], request["PermissionsBoundary"]
    boundaries.put(call.context, call.caller.account, kind, name, arn)
    return {}


def delete_boundary(kind: Kind, call: Call, request: Mapping[str, Any]) -> Output:
    """DeleteUserPermissionsBoundary, DeleteRolePermissionsBoundary."""
    boundaries.remove(call.context, call.caller.account, kind, request[f"{kind.title}Name"])
    return {}


def _attached(policy: AttachedPolicy) -> Output:
    return {"PolicyName": policy.name, "PolicyArn": policy.arn}
