"""The operations of the STS API: what answers each, and what its caller needs for it.

Operations of the service model that aren't in the table aren't built and say so.
"""

from __future__ import annotations

from longshore.api.aws.operations import Operation
from longshore.api.iam import needs
from longshore.api.sts import sessions

# What is asked of AssumeRole's callers is asked where the role's trust policy is.
OPERATIONS: dict[str, Operation] = {
    "GetCallerIdentity": Operation(
        sessions.get_caller_identity, "sts:GetCallerIdentity", needs.nothing, only_reads=True
    ),
    "AssumeRole": Operation(sessions.assume_role, "sts:AssumeRole", needs.nothing),
    "AssumeRoleWithWebIdentity": Operation(
        sessions.assume_role_with_web_identity,
        "sts:AssumeRoleWithWebIdentity",
        needs.nothing,
        is_unsigned=True,
    ),
    "GetSessionToken": Operation(sessions.get_session_token, "sts:GetSessionToken", needs.nothing),
    "GetAccessKeyInfo": Operation(
        sessions.get_access_key_info,
        "sts:GetAccessKeyInfo",
        needs.on_everything,
        only_reads=True,
    ),
}
