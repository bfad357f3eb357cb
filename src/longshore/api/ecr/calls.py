"""A call of the ECR API: who calls what, where, and the small words that all operations share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from longshore.api import pages
from longshore.errors import InvalidParameter
from longshore.names import Digest, Registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.api.hosts import Hosts
    from longshore.identity.access_keys import Credentials
    from longshore.identity.authorization import Surroundings
    from longshore.identity.principals import Principal
    from longshore.registry.context import Caller, Context
    from longshore.registry.slices import Position

Output: TypeAlias = "dict[str, Any]"

DEFAULT_PAGE = 100


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    Attributes:
        context: the store.
        hosts: the names under which the server is known.
        credentials: what the request is signed with.
        surroundings: what policies may ask of it besides who signed it.
        region: the region that the signature is for.
        base_url: scheme and host, as the client wrote them.
    """

    context: Context
    hosts: Hosts
    credentials: Credentials
    surroundings: Surroundings
    region: str
    base_url: str

    @property
    def principal(self) -> Principal:
        """Who signed the request."""
        return self.credentials.principal

    @property
    def caller(self) -> Caller:
        """Who signed it, as the rules know them."""
        return self.principal.caller

    @property
    def own_registry(self) -> Registry:
        """The caller's own registry, which is also the default."""
        return Registry(self.caller.account, self.region)

    def registry(self, registry_id: str | None) -> Registry:
        """Return the registry that a request names by an account's id, or the caller's own."""
        return Registry(registry_id or self.caller.account, self.region)

    def read_page(self, listing: str, request: Mapping[str, Any], default: int) -> Page:
        """Return which slice of a listing a request asks for.

        Raises:
            InvalidParameter: its token isn't one of this listing.
        """
        after = pages.read_token(
            self.context.server_key, listing, request.get("nextToken"), member="nextToken"
        )
        return Page(listing, after, request.get("maxResults") or default)

    def next_token(self, page: Page, position: Position | None) -> str | None:
        """Return the token of the page after `page`, or None if it was the last."""
        return pages.write_token(self.context.server_key, page.listing, position)


@dataclass(frozen=True, slots=True)
class Page:
    """A slice of a listing that a request asks for."""

    listing: str
    after: Position | None
    limit: int


def refuse_paging(request: Mapping[str, Any], member: str) -> None:
    """Refuse `nextToken` and `maxResults` together with a member that names its results."""
    for paging in ("nextToken", "maxResults"):
        if request.get(paging) is not None:
            raise InvalidParameter.at(paging, f"{paging} cannot be used together with {member}")


def read_digest(call: Call, member: str, text: str) -> Digest:
    """Read a digest that the dialect accepts.

    Raises:
        InvalidParameter: `text` isn't one.
    """
    try:
        digest = Digest.parse(text)
    except ValueError:
        raise InvalidParameter.at(
            member, "Member must be a digest: sha256, a colon and 64 lower-case hex digits"
        ) from None
    if digest.algorithm not in call.context.dialect.manifest_rules.algorithms:
        raise InvalidParameter.at(member, f"Digests by {digest.algorithm} are not supported")
    return digest
