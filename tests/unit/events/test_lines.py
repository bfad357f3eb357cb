from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.audit.trail import Trail
from longshore.events.lines import Lines
from longshore.events.log import Entry
from longshore.events.receivers import Undelivered
from tests.support.full_disk import full_at

if TYPE_CHECKING:
    from pathlib import Path

EVENTS = [Entry(n, f"id {n}", f'{{"n":{n}}}') for n in range(3)]
LARGE = 1_000_000


def test_events_are_lines_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "events" / "events.ndjson"
    lines = Lines("file", Trail(file, largest=LARGE, kept=1))
    assert lines.deliver(EVENTS[:1]) == "written"
    lines.deliver(EVENTS[1:])
    assert file.read_text() == '{"n":0}\n{"n":1}\n{"n":2}\n'


def test_events_are_printed(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    lines = Lines("stdout", Trail(None, largest=1, kept=0, to_stdout=True))
    lines.deliver(EVENTS)
    assert capfdbinary.readouterr().out == b'{"n":0}\n{"n":1}\n{"n":2}\n'


def test_what_a_full_disk_tears_becomes_a_blank_line_and_is_written_again(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    lines = Lines("file", Trail(file, largest=LARGE, kept=1))
    with full_at(12):
        for _ in range(2):
            with pytest.raises(Undelivered):
                lines.deliver(EVENTS)
    lines.deliver(EVENTS)
    assert file.read_text() == " " * 11 + '\n{"n":0}\n{"n":1}\n{"n":2}\n'


def test_a_file_that_cannot_be_written_is_not_delivered_to(tmp_path: Path) -> None:
    lines = Lines("file", Trail(tmp_path, largest=LARGE, kept=1))
    with pytest.raises(Undelivered, match="IsADirectoryError") as raised:
        lines.deliver(EVENTS)
    assert not raised.value.is_refusal
