"""The machine that the numbers come from."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import subprocess
import time
import timeit
from pathlib import Path

from bench.programs import REPOSITORY, ProgramFailed, ProgramMissing, find, run


def facts(data: Path) -> dict[str, str]:
    """Return what there is to know about the machine, for people.

    Args:
        data: where the servers keep their data.
    """
    memory = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return {
        "processor": model[1] if model else platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{int(memory[1]) / 1024**2:.0f} GiB" if memory else "unknown",
        "kernel": platform.release(),
        "file system of the data": _file_system(data),
        "Python": f"{platform.python_version()}, {platform.python_compiler()}",
        "that Python, for 1,000 turns of a loop": f"{_loop_seconds() * 1e6:.0f} µs",
        "SQLite": sqlite3.sqlite_version,
        "wrk": _version(["wrk", "-v"], r"\b\d+\.\d+\.\d+"),
        "skopeo": _version(["skopeo", "--version"], r"\d+\.\d+\.\d+"),
        "containerd": _version(["containerd", "--version"], r"\d+\.\d+\.\d+"),
        "commit": _commit(),
    }


def load_average() -> float:
    """Return how many processes wanted to run, in the last minute."""
    return os.getloadavg()[0]


def _loop_seconds() -> float:
    """Return what tells an optimized build of Python from another: neither says which it is."""
    turn = "seen[index % 100] = f'{seen.get(index)}:{index}'.partition(':')"
    loop = timeit.Timer(f"for index in range(1000): {turn}", "seen = {}", timer=time.process_time)
    return min(loop.repeat(9, 20)) / 20


def _file_system(data: Path) -> str:
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    above = {mount[1]: mount[2] for mount in mounts if data.resolve().is_relative_to(mount[1])}
    return above[max(above, key=len)]


def _version(command: list[str], pattern: str) -> str:
    # wrk tells its version with an exit code of 1.
    try:
        ended = subprocess.run(
            [find(command[0]), *command[1:]], capture_output=True, text=True, check=False
        )
    except ProgramMissing:
        return "not installed"
    found = re.search(pattern, ended.stdout + ended.stderr)
    return found[0] if found else "unknown"


def _commit() -> str:
    git = ["git", "-C", str(REPOSITORY)]
    try:
        commit = run([*git, "rev-parse", "--short", "HEAD"], REPOSITORY).strip()
        changed = run([*git, "status", "--porcelain", "--", "src"], REPOSITORY).strip()
    except (ProgramFailed, ProgramMissing):
        return "unknown"
    return f"{commit}, with changes" if changed else commit
