"""Where a server runs for a history: in this process, with a clock that the history moves.

Either its application is called as it is, or it listens on loopback as `longshore serve` does.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack

import urllib3
import uvicorn

from longshore import server, serving
from longshore.assembly import create_app
from tests.support.server import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor

    from longshore.clock import Clock
    from longshore.registry.context import Context
    from longshore.settings import Settings

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

_PATIENCE_SECONDS = 60


class Station(ABC):
    """A server that can be stopped and started over the same data.

    Args:
        settings: what it is started with.
        clock: its clock.
    """

    address: str

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock

    def open_context(self) -> Context:
        """Open the store once more, as another process on this machine would."""
        return replace(server.open_context(self.settings), clock=self.clock)

    @abstractmethod
    def start(self) -> None:
        """Start the server."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it as a signal would."""

    @abstractmethod
    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """Send a request and return the answer."""


class _OneThread(asyncio.SelectorEventLoop):
    """An event loop that calls at once what it should hand to a thread, to save the hop."""

    def run_in_executor(
        self,
        executor: Executor | None,  # noqa: ARG002 - asyncio's signature
        func: Callable[[Unpack[Arguments]], Result],
        *args: *Arguments,
    ) -> asyncio.Future[Result]:
        future: asyncio.Future[Result] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - as a thread would hand it over
            future.set_exception(error)
        return future


class InProcess(Station):
    """Calls the ASGI application without a port and without threads."""

    address = "localhost:5000"

    def start(self) -> None:
        self._loop = _OneThread()
        self._app = create_app(self.settings, self.open_context())
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[Any] = asyncio.Queue()
        self._life = self._loop.create_task(self._live())
        self._turn("startup")

    def stop(self) -> None:
        self._turn("shutdown")
        self._loop.run_until_complete(self._life)
        self._loop.close()

    async def _live(self) -> None:
        await self._app({"type": "lifespan"}, self._to_app.get, self._from_app.put)

    def _turn(self, what: str) -> None:
        self._to_app.put_nowait({"type": f"lifespan.{what}"})
        message = self._loop.run_until_complete(self._from_app.get())
        assert message == {"type": f"lifespan.{what}.complete"}

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """Send a request and return the answer."""
        path, _, query = target.partition("?")
        given = {"host": self.address, "content-length": str(len(body)), **headers}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        }
        return self._loop.run_until_complete(self._exchange(scope, body))

    async def _exchange(self, scope: dict[str, Any], body: bytes) -> Answer:
        sent: list[Mapping[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        start, *rest = sent
        return Answer(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            b"".join(message.get("body", b"") for message in rest),
        )


class Listening(Station):
    """Listens on a free port; requests go over real sockets."""

    def start(self) -> None:
        taken, settings = serving.listen(self.settings)
        self.address = settings.listen
        self._http = urllib3.PoolManager(retries=False, timeout=_PATIENCE_SECONDS)
        self._server = uvicorn.Server(
            serving.uvicorn_config(partial(create_app, settings, self.open_context()), settings)
        )
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [taken]})
        self._thread.start()
        self.send("GET", "/", {})

    def stop(self) -> None:
        self._http.clear()
        self._server.should_exit = True
        self._thread.join()

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """Send a request and return the answer."""
        answer = self._http.request(
            method, f"http://{self.address}{target}", body=body, headers=headers, redirect=False
        )
        return Answer(
            answer.status,
            {name.lower(): value for name, value in answer.headers.items()},
            answer.data,
        )
