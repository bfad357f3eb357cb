from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from longshore.metrics.counts import BUCKETS, CLASSES, UNKNOWN, Counts, Event
from tests.support.threads import at_once

if TYPE_CHECKING:
    from pathlib import Path

OPERATIONS = [(face, name) for face in ("ecr", "registry") for name in ("Push", "Pull", UNKNOWN)]


def counts_of(directory: Path) -> Counts:
    return Counts(Counts.rows_for(directory, OPERATIONS, 1), OPERATIONS)


def test_what_was_counted_is_what_happened(tmp_path: Path) -> None:
    rng = random.Random(7)
    counts = counts_of(tmp_path)
    happened = [
        (
            rng.choice(["ecr", "registry"]),
            rng.choice(["Push", "Pull", "Invented", None]),
            rng.choice([200, 206, 307, 404, 429, 500, 503, None]),
            rng.choice([0, 0.001, 0.0011, 0.2, 59.9, 60, 60.1, 1e4]),
            rng.randrange(10**12),
            rng.randrange(10**6),
        )
        for _ in range(500)
    ]
    for one in happened:
        counts.request(*one[:4], received=one[4], sent=one[5])
    told = {(each.face, each.operation): each for each in counts.operations()}
    assert told.keys() == {*OPERATIONS}
    for (face, operation), each in told.items():
        known = {"Push", "Pull"}
        mine = [one for one in happened if one[0] == face
                and (one[1] if one[1] in known else UNKNOWN) == operation]  # fmt: skip
        ended = Counter("gone" if one[2] is None else f"{one[2] // 100}xx" for one in mine)
        assert dict(zip(CLASSES, each.requests, strict=True)) == {
            name: ended[name] for name in CLASSES
        }
        within = [sum(one[3] <= bound for one in mine) for bound in BUCKETS]
        assert [sum(each.durations[: n + 1]) for n in range(len(BUCKETS))] == within
        assert sum(each.durations) == len(mine)
        assert abs(each.seconds - sum(one[3] for one in mine)) < 1e-6
        assert each.received == sum(one[4] for one in mine)
        assert each.sent == sum(one[5] for one in mine)


def test_what_nobody_asked_for_is_not_told(tmp_path: Path) -> None:
    counts = counts_of(tmp_path)
    counts.request("ecr", "Push", 200, 0.0, received=0, sent=0)
    assert [(each.face, each.operation) for each in counts.operations()] == [("ecr", "Push")]


def test_threads_count_together(tmp_path: Path) -> None:
    counts = counts_of(tmp_path)

    def count() -> None:
        for _ in range(2_000):
            counts.happened(Event.AUTHENTICATION_FAILURE)
        counts.happened(Event.LIFECYCLE_EXPIRATION, 5)

    at_once([count] * 4)
    assert counts.total(Event.AUTHENTICATION_FAILURE) == 8_000
    assert counts.total(Event.LIFECYCLE_EXPIRATION) == 20
