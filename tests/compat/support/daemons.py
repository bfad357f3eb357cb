"""Programs that run in the background until they are told to end."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.compat.support.programs import Shell, find, require_root, short_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_PATIENCE_SECONDS = 60
_PAUSE_SECONDS = 0.02
_CONTAINERD = """\
version = 2
root = "{home}/root"
state = "{home}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{home}/socket"
"""


class Daemon:
    """One process that listens somewhere, ended by its own id.

    Args:
        command: the program and its arguments.
        environment: the whole environment that it gets.
        address: where it listens: `HOST:PORT`, or the path of a socket.
        log: what it prints is added to this file.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], address: str, log: Path
    ) -> None:
        self._command = [find(command[0]), *command[1:]]
        self._environment = environment
        self._address = address
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and return when it listens.

        Raises:
            AssertionError: it ended instead, or took too long.
        """
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._process = process
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not _listens(self._address):
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"{self._command[0]} doesn't start:\n{self._log.read_text()}")
            time.sleep(_PAUSE_SECONDS)

    def stop(self) -> None:
        """Ask the process to end and wait until it has; kill it if it doesn't."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start the process, and stop it in the end."""
        self.start()
        try:
            yield
        finally:
            self.stop()


@contextmanager
def docker_daemon() -> Iterator[str]:
    """Run a docker daemon without networks or firewall rules, and yield what DOCKER_HOST is."""
    require_root("dockerd")
    with short_directory() as home:
        daemon = Daemon(
            [
                "dockerd", "--iptables=false", "--bridge=none", "--storage-driver=overlay2",
                f"--data-root={home}/data", f"--exec-root={home}/exec", f"--pidfile={home}/pid",
                f"--host=unix://{home}/socket",
            ],
            Shell(home).environment,
            str(home / "socket"),
            home / "log",
        )  # fmt: skip
        with daemon.running():
            yield f"unix://{home}/socket"


@contextmanager
def containerd_daemon() -> Iterator[str]:
    """Run a containerd without Kubernetes' part, and yield what CONTAINERD_ADDRESS is."""
    require_root("containerd")
    with short_directory() as home:
        settings = home / "config.toml"
        settings.write_text(_CONTAINERD.format(home=home))
        daemon = Daemon(
            ["containerd", "--config", str(settings)],
            Shell(home).environment,
            str(home / "socket"),
            home / "log",
        )
        with daemon.running():
            yield str(home / "socket")


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    family = socket.AF_INET if host else socket.AF_UNIX
    with socket.socket(family) as probe:
        return probe.connect_ex((host, int(port)) if host else address) == 0
