"""What IAM tells of users, groups, roles and policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from longshore.clock import as_datetime

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from longshore.api.aws.calls import Output
    from longshore.identity.identities import Identity
    from longshore.identity.managed_policies import ManagedPolicy
    from longshore.identity.policy_versions import Version
    from longshore.identity.roles import Role


def identity(found: Identity) -> Output:
    """Return what listings show of a user, a group or a role."""
    title = found.kind.title
    return {
        "Path": found.path,
        f"{title}Name": found.name,
        f"{title}Id": found.id,
        "Arn": found.arn,
        "CreateDate": as_datetime(found.created_at),
    }


def whole_identity(found: Identity) -> Output:
    """Return all of a user or a role: listings leave out tags and boundary."""
    description = identity(found)
    if found.boundary is not None:
        description["PermissionsBoundary"] = {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": found.boundary,
        }
    return description | _tags_if_any(found.tags)


def role(found: Role) -> Output:
    """Return what listings show of a role."""
    return identity(found.identity) | _of_role(found)


def whole_role(found: Role) -> Output:
    """Return all of a role."""
    return whole_identity(found.identity) | _of_role(found)


def policy(found: ManagedPolicy) -> Output:
    """Return what listings show of a managed policy."""
    return {
        "PolicyName": found.name,
        "PolicyId": found.id,
        "Arn": found.arn,
        "Path": found.path,
        "DefaultVersionId": f"v{found.default_version}",
        "AttachmentCount": found.attachments,
        "PermissionsBoundaryUsageCount": found.boundaries,
        "IsAttachable": True,
        "CreateDate": as_datetime(found.created_at),
        "UpdateDate": as_datetime(found.updated_at),
    }


def whole_policy(found: ManagedPolicy) -> Output:
    """Return all of a managed policy but its texts."""
    described = {"Description": found.description} if found.description else {}
    return policy(found) | described | _tags_if_any(found.tags)


def version(found: Version) -> Output:
    """Return what listings show of a version of a managed policy."""
    return {
        "VersionId": found.id,
        "IsDefaultVersion": found.is_default,
        "CreateDate": as_datetime(found.created_at),
    }


def whole_version(found: Version) -> Output:
    """Return a version with its text."""
    return version(found) | {"Document": document(found.document)}


def document(text: str) -> str:
    """Return a policy's text as IAM gives it (RFC 3986)."""
    return quote(text, safe="")


def tags(found: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as IAM tells them."""
    return [{"Key": key, "Value": value} for key, value in found.items()]


def pairs(given: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return the tags that a request gives."""
    return [(tag["Key"], tag["Value"]) for tag in given]


def _of_role(found: Role) -> Output:
    described = {"Description": found.description} if found.description else {}
    return {
        "AssumeRolePolicyDocument": document(found.trust_policy),
        "MaxSessionDuration": found.max_session_seconds,
        **described,
    }


def _tags_if_any(found: Mapping[str, str]) -> Output:
    return {"Tags": tags(found)} if found else {}
