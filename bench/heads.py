"""Requests whose answers have no body (HEAD), which wrk waits for in vain."""

from __future__ import annotations

import select
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import quantiles
from typing import TYPE_CHECKING

from bench.http import BadAnswer
from bench.measuring import Done

if TYPE_CHECKING:
    from bench.measuring import Watch

_SIZE = 64 * 1024
_END = b"\r\n\r\n"
_PATIENCE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Heads:
    """How a server is asked: as wrk does it, by one thread.

    Attributes:
        connections: how many are kept busy.
        seconds: for how long.
    """

    connections: int
    seconds: float

    def run(self, address: str, request: bytes, watch: Watch) -> Done:
        """Send a HEAD request over and over."""
        host, _, port = address.rpartition(":")
        with ExitStack() as stack, watch:
            clients = {}
            for _ in range(self.connections):
                connection = stack.enter_context(
                    socket.create_connection((host, int(port)), _PATIENCE_SECONDS)
                )
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients[connection.fileno()] = _Client(connection)
            return _exchange(clients, request, self.seconds)


@dataclass(slots=True)
class _Client:
    connection: socket.socket
    asked: float = 0.0
    received: bytes = field(default=b"", repr=False)


def _exchange(clients: dict[int, _Client], request: bytes, seconds: float) -> Done:
    took: list[float] = []
    errors = 0
    began = now = time.perf_counter()
    with select.epoll() as ready:
        for number, client in clients.items():
            ready.register(number, select.EPOLLIN)
            client.connection.sendall(request)
            client.asked = began
        while now - began < seconds:
            for number, _ in ready.poll(_PATIENCE_SECONDS):
                client = clients[number]
                more = client.connection.recv(_SIZE)
                if not more:
                    raise BadAnswer(f"the connection ended after {client.received!r}")
                client.received += more
                if not client.received.endswith(_END):
                    continue
                errors += not client.received.startswith(b"HTTP/1.1 2")
                client.received = b""
                now = time.perf_counter()
                took.append(now - client.asked)
                client.connection.sendall(request)
                client.asked = now
            now = time.perf_counter()
    hundredths = quantiles(took, n=100) if len(took) > 1 else [0.0] * 99
    return Done(
        units=len(took), seconds=now - began, errors=errors, p50=hundredths[49], p99=hundredths[98]
    )
