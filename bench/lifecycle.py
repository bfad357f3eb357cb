"""How long a server takes to its first answer, and what memory it takes to wait."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.measuring import Bench
    from bench.servers import Server

_SETTLING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Start:
    """One start.

    Attributes:
        first: seconds to the first answer over an empty directory.
        again: the same over the directory that the first start left.
        processes: the resident memory of each process, waiting, in bytes; the largest first.
        proportional: the memory of them all, with what they share counted once.
    """

    first: float
    again: float
    processes: list[int]
    proportional: int


def measure(
    bench: Bench, make_servers: Callable[[Path], Sequence[Server]], home: Path
) -> dict[str, list[Start]]:
    """Start each server twice, round after round."""
    starts: dict[str, list[Start]] = {}
    for number in range(bench.rounds):
        for server in make_servers(home / f"start-{number}"):
            if time.monotonic() > bench.deadline:
                return starts
            starts.setdefault(server.name, []).append(_start_twice(server))
    return starts


def _start_twice(server: Server) -> Start:
    try:
        first = server.start()
        server.process.stop()
        again = server.start()
        # What a server does after its first answer belongs to its idle state.
        time.sleep(_SETTLING_SECONDS)
        memory = server.process.memory()
    finally:
        server.process.stop()
    return Start(
        first=first,
        again=again,
        processes=sorted((each.resident for each in memory), reverse=True),
        proportional=sum(each.proportional for each in memory),
    )
