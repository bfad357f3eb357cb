from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bench import large
from bench.measuring import Bench
from bench.scale import Scale

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = 1_200


@pytest.mark.slow
def test_every_image_is_listed_and_described_and_policies_find_theirs(tmp_path: Path) -> None:
    told: list[str] = []
    bench = Bench(rounds=1, deadline=math.inf, tell=told.append)
    costs = large.measure(bench, replace(Scale(), images=IMAGES), tmp_path)
    listed, described, counted, matched, taken = costs.values()
    assert listed.found == described.found == IMAGES
    # Of those that aren't signatures a thousand stay, and what their indexes refer to.
    assert 0 < counted.found < IMAGES - 1_000
    assert 0 < matched.found < IMAGES
    # Those of ten of 400 days, but for what indexes refer to that are younger.
    assert 0 < taken.found <= IMAGES * 10 / 400
    assert all(cost.images == IMAGES and cost.cpu > 0 for cost in costs.values())
    assert len(told) == 1 + len(costs)
