"""The decision: whether somebody may do what they ask for, and why.

IAM User Guide, "Policy evaluation logic". An explicit deny anywhere decides. Otherwise, within one
account, a policy of the identity or of the resource has to allow; across accounts, and where a
role's trust policy is asked, both. A boundary and a session's policies allow nothing by themselves:
what they don't allow too isn't allowed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias

from longshore.access.policy.documents import Grammar, Policy
from longshore.access.policy.principals import UNBOUND, Bindings, Grant
from longshore.access.policy.statements import Statement
from longshore.access.policy.subjects import Kind, Request, Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Decision",
    "Kind",
    "Outcome",
    "Policies",
    "Reason",
    "Request",
    "Source",
    "Subject",
    "decide",
]


@dataclass(frozen=True, slots=True)
class Source:
    """A policy, and what it is called.

    Attributes:
        name: as it stands in a sentence, such as "the repository policy".
        policy: the document.
        bindings: to whom the ARNs belonged that it names, when it was set.
    """

    name: str
    policy: Policy
    bindings: Bindings = field(default_factory=lambda: UNBOUND, hash=False)


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies of somebody who asks.

    Attributes:
        identity: theirs and those of their groups, or of their role.
        boundary: the permissions boundary, if there is one.
        session: the session's, if the session was made with any; one of them has to allow.
    """

    identity: tuple[Source, ...] = ()
    boundary: Source | None = None
    session: tuple[Source, ...] | None = None


class Outcome(Enum):
    """What came out, in the words of IAM's policy simulator."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"


class Reason(Enum):
    """Why a decision is as it is.

    IAM User Guide, "Troubleshoot access denied error messages".

    Attributes:
        outcome: what came out.
        words: the end of AWS's sentence; `{action}` stands for the action.
    """

    DENIED_BY_IDENTITY = Outcome.EXPLICIT_DENY, "with an explicit deny in an identity-based policy"
    DENIED_BY_RESOURCE = Outcome.EXPLICIT_DENY, "with an explicit deny in a resource-based policy"
    DENIED_BY_TRUST = Outcome.EXPLICIT_DENY, "with an explicit deny in the role trust policy"
    DENIED_BY_BOUNDARY = Outcome.EXPLICIT_DENY, "with an explicit deny in a permissions boundary"
    DENIED_BY_SESSION = Outcome.EXPLICIT_DENY, "with an explicit deny in a session policy"
    NO_IDENTITY = (
        Outcome.IMPLICIT_DENY,
        "because no identity-based policy allows the {action} action",
    )
    NO_RESOURCE = (
        Outcome.IMPLICIT_DENY,
        "because no resource-based policy allows the {action} action",
    )
    NO_TRUST = Outcome.IMPLICIT_DENY, "because no role trust policy allows the {action} action"
    NO_BOUNDARY = (
        Outcome.IMPLICIT_DENY,
        "because no permissions boundary allows the {action} action",
    )
    NO_SESSION = Outcome.IMPLICIT_DENY, "because no session policy allows the {action} action"
    ALLOWED_BY_IDENTITY = Outcome.ALLOWED, "because an identity-based policy allows it"
    ALLOWED_BY_RESOURCE = Outcome.ALLOWED, "because a resource-based policy allows it"
    ALLOWED_AS_ROOT = Outcome.ALLOWED, "because the root user may do everything in its account"
    ALLOWED_AS_OPERATOR = (
        Outcome.ALLOWED,
        "because the administrator of the server may do everything",
    )

    def __init__(self, outcome: Outcome, words: str) -> None:
        self.outcome: Final = outcome
        self.words: Final = words


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided.

    Attributes:
        reason: why.
        source: the policy that decided, where one did.
        statement: the statement of it.
    """

    reason: Reason
    source: Source | None = None
    statement: Statement | None = None

    @property
    def allowed(self) -> bool:
        """Whether it may be done."""
        return self.reason.outcome is Outcome.ALLOWED

    def sentence(self, subject: Subject, request: Request) -> str:
        """Say it as AWS does where it refuses."""
        authorized = "authorized" if self.allowed else "not authorized"
        reason = self.reason.words.replace("{action}", request.action)
        return (
            f"User: {subject.name} is {authorized} to perform: "
            f"{request.action} on resource: {request.resource} {reason}"
        )


_Hit: TypeAlias = tuple[Source, Statement]


def decide(
    subject: Subject, policies: Policies, resource_policies: Sequence[Source], request: Request
) -> Decision:
    """Decide whether `subject` may do what `request` says.

    Args:
        subject: who asks.
        policies: theirs.
        resource_policies: those of what is asked for; the trust policy where it is a role.
        request: what is asked for.
    """
    denial = _denial(subject, policies, resource_policies, request)
    if denial is not None:
        return denial
    if not subject.has_policies:
        return _granted_by_resource(subject, resource_policies, request)[1]
    by_identity = _allowed_by_identity(subject, policies, request)
    limit = _limit(policies, request)
    needs_consent = _needs_consent(subject, resource_policies, request)
    if by_identity is not None and limit is None and not needs_consent:
        return by_identity
    grant, by_resource = _granted_by_resource(subject, resource_policies, request)
    own = subject.account == request.resource_account
    if own and grant is Grant.DIRECT and _reaches_past_limits(subject, policies, request):
        return by_resource
    if by_identity is None and not (own and grant >= Grant.LIMITED):
        return Decision(Reason.NO_IDENTITY)
    lacks_consent = needs_consent and grant is Grant.NONE
    return by_resource if limit is None or lacks_consent else Decision(limit)


def _needs_consent(subject: Subject, resource_policies: Sequence[Source], request: Request) -> bool:
    """Tell whether the policies of the resource must allow too."""
    return not subject.is_operator and (
        subject.account != request.resource_account
        or any(source.policy.grammar is Grammar.TRUST for source in resource_policies)
    )


def _denial(
    subject: Subject, policies: Policies, resource_policies: Sequence[Source], request: Request
) -> Decision | None:
    hit = _denying(policies.identity, request)
    if hit is not None:
        return Decision(Reason.DENIED_BY_IDENTITY, *hit)
    if policies.boundary is not None and (hit := _denying((policies.boundary,), request)):
        return Decision(Reason.DENIED_BY_BOUNDARY, *hit)
    if policies.session and (hit := _denying(policies.session, request)):
        return Decision(Reason.DENIED_BY_SESSION, *hit)
    for source in resource_policies:
        for statement in source.policy.about(request.action).denying:
            reached = denied(source, statement, subject)
            if reached and statement.covers(request.resource, request.context):
                trust = source.policy.grammar is Grammar.TRUST
                reason = Reason.DENIED_BY_TRUST if trust else Reason.DENIED_BY_RESOURCE
                return Decision(reason, source, statement)
    return None


def _denying(sources: Sequence[Source], request: Request) -> _Hit | None:
    for source in sources:
        for statement in source.policy.about(request.action).denying:
            if statement.covers(request.resource, request.context):
                return source, statement
    return None


def _allowed_by_identity(subject: Subject, policies: Policies, request: Request) -> Decision | None:
    if subject.is_operator:
        return Decision(Reason.ALLOWED_AS_OPERATOR)
    if subject.kind == Kind.ROOT:
        return Decision(Reason.ALLOWED_AS_ROOT)
    hit = _allowing(policies.identity, request)
    return None if hit is None else Decision(Reason.ALLOWED_BY_IDENTITY, *hit)


def _limit(policies: Policies, request: Request) -> Reason | None:
    """Return why the boundary or the session doesn't allow the request, if one doesn't."""
    if policies.boundary is not None and _allowing((policies.boundary,), request) is None:
        return Reason.NO_BOUNDARY
    if policies.session is not None and _allowing(policies.session, request) is None:
        return Reason.NO_SESSION
    return None


def _reaches_past_limits(subject: Subject, policies: Policies, request: Request) -> bool:
    """Tell whether what names `subject` directly needs nothing else.

    The ARN of a session stands for the session as it is; that of a user, for the user: it passes
    the user's boundary, but not what the session was narrowed to.
    """
    return (
        subject.kind == Kind.ROLE
        or policies.session is None
        or _allowing(policies.session, request) is not None
    )


def _allowing(sources: Sequence[Source], request: Request) -> _Hit | None:
    for source in sources:
        for statement in source.policy.about(request.action).allowing:
            if statement.covers(request.resource, request.context):
                return source, statement
    return None


def _granted_by_resource(
    subject: Subject, resource_policies: Sequence[Source], request: Request
) -> tuple[Grant, Decision]:
    """Return how far the policies of the resource reach, and what they come to by themselves."""
    best, decision = Grant.NONE, Decision(Reason.NO_RESOURCE)
    for source in resource_policies:
        if source.policy.grammar is Grammar.TRUST:
            decision = Decision(Reason.NO_TRUST)
    for source in resource_policies:
        for statement in source.policy.about(request.action).allowing:
            grant = granted(source, statement, subject)
            if grant > best and statement.covers(request.resource, request.context):
                best, decision = grant, Decision(Reason.ALLOWED_BY_RESOURCE, source, statement)
    return best, decision


def granted(source: Source, statement: Statement, subject: Subject) -> Grant:
    """Tell how a statement of a resource's policy that allows reaches `subject`.

    A registry policy lets nobody in who gives no name: each repository opens itself.
    """
    is_open = subject.kind != Kind.ANONYMOUS or source.policy.grammar is not Grammar.REGISTRY
    if statement.principals is None or not is_open:
        return Grant.NONE
    return statement.principals.grant(subject, source.bindings)


def denied(source: Source, statement: Statement, subject: Subject) -> bool:
    """Tell whether a statement of a resource's policy that denies reaches `subject`."""
    return statement.principals is None or statement.principals.denies(subject, source.bindings)
