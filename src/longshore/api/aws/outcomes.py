"""Outcomes: what a request came to, for the next one that asks the same.

Clients ask the same thing again, each time under another signature. What the signature proves is
proved each time: who asks. All else that has a say in what a reading request comes to is the
question that its outcome is kept under, beside the database, whose generation is the memory's, and
the time, which was watched (`longshore.clock.Horizon`): where a condition of a policy has asked for
the time, or for anything else of the request, nothing is kept. An operation sees nothing of a
request but its call and its members (`longshore.api.aws.calls`), so that the question is whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from longshore.audit.records import RepeatedCall

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from longshore.api.aws.exchanges import Exchange
    from longshore.audit.records import ApiCall, Outline
    from longshore.clock import Millis
    from longshore.names import Registry
    from longshore.registry.context import Context, WithoutWaiting
    from longshore.registry.pulls import PulledImage

# What an outcome takes in bytes, besides its members and its answer, which are in memory anyway,
# and what clients may make long.
_SIZE = 4 * 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request came to.

    Attributes:
        members: what it asked for.
        content: what it was answered; None where each answer is a new one.
        pulled: the images that the answer hands out.
        puller: the ARN of whose pull it is.
        registry: that of whoever asked.
        outline: what the audit tells of it.
        until: before which moment it holds; None where it doesn't depend on the time.
    """

    members: Mapping[str, Any]
    content: bytes | None
    pulled: Sequence[PulledImage]
    puller: str
    registry: Registry
    outline: Outline
    until: Millis | None

    def record(self, exchange: Exchange, at: Millis) -> RepeatedCall:
        """Return what the audit tells of another request that came to it."""
        return RepeatedCall(self.outline, at, exchange.request.id)


class Outcomes:
    """The outcomes that one process remembers.

    Args:
        context: the store.
        without_waiting: the same for the event loop; outcomes are kept in its memory.
    """

    def __init__(self, context: Context, without_waiting: WithoutWaiting) -> None:
        self._clock = context.clock
        self._without_waiting = without_waiting
        # Whoever watches decisions is to see them made.
        self._is_watched = context.authorizing is not None

    def find(self, context: Context, exchange: Exchange) -> Outcome | None:
        """Return what a request came to that asked the same, if it would come to that again.

        Args:
            context: the store, as it may be asked at the moment.
            exchange: a request whose signature has been verified.
        """
        if not exchange.is_remembered:
            return None
        outcome = cast("Outcome | None", context.memory.recall(_question(exchange)))
        if outcome is None or (outcome.until is not None and self._clock() >= outcome.until):
            return None
        return outcome

    def keep(self, exchange: Exchange, told: ApiCall) -> None:
        """Keep what a request came to, which has just been answered from memory alone.

        Args:
            exchange: the request and its fate.
            told: what the audit was told of it.
        """
        until, call = self._without_waiting.until, exchange.call
        is_over = until is not None and self._clock() >= until
        if call is None or is_over or self._is_watched:
            return
        content, pulled = exchange.answer or (None, ())
        outcome = Outcome(
            exchange.members,
            content,
            pulled,
            call.principal.identity_arn,
            call.own_registry,
            told.outline,
            until,
        )
        token = exchange.signature and exchange.signature.security_token
        long = (told.outline.middle, exchange.request.base_url, token or "")
        self._without_waiting.keep(_question(exchange), outcome, _SIZE + sum(map(len, long)))


def _question(exchange: Exchange) -> Hashable:
    request, signature = exchange.request, exchange.signature
    return (
        "outcome",
        signature and (signature.access_key_id, signature.security_token, signature.region),
        (request.base_url, request.client_address, request.user_agent),
        (exchange.api.name, exchange.operation, exchange.body_sha256),
    )
