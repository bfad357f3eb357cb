from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING

import pytest

from longshore.blobs.hashing import HashMemory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = b"0123456789"


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.write(file, CONTENT)
    yield file
    os.close(file)


def test_a_state_is_handed_out_once(file: int) -> None:
    memory, hasher = HashMemory(), hashlib.sha256(CONTENT)
    memory.remember("upload", file, "sha256", hasher)
    assert memory.take("upload", file, "sha256", 10) is hasher
    assert memory.take("upload", file, "sha256", 10) is None


@pytest.mark.parametrize(
    ("upload_id", "algorithm", "size"),
    [("other", "sha256", 10), ("upload", "sha512", 10), ("upload", "sha256", 9)],
)
def test_a_state_is_of_one_upload_one_algorithm_and_one_size(
    file: int, upload_id: str, algorithm: str, size: int
) -> None:
    memory = HashMemory()
    memory.remember("upload", file, "sha256", hashlib.sha256(CONTENT))
    assert memory.take(upload_id, file, algorithm, size) is None


def test_the_state_that_was_unused_for_longest_goes_first(tmp_path: Path) -> None:
    memory = HashMemory(capacity=2)
    names = ["first", "second", "third"]
    files = [os.open(tmp_path / name, os.O_RDWR | os.O_CREAT) for name in names]
    for name, file in zip(names, files, strict=True):
        memory.remember(name, file, "sha256", hashlib.sha256())
    kept = [memory.take(*pair, "sha256", 0) for pair in zip(names, files, strict=True)]
    assert [state is not None for state in kept] == [False, True, True]
    for file in files:
        os.close(file)


def test_a_file_is_stamped_anew_though_the_clock_stands_still(
    file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever rewrites a file within a tick of the clock still leaves another stamp.
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)
    memory = HashMemory()
    stamps = set()
    for _ in range(10):
        memory.remember("upload", file, "sha256", hashlib.sha256(CONTENT))
        stamps.add(os.fstat(file).st_mtime_ns)
    assert len(stamps) == 10


def test_a_state_is_worth_nothing_when_the_file_has_lost_its_stamp(file: int) -> None:
    memory = HashMemory()
    memory.remember("upload", file, "sha256", hashlib.sha256(CONTENT))
    os.pwrite(file, CONTENT, 0)
    assert memory.take("upload", file, "sha256", 10) is None


def test_where_a_file_cannot_be_stamped_nothing_is_kept(
    file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file system with times of whole seconds, and one that lets nobody set them.
    memory = HashMemory()
    set_time = os.utime

    def whole_seconds(file: int, ns: tuple[int, int]) -> None:
        set_time(file, (ns[0] // 10**9, ns[1] // 10**9))

    def refused(file: int, ns: tuple[int, int]) -> None:
        raise PermissionError(file, ns)

    for utime in (whole_seconds, refused):
        monkeypatch.setattr(os, "utime", utime)
        memory.remember("upload", file, "sha256", hashlib.sha256(CONTENT))
        assert memory.take("upload", file, "sha256", 10) is None
