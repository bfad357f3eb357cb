"""Whether a principal may do what a request asks for: each request of every face comes by here.

The decision is the policy language's (`longshore.access.policy`). Here it is gathered what it
decides on: the policies of whoever asks, those of the repository and of the registry, and the
values of condition keys.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from longshore.access.policy.evaluation import Request, decide
from longshore.access.policy.explanation import explain as explain_decision
from longshore.errors import AccessDenied, RepositoryNotFound
from longshore.identity.condition_keys import ConditionKeys
from longshore.identity.principals import ANONYMOUS
from longshore.names import Registry, is_account, is_repository_name
from longshore.registry import policies_in_force

if TYPE_CHECKING:
    from longshore.access.policy.evaluation import Decision, Source
    from longshore.access.policy.explanation import Explanation
    from longshore.identity.condition_keys import Values
    from longshore.identity.principals import Principal
    from longshore.registry.context import Context
    from longshore.registry.policies_in_force import PoliciesInForce

_NO_VALUES: Values = MappingProxyType({})

# Which no policy but the caller's own grants (ECR user guide, "Registry permissions").
_ACTIONS_OF_THE_CALLER = frozenset({"ecr:createpullthroughcacherule", "ecr:getauthorizationtoken"})

# What a registry policy of the older scope has a say in (ECR user guide, "Registry permissions").
_ACTIONS_OF_SCOPE_V1 = frozenset(
    {"ecr:batchimportupstreamimage", "ecr:createrepository", "ecr:replicateimage"}
)

_REPOSITORIES_ARN = re.compile(
    r"arn:[^:]+:ecr:(?P<region>[^:]+):(?P<account>[0-9]{12}):repository/(?P<name>.+)"
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Need:
    """A permission that a request needs.

    Attributes:
        action: such as `ecr:PutImage`.
        resource: the ARN of what it is done to, or `*` where the action knows no resources.
        registry: the registry whose policies have a say, or None where only those of the caller
            have.
        repository: the repository whose policy and tags count too, or None where there is none.
        values: the condition keys, in lower case, that the request itself gives.
        called: what refusals call the resource where its ARN tells more than the request does.
        only_for_operator: it changes the administrator of the server, whose rights are more than an
            account's: nobody else has it, whatever policies say.
    """

    action: str
    resource: str = "*"
    registry: Registry | None = None
    repository: str | None = None
    values: Values = field(default_factory=dict)
    called: str | None = None
    only_for_operator: bool = False

    @classmethod
    def on(
        cls, registry: Registry, repository: str, action: str, values: Values = _NO_VALUES
    ) -> Self:
        """Return the permission to do something to a repository."""
        return cls(action, registry.repository_arn(repository), registry, repository, values)

    @classmethod
    def on_all(cls, registry: Registry, action: str) -> Self:
        """Return the permission to do something to whatever repositories a registry has."""
        return cls(action, registry.repository_arn("*"), registry)

    @classmethod
    def of(cls, action: str, resource: str, own: Registry, values: Values = _NO_VALUES) -> Self:
        """Return the permission that a request would need, from the words of a policy.

        Args:
            action: the IAM action.
            resource: an ARN, or `*`.
            own: the registry of whoever asks, which `*` is about.
            values: the condition keys that the request would give.
        """
        folded = action.lower()
        if not folded.startswith("ecr:") or folded in _ACTIONS_OF_THE_CALLER:
            return cls(action, resource, values=values)
        match = _REPOSITORIES_ARN.fullmatch(resource)
        if match is None:
            return cls(action, resource, own, values=values)
        registry, name = Registry(match["account"], match["region"]), match["name"]
        # What is to be made has no policy of its own.
        if not is_repository_name(name) or folded == "ecr:createrepository":
            return cls(action, resource, registry, values=values)
        return cls(action, resource, registry, name, values)


# Not frozen: each request has them, and freezing costs more than all that is in them.
@dataclass(slots=True)
class Surroundings:
    """What policies may ask of a request besides who wants what.

    Attributes:
        region: the region that it is for.
        source_ip: the client's address, or "" where it has none.
        secure_transport: whether it came by TLS.
        user_agent: what the client calls itself.
        request_id: the name of the request in the log.
    """

    region: str
    source_ip: str = ""
    secure_transport: bool = False
    user_agent: str | None = None
    request_id: str = ""


def require(context: Context, principal: Principal, need: Need, surroundings: Surroundings) -> None:
    """Let a request pass whose caller has the permission that it needs.

    Raises:
        AccessDenied: the caller hasn't. It says so in AWS's words, and says nothing of whether
            what the request names exists.
    """
    if context.authorizing is None:
        _require(context, principal, need, surroundings)
        return
    with context.authorizing(need.action, need.resource):
        _require(context, principal, need, surroundings)


def _require(
    context: Context, principal: Principal, need: Need, surroundings: Surroundings
) -> None:
    question = _gather(context, principal, need, surroundings)
    decision = question.decide()
    called = need.called or need.resource
    if decision.allowed:
        if need.only_for_operator and not principal.subject.is_operator:
            raise AccessDenied(
                f"User: {principal.subject.name} is not authorized to perform: {need.action} on "
                f"resource: {called} because nobody but the administrator of the server may change "
                "what the administrator may do"
            )
        return
    sentence = decision.sentence(principal.subject, replace(question.request, resource=called))
    if not _log.isEnabledFor(logging.DEBUG):
        raise AccessDenied(sentence)
    explanation = question.explain()
    _log.debug("request %s is refused\n%s", surroundings.request_id, explanation.as_text())
    raise AccessDenied(sentence, explanation.as_json())


def allows(context: Context, principal: Principal, need: Need, surroundings: Surroundings) -> bool:
    """Tell whether a principal has a permission, for a request that can do with less."""
    return _gather(context, principal, need, surroundings).decide().allowed


def would_allow(
    context: Context,
    principal: Principal,
    need: Need,
    surroundings: Surroundings,
    policy: Source,
) -> bool:
    """Tell whether a principal would have a permission if a repository had another policy."""
    return _gather(context, principal, need, surroundings, policy).decide().allowed


def explain(
    context: Context, principal: Principal, need: Need, surroundings: Surroundings
) -> Explanation:
    """Explain the decision on a permission, statement by statement."""
    return _gather(context, principal, need, surroundings).explain()


@dataclass(slots=True)
class _Question:
    """All that one decision depends on."""

    principal: Principal
    resource_policies: tuple[Source, ...]
    request: Request

    def decide(self) -> Decision:
        asking = self.principal
        return decide(asking.subject, asking.policies, self.resource_policies, self.request)

    def explain(self) -> Explanation:
        asking = self.principal
        return explain_decision(
            asking.subject, asking.policies, self.resource_policies, self.request
        )


def _gather(
    context: Context,
    principal: Principal,
    need: Need,
    surroundings: Surroundings,
    policy_instead: Source | None = None,
) -> _Question:
    in_force = _in_force(context, principal, need)
    if in_force is not None and policy_instead is not None:
        in_force = replace(in_force, repository=policy_instead)
    account = _account_of(need, principal)
    keys = ConditionKeys(
        principal,
        surroundings,
        context.clock,
        {} if in_force is None else in_force.tags,
        need.values,
        resource_account=account,
    )
    request = Request(need.action, need.resource, account, keys)
    return _Question(principal, _sources(in_force, need.action), request)


def _in_force(context: Context, principal: Principal, need: Need) -> PoliciesInForce | None:
    if need.registry is None:
        return None
    if need.repository is not None:
        try:
            return policies_in_force.of_repository(context, need.registry, need.repository)
        except RepositoryNotFound:
            # What the registry's policy says of the name holds all the same.
            pass
    if principal is ANONYMOUS:
        # Whom nobody knows gets no further than to a repository that lets everybody in.
        return None
    return policies_in_force.of_registry(context, need.registry)


def _sources(in_force: PoliciesInForce | None, action: str) -> tuple[Source, ...]:
    if in_force is None:
        return ()
    sources: tuple[Source, ...] = ()
    if in_force.repository is not None:
        sources += (in_force.repository,)
    if in_force.registry is not None and (
        in_force.scope != "V1" or action.lower() in _ACTIONS_OF_SCOPE_V1
    ):
        sources += (in_force.registry,)
    return sources


def _account_of(need: Need, principal: Principal) -> str:
    if need.registry is not None:
        return need.registry.account
    parts = need.resource.split(":", 5)
    # Policies of AWS's own have `aws` there, and are in every account.
    named = len(parts) == 6 and is_account(parts[4])
    return parts[4] if named else principal.subject.account
