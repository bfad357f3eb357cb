"""A call of an API of AWS: who calls what, where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from longshore.errors import MissingAuthenticationToken
from longshore.names import Registry

if TYPE_CHECKING:
    from longshore.api.hosts import Hosts
    from longshore.identity.access_keys import Credentials
    from longshore.identity.authorization import Surroundings
    from longshore.identity.principals import Principal
    from longshore.registry.context import Caller, Context
    from longshore.registry.pulls import PulledImage

Output: TypeAlias = "dict[str, Any]"


# Not frozen: each request has one, and freezing costs more than all that is in it.
@dataclass(slots=True)
class Call:
    """One call.

    Attributes:
        context: the store, as it may be asked at the moment.
        hosts: the names under which the server is known.
        principal: who calls.
        signed_with: what the request was signed with, None where it needn't be signed.
        region: the region that it is for.
        base_url: scheme and host, as the client wrote them.
        surroundings: what policies may ask of the request itself.
        pulled: the images that the answer hands out, which its handler names. They count as pulled
            whenever the answer is given, from memory too.
    """

    context: Context
    hosts: Hosts
    principal: Principal
    signed_with: Credentials | None
    region: str
    base_url: str
    surroundings: Surroundings
    pulled: list[PulledImage] = field(default_factory=list)

    @property
    def credentials(self) -> Credentials:
        """What the request was signed with.

        Raises:
            MissingAuthenticationToken: it wasn't.
        """
        if self.signed_with is None:
            raise MissingAuthenticationToken
        return self.signed_with

    @property
    def caller(self) -> Caller:
        """Who calls, as the registry knows them."""
        return self.principal.caller

    @property
    def own_registry(self) -> Registry:
        """The caller's own registry; that of somebody unknown is the server's default."""
        return Registry(self.caller.account or self.hosts.default.account, self.region)
