from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

import pytest

from longshore.metadata import journal as journal_module
from longshore.metadata.journal import Journal, JournalLost

if TYPE_CHECKING:
    from pathlib import Path


class Disk:
    """Stands between the journal and the disk: counts, waits and fails."""

    def __init__(self) -> None:
        self.syncs = 0
        self.began = Event()
        self.may_go_on = Event()
        self.may_go_on.set()
        self.failure: OSError | None = None

    def sync(self, file: int) -> None:
        self.began.set()
        assert self.may_go_on.wait(60)
        if self.failure is not None:
            raise self.failure
        os.fsync(file)
        self.syncs += 1


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(journal_module, "_sync", disk.sync)
    return disk


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    (tmp_path / "log").touch()
    return Journal(tmp_path / "log")


def commit(journal: Journal) -> None:
    journal.make_durable(journal.committed())


def test_a_commit_waits_for_a_sync_of_its_own_where_there_is_no_other(
    journal: Journal, disk: Disk
) -> None:
    for _ in range(3):
        commit(journal)
    assert disk.syncs == 3


def test_what_is_durable_is_not_synced_again(journal: Journal, disk: Disk) -> None:
    first, second = journal.committed(), journal.committed()
    journal.make_durable(second)
    journal.make_durable(first)
    assert disk.syncs == 1


def test_what_other_processes_have_committed_is_synced_without_a_number(
    journal: Journal, disk: Disk
) -> None:
    commit(journal)
    journal.make_durable(None)
    assert disk.syncs == 2


def test_all_who_come_while_one_syncs_share_the_next_sync(journal: Journal, disk: Disk) -> None:
    disk.may_go_on.clear()
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(commit, journal)
        assert disk.began.wait(60)
        others = [pool.submit(journal.make_durable, journal.committed()) for _ in range(7)]
        assert not any(future.done() for future in [first, *others])
        disk.may_go_on.set()
        for future in [first, *others]:
            future.result()
    assert disk.syncs == 2


def test_a_sync_that_began_before_a_commit_does_not_count_for_it(
    journal: Journal, disk: Disk
) -> None:
    disk.may_go_on.clear()
    with ThreadPoolExecutor(1) as pool:
        earlier = pool.submit(commit, journal)
        assert disk.began.wait(60)
        later = journal.committed()
        disk.may_go_on.set()
        earlier.result()
        journal.make_durable(later)
    assert disk.syncs == 2


def test_after_a_failed_sync_nothing_is_promised_any_more(journal: Journal, disk: Disk) -> None:
    commit(journal)
    disk.failure = OSError(5, "Input/output error")
    with pytest.raises(JournalLost):
        commit(journal)
    disk.failure = None
    # The kernel would say that all is well: what it dropped, it has forgotten.
    with pytest.raises(JournalLost):
        commit(journal)
