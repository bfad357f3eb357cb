"""What IAM has for people with consoles and machines in clouds, and nobody has here.

Terraform and the AWS CLI ask for it before they delete a user or a role, and in passing; each
listing is empty, truthfully, and whoever asks for one thing hears that there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.api.iam.listings import whole
from longshore.api.iam.names import user_name
from longshore.identity import users
from longshore.identity.errors import NoSuchEntity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.api.aws.calls import Call, Output


def nothing_of_user(member: str, call: Call, request: Mapping[str, Any]) -> Output:
    """ListMFADevices, ListSSHPublicKeys, ListSigningCertificates and so on."""
    name = user_name(call, request)
    if name is not None:
        users.get(call.context, call.caller.account, name)
    return whole(member, [])


def nothing(member: str, _call: Call, _request: object) -> Output:
    """ListAccountAliases, ListVirtualMFADevices, ListInstanceProfiles and so on."""
    return whole(member, [])


def get_login_profile(call: Call, request: Mapping[str, Any]) -> Output:
    """GetLoginProfile: there is no console, and so no password."""
    name = user_name(call, request)
    if name is not None:
        users.get(call.context, call.caller.account, name)
    raise NoSuchEntity(f"Login Profile for User {name} cannot be found.")


def delete_login_profile(call: Call, request: Mapping[str, Any]) -> Output:
    """DeleteLoginProfile."""
    return get_login_profile(call, request)


def get_account_password_policy(call: Call, _request: object) -> Output:
    """GetAccountPasswordPolicy."""
    raise NoSuchEntity(
        f"The Password Policy with domain name {call.caller.account} cannot be found."
    )
