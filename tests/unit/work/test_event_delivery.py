from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from longshore.clock import DAY, HOUR, MINUTE, SECOND
from longshore.events import log, progress, shapes
from longshore.events.progress import Outcome
from longshore.events.receivers import Undelivered
from longshore.jobs import ledger, queue
from longshore.work import event_delivery
from longshore.work.event_delivery import Courier, Keeping, Outbox, forget_old
from longshore.work.runner import Handler, Runner
from tests.support.pushing import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from longshore.events.log import Entry
    from longshore.events.progress import Delivery
    from longshore.jobs.ledger import Entry as Job
    from longshore.registry.context import Context
    from tests.support.clock import FakeClock

KEEPING = Keeping(most=100, age=3 * DAY)


@dataclass
class Receiver:
    """Somebody who keeps what they got, and fails as a test says.

    Attributes:
        got: the parts of repository names that tell events from one another.
        before: called before each delivery.
    """

    name: str
    most: int = 1
    got: list[int] = field(default_factory=list)
    before: Callable[[list[int]], None] = lambda _: None

    def deliver(self, events: Sequence[Entry]) -> str:
        numbers = [int(each.document.partition("/")[2].partition('"')[0]) for each in events]
        try:
            self.before(numbers)
        except Undelivered as failure:
            self.got += numbers[: failure.delivered]
            raise
        self.got += numbers
        return "thanks"


def fail(
    reason: str = "503", *, delivered: int = 0, is_refusal: bool = False
) -> Callable[[list[int]], None]:
    def before(_: list[int]) -> None:
        raise Undelivered(reason, delivered=delivered, is_refusal=is_refusal)

    return before


def happen(context: Context, *numbers: int) -> None:
    events = [
        shapes.image_pushed(REGISTRY, context.clock(), f"r/{n}", "sha256:0", None) for n in numbers
    ]
    with context.database.write() as tx:
        log.emit(tx, events)


def process(context: Context, *receivers: Receiver, keeping: Keeping = KEEPING) -> Runner:
    """Return the runner of a process, which has begun with its receivers."""
    courier = Courier(context, receivers)
    outbox = Outbox(context, [each.name for each in receivers], keeping)
    handlers = {event_delivery.JOB: Handler(courier.run, 4, event_delivery.TERMS)}
    runner = Runner(context, handlers, [outbox], jitter=lambda: 0.0)
    runner.run_due()
    return runner


def jobs(context: Context) -> list[Job]:
    with context.database.read() as tx:
        return ledger.list_some(tx)


def deliveries(context: Context, receiver: str = "a") -> list[Delivery]:
    """Return the deliveries, the oldest first."""
    with context.database.read() as tx:
        return progress.deliveries(tx, receiver, 1_000)[::-1]


def outcomes(context: Context, receiver: str = "a") -> list[tuple[Outcome, int, str]]:
    return [(each.outcome, each.events, each.answer) for each in deliveries(context, receiver)]


@pytest.mark.parametrize("most", [1, 2, 10])
def test_every_receiver_gets_every_event_in_order(context: Context, most: int) -> None:
    receivers = [Receiver("a", most), Receiver("b", most)]
    runner = process(context, *receivers)
    happen(context, 1, 2)
    happen(context, 3)
    runner.run_due()
    happen(context, 4, 5)
    runner.run_due()
    assert [receiver.got for receiver in receivers] == [[1, 2, 3, 4, 5]] * 2
    assert jobs(context) == []


def test_what_happened_before_a_receiver_was_there_it_does_not_get(context: Context) -> None:
    process(context)
    happen(context, 1)
    process(context)
    receiver = Receiver("new")
    runner = process(context, receiver)
    happen(context, 2)
    runner.run_due()
    assert receiver.got == [2]


def test_a_runner_with_nothing_to_tell_writes_nothing(context: Context, clock: FakeClock) -> None:
    receiver = Receiver("a", before=fail())
    runner = process(context, receiver)
    happen(context, 1)
    runner.run_due()
    context.database.generation()
    before = context.database.generation()
    clock.advance(SECOND)
    runner.run_due()
    assert context.database.generation() == before


def test_a_receiver_that_is_away_holds_up_no_other_and_gets_everything_later(
    context: Context, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    away, there = Receiver("a", before=fail("it is away")), Receiver("b")
    runner = process(context, away, there)
    times: list[int] = []
    for n in range(60):
        happen(context, n)
        before = len(deliveries(context))
        runner.run_due()
        if len(deliveries(context)) > before:
            times.append(clock())
        clock.advance(MINUTE)
    assert there.got == list(range(60))
    # It is asked ever more seldom, whatever happens meanwhile, and for ever.
    pauses = [(after - before) // MINUTE for before, after in pairwise(times)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 8
    assert set(outcomes(context)) == {(Outcome.FAILED, 1, "it is away")}
    assert "failed and will be tried again" in caplog.text

    away.before = lambda _: None
    clock.advance(15 * MINUTE)
    runner.run_due()
    assert away.got == list(range(60))
    assert outcomes(context)[-1] == (Outcome.DELIVERED, 1, "thanks")


def test_a_receiver_that_fails_now_and_then_is_asked_soon_again(
    context: Context, clock: FakeClock
) -> None:
    def fail_at_odd_ones(numbers: list[int]) -> None:
        if numbers[0] % 2 and deliveries(context)[-1].outcome is Outcome.DELIVERED:
            raise Undelivered("not now")

    receiver = Receiver("a", before=fail_at_odd_ones)
    runner = process(context, receiver)
    happen(context, *range(20))
    for _ in range(11):
        runner.run_due()
        clock.advance(5 * SECOND)
    assert receiver.got == list(range(20))


def test_an_event_that_is_refused_is_tried_a_few_times_and_passed_over(
    context: Context, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse_two(numbers: list[int]) -> None:
        if 2 in numbers:
            raise Undelivered("422 no", delivered=numbers.index(2), is_refusal=True)

    receiver = Receiver("a", most=3, before=refuse_two)
    runner = process(context, receiver)
    happen(context, 1, 2, 3, 4)
    for _ in range(8):
        runner.run_due()
        clock.advance(15 * MINUTE)
    assert receiver.got == [1, 3, 4]
    assert outcomes(context) == [
        (Outcome.DELIVERED, 1, "taken before another one failed"),
        (Outcome.FAILED, 2, "422 no"),
        *[(Outcome.FAILED, 3, "422 no")] * 3,
        (Outcome.REFUSED, 1, "passed over after 5 refusals: 422 no"),
        (Outcome.DELIVERED, 2, "thanks"),
    ]
    assert "it is passed over after 5 refusals: 422 no" in caplog.text


def test_events_are_dropped_for_who_is_away_too_long_and_that_is_told(
    context: Context, clock: FakeClock
) -> None:
    receiver = Receiver("a", before=fail())
    runner = process(context, receiver, keeping=Keeping(most=3, age=DAY))
    for n in range(10):
        happen(context, n)
        runner.run_due()
    with context.database.read() as tx:
        assert len(log.after(tx, 0, 100)) == 3
    receiver.before = lambda _: None
    clock.advance(HOUR)
    runner.run_due()
    assert receiver.got == [7, 8, 9]
    reason = "the receiver was away for longer than events are kept"
    assert (Outcome.DROPPED, 7, reason) in outcomes(context)


def test_events_that_are_too_old_are_forgotten(context: Context, clock: FakeClock) -> None:
    receiver = Receiver("a", before=fail())
    runner = process(context, receiver)
    happen(context, 1, 2)
    runner.run_due()
    clock.advance(KEEPING.age + 1)
    happen(context, 3)
    runner.run_due()
    forget_old(context, KEEPING)
    receiver.before = lambda _: None
    clock.advance(15 * MINUTE)
    runner.run_due()
    assert receiver.got == [3]


def test_a_job_that_was_cancelled_comes_back(context: Context) -> None:
    receiver = Receiver("a", before=fail())
    runner = process(context, receiver)
    happen(context, 1)
    runner.run_due()
    receiver.before = lambda _: None
    with context.database.write() as tx:
        assert queue.cancel(tx, jobs(context)[0].id)
    runner.run_due()
    assert receiver.got == [1]


def test_a_receiver_that_is_no_longer_wanted_gets_nothing(context: Context) -> None:
    receiver = Receiver("a", before=fail())
    runner = process(context, receiver)
    happen(context, 1)
    runner.run_due()
    with context.database.write() as tx:
        queue.revive(tx, jobs(context)[0].id, context.clock())
    assert process(context).run_due() == 0
    assert jobs(context) == []
    assert receiver.got == []


def test_of_two_processes_one_delivers(context: Context, clock: FakeClock) -> None:
    other = Receiver("a")

    def take_over(_: list[int]) -> None:
        # So slow that another process has the job by now.
        clock.advance(event_delivery.TERMS.lease)
        slow.before = lambda _: None
        assert process(context, other).run_due() >= 0

    slow = Receiver("a", before=take_over)
    runner = process(context, slow)
    happen(context, 1, 2)
    runner.run_due()
    assert other.got == [1, 2]
    # It was on its way already; nothing after it is delivered a second time.
    assert slow.got == [1]
    assert jobs(context) == []


def test_a_kill_before_it_is_written_down_delivers_the_same_again(
    context: Context, clock: FakeClock
) -> None:
    class Killed(BaseException):
        pass

    def die(_: list[int]) -> None:
        receiver.got.append(1)
        raise Killed

    receiver = Receiver("a", before=die)
    runner = process(context, receiver)
    happen(context, 1, 2)
    with pytest.raises(Killed):
        runner.run_due()
    receiver.before = lambda _: None
    clock.advance(event_delivery.TERMS.lease)
    process(context, receiver)
    assert receiver.got == [1, 1, 2]
