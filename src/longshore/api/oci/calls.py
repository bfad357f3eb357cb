"""A request on the registry face, once it's known what it is for and who sends it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from longshore.api.oci.errors import InvalidDigest
from longshore.names import Digest, Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.api.http import Request
    from longshore.api.oci.buffers import Buffers
    from longshore.api.workers import Workers
    from longshore.identity.authorization import Surroundings
    from longshore.identity.creation_on_push import Creation
    from longshore.identity.principals import Principal
    from longshore.registry.context import Caller, Context
    from longshore.registry.pulls import PulledImage


# Not frozen: each request has one, and freezing costs more than all that is in it.
@dataclass(slots=True)
class Call:
    """One request.

    Attributes:
        context: the store.
        workers: where the rules run.
        buffers: where bodies are received.
        request: what came over the wire.
        body: its body, where the route has it read beforehand.
        registry: the registry that the host names.
        principal: who sends it.
        surroundings: what policies may ask of it besides.
        name: the repository's name, checked; empty where the route has none.
        argument: the last part of the path: a digest, a tag or an upload id, unchecked.
        admit_again: raises what refuses the request now, where that has changed since.
        creations: the repositories that came to be by it.
        pulled: the images that the answer hands out, which its handler names.
    """

    context: Context
    workers: Workers
    buffers: Buffers
    request: Request
    body: bytes
    registry: Registry
    principal: Principal
    surroundings: Surroundings
    name: str
    argument: str
    admit_again: Callable[[], object]
    creations: list[Creation] = field(default_factory=list)
    pulled: list[PulledImage] = field(default_factory=list)

    @property
    def caller(self) -> Caller:
        """Who sends it, as the rules know them."""
        return self.principal.caller

    def digest(self, text: str | None = None) -> Digest:
        """Read `text`, or the path's argument, as a digest that the dialect accepts.

        Raises:
            InvalidDigest: it isn't one.
        """
        text = self.argument if text is None else text
        try:
            digest = Digest.parse(text)
        except ValueError:
            raise InvalidDigest(
                "The digest must be an algorithm, a colon and lower-case hex digits, "
                "such as sha256:<64 digits>"
            ) from None
        if digest.algorithm not in self.context.dialect.manifest_rules.algorithms:
            raise InvalidDigest(f"Digests by {digest.algorithm} are not supported by this registry")
        return digest

    def url(self, path: str) -> str:
        """Return the absolute URL of `path` below this repository."""
        return f"{self.request.base_url}/v2/{self.name}/{path}"
