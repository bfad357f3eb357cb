"""A server's processes: started, measured from outside, and ended by their ids (proc(5))."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.programs import ProgramFailed, find

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.001
# The processor time of all threads of a process, in the number of its clock (linux/posix-timers.h).
_CPUCLOCK_SCHED = 2
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_MEMORY = re.compile(rb"^(Rss|Pss|VmHWM):\s+(\d+) kB", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of one process, in bytes.

    Attributes:
        resident: what of it is in memory.
        proportional: the same, with pages that n processes share counted as an n-th.
        peak: the most that was ever resident, or since the peak was last forgotten.
    """

    resident: int
    proportional: int
    peak: int


class Process:
    """A server: one process with all that it starts.

    Args:
        command: the program and its arguments.
        environment: the whole environment that it gets.
        log: what it prints is added to this file.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._command = [find(command[0]), *command[1:]]
        self._environment = environment
        self._log = log
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self, address: str, greeting: bytes) -> float:
        """Start it and return how many seconds went by until it answered.

        Args:
            address: where it will listen, `HOST:PORT` or the path of a socket.
            greeting: what it is sent, to answer with anything; if empty, that it listens is enough.

        Raises:
            ProgramFailed: it ended instead, or took too long.
        """
        started = time.perf_counter()
        with self._log.open("ab") as log:
            self._popen = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while not _answers(address, greeting):
            late = time.perf_counter() - started > _PATIENCE_SECONDS
            if self._popen.poll() is not None or late:
                self.stop()
                raise ProgramFailed(f"{self._command[0]} doesn't start:\n{self._log.read_text()}")
            time.sleep(_PAUSE_SECONDS)
        return time.perf_counter() - started

    def stop(self) -> None:
        """End it, and wait until it and all that it started has ended."""
        popen, ids = self._popen, self.ids()
        if popen is None:
            return
        self._popen = None
        popen.terminate()
        try:
            popen.wait(_PATIENCE_SECONDS / 2)
        except subprocess.TimeoutExpired:
            for process_id in ids:
                with suppress(ProcessLookupError):
                    os.kill(process_id, signal.SIGKILL)
            popen.wait()

    def ids(self) -> list[int]:
        """Return the ids of all its living processes, the first one's first."""
        return [] if self._popen is None else list(_tree(self._popen.pid))

    def cpu_seconds(self) -> float:
        """Return the processor time of all its processes so far, those that ended included."""
        return sum(_cpu_seconds(process_id) for process_id in self.ids())

    def memory(self) -> list[Memory]:
        """Return the memory of each of its processes."""
        return [memory for each in self.ids() if (memory := _memory(each)) is not None]

    def forget_peak(self) -> None:
        """Let the peak of memory begin anew."""
        for process_id in self.ids():
            with suppress(OSError):
                Path(f"/proc/{process_id}/clear_refs").write_text("5")


def free_address() -> str:
    """Return an address of loopback that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _answers(address: str, greeting: bytes) -> bool:
    is_path = address.startswith("/")
    host, _, port = address.rpartition(":")
    with socket.socket(socket.AF_UNIX if is_path else socket.AF_INET) as probe:
        probe.settimeout(_PATIENCE_SECONDS)
        try:
            probe.connect(address if is_path else (host, int(port)))
            if not greeting:
                return True
            probe.sendall(greeting)
            return bool(probe.recv(1))
        except OSError:
            return False


def _tree(process_id: int) -> list[int]:
    found = [process_id]
    for children in Path(f"/proc/{process_id}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                found += _tree(int(child))
    return found


def _cpu_seconds(process_id: int) -> float:
    try:
        # To the nanosecond, where `stat` counts hundredths: clock_getcpuclockid(3).
        own = time.clock_gettime((~process_id << 3) | _CPUCLOCK_SCHED)
        # The name, which is in parentheses, may hold anything.
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    of_ended_children = sum(map(int, fields[13:15]))
    return own + of_ended_children / _TICKS_PER_SECOND


def _memory(process_id: int) -> Memory | None:
    proc = Path(f"/proc/{process_id}")
    try:
        text = (proc / "smaps_rollup").read_bytes() + (proc / "status").read_bytes()
    except OSError:
        return None
    kilobytes = {name: int(number) for name, number in _MEMORY.findall(text)}
    if len(kilobytes) < 3:
        return None
    return Memory(
        resident=kilobytes[b"Rss"] * 1024,
        proportional=kilobytes[b"Pss"] * 1024,
        peak=kilobytes[b"VmHWM"] * 1024,
    )
