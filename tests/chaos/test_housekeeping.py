"""SIGKILL to workers in the middle of jobs of every kind, while there is work of every kind.

Nothing is lost, and nothing is done twice that matters.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.chaos.crew import PROCESSES, Crew
from tests.chaos.examination import examine_emptied_store, examine_store
from tests.chaos.loads import LOADS
from tests.chaos.scene import Scene

if TYPE_CHECKING:
    from pathlib import Path

SEED = 1
DEATHS_OF_EACH_KIND = 2
# So many rounds without new work, after which time has taken all that it can take: what expires in
# the first leaves the recycle bin in the second, and the disk in the third.
CALM_ROUNDS = 3
EPOCH = 1_700_000_000_000


def test_workers_that_are_killed_at_any_kind_of_job_lose_nothing_and_do_nothing_twice(
    database_url: str, tmp_path: Path
) -> None:
    # Without a lock: somebody who is killed as they look would keep it.
    clock = PROCESSES.Value("q", EPOCH, lock=False)
    scene = Scene(tmp_path, database_url, clock)
    missing = scene.kinds - LOADS.keys()
    assert not missing, f"tests/chaos/loads.py has no load for these kinds of jobs: {missing}"
    crew = Crew(
        scene.options, clock, tmp_path, kinds=scene.kinds, deaths=DEATHS_OF_EACH_KIND, seed=SEED
    )
    try:
        go_through(scene, crew)
        examine(scene)
        assert crew.deaths() == Counter(dict.fromkeys(scene.kinds, DEATHS_OF_EACH_KIND))
    finally:
        print(f"seed {SEED}, {scene.round} rounds; workers died at:", crew.told(), sep="\n")  # noqa: T201
        crew.put_away()
        scene.put_away()


def go_through(scene: Scene, crew: Crew) -> None:
    """Make work and have it done until everybody has died who was to, and nothing is left."""
    loads = [LOADS[kind](scene) for kind in sorted(scene.kinds)]
    crew.hire()
    calm_rounds = 0
    while calm_rounds < CALM_ROUNDS:
        scene.begin_round()
        if crew.is_doomed:
            for load in loads:
                load.make()
        else:
            calm_rounds += 1
        scene.end_round(lambda: crew.replace_dead(scene.context.database))
        for load in loads:
            load.check()


def examine(scene: Scene) -> None:
    """Compare all that is left with what had to be done."""
    assert scene.told() == scene.happened
    database, data = scene.settings.database, scene.settings.data
    examine_store(database, data)
    examine_emptied_store(database, data)
