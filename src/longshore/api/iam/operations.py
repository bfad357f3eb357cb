"""The operations of the IAM API: what answers each, and what its caller needs for it.

Operations of the service model that aren't in the table aren't built and say so.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from longshore.api.aws.operations import Handler, Needs, Operation
from longshore.api.iam import (
    absent,
    access_keys,
    account,
    attachments,
    groups,
    inline_policies,
    managed_policies,
    needs,
    openid_providers,
    roles,
    simulation,
    tags,
    users,
)
from longshore.identity.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

Rows: TypeAlias = "Mapping[str, tuple[Handler, Needs]]"

_USERS: Rows = {
    "CreateUser": (users.create_user, partial(needs.to_create, Kind.USER)),
    "GetUser": (users.get_user, needs.on_user),
    "ListUsers": (users.list_users, partial(needs.to_list, "user")),
    "UpdateUser": (users.update_user, partial(needs.to_rename, Kind.USER)),
    "DeleteUser": (users.delete_user, needs.on_user),
    "ListUserTags": (tags.list_user_tags, needs.on_user),
    "CreateAccessKey": (access_keys.create_access_key, needs.on_user),
    "ListAccessKeys": (access_keys.list_access_keys, needs.on_user),
    "GetAccessKeyLastUsed": (access_keys.get_access_key_last_used, needs.on_user_of_key),
    "UpdateAccessKey": (access_keys.update_access_key, needs.on_user),
    "DeleteAccessKey": (access_keys.delete_access_key, needs.on_user),
    "ListGroupsForUser": (groups.list_groups_for_user, needs.on_user),
    # what nobody has here
    "GetLoginProfile": (absent.get_login_profile, needs.on_user),
    "DeleteLoginProfile": (absent.delete_login_profile, needs.on_user),
    **{
        f"List{name}": (partial(absent.nothing_of_user, member), needs.on_user)
        for name, member in (
            ("MFADevices", "MFADevices"),
            ("SSHPublicKeys", "SSHPublicKeys"),
            ("ServiceSpecificCredentials", "ServiceSpecificCredentials"),
            ("SigningCertificates", "Certificates"),
        )
    },
}

_GROUPS: Rows = {
    "CreateGroup": (groups.create_group, partial(needs.to_create, Kind.GROUP)),
    "GetGroup": (groups.get_group, partial(needs.on, Kind.GROUP)),
    "ListGroups": (groups.list_groups, partial(needs.to_list, "group")),
    "UpdateGroup": (groups.update_group, partial(needs.to_rename, Kind.GROUP)),
    "DeleteGroup": (groups.delete_group, partial(needs.on, Kind.GROUP)),
    "AddUserToGroup": (groups.add_user_to_group, needs.on_membership),
    "RemoveUserFromGroup": (groups.remove_user_from_group, needs.on_membership),
}

_ROLES: Rows = {
    "CreateRole": (roles.create_role, partial(needs.to_create, Kind.ROLE)),
    "ListRoles": (roles.list_roles, partial(needs.to_list, "role")),
    **{
        name: (handler, partial(needs.on, Kind.ROLE))
        for name, handler in (
            ("GetRole", roles.get_role),
            ("UpdateRole", roles.update_role),
            ("UpdateRoleDescription", roles.update_role_description),
            ("UpdateAssumeRolePolicy", roles.update_assume_role_policy),
            ("DeleteRole", roles.delete_role),
            ("ListRoleTags", tags.list_role_tags),
            ("ListInstanceProfilesForRole", roles.list_instance_profiles_for_role),
        )
    },
}

_OF_ALL_KINDS: Rows = {
    name.format(kind.title): (partial(handler, kind), partial(needs.on, kind))
    for kind in Kind
    for name, handler in (
        ("Put{}Policy", inline_policies.put),
        ("Get{}Policy", inline_policies.get),
        ("List{}Policies", inline_policies.list_all),
        ("Delete{}Policy", inline_policies.delete),
        ("Attach{}Policy", attachments.attach),
        ("Detach{}Policy", attachments.detach),
        ("ListAttached{}Policies", attachments.list_all),
    )
}

_OF_USERS_AND_ROLES: Rows = {
    name.format(kind.title): (partial(handler, kind), partial(needs.on, kind))
    for kind in (Kind.USER, Kind.ROLE)
    for name, handler in (
        ("Put{}PermissionsBoundary", attachments.put_boundary),
        ("Delete{}PermissionsBoundary", attachments.delete_boundary),
        ("Tag{}", tags.tag),
        ("Untag{}", tags.untag),
    )
}

_POLICIES: Rows = {
    "CreatePolicy": (managed_policies.create_policy, needs.to_create_policy),
    "ListPolicies": (managed_policies.list_policies, partial(needs.to_list, "policy")),
    **{
        name: (handler, needs.on_policy)
        for name, handler in (
            ("GetPolicy", managed_policies.get_policy),
            ("DeletePolicy", managed_policies.delete_policy),
            ("CreatePolicyVersion", managed_policies.create_policy_version),
            ("GetPolicyVersion", managed_policies.get_policy_version),
            ("ListPolicyVersions", managed_policies.list_policy_versions),
            ("SetDefaultPolicyVersion", managed_policies.set_default_policy_version),
            ("DeletePolicyVersion", managed_policies.delete_policy_version),
            ("ListEntitiesForPolicy", attachments.list_entities_for_policy),
            ("TagPolicy", tags.tag_policy),
            ("UntagPolicy", tags.untag_policy),
            ("ListPolicyTags", tags.list_policy_tags),
        )
    },
    "SimulatePrincipalPolicy": (simulation.simulate_principal_policy, needs.on_source),
    "SimulateCustomPolicy": (simulation.simulate_custom_policy, needs.on_everything),
}

_PROVIDERS: Rows = {
    "CreateOpenIDConnectProvider": (
        openid_providers.create_openid_connect_provider,
        needs.to_create_provider,
    ),
    "ListOpenIDConnectProviders": (
        openid_providers.list_openid_connect_providers,
        needs.on_everything,
    ),
    **{
        name: (handler, needs.on_provider)
        for name, handler in (
            ("GetOpenIDConnectProvider", openid_providers.get_openid_connect_provider),
            ("DeleteOpenIDConnectProvider", openid_providers.delete_openid_connect_provider),
            ("AddClientIDToOpenIDConnectProvider", openid_providers.add_client_id),
            ("RemoveClientIDFromOpenIDConnectProvider", openid_providers.remove_client_id),
            ("UpdateOpenIDConnectProviderThumbprint", openid_providers.update_thumbprints),
            ("TagOpenIDConnectProvider", openid_providers.tag_provider),
            ("UntagOpenIDConnectProvider", openid_providers.untag_provider),
            ("ListOpenIDConnectProviderTags", openid_providers.list_provider_tags),
        )
    },
}

_ACCOUNT: Rows = {
    "GetAccountSummary": (account.get_account_summary, needs.on_everything),
    "GetAccountPasswordPolicy": (absent.get_account_password_policy, needs.on_everything),
    **{
        f"List{name}": (partial(absent.nothing, name), needs.on_everything)
        for name in ("AccountAliases", "VirtualMFADevices", "InstanceProfiles")
    },
}

# What depends on what this process remembers and hasn't written down yet.
_FRESH = frozenset({"GetAccessKeyLastUsed"})

OPERATIONS: dict[str, Operation] = {
    name: Operation(
        handler,
        f"iam:{name}",
        needed,
        only_reads=name.startswith(("Get", "List")),
        is_fresh=name in _FRESH,
    )
    for group in (
        _USERS,
        _GROUPS,
        _ROLES,
        _OF_ALL_KINDS,
        _OF_USERS_AND_ROLES,
        _POLICIES,
        _PROVIDERS,
        _ACCOUNT,
    )
    for name, (handler, needed) in group.items()
}
