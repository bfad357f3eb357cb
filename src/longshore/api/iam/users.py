"""IAM operations on users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.api.iam import descriptions
from longshore.api.iam.listings import Page
from longshore.api.iam.names import user_name
from longshore.clock import as_datetime
from longshore.identity import users

if TYPE_CHECKING:
    from types_boto3_iam import type_defs as iam

    from longshore.api.aws.calls import Call, Output


def create_user(call: Call, request: iam.CreateUserRequestTypeDef) -> Output:
    """CreateUser."""
    user = users.create(
        call.context,
        call.caller.account,
        request["UserName"],
        path=request.get("Path", "/"),
        boundary=request.get("PermissionsBoundary"),
        tags=descriptions.pairs(request.get("Tags", ())),
    )
    return {"User": descriptions.whole_identity(user)}


def get_user(call: Call, request: iam.GetUserRequestTypeDef) -> Output:
    """GetUser."""
    name = user_name(call, request)
    if name is None:
        return {"User": _root(call)}
    user = users.get(call.context, call.caller.account, name)
    return {"User": descriptions.whole_identity(user)}


def list_users(call: Call, request: iam.ListUsersRequestTypeDef) -> Output:
    """ListUsers."""
    page = Page.of(call, "ListUsers", request)
    found = users.list_all(
        call.context,
        call.caller.account,
        path_prefix=request.get("PathPrefix", "/"),
        after=page.after,
        limit=page.limit,
    )
    return page.listed(call, "Users", found, descriptions.identity)


def update_user(call: Call, request: iam.UpdateUserRequestTypeDef) -> Output:
    """UpdateUser."""
    users.rename(
        call.context,
        call.caller.account,
        request["UserName"],
        new_name=request.get("NewUserName"),
        new_path=request.get("NewPath"),
    )
    return {}


def delete_user(call: Call, request: iam.DeleteUserRequestTypeDef) -> Output:
    """DeleteUser."""
    users.remove(call.context, call.caller.account, request["UserName"])
    return {}


def _root(call: Call) -> Output:
    """Return the root user of an account, which isn't in the database."""
    return {
        "Path": "/",
        "UserName": "root",
        "UserId": call.caller.account,
        "Arn": call.caller.arn,
        "CreateDate": as_datetime(0),
    }
