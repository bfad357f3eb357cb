"""Who asks, and what is asked: the facts that a decision is made on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from longshore.access.policy.templates import Context


class Kind(StrEnum):
    """What somebody who asks can be."""

    ROOT = "root"
    USER = "user"
    ROLE = "role"
    FEDERATED = "federated"
    ANONYMOUS = "anonymous"
    SERVICE = "service"


_IN_ACCOUNTS: Final = frozenset({Kind.ROOT, Kind.USER, Kind.ROLE})


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody who asks.

    Attributes:
        kind: what they are.
        account: the account that they belong to; "" for none.
        arn: theirs; for the session of a role that of the session, as STS has it; for a federated
            one that of the provider that vouches for them.
        role_arn: for the session of a role, the role's.
        service: for a service, its name, such as `ecr.amazonaws.com`.
        is_operator: the server's administrator, who needs nobody's permission. Denied is what is
            denied expressly.
        unique_id: of the user or of the role, which nobody else ever has, whatever ARN they have.
    """

    kind: Kind
    account: str
    arn: str
    role_arn: str | None = None
    service: str | None = None
    is_operator: bool = False
    unique_id: str = ""

    @property
    def name(self) -> str:
        """What they are called in a sentence."""
        return self.arn or self.service or "anonymous"

    @property
    def has_policies(self) -> bool:
        """Whether they belong to an account, which can allow them something by its own policies."""
        return self.kind in _IN_ACCOUNTS


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks for.

    Attributes:
        action: such as `ecr:PutImage`.
        resource: the ARN, or `*` for actions that have none.
        resource_account: the account that the resource belongs to.
        context: the values of condition keys. Keys are in lower case; one that isn't there has no
            value.
    """

    action: str
    resource: str
    resource_account: str
    context: Context
