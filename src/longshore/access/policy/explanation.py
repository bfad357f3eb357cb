"""The explanation of a decision: every statement that was looked at, and what came of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from longshore.access.policy.documents import Grammar
from longshore.access.policy.evaluation import Decision, Policies, Source, decide, denied, granted
from longshore.access.policy.principals import Grant
from longshore.access.policy.statements import Effect, Statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from longshore.access.policy.conditions import Condition
    from longshore.access.policy.subjects import Request, Subject


class Part(StrEnum):
    """What a policy is in a decision."""

    IDENTITY = "identity-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    RESOURCE = "resource-based policy"
    TRUST = "role trust policy"


@dataclass(frozen=True, slots=True)
class Look:
    """One statement that was looked at.

    Attributes:
        part: what its policy is in the decision.
        source: its policy.
        statement: the statement.
        misses: why it doesn't match; empty where it does.
        leaves_choice: it matches, and only lets the account decide by policies of its own.
        decided: it is the one that decided.
    """

    part: Part
    source: Source
    statement: Statement
    misses: tuple[str, ...]
    leaves_choice: bool
    decided: bool

    @property
    def matched(self) -> bool:
        """Whether it matches the request."""
        return not self.misses

    def as_json(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {
            "policy": self.source.name,
            "kind": self.part.value,
            "statement": self.statement.number,
            "sid": self.statement.sid,
            "effect": self.statement.effect.value,
            "matched": self.matched,
            "decided": self.decided,
            "leavesChoiceToAccount": self.leaves_choice,
            "why": list(self.misses),
        }

    def as_text(self) -> str:
        """Return it as lines for a person."""
        head = f"  {self.statement}, {self.statement.effect}:"
        if self.misses:
            return "\n".join((f"{head} no match", *(f"    - {miss}" for miss in self.misses)))
        choice = ", and leaves the choice to the account's own policies"
        decided = ", and this decided"
        return f"{head} match{choice * self.leaves_choice}{decided * self.decided}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision, and all that it was made of.

    Attributes:
        subject: who asked.
        request: what for.
        decision: what was decided.
        looks: every statement of every policy that had a say.
        missing: the condition keys that statements about the action ask for and the request lacks.
    """

    subject: Subject
    request: Request
    decision: Decision
    looks: tuple[Look, ...]
    missing: tuple[str, ...]

    @property
    def matched(self) -> tuple[Look, ...]:
        """The statements that match."""
        return tuple(look for look in self.looks if look.matched)

    def as_json(self) -> dict[str, object]:
        """Return it as an object of JSON."""
        source, statement = self.decision.source, self.decision.statement
        return {
            "decision": self.decision.reason.outcome.value,
            "sentence": self.decision.sentence(self.subject, self.request),
            "principal": self.subject.name,
            "action": self.request.action,
            "resource": self.request.resource,
            "decidedBy": source
            and statement
            and {"policy": source.name, "statement": statement.number, "sid": statement.sid},
            "missingContextKeys": list(self.missing),
            "statements": [look.as_json() for look in self.looks],
        }

    def as_text(self) -> str:
        """Return it as text for a person."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield "Allowed." if self.decision.allowed else "Refused."
        yield self.decision.sentence(self.subject, self.request)
        before: tuple[Part, str] | None = None
        for look in self.looks:
            if before != (look.part, look.source.name):
                before = (look.part, look.source.name)
                yield ""
                yield f"{look.source.name} ({look.part})"
            yield look.as_text()
        if not self.looks:
            yield ""
            yield "There is no policy that has a say in this."
        if self.missing:
            yield ""
            yield f"Condition keys that the request lacks: {', '.join(self.missing)}"


def explain(
    subject: Subject, policies: Policies, resource_policies: Sequence[Source], request: Request
) -> Explanation:
    """Decide as `evaluation.decide` does, and say why.

    Args:
        subject: who asks.
        policies: theirs.
        resource_policies: those of what is asked for; the trust policy where it is a role.
        request: what is asked for.
    """
    decision = decide(subject, policies, resource_policies, request)

    def look(part: Part, source: Source, statement: Statement) -> Look:
        misses = tuple(_misses(source, statement, subject, request))
        decided = decision.statement is statement and decision.source is source
        delegates = not misses and _only_delegates(source, statement, subject)
        return Look(part, source, statement, misses, leaves_choice=delegates, decided=decided)

    looks = tuple(
        look(part, source, statement)
        for part, source in _parts(policies, resource_policies)
        for statement in source.policy.statements
    )
    asked = {
        key
        for each in looks
        if each.statement.actions.covers(request.action.lower())
        for key in each.statement.keys
    }
    missing = sorted(key for key in asked if not request.context.get(key.lower()))
    return Explanation(subject, request, decision, looks, tuple(missing))


def _parts(
    policies: Policies, resource_policies: Sequence[Source]
) -> Iterator[tuple[Part, Source]]:
    for source in policies.identity:
        yield Part.IDENTITY, source
    if policies.boundary is not None:
        yield Part.BOUNDARY, policies.boundary
    for source in policies.session or ():
        yield Part.SESSION, source
    for source in resource_policies:
        yield Part.TRUST if source.policy.grammar is Grammar.TRUST else Part.RESOURCE, source


def _only_delegates(source: Source, statement: Statement, subject: Subject) -> bool:
    return (
        statement.effect is Effect.ALLOW and granted(source, statement, subject) is Grant.DELEGATED
    )


def _misses(
    source: Source, statement: Statement, subject: Subject, request: Request
) -> Iterator[str]:
    """Say of each element that doesn't match why not."""
    principals, actions, resources = statement.principals, statement.actions, statement.resources
    if principals is not None:
        reached = (
            denied(source, statement, subject)
            if statement.effect is Effect.DENY
            else granted(source, statement, subject) is not Grant.NONE
        )
        if not reached:
            element = _element("Principal", negated=principals.negated)
            yield f"{element} {subject.name}{_succeeds(source, subject)}"
    if not actions.covers(request.action.lower()):
        element = _element("Action", negated=actions.negated)
        yield f"{element} {request.action}: {_listed(actions.texts)}"
    if resources is not None and not resources.test(request.resource, request.context):
        element = _element("Resource", negated=resources.negated)
        yield f"{element} {request.resource}: {_listed(resources.texts)}"
    for condition in statement.conditions:
        if not condition.holds(request.context):
            yield _unheld(condition, request)


def _succeeds(source: Source, subject: Subject) -> str:
    """Say so where somebody else had the ARN of `subject` when the policy was set."""
    for arn in (subject.arn, subject.role_arn or subject.arn):
        if source.bindings.get(arn, subject.unique_id) != subject.unique_id:
            return f": {arn} was somebody else when the policy was set"
    return ""


def _element(name: str, *, negated: bool) -> str:
    return f"Not{name} leaves out" if negated else f"{name} doesn't cover"


def _unheld(condition: Condition, request: Request) -> str:
    values = request.context.get(condition.key.lower())
    has = f"the request has {_listed(values)}" if values else "the request has no value for it"
    return (
        f"Condition {condition.operator} {condition.key}: {has}, "
        f"the policy asks for {_listed(condition.values)}"
    )


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(texts)
