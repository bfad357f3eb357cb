from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from longshore.audit.trail import Trail

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
