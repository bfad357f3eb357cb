"""Receivers: those whom events are delivered to, one after the other and in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.events.log import Entry


class Undelivered(Exception):
    """A receiver doesn't have all of the events; the message says why, without secrets.

    Args:
        reason: why.
        delivered: how many of the first of them it has all the same.
        is_refusal: whether it is this event that it doesn't want. What isn't wanted is tried a few
            times and then passed over; else the receiver is tried until it is back.
    """

    def __init__(self, reason: str, *, delivered: int = 0, is_refusal: bool = False) -> None:
        super().__init__(reason)
        self.delivered = delivered
        self.is_refusal = is_refusal


class Receiver(Protocol):
    """Somebody whom events are delivered to."""

    @property
    def name(self) -> str:
        """Its name, which no other one has."""

    @property
    def most(self) -> int:
        """How many events it takes at once."""

    def deliver(self, events: Sequence[Entry]) -> str:
        """Deliver events; return what the receiver answered, for people.

        Raises:
            Undelivered: it doesn't have all of them.
        """
