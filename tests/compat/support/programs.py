"""The programs of others: found by name, run in an environment of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REPOSITORY = Path(__file__).parents[3]
CACHE = REPOSITORY / ".cache"

_SEARCH_PATH = os.pathsep.join(
    [
        str(CACHE / "tools"),
        str(Path(sys.executable).parent),
        os.environ.get("PATH", os.defpath),
        # Daemons live where an ordinary user's search path doesn't look.
        "/usr/local/sbin:/usr/sbin:/sbin",
    ]
)
_PATIENCE_SECONDS = 120


def lack(reason: str) -> NoReturn:
    """Skip the test that misses something of this machine; in CI, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def find(program: str) -> str:
    """Return where `program` is installed, or skip the test by its name."""
    found = shutil.which(program, path=_SEARCH_PATH)
    if found is None:
        lack(f"{program} is not installed: see docs/testing.md")
    return found


def find_or_skip(program: str, variable: str) -> Path:
    """Return the path that an environment variable names, or where `program` is installed.

    Without one the test is skipped, in CI too: the program takes too long to build there.
    """
    named = os.environ.get(variable)
    found = named or shutil.which(program, path=_SEARCH_PATH)
    if found is None:
        pytest.skip(f"{program} is not installed, and {variable} isn't set: see docs/testing.md")
    path = Path(found).absolute()
    if not os.access(path, os.X_OK):
        pytest.fail(f"{variable} names {path}, which is no program", pytrace=False)
    return path


def require_root(program: str) -> None:
    """Skip the test where `program` can't do its work as an ordinary user."""
    if os.geteuid() != 0:
        lack(f"{program} needs root here")


@contextmanager
def short_directory() -> Iterator[Path]:
    """Make a folder for programs with sockets, whose paths may have no more than 107 characters."""
    directory = Path(mkdtemp(prefix="longshore-"))
    try:
        yield directory
    finally:
        for mounted in _mounts_under(directory):
            subprocess.run([find("umount"), mounted], check=True)
        shutil.rmtree(directory)


def _mounts_under(directory: Path) -> list[str]:
    """Return what a daemon left mounted in `directory`, the innermost first (proc(5))."""
    table = Path("/proc/self/mountinfo")
    lines = table.read_text().splitlines() if table.exists() else []
    points = (line.split()[4] for line in lines)
    return sorted(
        (point for point in points if Path(point).is_relative_to(directory)), reverse=True
    )


class ProgramFailed(AssertionError):
    """A program ended with an exit code other than 0."""


@dataclass(frozen=True)
class Shell:
    """Runs programs with a home of their own and nothing of this process's environment.

    So no credentials, proxies or certificate bundles of the machine reach a client.
    """

    home: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment that a program is given."""
        return {
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PATH": _SEARCH_PATH,
            "TMPDIR": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home),
            **self.variables,
        }

    def given(self, variables: Mapping[str, str]) -> Shell:
        """Return the same shell with more variables."""
        return replace(self, variables={**self.variables, **variables})

    def run(self, program: str, *arguments: str | Path, stdin: str | None = None) -> str:
        """Run `program` to its end and return what it printed.

        Raises:
            ProgramFailed: it ended with another exit code than 0.
        """
        ended = subprocess.run(
            [find(program), *arguments],
            cwd=self.home,
            env=self.environment,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
        if ended.returncode != 0:
            command = " ".join([program, *map(str, arguments)])
            raise ProgramFailed(
                f"{command}: exit code {ended.returncode}\n{ended.stdout}{ended.stderr}"
            )
        return ended.stdout
