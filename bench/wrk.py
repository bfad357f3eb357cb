"""wrk, the load generator: sends requests that were made beforehand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench.measuring import Done
from bench.programs import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.measuring import Watch

_SCRIPT = Path(__file__).with_name("replay.lua")
_LATE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Load:
    """How wrk loads a server.

    Attributes:
        connections: how many it keeps busy.
        seconds: for how long.
    """

    connections: int
    seconds: int

    def run(self, address: str, requests: Sequence[bytes], watch: Watch) -> Done:
        """Send the requests in order, round and round."""
        with TemporaryDirectory() as directory:
            file = Path(directory) / "requests"
            file.write_bytes(b"".join(b"%d\n%s" % (len(each), each) for each in requests))
            command = [
                "wrk", "--threads", "1", "--connections", str(self.connections),
                "--duration", f"{self.seconds}s", "--timeout", f"{_LATE_SECONDS}s",
                "--script", str(_SCRIPT), f"http://{address}/", "--", str(file),
            ]  # fmt: skip
            with watch:
                printed = run(command, Path(directory))
        told = json.loads(printed.splitlines()[-1])
        return Done(
            units=told["requests"],
            seconds=told["microseconds"] / 1e6,
            errors=told["bad_status"] + told["broken"] + told["late"],
            p50=told["p50"] / 1e6,
            p99=told["p99"] / 1e6,
        )
