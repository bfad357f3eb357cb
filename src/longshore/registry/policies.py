"""The policies of repositories and of registries as documents: how ECR checks and shows them.

What they permit is decided elsewhere (`longshore.identity.authorization`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from longshore.access.policy.documents import Grammar, MalformedPolicy, Policy, parse
from longshore.access.policy.evaluation import Source
from longshore.access.policy.principals import UNBOUND, Bindings
from longshore.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_KINDS = {Grammar.REPOSITORY: "repository", Grammar.REGISTRY: "registry"}

# The order in which ECR shows members, whatever order they were sent in.
_MEMBERS_OF_POLICY = ("Version", "Id", "Statement")
_MEMBERS_OF_STATEMENT = (
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
)


class InvalidPolicy(InvalidParameter):
    """A policy of a repository or of a registry breaks the policy language.

    ECR has one sentence for all of it.

    Attributes:
        reason: what is wrong, for people; a member of the answer, too.
    """

    def __init__(self, grammar: Grammar, reason: str) -> None:
        kind = _KINDS[grammar]
        refusal = InvalidParameter.at("PolicyText", f"Invalid {kind} policy provided")
        super().__init__(refusal.message, reason=reason)
        self.reason = reason


class PrincipalNotFound(InvalidParameter):
    """A policy names a user or a role that doesn't exist.

    Terraform waits for a new one to be known while it hears just this sentence
    (`aws_ecr_repository_policy`).
    """

    def __init__(self, named: str) -> None:
        refusal = InvalidParameter.at("PolicyText", "Principal not found")
        super().__init__(refusal.message, reason=f"There is no principal '{named}'")


class StoredPolicy(NamedTuple):
    """A policy as it was set.

    Attributes:
        text: in ECR's normal form.
        bindings: to whom the ARNs belonged that it names.
    """

    text: str
    bindings: Bindings


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A policy in ECR's normal form, and what it means.

    Attributes:
        bindings: to whom the ARNs belong that it names.
    """

    text: str
    policy: Policy
    bindings: Bindings = field(default_factory=lambda: UNBOUND)

    @property
    def source(self) -> Source:
        """The policy, as it counts in a decision."""
        return source(self.policy, self.bindings)


def source(policy: Policy, bindings: Bindings) -> Source:
    """Return a policy as it counts in a decision."""
    return Source(f"the {_KINDS[policy.grammar]} policy", policy, bindings)


def read(text: str, grammar: Grammar) -> PolicyDocument:
    """Check a policy that somebody wants to set.

    Raises:
        InvalidPolicy: it isn't one.
    """
    try:
        policy = parse(text, grammar)
    except MalformedPolicy as error:
        raise InvalidPolicy(grammar, str(error)) from error
    return PolicyDocument(normalised(text), policy)


def normalised(text: str) -> str:
    """Return a well-formed policy as ECR gives it back: members in order, pretty-printed.

    The layout is that of Jackson's default pretty printer, spaces before colons included. Values
    stay as they were sent, and numbers keep their digits.
    """
    policy = json.loads(text, parse_float=Decimal)
    statements = policy["Statement"]
    if isinstance(statements, list):
        policy["Statement"] = [_ordered(each, _MEMBERS_OF_STATEMENT) for each in statements]
    else:
        policy["Statement"] = _ordered(statements, _MEMBERS_OF_STATEMENT)
    return _printed(_ordered(policy, _MEMBERS_OF_POLICY), "\n")


def renamed(text: str, names: Mapping[str, str]) -> str:
    """Return a well-formed policy with other names for AWS principals, pretty-printed.

    Args:
        text: the policy; without any of the names it is returned as it is.
        names: the new ones, by those that stand there.
    """
    if not names:
        return text
    policy = json.loads(text, parse_float=Decimal)
    statements = policy["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        for member in ("Principal", "NotPrincipal"):
            kinds = statement.get(member)
            if isinstance(kinds, dict) and "AWS" in kinds:
                kinds["AWS"] = _with_names(kinds["AWS"], names)
    return _printed(policy, "\n")


def _with_names(principals: str | list[str], names: Mapping[str, str]) -> str | list[str]:
    if isinstance(principals, str):
        return names.get(principals, principals)
    return [names.get(each, each) for each in principals]


def _ordered(members: dict[str, object], order: Sequence[str]) -> dict[str, object]:
    known = {name: members[name] for name in order if name in members}
    return known | members


def _printed(value: object, margin: str) -> str:
    if value == []:
        return "[ ]"
    if value == {}:
        return "{ }"
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, list):
        return "[ " + ", ".join(_printed(each, margin) for each in value) + " ]"
    if isinstance(value, dict):
        inner = margin + "  "
        members = (f"{_quoted(name)} : {_printed(each, inner)}" for name, each in value.items())
        return "{" + inner + f",{inner}".join(members) + margin + "}"
    return _quoted(value)


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
