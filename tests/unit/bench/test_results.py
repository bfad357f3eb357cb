from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

import pytest

from bench.growth import Cost
from bench.large import LargeCost
from bench.lifecycle import Start
from bench.measuring import Sample
from bench.results import Results, RowResult, ServerFacts, Summary
from bench.tables import markdown
from bench.targets import target

if TYPE_CHECKING:
    from pathlib import Path


def samples(*values: float, errors: int = 0) -> list[Sample]:
    return [
        Sample(value, cpu=0.001, client_cpu=0.0001, peak_memory=1 << 20, errors=errors)
        for value in values
    ]


def row(unit: Literal["requests/s", "s"], ours: list[Sample], theirs: list[Sample]) -> RowResult:
    return RowResult(
        "manifest-get-tag",
        "manifest GET",
        unit,
        {"longshore": ours, "distribution-2.8": theirs},
    )


def results_of(*rows: RowResult) -> Results:
    facts = ServerFacts("distribution-2.8", "distribution 2.8", "2.8.2", "blobs", "no logs")
    return Results({"cores": "2"}, {"rounds": "3"}, [facts], list(rows))


def test_a_ratio_is_that_of_two_samples_of_one_round() -> None:
    measured = row("requests/s", samples(100, 400, 90), samples(10, 20, 30))
    assert measured.ratios("distribution-2.8") == [10, 20, 3]


def test_where_less_is_better_a_ratio_above_one_still_means_faster() -> None:
    assert row("s", samples(2), samples(3)).ratios("distribution-2.8") == [1.5]


def test_a_peer_that_was_not_measured_has_no_ratios() -> None:
    assert row("s", samples(2), samples(3)).ratios("moto") == []


def test_a_summary_is_not_moved_by_one_bad_round() -> None:
    summary = Summary.of([10, 1000, 12])
    assert (summary.median, summary.least, summary.greatest) == (12, 10, 1000)
    assert summary.spread == pytest.approx(82.5)


@pytest.mark.parametrize(
    ("row_id", "peer", "ratio"),
    [
        ("manifest-head-digest", "distribution-2.8", 12),
        ("blob-get-1k", "distribution-2.8", 10),
        ("blob-get-256m-4", "distribution-2.8", 1.5),
        ("upload-256m-streamed-8", "distribution-2.8", 2),
        ("upload-256m-streamed-8", "distribution-3", 1),
        ("image-pull-skopeo", "distribution-3", 1),
        ("api-put-image", "moto", 20),
        ("tags-all", "distribution-2.8", None),
        ("manifest-get-tag", "moto", None),
    ],
)
def test_a_row_has_the_target_of_its_kind(row_id: str, peer: str, ratio: float | None) -> None:
    assert target(row_id, peer) == ratio


def test_the_table_says_plainly_which_target_was_missed() -> None:
    text = markdown(results_of(row("requests/s", samples(50, 60, 55), samples(10, 10, 10))))
    assert "**5.5 (5–6) of 12**" in text
    assert "- manifest GET: 5.5 × distribution 2.8, and should be 12 ×" in text


def test_the_table_names_no_miss_where_there_is_none() -> None:
    text = markdown(results_of(row("requests/s", samples(130), samples(10))))
    assert "13 (13–13) of 12 |" in text
    assert "## Targets missed\n\nNone." in text


def test_the_table_tells_what_more_processes_come_to() -> None:
    measured = row("requests/s", samples(100), samples(20))
    measured.samples["longshore-x2"] = samples(180)
    text = markdown(results_of(measured))
    assert "**5 (5–5) of 12**; ×2: 9 |" in text
    assert "- manifest GET: 5 × distribution 2.8, and should be 12 × (×2: 9)" in text


def test_the_table_shows_errors_beside_the_speed_they_spoil() -> None:
    text = markdown(results_of(row("requests/s", samples(130, errors=7), samples(10))))
    assert "130 (0%, **7 errors**)" in text


def test_the_table_of_nothing_has_only_the_facts() -> None:
    text = markdown(results_of())
    assert "| cores | 2 |" in text
    assert "## Speed" not in text
    assert "## Targets missed" not in text


def test_results_add_to_earlier_ones_and_replace_what_was_measured_again() -> None:
    kept = RowResult("tags-all", "tags", "s", {"longshore": samples(1)})
    before = results_of(row("requests/s", samples(1), samples(1)), kept)
    before.notes = ["Yesterday.", "There was no time left for: manifest GET"]
    again = row("requests/s", samples(2), samples(1))
    both = results_of(again).over(before)
    assert both.rows == [again, kept]
    assert both.notes == ["Yesterday."]
    assert len(both.servers) == 1


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    results = results_of(row("s", samples(1, 2), samples(3, 4)))
    results.starts = {"longshore": [Start(0.5, 0.4, [70 << 20, 1 << 20], 60 << 20)]}
    results.growth = {
        "PutImage": [Cost(1000, 0.002, 0.003, 0.001), Cost(10000, 0.004, 0.005, 0.001)]
    }
    results.large = {"ListImages": LargeCost(100_000, 100_000, 1.5, 1.25, 7 << 20)}
    results.notes = ["It rained."]
    file = tmp_path / "results.json"
    results.write(file)
    assert Results.read(file) == results
    assert markdown(Results.read(file)) == markdown(results)


def test_results_of_before_the_large_repository_was_measured_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    results_of(row("s", samples(1), samples(3))).write(file)
    document = json.loads(file.read_text())
    del document["large"]
    file.write_text(json.dumps(document))
    before = Results.read(file)
    assert before.large == {}
    assert "A large repository" not in markdown(before)
    now = results_of()
    now.large = {"ListImages": LargeCost(100_000, 99_999, 1.5, 1.25, 7 << 20)}
    text = markdown(now.over(before))
    assert "100,000 images in one repository" in text
    assert "| ListImages | 99,999 | 1.5 s | 1.25 s | 7.0 MiB |" in text
