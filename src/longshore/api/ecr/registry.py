"""ECR operations on the registry itself."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from longshore.clock import as_datetime
from longshore.identity import registry_tokens
from longshore.registry import account_settings

if TYPE_CHECKING:
    from types_boto3_ecr import type_defs as ecr

    from longshore.api.ecr.calls import Call, Output


def get_authorization_token(call: Call, request: ecr.GetAuthorizationTokenRequestTypeDef) -> Output:
    """GetAuthorizationToken."""
    token = registry_tokens.issue(call.context, call.credentials, call.region)
    credentials = f"{registry_tokens.USER_NAME}:{token.password}"
    return {
        "authorizationData": [
            {
                "authorizationToken": base64.b64encode(credentials.encode()).decode(),
                "expiresAt": as_datetime(token.expires_at),
                "proxyEndpoint": call.hosts.proxy_endpoint(call.registry(registry_id)),
            }
            for registry_id in request.get("registryIds") or [call.caller.account]
        ]
    }


def describe_registry(call: Call, _request: object) -> Output:
    """DescribeRegistry."""
    # Nothing replicates yet, and an empty configuration is what ECR shows then.
    return {"registryId": call.caller.account, "replicationConfiguration": {"rules": []}}


def get_account_setting(call: Call, request: ecr.GetAccountSettingRequestTypeDef) -> Output:
    """GetAccountSetting."""
    value = account_settings.get(call.context, call.own_registry, request["name"])
    return {"name": request["name"], "value": value}


def put_account_setting(call: Call, request: ecr.PutAccountSettingRequestTypeDef) -> Output:
    """PutAccountSetting."""
    account_settings.put(call.context, call.own_registry, request["name"], request["value"])
    return {"name": request["name"], "value": request["value"]}
