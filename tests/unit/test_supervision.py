from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.supervised import BROKEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PATIENCE_SECONDS = 60
MODULE = "tests.support.supervised"
# The session's leader, with a terminal; what is told goes to where it went before.
IN_TERMINAL = """
import os, runpy, sys
told = os.dup(1)
os.login_tty(0)
os.dup2(told, 1)
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""
# Descriptors that suffice to start a process, and not a second one beside it.
FOR_ONE = 14
# What nohup(1) does.
IGNORING_HANGUPS = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"


class Supervised:
    """Some processes and their supervisor, and what they tell."""

    def __init__(
        self,
        home: Path,
        method: str,
        count: int,
        *,
        terminal: int | None,
        before: str,
        under: Sequence[str],
    ) -> None:
        program = ["-m"] if terminal is None else ["-c", before + IN_TERMINAL]
        self._log = home / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*under, sys.executable, *program, MODULE, method, str(count), str(home)],
                stdin=subprocess.DEVNULL if terminal is None else terminal,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                # With no terminal, and a group to be killed.
                start_new_session=terminal is None,
            )

    def told(self) -> tuple[str, int]:
        """Return what is told next, and by which process."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"nobody tells anything any more:\n{self.log()}"
        what, _, process_id = line.partition(" ")
        return what, int(process_id)

    def begun(self, count: int = 2) -> set[int]:
        """Return the ids of so many processes, which begin now."""
        told = [self.told() for _ in range(2 * count)]
        assert sorted(what for what, _ in told) == ["began"] * count + ["begins"] * count
        return {process_id for _, process_id in told}

    def rest(self) -> tuple[int, list[tuple[str, int]]]:
        """Return the exit code and what is told until not one process is left."""
        assert self.process.stdout is not None
        lines = self.process.stdout.read().splitlines()
        told = [(what, int(number)) for what, _, number in (each.partition(" ") for each in lines)]
        return self.process.wait(PATIENCE_SECONDS), told

    def log(self) -> str:
        """Return what the supervisor has logged."""
        return self._log.read_text()


@contextmanager
def supervised(
    home: Path,
    method: str = "fork",
    count: int = 2,
    *,
    terminal: int | None = None,
    before: str = "",
    under: Sequence[str] = (),
) -> Iterator[Supervised]:
    """Run them.

    Args:
        home: where the files lie that they look at.
        method: how they come to be.
        count: how many they are.
        terminal: the descriptor of the terminal that they have, if any.
        before: what is executed first where there is a terminal.
        under: a command that runs another one.
    """
    run = Supervised(home, method, count, terminal=terminal, before=before, under=under)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGKILL)
        run.process.wait()
        assert run.process.stdout is not None
        run.process.stdout.close()


methods = pytest.mark.parametrize("method", ["fork", "spawn"])


@methods
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_supervisor_ends_all(tmp_path: Path, method: str, number: int) -> None:
    with supervised(tmp_path, method, 3) as run:
        begun = run.begun(3)
        assert len(begun - {run.process.pid}) == 3
        run.process.send_signal(number)
        assert run.told() == ("ends", run.process.pid)
        code, told = run.rest()
        assert (code, sorted(told)) == (0, sorted(("ended", each) for each in begun))
        assert run.log() == ""


@methods
def test_a_process_that_is_killed_is_replaced(tmp_path: Path, method: str) -> None:
    with supervised(tmp_path, method) as run:
        begun = run.begun()
        for _ in range(3):
            victim = begun.pop()
            os.kill(victim, signal.SIGKILL)
            [successor] = run.begun(1)
            assert successor not in {*begun, victim, run.process.pid}
            begun.add(successor)
            assert f"server process {victim} ended (killed by SIGKILL)" in run.log()
        run.process.terminate()
        assert set(run.rest()[1]) == {("ends", run.process.pid), *(("ended", i) for i in begun)}


@methods
def test_all_processes_that_are_killed_at_once_are_replaced(tmp_path: Path, method: str) -> None:
    with supervised(tmp_path, method) as run:
        begun = run.begun()
        for victim in begun:
            os.kill(victim, signal.SIGKILL)
        assert not begun & run.begun()


@methods
def test_all_end_with_a_supervisor_that_is_killed(tmp_path: Path, method: str) -> None:
    with supervised(tmp_path, method, 3) as run:
        begun = run.begun(3)
        # One that began late holds nothing of those before it that would keep them.
        victim = begun.pop()
        os.kill(victim, signal.SIGKILL)
        begun |= run.begun(1)
        run.process.kill()
        code, told = run.rest()
        assert (code, set(told)) == (-signal.SIGKILL, {("ended", each) for each in begun})


@methods
def test_who_can_not_serve_is_not_started_again_and_again(tmp_path: Path, method: str) -> None:
    (tmp_path / "broken").touch()
    with supervised(tmp_path, method) as run:
        assert run.rest() == (1, [("failed", run.process.pid)])
        lines = run.log().splitlines()
        assert len(lines) == 2
        assert all(f"ended before it served (exit code {BROKEN})" in line for line in lines)


def test_who_is_killed_before_it_serves_is_replaced_a_few_times(tmp_path: Path) -> None:
    (tmp_path / "killed").touch()
    with supervised(tmp_path, count=1) as run:
        while run.log().count("\n") < 2:
            assert run.process.poll() is None
        (tmp_path / "killed").unlink()
        [process] = run.begun(1)
        assert run.log().count("ended before it served (killed by SIGKILL)") == 2
        run.process.terminate()
        assert run.rest() == (0, [("ends", run.process.pid), ("ended", process)])


def test_with_no_room_for_another_process_those_that_there_are_go_on(tmp_path: Path) -> None:
    with supervised(tmp_path, under=("sh", "-c", f'ulimit -n {FOR_ONE}; exec "$@"', "sh")) as run:
        begun = run.begun(1)
        while "a server process can't be started: [Errno 24] Too many open files" not in run.log():
            assert run.process.poll() is None
        run.process.terminate()
        code, told = run.rest()
        assert (code, told) == (0, [("ends", run.process.pid), *(("ended", i) for i in begun)])


def test_as_long_as_one_serves_the_others_are_tried_again(tmp_path: Path) -> None:
    with supervised(tmp_path) as run:
        victim, survivor = run.begun()
        (tmp_path / "broken").touch()
        os.kill(victim, signal.SIGKILL)
        while "ended before it served" not in run.log():
            assert run.process.poll() is None
        (tmp_path / "broken").unlink()
        [successor] = run.begun(1)
        run.process.terminate()
        assert set(run.rest()[1]) == {
            ("ends", run.process.pid),
            ("ended", survivor),
            ("ended", successor),
        }


@methods
def test_a_hangup_replaces_all_one_after_the_other(tmp_path: Path, method: str) -> None:
    with supervised(tmp_path, method) as run:
        begun = run.begun()
        # As `killall -HUP` would: the others leave it to the supervisor.
        os.killpg(run.process.pid, signal.SIGHUP)
        told = [run.told() for _ in range(6)]
        successors = {number for what, number in told if what == "began"}
        assert len(successors - begun) == 2
        assert {number for what, number in told if what == "ended"} == begun
        # There are never fewer than two, and none is told to end before another one answers.
        changes = [what for what, _ in told if what != "began"]
        assert changes == ["begins", "ended", "begins", "ended"]
        run.process.terminate()
        assert set(run.rest()[1]) == {
            ("ends", run.process.pid),
            *(("ended", each) for each in successors),
        }


def test_a_hangup_tells_that_the_terminal_is_gone(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with supervised(tmp_path, terminal=theirs) as run:
        os.close(theirs)
        begun = run.begun()
        os.close(ours)
        code, told = run.rest()
        assert (code, told[0]) == (0, ("ends", run.process.pid))
        assert set(told[1:]) == {("ended", each) for each in begun}


def test_who_was_told_to_ignore_hangups_does(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with supervised(tmp_path, terminal=theirs, before=IGNORING_HANGUPS) as run:
        os.close(theirs)
        begun = run.begun()
        os.close(ours)
        run.process.send_signal(signal.SIGHUP)
        os.kill(begun.pop(), signal.SIGKILL)
        begun |= run.begun(1)
        run.process.terminate()
        code, told = run.rest()
        assert (code, told[0]) == (0, ("ends", run.process.pid))
        assert set(told[1:]) == {("ended", each) for each in begun}


def test_a_second_interrupt_is_passed_on_to_those_that_have_not_ended(tmp_path: Path) -> None:
    with supervised(tmp_path) as run:
        begun = run.begun()
        for each in begun:
            os.kill(each, signal.SIGSTOP)
        run.process.send_signal(signal.SIGINT)
        assert run.told() == ("ends", run.process.pid)
        run.process.send_signal(signal.SIGINT)
        for each in begun:
            os.kill(each, signal.SIGCONT)
        code, told = run.rest()
        assert (code, set(told)) == (0, {("ended", each) for each in begun})


def test_the_supervisor_has_nothing_that_a_fork_would_share(tmp_path: Path) -> None:
    with supervised(tmp_path) as run:
        run.begun()
        assert len(os.listdir(f"/proc/{run.process.pid}/task")) == 1  # noqa: PTH208 - names will do
