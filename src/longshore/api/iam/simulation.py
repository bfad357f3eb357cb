"""IAM operations that tell what would be decided, and by which statements."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice, product
from typing import TYPE_CHECKING, Any, TypeAlias

from longshore.access.policy.documents import Grammar
from longshore.access.policy.evaluation import Policies, Source
from longshore.access.policy.explanation import Part, explain
from longshore.access.policy.positions import statement_spans
from longshore.access.policy.statements import Effect, is_action
from longshore.access.policy.subjects import Kind, Request, Subject
from longshore.api.iam.listings import Page
from longshore.errors import NotBuiltYet
from longshore.identity import documents, managed_policies, principals
from longshore.identity.condition_keys import ConditionKeys
from longshore.identity.errors import InvalidInput
from longshore.identity.principals import Principal
from longshore.names import is_account
from longshore.registry.slices import Slice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from types_boto3_iam import type_defs as iam

    from longshore.access.policy.explanation import Explanation, Look
    from longshore.access.policy.positions import Span
    from longshore.api.aws.calls import Call, Output

SpansIn: TypeAlias = "Callable[[str], tuple[Span, ...]]"

# How many statements one page looks at: an answer takes a moment at most.
_MOST_LOOKS = 20_000
# In characters; no request that is more than simulated gives longer ones.
_LONGEST_CONTEXT_VALUE = 2_048
_KINDS = {Part.RESOURCE: "resource", Part.TRUST: "resource"}


def simulate_principal_policy(
    call: Call, request: iam.SimulatePrincipalPolicyRequestTypeDef
) -> Output:
    """SimulatePrincipalPolicy."""
    source = request["PolicySourceArn"]
    principal = principals.of_arn(call.context, source)
    given = principal.policies
    policies = replace(
        given,
        identity=(*given.identity, *_inputs("PolicyInputList", request)),
        boundary=_boundary(request) or given.boundary,
    )
    subject = principal.subject
    if (caller := request.get("CallerArn", source)) != source:
        subject = _user(caller)
    return _simulate(call, request, replace(principal, subject=subject, policies=policies))


def simulate_custom_policy(call: Call, request: iam.SimulateCustomPolicyRequestTypeDef) -> Output:
    """SimulateCustomPolicy."""
    account = call.caller.account
    subject = _user(request.get("CallerArn", f"arn:aws:iam::{account}:user/simulated"))
    policies = Policies(
        identity=tuple(_inputs("PolicyInputList", request)), boundary=_boundary(request)
    )
    return _simulate(call, request, Principal(subject, policies))


@dataclass(frozen=True, slots=True)
class _Simulation:
    """What all the decisions of one request have in common."""

    principal: Principal
    resource_policies: tuple[Source, ...]
    owner: str | None
    context: Mapping[str, tuple[str, ...]]

    @property
    def statements(self) -> int:
        """How many statements one decision looks at."""
        policies = self.principal.policies
        bounds = () if policies.boundary is None else (policies.boundary,)
        sources = (
            *policies.identity,
            *bounds,
            *(policies.session or ()),
            *self.resource_policies,
        )
        return sum(len(source.policy.statements) for source in sources)

    def explain(self, action: str, resource: str) -> Explanation:
        """Decide on one action and one resource, and say why."""
        account = self.owner or _account_in(resource) or self.principal.subject.account
        return explain(
            self.principal.subject,
            self.principal.policies,
            self.resource_policies,
            Request(action, resource, account, self.context),
        )


def _simulate(call: Call, request: Mapping[str, Any], principal: Principal) -> Output:
    for member in ("PolicyExclusionList", "OrderedOrganizationPolicyInputList"):
        if request.get(member):
            raise NotBuiltYet(f"{member} is not built yet in Longshore.")
    for action in request["ActionNames"]:
        if not is_action(action):
            raise InvalidInput(f"Invalid action: {action}")
    simulation = _Simulation(
        principal,
        tuple(_resource_policies(request)),
        _owner(request),
        ConditionKeys(principal, call.surroundings, call.context.clock, {}, _given(request)),
    )
    page = Page.of(call, "Simulate", request)
    begin = int(page.after[0]) if page.after else 0
    pairs = product(request["ActionNames"], request.get("ResourceArns") or ["*"])
    # A page may end before as many as were asked for.
    limit = min(page.limit, max(1, _MOST_LOOKS // max(1, simulation.statements)))
    asked = list(islice(pairs, begin, begin + limit + 1))
    found = Slice(
        tuple(simulation.explain(*each) for each in asked[:limit]),
        (begin + limit,) if len(asked) > limit else None,
    )
    return page.listed(call, "EvaluationResults", found, partial(_result, cache(statement_spans)))


def _result(spans_in: SpansIn, explanation: Explanation) -> Output:
    boundary = any(look.part is Part.BOUNDARY for look in explanation.looks)
    result: Output = {
        "EvalActionName": explanation.request.action,
        "EvalResourceName": explanation.request.resource,
        "EvalDecision": explanation.decision.reason.outcome.value,
        "MatchedStatements": [_matched(spans_in, look) for look in explanation.matched],
        "MissingContextValues": list(explanation.missing),
    }
    if boundary:
        result["PermissionsBoundaryDecisionDetail"] = {
            "AllowedByPermissionsBoundary": _is_allowed_by_boundary(explanation.matched)
        }
    return result


def _is_allowed_by_boundary(matched: Iterable[Look]) -> bool:
    effects = {look.statement.effect for look in matched if look.part is Part.BOUNDARY}
    return effects == {Effect.ALLOW}


def _matched(spans_in: SpansIn, look: Look) -> Output:
    span = spans_in(look.source.policy.text)[look.statement.number - 1]
    return {
        "SourcePolicyId": look.source.name,
        "SourcePolicyType": _KINDS.get(look.part, "none"),
        "StartPosition": {"Line": span.start.line, "Column": span.start.column},
        "EndPosition": {"Line": span.end.line, "Column": span.end.column},
    }


def _given(request: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the values of condition keys that a request gives."""
    given: dict[str, tuple[str, ...]] = {}
    for entry in request.get("ContextEntries", ()):
        values = tuple(entry.get("ContextKeyValues", ()))
        if any(len(value) > _LONGEST_CONTEXT_VALUE for value in values):
            raise InvalidInput(
                f"A value of {entry.get('ContextKeyName')} is too long. It may have up to "
                f"{_LONGEST_CONTEXT_VALUE} characters."
            )
        if "ContextKeyName" in entry:
            given[entry["ContextKeyName"].lower()] = values
    return given


def _inputs(member: str, request: Mapping[str, Any]) -> Iterable[Source]:
    for number, text in enumerate(request.get(member, ()), 1):
        yield Source(f"{member}.{number}", managed_policies.check_document(text))


def _boundary(request: Mapping[str, Any]) -> Source | None:
    boundaries = list(_inputs("PermissionsBoundaryPolicyInputList", request))
    if len(boundaries) > 1:
        raise InvalidInput("There can be one permissions boundary only")
    return boundaries[0] if boundaries else None


def _resource_policies(request: Mapping[str, Any]) -> Iterable[Source]:
    text = request.get("ResourcePolicy")
    if text is not None:
        yield Source("ResourcePolicy", documents.checked(text, Grammar.REPOSITORY))


def _owner(request: Mapping[str, Any]) -> str | None:
    owner: str | None = request.get("ResourceOwner")
    if owner is None or is_account(owner):
        return owner
    account = _account_in(owner)
    if account is None:
        raise InvalidInput(f"Invalid resource owner: {owner}")
    return account


def _user(arn: str) -> Subject:
    account = _account_in(arn)
    if account is None:
        raise InvalidInput(f"Invalid caller ARN: {arn}")
    return Subject(Kind.USER, account, arn)


def _account_in(arn: str) -> str | None:
    parts: Sequence[str] = arn.split(":", 5)
    return parts[4] if len(parts) == 6 and is_account(parts[4]) else None
