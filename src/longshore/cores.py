"""How many processor cores this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def usable(cgroups: Path = _CGROUPS, own_cgroup: Path = _OWN_CGROUP) -> int:
    """Return how many cores there are for this process, at least one.

    What counts is what it is bound to, where the system tells, and the limit of its control groups
    (cgroup v2), as containers have it. Part of a core counts as one.

    Args:
        cgroups: where the control groups are mounted.
        own_cgroup: the file that names the group of this process (cgroups(7)).
    """
    # macOS doesn't tell.
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _limit(cgroups, own_cgroup))))


def _limit(cgroups: Path, own_cgroup: Path) -> float:
    """Return how much processor time for each second of the clock the control groups allow."""
    try:
        lines = os.fsdecode(own_cgroup.read_bytes()).splitlines()
    except OSError:
        return math.inf
    # The line of version 2; those of version 1 have a number and the names of controllers.
    path = next((line[3:] for line in lines if line.startswith("0::")), "/")
    group = cgroups / path.lstrip("/")
    groups = [group, *group.parents[: len(group.relative_to(cgroups).parts)]]
    return min(map(_limit_of, groups))


def _limit_of(group: Path) -> float:
    try:
        quota, _, period = (group / "cpu.max").read_text(encoding="ascii").partition(" ")
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
