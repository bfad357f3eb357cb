"""A call of the ECR API, and the small words that all its operations share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from longshore.api import pages
from longshore.api.aws import calls
from longshore.api.aws.calls import Output
from longshore.errors import InvalidParameter
from longshore.names import Digest, Registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.registry.slices import Position

__all__ = ["DEFAULT_PAGE", "Call", "Output", "Page", "read_digest", "refuse_paging"]

DEFAULT_PAGE = 100


@dataclass(slots=True)
class Call(calls.Call):
    """One call."""

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
