from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.jobs import ledger, queue
from longshore.jobs.ledger import Depth, Entry
from longshore.jobs.queue import State, Terms

if TYPE_CHECKING:
    from longshore.metadata.database import Database
    from tests.support.clock import FakeClock


def test_the_ledger_shows_every_job_and_what_became_of_it(
    database: Database, clock: FakeClock
) -> None:
    start, terms = clock(), Terms(lease=1000, attempts=1)
    with database.write() as tx:
        failing, running, waiting, other = (
            queue.enqueue(tx, kind, {"of": name}, now=start + n, run_at=start + n, key=name)
            for n, (kind, name) in enumerate(
                [("work", "a"), ("work", "b"), ("work", "c"), ("other", "d")]
            )
        )
        clock.advance(10)
        job = queue.take(tx, "work", terms, "host:1", clock())
        assert job is not None
        queue.fail(tx, job, terms, "it broke", now=clock(), random=0)
        queue.take(tx, "work", terms, "host:2", clock())

    with database.read() as tx:
        assert ledger.find(tx, failing) == Entry(
            failing, "work", "a", {"of": "a"}, State.DEAD, None, start, 1, None, "it broke", clock()
        )
        assert ledger.find(tx, running) == Entry(
            *(running, "work", "b", {"of": "b"}, State.RUNNING, clock() + 1000),
            *(start + 1, 1, "host:2", None, None),
        )
        assert ledger.find(tx, waiting) == Entry(
            *(waiting, "work", "c", {"of": "c"}, State.WAITING, start + 2),
            *(start + 2, 0, None, None, None),
        )
        assert ledger.find(tx, other + 1) is None

        def listed(**chosen: object) -> list[int]:
            return [entry.id for entry in ledger.list_some(tx, **chosen)]  # type: ignore[arg-type] # any of its own

        assert listed() == [failing, running, waiting, other]
        assert listed(state=State.WAITING) == [waiting, other]
        assert listed(kind="work") == [failing, running, waiting]
        assert listed(kind="work", state=State.DEAD) == [failing]
        assert listed(limit=2) == [failing, running]
        assert listed(after=running, limit=1) == [waiting]
        assert ledger.depths(tx) == [
            Depth("other", State.WAITING, 1, start + 3),
            Depth("work", State.DEAD, 1, start),
            Depth("work", State.RUNNING, 1, start + 1),
            Depth("work", State.WAITING, 1, start + 2),
        ]
