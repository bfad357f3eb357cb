"""Page tokens: opaque, and good only for the listing that they came from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from longshore.access.sealing import BrokenSeal
from longshore.errors import InvalidParameter

if TYPE_CHECKING:
    from longshore.access.sealing import ServerKey
    from longshore.registry.slices import Position

_PURPOSE = "page token"


def write_token(key: ServerKey, listing: str, position: Position | None) -> str | None:
    """Return the token that continues a listing at `position`, or None after its end.

    Args:
        key: the server's key.
        listing: names the listing and everything that it was filtered by.
        position: where the next slice starts.
    """
    if position is None:
        return None
    return key.seal_for(_PURPOSE).close_text(json.dumps(position).encode(), listing.encode())


def read_position(key: ServerKey, listing: str, token: str | None) -> Position | None:
    """Return the position that a token stands for; none stands for the beginning.

    Raises:
        BrokenSeal: the token isn't one of this listing.
    """
    if token is None:
        return None
    return tuple(json.loads(key.seal_for(_PURPOSE).open_text(token, listing.encode())))


def read_token(key: ServerKey, listing: str, token: str | None, *, member: str) -> Position | None:
    """Return the position that a token stands for; none stands for the beginning.

    Raises:
        InvalidParameter: the token isn't one of this listing.
    """
    try:
        return read_position(key, listing, token)
    except BrokenSeal:
        raise InvalidParameter.at(
            member, "The token is not one that this listing returned"
        ) from None
