"""What the processes of a server count: requests, and a few things that happen seldom."""

from __future__ import annotations

import os
import threading
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from longshore.metrics.shared import SharedRows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
"""The upper bounds of the buckets of durations, in seconds; a last one takes the rest."""

CLASSES: Final = ("2xx", "3xx", "4xx", "5xx", "gone")
"""How requests end: the classes of their statuses, and clients that went away before the answer."""

UNKNOWN: Final = "Unknown"
"""The name of what is no operation."""

# A process that takes the place of another one begins before that one has ended.
_SPARE = 64


class Event(IntEnum):
    """What happens seldom enough to be counted under a lock."""

    AUTHENTICATION_FAILURE = 0
    LIFECYCLE_EXPIRATION = 1
    SPAN_DROPPED = 2


# The process's number; then the events; then the operations, of each the numbers below.
_FIRST_EVENT: Final = 1
_FIRST_OPERATION: Final = _FIRST_EVENT + len(Event)
_DURATIONS: Final = len(CLASSES)
_SECONDS: Final = _DURATIONS + len(BUCKETS) + 1
_RECEIVED: Final = _SECONDS + 1
_SENT: Final = _RECEIVED + 1
_LENGTH: Final = _SENT + 1


@dataclass(frozen=True, slots=True)
class OperationCounts:
    """What is known of an operation.

    Attributes:
        face: the API that has it.
        operation: its name.
        requests: how many requests ended in each of `CLASSES`.
        durations: how many took so long, by `BUCKETS` and one for those that took longer.
        seconds: how long all of them took.
        received: bytes of the bodies of requests.
        sent: bytes of the bodies of answers.
    """

    face: str
    operation: str
    requests: tuple[int, ...]
    durations: tuple[int, ...]
    seconds: float
    received: int
    sent: int


class Counts:
    """What this process counts, and the sums over all processes of the server.

    Args:
        rows: the memory that the processes share.
        operations: face and name of every operation, in one order in all processes.
    """

    def __init__(self, rows: SharedRows, operations: Sequence[tuple[str, str]]) -> None:
        self._rows = rows
        self._row = rows.claim()
        self._row[0] = os.getpid()
        self._places: dict[tuple[str, str], int] = {
            named: _FIRST_OPERATION + number * _LENGTH for number, named in enumerate(operations)
        }
        self._lock = threading.Lock()

    @staticmethod
    def rows_for(
        directory: Path, operations: Sequence[tuple[str, str]], processes: int
    ) -> SharedRows:
        """Return memory for the counts of so many processes.

        Args:
            directory: on the file system that is to have the memory's file.
            operations: face and name of every operation.
            processes: how many there are.
        """
        length = _FIRST_OPERATION + len(operations) * _LENGTH
        return SharedRows.create(directory, processes + _SPARE, length)

    def request(
        self,
        face: str,
        operation: str | None,
        status: int | None,
        seconds: float,
        *,
        received: int,
        sent: int,
    ) -> None:
        """Count a request, in a microsecond; only the thread of the event loop does so.

        Args:
            face: the API that it was for.
            operation: what it asked for; what nobody knows counts as `UNKNOWN`.
            status: that of the answer, or None where the client went away before it.
            seconds: how long it took until there was an answer.
            received: the bytes of its body.
            sent: the bytes of the answer's body.
        """
        row = self._row
        place = self._places.get((face, operation or UNKNOWN)) or self._places[face, UNKNOWN]
        row[place + (len(CLASSES) - 1 if status is None else status // 100 - 2)] += 1
        row[place + _DURATIONS + bisect_left(BUCKETS, seconds)] += 1
        row[place + _SECONDS] += seconds
        row[place + _RECEIVED] += received
        row[place + _SENT] += sent

    def happened(self, event: Event, times: int = 1) -> None:
        """Count an event; any thread may."""
        with self._lock:
            self._row[_FIRST_EVENT + event] += times

    def total(self, event: Event) -> int:
        """Return how often something happened, in all processes."""
        return int(sum(row[_FIRST_EVENT + event] for row in self._in_use()))

    def operations(self) -> Iterator[OperationCounts]:
        """Yield what all processes know of each operation that anybody asked for."""
        rows = list(self._in_use())
        for (face, operation), place in self._places.items():
            sums = [
                sum(numbers)
                for numbers in zip(*(row[place : place + _LENGTH] for row in rows), strict=True)
            ]
            requests = tuple(map(int, sums[:_DURATIONS]))
            if any(requests):
                yield OperationCounts(
                    face=face,
                    operation=operation,
                    requests=requests,
                    durations=tuple(map(int, sums[_DURATIONS:_SECONDS])),
                    seconds=sums[_SECONDS],
                    received=int(sums[_RECEIVED]),
                    sent=int(sums[_SENT]),
                )

    def processes(self) -> list[int]:
        """Return the numbers of the processes that count, some of which may have ended."""
        return [int(row[0]) for row in self._in_use()]

    def close(self) -> None:
        """Count no more: what comes all the same is counted for nobody."""
        with self._lock:
            claimed, self._row = self._row, memoryview(array("d", self._row))
        claimed.release()
        self._rows.close()

    def _in_use(self) -> Iterator[memoryview[float]]:
        return (row for row in self._rows.rows() if row[0])
