"""The programs that the benchmark runs: where they are, and the environment they get."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

REPOSITORY = Path(__file__).parents[1]

_PATIENCE_SECONDS = 120
_SEARCH_PATH = os.pathsep.join(
    [
        # Beside the interpreter lies the `longshore` of this environment.
        str(Path(sys.executable).parent),
        str(REPOSITORY / ".cache" / "tools"),
        os.environ.get("PATH", os.defpath),
        "/usr/sbin:/sbin",
    ]
)


class ProgramMissing(Exception):
    """A program isn't installed; the message names it."""


class ProgramFailed(Exception):
    """A program ended badly; the message holds what it printed."""


def find(name: str) -> str:
    """Return the path of a program.

    Raises:
        ProgramMissing: it isn't installed.
    """
    found = shutil.which(name, path=_SEARCH_PATH)
    if found is None:
        raise ProgramMissing(f"{name} isn't installed")
    return found


def environment(home: Path) -> dict[str, str]:
    """Return a whole environment that has nothing of this one's settings and credentials."""
    return {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PATH": _SEARCH_PATH,
        "TMPDIR": str(home),
        "XDG_RUNTIME_DIR": str(home),
        # distribution 3 looks for a collector of traces unless it is told that there is none.
        "OTEL_TRACES_EXPORTER": "none",
    }


def run(command: Sequence[str | Path], home: Path) -> str:
    """Run a program to its end and return what it printed.

    Raises:
        ProgramMissing: it isn't installed.
        ProgramFailed: it took too long, or its exit code isn't 0.
    """
    program, *arguments = map(str, command)
    try:
        ended = subprocess.run(
            [find(program), *arguments],
            env=environment(home),
            cwd=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ProgramFailed(f"{program} took more than {_PATIENCE_SECONDS} s") from error
    if ended.returncode != 0:
        raise ProgramFailed(
            f"{program}: exit code {ended.returncode}\n{ended.stdout}{ended.stderr}"
        )
    return ended.stdout
