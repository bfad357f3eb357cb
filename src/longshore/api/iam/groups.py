"""IAM operations on groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.api.iam import descriptions
from longshore.api.iam.listings import Page
from longshore.identity import groups

if TYPE_CHECKING:
    from types_boto3_iam import type_defs as iam

    from longshore.api.aws.calls import Call, Output


def create_group(call: Call, request: iam.CreateGroupRequestTypeDef) -> Output:
    """CreateGroup."""
    group = groups.create(
        call.context,
        call.caller.account,
        request["GroupName"],
        path=request.get("Path", "/"),
    )
    return {"Group": descriptions.identity(group)}


def get_group(call: Call, request: iam.GetGroupRequestTypeDef) -> Output:
    """GetGroup."""
    page = Page.of(call, "GetGroup", request)
    found = groups.get(
        call.context,
        call.caller.account,
        request["GroupName"],
        after=page.after,
        limit=page.limit,
    )
    listed = page.listed(call, "Users", found.users, descriptions.identity)
    return {"Group": descriptions.identity(found.group), **listed}


def list_groups(call: Call, request: iam.ListGroupsRequestTypeDef) -> Output:
    """ListGroups."""
    page = Page.of(call, "ListGroups", request)
    found = groups.list_all(
        call.context,
        call.caller.account,
        path_prefix=request.get("PathPrefix", "/"),
        after=page.after,
        limit=page.limit,
    )
    return page.listed(call, "Groups", found, descriptions.identity)


def list_groups_for_user(call: Call, request: iam.ListGroupsForUserRequestTypeDef) -> Output:
    """ListGroupsForUser."""
    page = Page.of(call, "ListGroupsForUser", request)
    found = groups.list_of_user(
        call.context,
        call.caller.account,
        request["UserName"],
        after=page.after,
        limit=page.limit,
    )
    return page.listed(call, "Groups", found, descriptions.identity)


def update_group(call: Call, request: iam.UpdateGroupRequestTypeDef) -> Output:
    """UpdateGroup."""
    groups.rename(
        call.context,
        call.caller.account,
        request["GroupName"],
        new_name=request.get("NewGroupName"),
        new_path=request.get("NewPath"),
    )
    return {}


def delete_group(call: Call, request: iam.DeleteGroupRequestTypeDef) -> Output:
    """DeleteGroup."""
    groups.remove(call.context, call.caller.account, request["GroupName"])
    return {}


def add_user_to_group(call: Call, request: iam.AddUserToGroupRequestTypeDef) -> Output:
    """AddUserToGroup."""
    groups.add(call.context, call.caller.account, request["GroupName"], request["UserName"])
    return {}


def remove_user_from_group(call: Call, request: iam.RemoveUserFromGroupRequestTypeDef) -> Output:
    """RemoveUserFromGroup."""
    groups.discard(call.context, call.caller.account, request["GroupName"], request["UserName"])
    return {}
