from __future__ import annotations

import errno
import json
import logging
import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from longshore.audit.trail import Trail
from tests.support.full_disk import full_at

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Note:
    """A record of a given length."""

    number: int
    length: int = 20

    def as_line(self) -> bytes:
        return json.dumps({"n": self.number}).encode().ljust(self.length - 1) + b"\n"


def numbers(file: Path) -> list[int]:
    return [json.loads(line)["n"] for line in file.read_bytes().splitlines()]


def numbers_between_blanks(file: Path) -> list[int]:
    lines = file.read_bytes().split(b"\n")
    assert lines[-1] == b""
    return [json.loads(line)["n"] for line in lines if line.strip()]


def test_records_are_there_when_they_are_written_and_in_their_order(tmp_path: Path) -> None:
    trail = Trail(tmp_path / "deep" / "audit.json", largest=1000, kept=2)
    for number in range(3):
        trail.write(Note(number))
        assert numbers(tmp_path / "deep" / "audit.json") == list(range(number + 1))
    trail.close()


def test_only_the_owner_can_read_the_trail(tmp_path: Path) -> None:
    trail = Trail(tmp_path / "audit.json", largest=1000, kept=2)
    trail.write(Note(1))
    trail.close()
    assert (tmp_path / "audit.json").stat().st_mode & 0o777 == 0o600


def test_a_trail_that_is_opened_again_goes_on(tmp_path: Path) -> None:
    for number in range(2):
        trail = Trail(tmp_path / "audit.json", largest=1000, kept=2)
        trail.write(Note(number))
        trail.close()
    assert numbers(tmp_path / "audit.json") == [0, 1]


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_a_full_file_makes_room_and_the_oldest_goes(tmp_path: Path, kept: int) -> None:
    trail = Trail(tmp_path / "audit.json", largest=40, kept=kept)
    for number in range(11):
        trail.write(Note(number))
    trail.close()
    files = [tmp_path / "audit.json", *(tmp_path / f"audit.json.{n + 1}" for n in range(kept))]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    expected = [[10], [8, 9], [6, 7], [4, 5]]
    assert [numbers(file) for file in files] == expected[: kept + 1]


def test_a_record_longer_than_a_file_has_a_file_of_its_own(tmp_path: Path) -> None:
    trail = Trail(tmp_path / "audit.json", largest=40, kept=3)
    for number, length in enumerate([20, 100, 20]):
        trail.write(Note(number, length))
    trail.close()
    names = ("audit.json.2", "audit.json.1", "audit.json")
    assert [numbers(tmp_path / name) for name in names] == [[0], [1], [2]]


def test_a_file_that_somebody_moved_away_is_begun_anew(tmp_path: Path) -> None:
    trail = Trail(tmp_path / "audit.json", largest=1000, kept=2)
    trail.write(Note(1))
    (tmp_path / "audit.json").rename(tmp_path / "elsewhere")
    trail.write(Note(2))
    trail.close()
    assert (numbers(tmp_path / "elsewhere"), numbers(tmp_path / "audit.json")) == ([1], [2])


_WRITER = """
import sys
from pathlib import Path
from longshore.audit.trail import Trail
from tests.unit.audit.test_trail import Note

trail = Trail(Path(sys.argv[1]), largest=200, kept=1000)
for number in range(int(sys.argv[2]), int(sys.argv[2]) + 200):
    trail.write(Note(number))
"""


def test_many_processes_and_threads_lose_no_record_and_mix_none(tmp_path: Path) -> None:
    file = tmp_path / "audit.json"
    others = [
        subprocess.Popen([sys.executable, "-c", _WRITER, file, str(first)])
        for first in (1000, 2000, 3000)
    ]
    trail = Trail(file, largest=200, kept=1000)

    def write(first: int) -> None:
        for number in range(first, first + 200):
            trail.write(Note(number))

    threads = [threading.Thread(target=write, args=(first,)) for first in (4000, 5000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        assert other.wait() == 0
    trail.close()
    written = [number for each in tmp_path.iterdir() for number in numbers(each)]
    assert sorted(written) == [
        number for first in range(1000, 6000, 1000) for number in range(first, first + 200)
    ]


_WRITER_ON_A_FULL_DISK = """
import sys
from pathlib import Path
from longshore.audit.trail import Trail
from tests.support.full_disk import full_at
from tests.unit.audit.test_trail import Note

file, first = Path(sys.argv[1]), int(sys.argv[2])
trail = Trail(file, largest=1_000_000, kept=1)
trail.write(Note(first))
print("ready", flush=True)
sys.stdin.readline()
for number in range(first + 1, first + 200, 2):
    # The first has room, the second hasn't, unless others come between.
    with full_at(file.stat().st_size + 30):
        trail.write(Note(number))
        trail.write(Note(number + 1))
"""


@pytest.mark.parametrize("count", [1, 4])
def test_what_a_full_disk_tears_takes_no_record_of_another_process_along(
    tmp_path: Path, count: int
) -> None:
    file = tmp_path / "audit.json"
    trail = Trail(file, largest=1_000_000, kept=1)
    trail.write(Note(0))
    firsts = [1000 * (n + 1) for n in range(count)]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER_ON_A_FULL_DISK, file, str(first)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for first in firsts
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    # Each tears the last of its lines but for what others write.
    told = "".join(writer.communicate()[1] for writer in writers)
    assert [writer.returncode for writer in writers] == [0] * count
    trail.write(Note(1))
    trail.close()

    # Each record is in the file or else in a log.
    written = numbers_between_blanks(file)
    lost = [int(number) for number in re.findall(r'written: {"n": (\d+)}', told)]
    assert lost
    everything = [0, 1, *(n for first in firsts for n in range(first, first + 201))]
    assert sorted(written + lost) == everything
    assert {0, 1, *firsts} <= set(written)


def test_what_a_full_disk_tears_becomes_a_blank_line(tmp_path: Path) -> None:
    file = tmp_path / "audit.json"
    trail = Trail(file, largest=1000, kept=1)
    with full_at(25):
        trail.write(Note(1))
        trail.write(Note(2))
    assert file.read_bytes() == Note(1).as_line() + b"    \n"
    trail.write(Note(3))
    trail.close()
    assert file.read_bytes() == Note(1).as_line() + b"    \n" + Note(3).as_line()


@pytest.mark.parametrize("is_rotated", [False, True])
def test_what_a_full_disk_keeps_from_being_blanked_is_blanked_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_rotated: bool
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "there is no room for a copy of the block")

    file = tmp_path / "audit.json"
    torn, other = (Trail(file, largest=1000, kept=1) for _ in range(2))
    other.write(Note(1))
    # As on a file system that copies what is written; none is at hand.
    monkeypatch.setattr(os, "pwrite", refuse)
    with full_at(25):
        torn.write(Note(2))
    other.write(Note(3))
    torn.write(Note(4))
    other.write(Note(5))
    if is_rotated:
        file = file.rename(tmp_path / "audit.json.1")
    monkeypatch.undo()
    torn.write(Note(6))
    if is_rotated:
        assert numbers(tmp_path / "audit.json") == [6]
    expected = [1, 3, 4, 5] if is_rotated else [1, 3, 4, 5, 6]
    assert numbers_between_blanks(file) == expected
    torn.close()
    other.close()


def test_half_a_line_that_a_killed_process_left_is_a_line_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "audit.json"
    file.write_bytes(Note(1).as_line() + b'{"n"')
    trail = Trail(file, largest=1000, kept=1)
    trail.write(Note(2))
    trail.write(Note(3))
    trail.close()
    expected = [Note(1).as_line(), b'{"n"\n', Note(2).as_line(), Note(3).as_line()]
    assert file.read_bytes() == b"".join(expected)


def test_records_are_printed_where_that_is_asked(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    trail = Trail(None, largest=1000, kept=1, to_stdout=True)
    trail.write(Note(1))
    assert capfdbinary.readouterr().out == Note(1).as_line()


def test_what_can_not_be_written_is_told_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a file").touch()
    trail = Trail(tmp_path / "a file" / "audit.json", largest=1000, kept=1)
    with caplog.at_level(logging.ERROR):
        trail.write(Note(7))
    assert '{"n": 7}' in caplog.text


class Unspeakable:
    """A record that can't be made."""

    def as_line(self) -> bytes:
        raise IndexError


def test_a_record_that_can_not_be_made_is_told_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trail = Trail(tmp_path / "audit.json", largest=1000, kept=1)
    with caplog.at_level(logging.ERROR):
        trail.write(Unspeakable())
    assert "could not be written" in caplog.text
    assert "IndexError" in caplog.text
    trail.write(Note(1))
    assert numbers(tmp_path / "audit.json") == [1]
    trail.close()
