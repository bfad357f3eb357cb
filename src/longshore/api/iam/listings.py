"""Listings of IAM: what a request asks for, and how a slice of it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from longshore.access.sealing import BrokenSeal
from longshore.api import pages
from longshore.errors import ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from longshore.api.aws.calls import Call, Output
    from longshore.registry.slices import Position, Slice

# What IAM's model says of MaxItems.
_DEFAULT_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Page:
    """A slice of a listing that a request asks for.

    Attributes:
        listing: names the listing and everything that it was filtered by.
        after: where the slice starts.
        limit: how many items it may have.
    """

    listing: str
    after: Position | None
    limit: int

    @classmethod
    def of(cls, call: Call, operation: str, request: Mapping[str, Any]) -> Page:
        """Return which slice a request asks for.

        Raises:
            ValidationFailed: its marker isn't one of this listing.
        """
        filters = {
            name: value for name, value in request.items() if name not in {"Marker", "MaxItems"}
        }
        listing = f"{operation} {call.caller.account} {sorted(filters.items())}"
        try:
            after = pages.read_position(call.context.server_key, listing, request.get("Marker"))
        except BrokenSeal:
            raise ValidationFailed(
                "Invalid Marker: it is not one that this listing returned"
            ) from None
        return cls(listing, after, request.get("MaxItems", _DEFAULT_LIMIT))

    def listed(
        self, call: Call, member: str, found: Slice[Any], tell: Callable[[Any], object]
    ) -> Output:
        """Return what tells a client of a slice.

        Args:
            call: the call.
            member: the member that has the items.
            found: the slice.
            tell: makes of an item what the client sees.
        """
        return {member: [tell(item) for item in found.items], **self.end(call, found)}

    def end(self, call: Call, found: Slice[Any]) -> Output:
        """Return what tells a client whether a slice is the last, and how to go on if it isn't."""
        marker = pages.write_token(call.context.server_key, self.listing, found.next)
        return {"IsTruncated": marker is not None, "Marker": marker}


def whole(member: str, items: list[Any]) -> Output:
    """Return what tells a client of a listing that has no second page."""
    return {member: items, "IsTruncated": False}
