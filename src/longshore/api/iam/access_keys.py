"""IAM operations on access keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.api.iam.listings import whole
from longshore.api.iam.names import user_name
from longshore.clock import as_datetime
from longshore.errors import AccessDenied
from longshore.identity import access_keys
from longshore.identity.errors import InvalidInput, NoSuchEntity

if TYPE_CHECKING:
    from types_boto3_iam import type_defs as iam

    from longshore.api.aws.calls import Call, Output
    from longshore.identity.access_keys import Description
    from longshore.registry.key_uses import KeyUse


# The model has a third, which is for IAM alone to say.
_STATUSES = frozenset({"Active", "Inactive"})

# The service and the region of a key that was never used.
_NEVER = "N/A"


def create_access_key(call: Call, request: iam.CreateAccessKeyRequestTypeDef) -> Output:
    """CreateAccessKey."""
    key, description = access_keys.create(
        call.context, call.caller.account, user_name(call, request)
    )
    return {"AccessKey": _described(description) | {"SecretAccessKey": key.secret}}


def list_access_keys(call: Call, request: iam.ListAccessKeysRequestTypeDef) -> Output:
    """ListAccessKeys: a user has two at most, so that there is no second page."""
    found = access_keys.list_all(call.context, call.caller.account, user_name(call, request))
    return whole("AccessKeyMetadata", [_described(key) for key in found])


def get_access_key_last_used(call: Call, request: iam.GetAccessKeyLastUsedRequestTypeDef) -> Output:
    """GetAccessKeyLastUsed: nobody learns from it whether a key of another account is there."""
    key_id = request["AccessKeyId"]
    try:
        key = access_keys.get(call.context, call.caller.account, key_id)
    except NoSuchEntity:
        raise AccessDenied(
            f"User: {call.caller.arn} is not authorized to perform: iam:GetAccessKeyLastUsed "
            f"on resource: access key {key_id}"
        ) from None
    return {"UserName": key.user or "", "AccessKeyLastUsed": _last_used(key.last_use)}


def update_access_key(call: Call, request: iam.UpdateAccessKeyRequestTypeDef) -> Output:
    """UpdateAccessKey."""
    if request["Status"] not in _STATUSES:
        raise InvalidInput(f"Nobody can make an access key {request['Status']}.")
    access_keys.set_active(
        call.context,
        call.caller.account,
        user_name(call, request),
        request["AccessKeyId"],
        active=request["Status"] == "Active",
    )
    return {}


def delete_access_key(call: Call, request: iam.DeleteAccessKeyRequestTypeDef) -> Output:
    """DeleteAccessKey."""
    access_keys.remove(
        call.context, call.caller.account, user_name(call, request), request["AccessKeyId"]
    )
    return {}


def _last_used(use: KeyUse | None) -> Output:
    if use is None:
        return {"ServiceName": _NEVER, "Region": _NEVER}
    return {
        "LastUsedDate": as_datetime(use.moment),
        "ServiceName": use.service,
        "Region": use.region,
    }


def _described(key: Description) -> Output:
    return {
        "UserName": key.user or "",
        "AccessKeyId": key.id,
        "Status": "Active" if key.active else "Inactive",
        "CreateDate": as_datetime(key.created_at),
    }
