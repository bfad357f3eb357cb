"""What IAM and STS refuse with: members of the one family, with the codes of those two services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.errors import ExpiredToken, RegistryError

if TYPE_CHECKING:
    from longshore.identity.kinds import Kind


class NoSuchEntity(RegistryError):
    """What the request names doesn't exist."""

    code = "NoSuchEntity"

    @classmethod
    def identity(cls, kind: Kind, name: str) -> NoSuchEntity:
        """Word it for a user, a group or a role."""
        return cls(f"The {kind.value} with name {name} cannot be found.")

    @classmethod
    def policy(cls, arn: str) -> NoSuchEntity:
        """Word it for a managed policy."""
        return cls(f"Policy {arn} was not found.")


class EntityAlreadyExists(RegistryError):
    """The name is taken."""

    code = "EntityAlreadyExists"


class DeleteConflict(RegistryError):
    """Something else has to be deleted or detached first."""

    code = "DeleteConflict"


class QuotaExceeded(RegistryError):
    """A quota of IAM is used up."""

    code = "LimitExceeded"

    @classmethod
    def of(cls, quota: str, most: int) -> QuotaExceeded:
        """Word it as IAM does for most of its quotas."""
        return cls(f"Cannot exceed quota for {quota}: {most}")


class MalformedPolicyDocument(RegistryError):
    """A policy that the policy language doesn't have, or that names who doesn't exist."""

    code = "MalformedPolicyDocument"


class InvalidInput(RegistryError):
    """A member of the request makes no sense."""

    code = "InvalidInput"


class ValidationError(RegistryError):
    """A member of the request breaks a constraint."""

    code = "ValidationError"

    @classmethod
    def at(cls, member: str, value: object, constraint: str) -> ValidationError:
        """Word it as IAM does for the constraints of its model."""
        return cls(
            f"1 validation error detected: Value '{value}' at '{member}' "
            f"failed to satisfy constraint: Member must {constraint}"
        )


class UnmodifiableEntity(RegistryError):
    """Something that nobody may change."""

    code = "UnmodifiableEntity"


class PackedPolicyTooLarge(RegistryError):
    """The session policies and tags are more than a session can carry."""

    code = "PackedPolicyTooLarge"


class ExpiredSession(ExpiredToken):
    """Session credentials whose time is over."""

    def __init__(self) -> None:
        RegistryError.__init__(self, "The security token included in the request is expired")
