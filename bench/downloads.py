"""Downloads of large bodies, read in large pieces: wrk's small ones would cost it more."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.content import MIB
from bench.http import BadAnswer, Connection
from bench.measuring import Done

if TYPE_CHECKING:
    from bench.measuring import Watch

# So that a body of many MiB comes more than once.
_FEWEST = 2


@dataclass(frozen=True, slots=True)
class Download:
    """How bodies are downloaded.

    Attributes:
        connections: how many clients do it at once.
        seconds: for how long each begins another one.
    """

    connections: int
    seconds: float

    def run(self, address: str, request: bytes, size: int, watch: Watch) -> Done:
        """Download the answer to `request`, which has `size` bytes, again and again."""
        with watch, ThreadPoolExecutor(self.connections) as threads:
            began = time.perf_counter()
            each = [
                threads.submit(self._client, address, request, size, began + self.seconds)
                for _ in range(self.connections)
            ]
            count = sum(future.result() for future in each)
            seconds = time.perf_counter() - began
        return Done(units=count * size / MIB, seconds=seconds)

    def _client(self, address: str, request: bytes, size: int, until: float) -> int:
        count = 0
        with Connection(address) as connection:
            while count < _FEWEST or time.perf_counter() < until:
                answer = connection.exchange(request).expect(200)
                if int(answer.headers["content-length"]) != size:
                    raise BadAnswer(f"not {size} bytes: {answer}")
                count += 1
        return count
