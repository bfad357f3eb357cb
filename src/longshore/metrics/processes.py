"""What the kernel tells of a process (Linux: proc_pid_stat(5)); elsewhere nothing is told."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

# The fields of /proc/<pid>/stat that follow the name, counted from the process's state.
_USER_TICKS, _SYSTEM_TICKS, _START_TICKS, _RESIDENT_PAGES = 11, 12, 19, 21


@dataclass(frozen=True, slots=True)
class Process:
    """A process at the moment.

    Attributes:
        cpu_seconds: the time that it has had a processor for.
        resident_bytes: the memory that it has.
        open_files: how many descriptors it has.
        started_at: when it began, in seconds since 1970.
    """

    cpu_seconds: float
    resident_bytes: int
    open_files: int
    started_at: float


def look_at(process_id: int) -> Process | None:
    """Return what the kernel tells of a process; None if there is none, or it tells nothing."""
    directory = Path("/proc", str(process_id))
    try:
        stat = (directory / "stat").read_text(encoding="utf-8", errors="replace")
        open_files = len(list((directory / "fd").iterdir()))
        booted_at = _booted_at()
    except OSError:
        return None
    # The name stands in parentheses and may hold any character.
    fields = stat.rpartition(")")[2].split()
    per_second = os.sysconf("SC_CLK_TCK")
    ticks = int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])
    return Process(
        cpu_seconds=ticks / per_second,
        resident_bytes=int(fields[_RESIDENT_PAGES]) * os.sysconf("SC_PAGE_SIZE"),
        open_files=open_files,
        started_at=booted_at + int(fields[_START_TICKS]) / per_second,
    )


def _booted_at() -> int:
    for line in Path("/proc/stat").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(" ")
        if name == "btime":
            return int(value)
    raise FileNotFoundError("/proc/stat doesn't tell when the machine was started")
