from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from longshore import server
from longshore.identity import access_keys
from longshore.settings import Settings
from tests.unit.cli.test_commands import check_failed, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    server.prepare(Settings(data=tmp_path / "data"))
    return tmp_path / "data"


def key_ids(data: Path) -> list[str]:
    result = run("key", "list", "--data", data)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.split()


def check_starts(data: Path) -> None:
    """See that a server starts, and knows its administrator."""
    settings = Settings(data=data)
    start = server.prepare(settings)
    assert not start.is_first
    assert start.administrator is not None
    context = server.open_context(settings)
    found = access_keys.find(context, start.administrator.id)
    context.database.close()
    assert found.secret == start.administrator.secret


def test_a_key_is_rotated_and_the_old_one_retired(data: Path) -> None:
    [old] = key_ids(data)
    result = run("key", "rotate", "--data", data)
    assert (result.exit_code, result.stderr) == (0, "")
    new, still_there = key_ids(data)
    assert still_there == old
    assert result.stdout == (
        f"The server's key is {new} now; secrets sealed with it: 1\n"
        f"Older keys that still open what they sealed: {old}\n"
        "In 36 hours nobody needs them: longshore key retire\n"
    )
    check_starts(data)

    check_failed(
        run("key", "retire", "--data", data),
        "The server's key was changed 0.0 hours ago, and tokens that an older one has sealed may "
        "be in use until it is 36. Wait, or end them with --now.",
    )
    assert run("key", "retire", "--now", "--data", data).stdout == "Server keys forgotten: 1\n"
    assert key_ids(data) == [new]
    check_starts(data)


def test_after_36_hours_nobody_is_asked(data: Path) -> None:
    run("key", "rotate", "--data", data)
    file = data / "server.key"
    changed_at = file.stat().st_mtime - 36 * 3600
    os.utime(file, (changed_at, changed_at))
    assert run("key", "retire", "--data", data).stdout == "Server keys forgotten: 1\n"
    assert run("key", "retire", "--data", data).stdout == "Server keys forgotten: 0\n"
    check_starts(data)


def test_a_rotation_that_was_cut_short_keeps_nobody_from_starting(data: Path) -> None:
    context = server.open_context(Settings(data=data))
    context.server_key.rotate()
    context.database.close()
    check_starts(data)


def test_without_a_registry_there_is_no_key(tmp_path: Path) -> None:
    for command in ("rotate", "retire", "list"):
        result = run("key", command, "--data", tmp_path / "nothing")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("longshore: There is no registry in ")
