from __future__ import annotations

import multiprocessing
import signal
from typing import TYPE_CHECKING

import pytest

from longshore.metrics.shared import SharedRows

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

PROCESSES = multiprocessing.get_context("spawn")


def count(rows: SharedRows, told: Connection) -> None:
    """Add one to each number of a row, tell what they are, and wait to be killed."""
    row = rows.claim()
    for place in range(len(row)):
        row[place] += 1
    told.send(list(row))
    signal.pause()


def test_each_process_has_a_row_and_the_next_one_counts_on(tmp_path: Path) -> None:
    rows = SharedRows.create(tmp_path, 3, 2)
    own = rows.claim()
    own[1] = 0.5
    for times in (1, 2):
        heard, told = PROCESSES.Pipe()
        process = PROCESSES.Process(target=count, args=(rows, told))
        process.start()
        try:
            assert heard.poll(60)
            # That of the one before, which was killed.
            assert heard.recv() == [times, times]
            assert [list(row) for row in rows.rows()] == [[0, 0.5], [times, times], [0, 0]]
        finally:
            process.kill()
            process.join()
    assert list(tmp_path.iterdir()) == []


def test_there_are_as_many_rows_as_were_made(tmp_path: Path) -> None:
    rows = SharedRows.create(tmp_path, 1, 1)
    held, told = PROCESSES.Pipe()
    process = PROCESSES.Process(target=count, args=(rows, told))
    process.start()
    try:
        assert held.poll(60)
        with pytest.raises(LookupError, match="each of the 1 rows has a process"):
            rows.claim()
    finally:
        process.kill()
        process.join()
    assert list(rows.claim()) == [1]
