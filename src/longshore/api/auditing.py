"""What the audit tells of a request, as far as both faces tell the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from longshore.access.policy.subjects import Kind
from longshore.api.http import ClientDisconnected
from longshore.audit.records import ANONYMOUS
from longshore.clock import as_datetime
from longshore.errors import AccessDenied, RequestTimeout, Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from longshore.errors import RegistryError
    from longshore.identity.authorization import Need
    from longshore.identity.principals import Principal

# The client went away before it got an answer, and nobody is left to be told.
_GONE: Final = RequestTimeout("The client went away in the middle of its request")
_FAILED: Final = Server("The server failed. Its log tells why, under the id of the request.")


def unanswered(error: Exception) -> RegistryError:
    """Return what is told of a request that a face has no answer to, by what ended it."""
    return _GONE if isinstance(error, ClientDisconnected) else _FAILED


def is_failure(error: RegistryError | None) -> bool:
    """Tell whether a request ended by a failure of the server that no face has an answer to."""
    return error is _FAILED


def user_identity(principal: Principal | None, key_id: str | None = None) -> Mapping[str, Any]:
    """Return who sent a request, in CloudTrail's words (`userIdentity`).

    Args:
        principal: who it is; None where nobody could prove to be who they say.
        key_id: the access key that the request was, or claims to be, signed with.
    """
    key = {} if key_id is None else {"accessKeyId": key_id}
    if principal is None or not principal.subject.has_policies:
        return {**ANONYMOUS, **key}
    subject = principal.subject
    common = {
        "principalId": principal.user_id,
        "arn": subject.arn,
        "accountId": subject.account,
        **key,
        **({"credentialId": principal.credential_id} if principal.credential_id else {}),
    }
    match subject.kind:
        case Kind.ROOT:
            return {"type": "Root", **common, **_session(principal)}
        case Kind.ROLE:
            return {"type": "AssumedRole", **common, **_session(principal)}
        case _:
            named = {"userName": principal.name}
            return {"type": "IAMUser", **common, **named, **_session(principal)}


def resources(needs: Iterable[Need]) -> list[str]:
    """Return the ARNs of what a request needs permissions for, each once."""
    return [arn for arn in dict.fromkeys(need.resource for need in needs) if arn.startswith("arn:")]


def explanation(error: RegistryError | None) -> Mapping[str, Any] | None:
    """Return why a request was refused, statement by statement, where that was found out."""
    if not isinstance(error, AccessDenied) or error.explanation is None:
        return None
    return {"explanation": error.explanation}


def _session(principal: Principal) -> Mapping[str, Any]:
    if principal.session is None:
        return {}
    issued_at = as_datetime(principal.session.issued_at).strftime("%Y-%m-%dT%H:%M:%SZ")
    context: dict[str, Any] = {
        "attributes": {"creationDate": issued_at, "mfaAuthenticated": "false"}
    }
    if principal.subject.role_arn is not None:
        context["sessionIssuer"] = {
            "type": "Role",
            "principalId": principal.user_id.partition(":")[0],
            "arn": principal.subject.role_arn,
            "accountId": principal.subject.account,
            "userName": principal.subject.role_arn.rpartition("/")[2],
        }
    if principal.session.source_identity:
        context["sourceIdentity"] = principal.session.source_identity
    return {"sessionContext": context}
