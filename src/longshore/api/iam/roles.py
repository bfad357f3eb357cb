"""IAM operations on roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.api.iam import descriptions
from longshore.api.iam.listings import Page, whole
from longshore.identity import roles
from longshore.identity.roles import DEFAULT_SESSION_SECONDS

if TYPE_CHECKING:
    from types_boto3_iam import type_defs as iam

    from longshore.api.aws.calls import Call, Output


def create_role(call: Call, request: iam.CreateRoleRequestTypeDef) -> Output:
    """CreateRole."""
    role = roles.create(
        call.context,
        call.caller.account,
        request["RoleName"],
        request["AssumeRolePolicyDocument"],
        path=request.get("Path", "/"),
        description=request.get("Description", ""),
        max_session_seconds=request.get("MaxSessionDuration", DEFAULT_SESSION_SECONDS),
        boundary=request.get("PermissionsBoundary"),
        tags=descriptions.pairs(request.get("Tags", ())),
    )
    return {"Role": descriptions.whole_role(role)}


def get_role(call: Call, request: iam.GetRoleRequestTypeDef) -> Output:
    """GetRole."""
    role = roles.describe(call.context, call.caller.account, request["RoleName"])
    # Nobody keeps a record of when a role was used, and an empty one is what IAM shows then.
    return {"Role": descriptions.whole_role(role) | {"RoleLastUsed": {}}}


def list_roles(call: Call, request: iam.ListRolesRequestTypeDef) -> Output:
    """ListRoles."""
    page = Page.of(call, "ListRoles", request)
    found = roles.list_all(
        call.context,
        call.caller.account,
        path_prefix=request.get("PathPrefix", "/"),
        after=page.after,
        limit=page.limit,
    )
    return page.listed(call, "Roles", found, descriptions.role)


def update_role(call: Call, request: iam.UpdateRoleRequestTypeDef) -> Output:
    """UpdateRole."""
    roles.change(
        call.context,
        call.caller.account,
        request["RoleName"],
        description=request.get("Description"),
        max_session_seconds=request.get("MaxSessionDuration"),
    )
    return {}


def update_role_description(call: Call, request: iam.UpdateRoleDescriptionRequestTypeDef) -> Output:
    """UpdateRoleDescription."""
    account, name = call.caller.account, request["RoleName"]
    roles.change(call.context, account, name, description=request["Description"])
    return {"Role": descriptions.whole_role(roles.describe(call.context, account, name))}


def update_assume_role_policy(
    call: Call, request: iam.UpdateAssumeRolePolicyRequestTypeDef
) -> Output:
    """UpdateAssumeRolePolicy."""
    roles.put_trust_policy(
        call.context, call.caller.account, request["RoleName"], request["PolicyDocument"]
    )
    return {}


def delete_role(call: Call, request: iam.DeleteRoleRequestTypeDef) -> Output:
    """DeleteRole."""
    roles.remove(call.context, call.caller.account, request["RoleName"])
    return {}


def list_instance_profiles_for_role(
    call: Call, request: iam.ListInstanceProfilesForRoleRequestTypeDef
) -> Output:
    """ListInstanceProfilesForRole: there are no instances, and so no profiles of them."""
    roles.get(call.context, call.caller.account, request["RoleName"])
    return whole("InstanceProfiles", [])
