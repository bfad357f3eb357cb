"""STS operations: callers and sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.api.iam.descriptions import pairs
from longshore.clock import as_datetime
from longshore.identity import access_keys, openid_providers, sessions
from longshore.identity.condition_keys import ConditionKeys
from longshore.identity.errors import ValidationError
from longshore.identity.sessions import Wish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_sts import type_defs as sts

    from longshore.api.aws.calls import Call, Output
    from longshore.identity.sessions import AssumedRole, SessionCredentials


def get_caller_identity(call: Call, _request: object) -> Output:
    """GetCallerIdentity."""
    return {
        "UserId": call.principal.user_id,
        "Account": call.caller.account,
        "Arn": call.caller.arn,
    }


def assume_role(call: Call, request: sts.AssumeRoleRequestTypeDef) -> Output:
    """AssumeRole."""
    assumed = sessions.assume_role(
        call.context,
        call.principal,
        _wish(request),
        ConditionKeys(call.principal, call.surroundings, call.context.clock, {}, {}),
    )
    return _assumed(assumed)


def assume_role_with_web_identity(
    call: Call, request: sts.AssumeRoleWithWebIdentityRequestTypeDef
) -> Output:
    """AssumeRoleWithWebIdentity."""
    if "ProviderId" in request:
        raise ValidationError(
            "ProviderId is for OAuth 2.0 access tokens, which nobody issues here."
        )
    account = sessions.account_of_role(request["RoleArn"])
    identity, claims = openid_providers.verify(call.context, account, request["WebIdentityToken"])
    values = ConditionKeys(call.principal, call.surroundings, call.context.clock, {}, {})
    wish = _wish(request)
    assumed = sessions.assume_role_with_web_identity(call.context, identity, wish, values)
    return {
        **_assumed(assumed),
        "SubjectFromWebIdentityToken": claims.subject,
        "Audience": claims.client_id,
        "Provider": identity.provider_arn,
    }


def get_session_token(call: Call, request: sts.GetSessionTokenRequestTypeDef) -> Output:
    """GetSessionToken."""
    made = sessions.get_session_token(
        call.context, call.credentials, request.get("DurationSeconds")
    )
    return {"Credentials": _credentials(made)}


def get_access_key_info(call: Call, request: sts.GetAccessKeyInfoRequestTypeDef) -> Output:
    """GetAccessKeyInfo."""
    return {"Account": access_keys.account_of(call.context, request["AccessKeyId"])}


def _wish(request: Mapping[str, Any]) -> Wish:
    return Wish(
        role_arn=request["RoleArn"],
        session_name=request["RoleSessionName"],
        duration_seconds=request.get("DurationSeconds"),
        policy=request.get("Policy"),
        policy_arns=[_arn_in(each) for each in request.get("PolicyArns", ())],
        tags=pairs(request.get("Tags", ())),
        transitive_tag_keys=request.get("TransitiveTagKeys", ()),
        external_id=request.get("ExternalId"),
        source_identity=request.get("SourceIdentity"),
    )


def _arn_in(entry: Mapping[str, str]) -> str:
    # Left out, it would make the session one that isn't narrowed.
    if "arn" not in entry:
        raise ValidationError("Each of PolicyArns must have an arn.")
    return entry["arn"]


def _assumed(assumed: AssumedRole) -> Output:
    return {
        "Credentials": _credentials(assumed.credentials),
        "AssumedRoleUser": {"AssumedRoleId": assumed.id, "Arn": assumed.arn},
        "PackedPolicySize": assumed.packed_size,
        "SourceIdentity": assumed.source_identity or None,
    }


def _credentials(made: SessionCredentials) -> Output:
    return {
        "AccessKeyId": made.key_id,
        "SecretAccessKey": made.secret,
        "SessionToken": made.token,
        "Expiration": as_datetime(made.expires_at),
    }
