"""Delivering events: each receiver gets all of them, in order, at its own pace.

A receiver that is behind has a job. The job delivers until the receiver has everything, and fails
where the receiver does: then it waits, longer each time, and no other receiver waits for it. What
a receiver has is written down after it was delivered, so a kill in between means that it gets the
same events once more.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from longshore.clock import MINUTE
from longshore.events import log, progress
from longshore.events.progress import Delivery, Outcome, Overtaken
from longshore.events.receivers import Undelivered
from longshore.jobs import ledger, queue
from longshore.jobs.queue import Terms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from longshore.clock import Millis
    from longshore.events.log import Entry
    from longshore.events.progress import Progress
    from longshore.events.receivers import Receiver
    from longshore.registry.context import Context
    from longshore.work.runner import Work

JOB = "event delivery"
FORGETTING = "event forgetting"
# A receiver that is away is waited for as long as its events are kept.
TERMS = Terms(lease=MINUTE, attempts=None)

# How often a receiver may refuse an event before it is passed over.
_MOST_REFUSALS = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keeping:
    """For how long events are kept, for receivers that are behind and streams that come back.

    Attributes:
        most: how many at most: the newest.
        age: for how long at most, in milliseconds.
    """

    most: int
    age: Millis


class Outbox:
    """Gives new events their places in the log, and receivers that are behind their jobs.

    Args:
        context: the store.
        receivers: the names of those who are to have every event from now on.
        keeping: for how long events are kept.
    """

    def __init__(self, context: Context, receivers: Sequence[str], keeping: Keeping) -> None:
        self._context = context
        self._receivers = receivers
        self._keeping = keeping

    def look(self) -> None:
        """See `Source`."""
        database = self._context.database
        with database.read() as tx:
            has_new = log.has_new(tx)
            unknown = progress.unknown(tx, self._receivers)
        for name in unknown:
            with database.write() as tx:
                progress.begin(tx, name)
        while has_new:
            with database.write() as tx:
                has_new = log.place(tx, self._keeping.most)
        with database.read() as tx:
            idle = set(progress.behind(tx, self._receivers)) - ledger.busy_keys(tx, JOB)
        for name in sorted(idle):
            with database.write(durable=False) as tx:
                now = self._context.clock()
                queue.enqueue(tx, JOB, {"receiver": name}, now=now, key=name)


class Courier:
    """Delivers events: the handler of `JOB`.

    Args:
        context: the store.
        receivers: those whom it can reach.
    """

    def __init__(self, context: Context, receivers: Sequence[Receiver]) -> None:
        self._context = context
        self._receivers: Mapping[str, Receiver] = {each.name: each for each in receivers}

    def run(self, work: Work) -> None:
        """Deliver what a receiver doesn't have yet.

        Raises:
            Undelivered: it can't be reached, or it refuses an event.
        """
        receiver = self._receivers.get(work.job.payload["receiver"])
        # Others may have one of that name, or nobody any more.
        if receiver is None:
            return
        has_got_some = False
        try:
            while self._deliver_some(receiver):
                has_got_some = True
                work.check()
        except Overtaken:
            return
        except Undelivered as failure:
            if not has_got_some and not failure.delivered:
                raise
            self._begin_anew(work, receiver, failure)

    def _deliver_some(self, receiver: Receiver) -> bool:
        """Deliver the next events; tell whether there were any."""
        with self._context.database.read() as tx:
            before = progress.read(tx, receiver.name)
            events = log.after(tx, before.position, receiver.most)
        if not events:
            return False
        if (lost := events[0].position - 1 - before.position) > 0:
            before = self._pass_over_lost(before, lost)
        try:
            answer = receiver.deliver(events)
        except Undelivered as failure:
            self._note_failure(before, events, failure)
        else:
            told = self._told(before, events, Outcome.DELIVERED, answer)
            self._note(before, events[-1].position, told)
        return True

    def _pass_over_lost(self, before: Progress, lost: int) -> Progress:
        """Write down that events were dropped before the receiver had them."""
        reason = "the receiver was away for longer than events are kept"
        _log.warning("%d events for the receiver '%s' were dropped: %s", lost, before.name, reason)
        position, now = before.position + lost, self._context.clock()
        self._note(
            before, position, Delivery(before.name, now, Outcome.DROPPED, None, lost, reason)
        )
        return progress.Progress(before.name, position, 0)

    def _note_failure(
        self, before: Progress, events: Sequence[Entry], failure: Undelivered
    ) -> None:
        """Write down that a receiver doesn't have all of some events.

        Raises:
            Undelivered: the next one is to be tried again later.
        """
        had, left = events[: failure.delivered], events[failure.delivered :]
        if had:
            answer = "taken before another one failed"
            told = self._told(before, had, Outcome.DELIVERED, answer)
            self._note(before, had[-1].position, told)
            before = progress.Progress(before.name, had[-1].position, 0)
        refusals = before.refusals + failure.is_refusal
        if refusals >= _MOST_REFUSALS:
            reason = f"passed over after {refusals} refusals: {failure}"
            _log.warning(
                "the receiver '%s' doesn't take event %s; it is %s",
                *(before.name, left[0].event_id, reason),
            )
            told = self._told(before, left[:1], Outcome.REFUSED, reason)
            self._note(before, left[0].position, told)
            return
        told = self._told(before, left, Outcome.FAILED, str(failure))
        self._note(before, before.position, told, refusals)
        raise failure

    def _told(
        self, before: Progress, events: Sequence[Entry], outcome: Outcome, answer: str
    ) -> Delivery:
        now = self._context.clock()
        return Delivery(before.name, now, outcome, events[0].event_id, len(events), answer)

    def _note(self, before: Progress, position: int, delivery: Delivery, refusals: int = 0) -> None:
        # Lost in a power cut, it is delivered again.
        with self._context.database.write(durable=False) as tx:
            progress.advance(tx, before, position, refusals)
            progress.record(tx, delivery)

    def _begin_anew(self, work: Work, receiver: Receiver, failure: Undelivered) -> None:
        """Let the job begin again from its first attempt: the receiver isn't away."""
        _log.warning("the receiver '%s' failed for now: %s", receiver.name, failure)
        now = self._context.clock()
        with self._context.database.write() as tx:
            work.finish(tx)
            later = now + TERMS.first_delay
            queue.enqueue(
                tx, JOB, {"receiver": receiver.name}, now=now, run_at=later, key=receiver.name
            )


def forget_old(context: Context, keeping: Keeping) -> None:
    """Drop the events that are too old: the handler of `FORGETTING`."""
    with context.database.write() as tx:
        log.forget(tx, context.clock() - keeping.age)
