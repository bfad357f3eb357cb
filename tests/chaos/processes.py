"""`longshore serve` and `longshore gc` as real processes, killed and started again at will."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

_PATIENCE_SECONDS = 60
_PAUSE_SECONDS = 0.02


class Serving:
    """A server over one data directory, at the same address after every start.

    Args:
        home: where its data and its log lie.
        options: of `longshore serve`, beside the address.
        variables: of its environment, beside those of this process.
    """

    def __init__(
        self, home: Path, options: Sequence[str], variables: Mapping[str, str] | None = None
    ) -> None:
        self.address = f"127.0.0.1:{_free_port()}"
        self.log = home / "server.log"
        self._command = _command("serve", "--listen", self.address, *options)
        self._environment = {**_environment(), **(variables or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def spawn(self) -> None:
        """Start it and don't wait for it."""
        with self.log.open("ab") as log:
            # A group of its own, so that it can be killed with all its workers.
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start(self) -> None:
        """Start it and return when it answers.

        Raises:
            AssertionError: it ended instead, or took too long.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        self.spawn()
        while not self._answers():
            if self._has_ended() or time.monotonic() > deadline:
                raise AssertionError(f"the server doesn't start:\n{self.log.read_text()}")
            time.sleep(_PAUSE_SECONDS)

    def kill(self) -> None:
        """Kill it with all its workers."""
        self._signal_group(signal.SIGKILL)
        self._await_free_port()

    def kill_supervisor(self) -> None:
        """Kill the first process alone; its workers finish what they are at, and end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._await_free_port()

    def _await_free_port(self) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self._listens():
            if time.monotonic() > deadline:
                raise AssertionError("something goes on listening after the server was killed")
            time.sleep(_PAUSE_SECONDS)

    def kill_worker(self, rng: random.Random) -> None:
        """Kill one of its workers, which its supervisor then replaces."""
        if self._process is None:
            return
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        if children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(rng.choice(children)), signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, as an operator would, and wait until it has."""
        if self._process is not None:
            self._process.terminate()
            code = self._process.wait(_PATIENCE_SECONDS)
            assert code in {0, -signal.SIGTERM}, self.log.read_text()

    def put_away(self) -> None:
        """Leave nothing behind, however the test ended."""
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            self._process.wait()

    def _has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _listens(self) -> bool:
        host, _, port = self.address.rpartition(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(self.address, timeout=_PATIENCE_SECONDS)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class Collecting:
    """`longshore gc`, again and again."""

    def __init__(self, options: Sequence[str]) -> None:
        self._command = _command("gc", *options)
        self._process: subprocess.Popen[str] | None = None

    def run(self) -> str:
        """Collect once and return what was taken, a line each; empty where it was killed.

        Raises:
            AssertionError: it failed.
        """
        self._process = subprocess.Popen(
            self._command,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        output, errors = self._process.communicate(timeout=_PATIENCE_SECONDS)
        code = self._process.returncode
        assert code in {0, -signal.SIGKILL}, f"longshore gc: exit code {code}\n{errors}"
        return output if code == 0 else ""

    def kill(self) -> None:
        """Kill the one that runs, if any."""
        if self._process is not None:
            self._process.kill()


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "longshore", *arguments]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("LONGSHORE_")}


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
