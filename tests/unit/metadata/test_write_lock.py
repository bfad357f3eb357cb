from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from longshore.metadata.write_lock import WriteLock

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from longshore.metadata.write_lock import WriteLock
WriteLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "metadata.sqlite"


def test_one_writes_at_a_time_whoever_else_wants_to(file: Path) -> None:
    locks = [WriteLock(file), WriteLock(file)]
    writing: set[int] = set()

    def write(number: int) -> None:
        lock = locks[number % 2]
        lock.acquire()
        writing.add(number)
        # Others have their turn, if they can.
        os.sched_yield()
        assert writing == {number}
        writing.remove(number)
        lock.release()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(200)))
    for lock in locks:
        lock.close()


def test_who_is_killed_lets_go(file: Path) -> None:
    lock = WriteLock(file)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(lock.acquire)
            assert not waiting.done()
            other.kill()
            waiting.result(60)
    lock.release()
    lock.close()
    # It can be had again.
    lock.acquire()
    lock.release()
    lock.close()


def test_what_can_not_be_locked_is_left_to_the_next(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = WriteLock(file)

    def fail(_file: int, _operation: int) -> None:
        raise OSError("no locks available")

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", fail)
        with pytest.raises(OSError, match="no locks"):
            lock.acquire()
    lock.acquire()
    lock.release()
    lock.close()
