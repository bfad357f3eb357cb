"""Setting the policies of repositories and of registries, and showing them.

Only sensible ones are taken, and who is gone is shown to be.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from longshore.access.policy.documents import Grammar
from longshore.errors import InvalidParameter
from longshore.identity import authorization, bindings
from longshore.identity.authorization import Need
from longshore.identity.bindings import NoSuchPrincipal
from longshore.registry import policies, registry_policies, repository_policies
from longshore.registry.policies import PrincipalNotFound, StoredPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.identity.authorization import Surroundings
    from longshore.identity.principals import Principal
    from longshore.names import Registry
    from longshore.registry.context import Context
    from longshore.registry.policies import PolicyDocument

_LOCKED_OUT = (
    "The policy provided would prevent you from setting another policy in the future. "
    "Use force to apply it."
)


def set_on_repository(
    context: Context,
    registry: Registry,
    name: str,
    text: str,
    *,
    principal: Principal,
    surroundings: Surroundings,
    force: bool,
) -> str:
    """Set the policy of a repository; return it in ECR's normal form.

    Args:
        context: the store.
        registry: where the repository is.
        name: the repository's name.
        text: the policy.
        principal: who sets it.
        surroundings: of the request that does.
        force: set it even if `principal` couldn't set another one afterwards.

    Raises:
        InvalidPolicy: it isn't a policy.
        PrincipalNotFound: it names a principal that doesn't exist.
        InvalidParameter: `principal` couldn't set another one, and `force` isn't given.
        RepositoryNotFound: there is no such repository.
    """
    document = read(context, text, Grammar.REPOSITORY)
    need = Need.on(registry, name, "ecr:SetRepositoryPolicy")
    if not force and not authorization.would_allow(
        context, principal, need, surroundings, document.source
    ):
        raise InvalidParameter.at("PolicyText", _LOCKED_OUT)
    repository_policies.put(context, registry, name, document)
    return document.text


def put_on_registry(context: Context, registry: Registry, text: str) -> str:
    """Set the policy of a registry; return it in ECR's normal form.

    Raises:
        InvalidPolicy: it isn't a policy.
        PrincipalNotFound: it names a principal that doesn't exist.
    """
    document = read(context, text, Grammar.REGISTRY)
    registry_policies.put(context, registry, document)
    return document.text


def of_repository(context: Context, registry: Registry, name: str) -> str:
    """Return the policy of a repository as it is shown (`bindings.shown`).

    Raises:
        RepositoryNotFound, RepositoryPolicyNotFound: there is none.
    """
    [text] = shown(context, [repository_policies.get(context, registry, name)])
    return text


def of_registry(context: Context, registry: Registry) -> str:
    """Return the policy of a registry as it is shown (`bindings.shown`).

    Raises:
        RegistryPolicyNotFound: it has none.
    """
    [text] = shown(context, [registry_policies.get(context, registry)])
    return text


def shown(context: Context, stored: Sequence[StoredPolicy]) -> list[str]:
    """Return policies as they are shown (`bindings.shown`)."""
    if not any(policy.bindings for policy in stored):
        return [policy.text for policy in stored]
    with context.database.read() as tx:
        return bindings.shown(tx, stored)


def read(context: Context, text: str, grammar: Grammar) -> PolicyDocument:
    """Check a policy that somebody wants to set, and whom it names.

    Raises:
        InvalidPolicy: it isn't a policy.
        PrincipalNotFound: it names a principal that doesn't exist.
    """
    document = policies.read(text, grammar)
    try:
        found = bindings.find(context, document.policy.principals())
    except NoSuchPrincipal as error:
        raise PrincipalNotFound(error.named) from None
    return replace(document, bindings=found)
