from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from longshore.metrics import processes

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")


def test_this_process_is_told_of_as_it_is() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF)
    found = processes.look_at(os.getpid())
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert found is not None
    tick = 1 / os.sysconf("SC_CLK_TCK")
    earliest = before.ru_utime + before.ru_stime - 2 * tick
    assert earliest <= found.cpu_seconds <= after.ru_utime + after.ru_stime + 2 * tick
    # In KiB, and the most that it ever was.
    assert 0 < found.resident_bytes <= (after.ru_maxrss + 4096) * 1024
    assert found.open_files == len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the oracle
    assert found.started_at <= time.time()


def test_a_process_that_has_ended_is_not_told_of() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert processes.look_at(ended.pid) is None
