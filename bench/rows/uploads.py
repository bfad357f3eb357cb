"""Uploads of blobs, each of them new to the server."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal

from bench.content import MIB, Body, FreshBodies
from bench.http import Connection, path_of, raw_request
from bench.measuring import Done, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.measuring import Action, Watch
    from bench.scale import Scale
    from bench.servers import Server

Way = Literal["monolithic", "streamed"]

_REPOSITORY = "bench/uploads"
# What Go's clients send as one chunk (io.Copy's buffer).
_CHUNK = 32 * 1024
_WAYS: dict[Way, str] = {"monolithic": "POST, PUT", "streamed": "POST, chunked PATCH, PUT"}


def rows(scale: Scale) -> list[Row]:
    """Return the rows of uploads."""
    large = f"{scale.large // MIB} MiB"
    return [
        Row(
            f"upload-{name}-{way}-{clients}",
            f"upload, {size_title}, {way} ({_WAYS[way]})" + f", {clients} at once" * (clients > 1),
            "MiB/s",
            "oci",
            _Uploading(size, way, clients, scale.seconds).prepare,
            short=(name, way, clients) in {("1m", "monolithic", 8), ("256m", "streamed", 1)},
            scaling=name == "1m" and clients > 1,
            long=name == "256m" and clients > 1,
        )
        for name, size, size_title in (("1m", MIB, "1 MiB"), ("256m", scale.large, large))
        for way in _WAYS
        for clients in (1, 8)
    ]


@dataclass(frozen=True, slots=True)
class _Uploading:
    size: int
    way: Way
    clients: int
    seconds: float

    def prepare(self, server: Server) -> Action:
        server.create_repository(_REPOSITORY)
        return lambda watch: self._run(server, watch)

    def _run(self, server: Server, watch: Watch) -> Done:
        bodies = iter(FreshBodies(self.size))
        # Made before the time is taken, and as many as one client can need.
        prepared = [list(islice(bodies, self._most)) for _ in range(self.clients)]
        with ThreadPoolExecutor(self.clients) as threads, watch:
            began = time.perf_counter()
            futures = [
                threads.submit(self._client, server, mine, began + self.seconds)
                for mine in prepared
            ]
            counts = [future.result() for future in futures]
            seconds = time.perf_counter() - began
        used = (body for mine, count in zip(prepared, counts, strict=True) for body in mine[:count])
        server.forget(body.digest for body in used)
        return Done(units=sum(counts) * self.size / MIB, seconds=seconds)

    @property
    def _most(self) -> int:
        # A GiB a second is more than a client can send and a server hash.
        return max(2, round(self.seconds * 1024 * MIB / self.size))

    def _client(self, server: Server, bodies: list[Body], until: float) -> int:
        send = _ways[self.way]
        count = 0
        with Connection(server.address) as connection:
            for body in bodies:
                if count and time.perf_counter() > until:
                    break
                send(_Upload(server, connection), body)
                count += 1
        return count


class _Upload:
    """One upload over a connection."""

    def __init__(self, server: Server, connection: Connection) -> None:
        self._server = server
        self._connection = connection

    def monolithic(self, body: Body) -> None:
        """Send all in the closing PUT, with its length."""
        path = self._begin()
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(body.size)}
        head = self._head("PUT", _with_digest(path, body.digest), headers, None)
        self._connection.exchange(head, *body.pieces).expect(201)

    def streamed(self, body: Body) -> None:
        """Send all in one PATCH, in chunks, as a client does that packs as it goes."""
        path = self._begin()
        headers = {
            "Content-Type": "application/octet-stream", "Transfer-Encoding": "chunked",
        }  # fmt: skip
        head = self._head("PATCH", path, headers, None)
        answer = self._connection.exchange(head, *_chunked(body)).expect(202)
        path = _with_digest(path_of(answer.headers["location"]), body.digest)
        self._connection.exchange(self._head("PUT", path)).expect(201)

    def _begin(self) -> str:
        head = self._head("POST", f"/v2/{_REPOSITORY}/blobs/uploads/")
        return path_of(self._connection.exchange(head).expect(202).headers["location"])

    def _head(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        body: bytes | None = b"",
    ) -> bytes:
        named = {**self._server.authorization, **(headers or {})}
        return raw_request(method, path, self._server.address, named, body)


_ways: dict[Way, Callable[[_Upload, Body], None]] = {
    "monolithic": _Upload.monolithic,
    "streamed": _Upload.streamed,
}


def _with_digest(path: str, digest: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}digest={digest}"


def _chunked(body: Body) -> Iterator[bytes | memoryview]:
    for piece in body.pieces:
        for offset in range(0, len(piece), _CHUNK):
            chunk = piece[offset : offset + _CHUNK]
            yield b"%x\r\n" % len(chunk)
            yield chunk
            yield b"\r\n"
    yield b"0\r\n\r\n"
