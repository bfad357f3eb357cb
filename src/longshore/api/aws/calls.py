"""A call of an API of AWS: who calls what, where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from longshore.names import Registry

if TYPE_CHECKING:
    from longshore.api.hosts import Hosts
    from longshore.identity.access_keys import Credentials
    from longshore.identity.authorization import Surroundings
    from longshore.identity.principals import Principal
    from longshore.registry.context import Caller, Context

Output: TypeAlias = "dict[str, Any]"


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    Attributes:
        context: the store.
        hosts: the names under which the server is known.
        principal: who calls.
        credentials: what the request was signed with, None where it needn't be signed.
        region: the region that it is for.
        base_url: scheme and host, as the client wrote them.
        surroundings: what policies may ask of the request itself.
    """

    context: Context
    hosts: Hosts
    principal: Principal
    credentials: Credentials | None
    region: str
    base_url: str
    surroundings: Surroundings

    @property
    def caller(self) -> Caller:
        """Who calls, as the registry knows them."""
        return self.principal.caller

    @property
    def own_registry(self) -> Registry:
        """The caller's own registry; that of somebody unknown is the server's default."""
        account = self.caller.account if self.credentials else self.hosts.default.account
        return Registry(account, self.region)
