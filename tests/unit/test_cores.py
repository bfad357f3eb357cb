from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from longshore import cores

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that lets this process run on eight cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def usable(tmp_path: Path, own: str = "0::/\n", **limits: str) -> int:
    """Return what is usable in this group, with these limits of groups, `_` for `/`."""
    own_cgroup = tmp_path / "own"
    own_cgroup.write_text(own)
    for name, limit in limits.items():
        group = tmp_path / "cgroups" / name.replace("_", "/").strip("/")
        group.mkdir(parents=True, exist_ok=True)
        (group / "cpu.max").write_text(f"{limit}\n")
    return cores.usable(tmp_path / "cgroups", own_cgroup)


@pytest.mark.parametrize(
    ("limit", "count"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("1000 100000", 1),
        ("2000000 100000", 8),
        ("nonsense", 8),
        ("0 0", 8),
    ],
)
def test_a_container_s_limit_counts(tmp_path: Path, limit: str, count: int) -> None:
    assert usable(tmp_path, _=limit) == count


def test_the_narrowest_of_the_groups_around_counts(tmp_path: Path) -> None:
    own = "1:cpu:/elsewhere\n0::/a/b/c\n"
    limits = {"a": "300000 100000", "a_b": "max 100000", "a_b_c": "500000 100000"}
    assert usable(tmp_path, own, **limits) == 3
    assert usable(tmp_path, own, elsewhere="100000 100000") == 3
    assert usable(tmp_path, own, a_b="200000 100000") == 2


def test_a_group_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "own").write_bytes(b"0::/j\xfcrgen\n")
    assert cores.usable(tmp_path / "cgroups", tmp_path / "own") == 8
    assert usable(tmp_path, "0::/j\u00fcrgen\n", jürgen="100000 100000") == 1


def test_without_groups_it_is_what_the_process_is_bound_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cores.usable(tmp_path, tmp_path / "missing") == 8
    assert usable(tmp_path, "1:cpu:/\n") == 8
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    assert cores.usable(tmp_path, tmp_path / "missing") == 1
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert cores.usable(tmp_path, tmp_path / "missing") == 3
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores.usable(tmp_path, tmp_path / "missing") == 1


def test_the_real_machine_has_one_at_least() -> None:
    assert cores.usable() >= 1
