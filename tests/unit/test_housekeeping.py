from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.clock import DAY, HOUR
from longshore.housekeeping import create_runner
from longshore.jobs import ledger
from longshore.settings import Settings
from tests.support.images import layer
from tests.support.pushing import create_repository, upload

if TYPE_CHECKING:
    from longshore.registry.context import Context
    from tests.support.clock import FakeClock


def test_garbage_is_collected_each_interval_by_one_of_the_processes(
    context: Context, clock: FakeClock
) -> None:
    runners = [create_runner(Settings(collect_interval=3600), context) for _ in range(2)]
    create_repository(context)
    upload(context, layer("nobody's"))
    assert [runner.run_due() for runner in runners] == [0, 0]
    clock.advance(2 * DAY)
    assert [runner.run_due() for runner in runners] == [1, 0]
    assert list(context.blobs.locations()) == []
    clock.advance(HOUR)
    assert [runner.run_due() for runner in runners] == [1, 0]
    with context.database.read() as tx:
        assert ledger.list_some(tx) == []


def test_garbage_is_left_where_there_is_no_interval(context: Context, clock: FakeClock) -> None:
    runner = create_runner(Settings(collect_interval=0), context)
    for _ in range(3):
        assert runner.run_due() == 0
        clock.advance(DAY)
