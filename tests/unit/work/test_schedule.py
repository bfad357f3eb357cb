from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.clock import DAY, HOUR, MINUTE
from longshore.jobs import ledger
from longshore.work.schedule import Schedule

if TYPE_CHECKING:
    from longshore.registry.context import Context
    from tests.support.clock import FakeClock


def enqueued(context: Context) -> list[str]:
    with context.database.read() as tx:
        return [entry.kind for entry in ledger.list_some(tx)]


def test_a_schedule_enqueues_each_kind_in_its_own_time(context: Context, clock: FakeClock) -> None:
    schedule = Schedule(context, {"hourly": HOUR, "daily": DAY})
    schedule.look()
    clock.advance(HOUR - 1)
    schedule.look()
    assert enqueued(context) == []
    clock.advance(1)
    schedule.look()
    assert enqueued(context) == ["hourly"]
    clock.advance(DAY - HOUR)
    schedule.look()
    assert enqueued(context) == ["hourly", "daily"]


def test_a_schedule_with_nothing_to_enqueue_writes_nothing(
    context: Context, clock: FakeClock
) -> None:
    schedule = Schedule(context, {"hourly": HOUR})
    schedule.look()
    clock.advance(MINUTE)
    context.database.generation()
    before = context.database.generation()
    schedule.look()
    assert context.database.generation() == before


def test_two_processes_have_one_schedule(context: Context, clock: FakeClock) -> None:
    schedules = [Schedule(context, {"hourly": HOUR}) for _ in range(2)]
    for _ in range(2):
        for schedule in schedules:
            schedule.look()
        clock.advance(HOUR)
    assert enqueued(context) == ["hourly"]
