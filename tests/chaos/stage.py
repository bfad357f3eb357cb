"""What the clients and the one who kills the server share: when it is up, and how far they are."""

from __future__ import annotations

import http.client
import threading
import time
from typing import TYPE_CHECKING

from tests.support.server import read_answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from tests.support.server import Answer

_PATIENCE_SECONDS = 60


class Unanswered(Exception):
    """The server was killed in the middle of a request, which it may have carried out or not."""


class Stage:
    """The moments of a test: each request that begins, is half sent or is answered counts."""

    def __init__(self) -> None:
        self._is_up = threading.Event()
        self._is_ending = threading.Event()
        self._moments = 0
        self._changed = threading.Condition()

    def up(self) -> None:
        """The server answers from now on."""
        self._is_up.set()

    def down(self) -> None:
        """The server is about to be killed."""
        self._is_up.clear()

    def end(self) -> None:
        """Tell the clients to finish what they are at."""
        self._is_ending.set()

    @property
    def is_ending(self) -> bool:
        """Whether the clients are to finish."""
        return self._is_ending.is_set()

    def await_server(self) -> None:
        """Wait until the server answers."""
        assert self._is_up.wait(_PATIENCE_SECONDS), "the server didn't come back"

    def moment(self) -> None:
        """Count a moment."""
        with self._changed:
            self._moments += 1
            self._changed.notify_all()

    def await_moments(self, count: int, clients: Sequence[Future[None]]) -> None:
        """Wait until so many more moments have passed, or raise what a client failed with."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        with self._changed:
            until = self._moments + count
            while self._moments < until:
                for client in clients:
                    if client.done():
                        client.result()
                self._changed.wait(1)
                assert time.monotonic() < deadline, "the clients don't get on"


class Client:
    """One connection to the registry face, used by one thread."""

    def __init__(self, stage: Stage, address: str, token: str) -> None:
        self._stage = stage
        self._authorization = {"Authorization": f"Basic {token}"}
        self._connection = http.client.HTTPConnection(address, timeout=_PATIENCE_SECONDS)

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Send a request below `/v2/`.

        Raises:
            Unanswered: the connection broke.
            AssertionError: the server failed.
        """
        path = path if path.startswith("/") else f"/v2/{path}"
        length = {"Content-Length": str(len(body))} if body or method in _WITH_BODY else {}
        self._stage.moment()
        try:
            self._connection.request(
                method,
                path,
                self._in_halves(body) if body else None,
                {**self._authorization, **length, **(headers or {})},
            )
            answer = read_answer(self._connection.getresponse())
        except (ConnectionError, http.client.HTTPException) as error:
            self._connection.close()
            raise Unanswered from error
        self._stage.moment()
        assert answer.status < 500, (method, path, answer.status, answer.body)
        return answer

    def _in_halves(self, body: bytes) -> Iterator[bytes]:
        middle = len(body) // 2
        yield body[:middle]
        self._stage.moment()
        yield body[middle:]

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
