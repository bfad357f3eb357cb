"""What is measured and how: rows of work, done by each server in turn, round after round."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from bench.http import BadAnswer
from bench.programs import ProgramFailed, ProgramMissing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from bench.servers import Server

Face: TypeAlias = Literal["oci", "ecr"]


@dataclass(frozen=True, slots=True)
class Done:
    """What a server has done.

    Attributes:
        units: how many requests, MiB or images it was.
        seconds: how long it took.
        errors: how many requests failed.
        p50: the median of the time that a request took, in seconds.
        p99: the 99th percentile of it.
    """

    units: float
    seconds: float
    errors: int = 0
    p50: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement.

    Attributes:
        value: in the row's unit.
        cpu: the server's processor time for one unit of work, in seconds.
        client_cpu: the load generator's, likewise.
        peak_memory: the most memory that the server's processes took meanwhile, in bytes.
    """

    value: float
    cpu: float
    client_cpu: float
    peak_memory: int
    errors: int
    p50: float | None = None
    p99: float | None = None


class Watch:
    """Measures what goes on while it is entered: the time, and the processors' at both ends."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.seconds = self.cpu = self.client_cpu = 0.0

    def __enter__(self) -> Self:
        """Begin."""
        self._began = (time.perf_counter(), self._server.process.cpu_seconds(), _own_cpu())
        return self

    def __exit__(self, *_: object) -> None:
        """End; what is entered again adds up."""
        began, cpu, client_cpu = self._began
        self.seconds += time.perf_counter() - began
        self.cpu += self._server.process.cpu_seconds() - cpu
        self.client_cpu += _own_cpu() - client_cpu


def _own_cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


# Does a server's work once, with everything that isn't to be measured outside the watch.
Action: TypeAlias = Callable[[Watch], Done]


@dataclass(frozen=True, slots=True)
class Row:
    """A kind of work.

    Attributes:
        id: its name for `--only` and in the raw results.
        title: its name for people.
        unit: what its values are: `requests/s`, `MiB/s` or, where less is better, `s`.
        face: which interface it goes through; it is done by the servers that have it.
        prepare: brings a server to where the work can be done, and returns what does it.
        short: whether it belongs to the short form.
        scaling: whether several server processes are measured as well.
        long: whether it takes so long that it comes last, when time may run out.
    """

    id: str
    title: str
    unit: Literal["requests/s", "MiB/s", "s"]
    face: Face
    prepare: Callable[[Server], Action]
    short: bool = False
    scaling: bool = False
    long: bool = False


@dataclass(frozen=True, slots=True)
class Bench:
    """Measures rows.

    Attributes:
        rounds: how often each server's turn comes.
        deadline: when to stop, by `time.monotonic`.
        tell: is told what goes on.
    """

    rounds: int
    deadline: float
    tell: Callable[[str], None]

    def measure(self, row: Row, servers: Sequence[Server]) -> dict[str, list[Sample]]:
        """Measure a row and return the samples of each server that could do it."""
        actions = {}
        for server in servers:
            try:
                actions[server] = row.prepare(server)
            except (BadAnswer, ProgramFailed, ProgramMissing, OSError) as error:
                self.tell(f"  {row.id}: not on {server.title}: {str(error).strip()[:300]}")
        samples: dict[str, list[Sample]] = {server.name: [] for server in actions}
        for server in _turns(list(actions), self.rounds):
            if time.monotonic() > self.deadline:
                break
            try:
                samples[server.name].append(_sample(row, server, actions[server]))
            except (BadAnswer, ProgramFailed, OSError) as error:
                self.tell(f"  {row.id}: {server.title} failed: {str(error).strip()[:300]}")
        return {name: taken for name, taken in samples.items() if taken}


def _turns(servers: Sequence[Server], rounds: int) -> Iterator[Server]:
    """Yield the servers round after round; nobody always comes after the same other one."""
    for number in range(rounds):
        first = number % len(servers) if servers else 0
        yield from (*servers[first:], *servers[:first])


def _sample(row: Row, server: Server, action: Action) -> Sample:
    server.process.forget_peak()
    watch = Watch(server)
    done = action(watch)
    if not done.units:
        raise BadAnswer(f"no answer within {done.seconds:.1f} s")
    per_unit = done.seconds / done.units
    return Sample(
        value=per_unit if row.unit == "s" else 1 / per_unit,
        cpu=watch.cpu / done.units,
        client_cpu=watch.client_cpu / done.units,
        peak_memory=sum(memory.peak for memory in server.process.memory()),
        errors=done.errors,
        p50=done.p50,
        p99=done.p99,
    )
