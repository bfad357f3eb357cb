"""The application with its beginning and its end (ASGI's lifespan protocol)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from longshore import at_once

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, MutableMapping

    from longshore.api.http import Receive, Scope, Send


class Application(at_once.Application, Protocol):
    """What answers requests, at once or as ASGI has it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""


class Lifespan:
    """What a server of ASGI is handed.

    Args:
        app: answers requests.
        scheme: how clients reach the server: `https`, where a proxy speaks it for us, too.
        start: is called before the first request.
        stop: is called after the last one.
    """

    def __init__(
        self,
        app: Application,
        scheme: str,
        start: Callable[[], None],
        stop: Callable[[], Awaitable[None]],
    ) -> None:
        self._app = app
        self._scheme = scheme
        self._start = start
        self._stop = stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection, or begin and end."""
        if scope["type"] != "lifespan":
            await self._app({**scope, "scheme": self._scheme}, receive, send)
            return
        await receive()
        self._start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._stop()
        await send({"type": "lifespan.shutdown.complete"})

    def begin(
        self, scope: MutableMapping[str, Any], receive: Receive
    ) -> Coroutine[Any, Any, at_once.Answer] | None:
        """See `longshore.at_once.Application`."""
        scope["scheme"] = self._scheme
        return self._app.begin(scope, receive)

    def again(self, peer: str, sent: bytes) -> at_once.Whole | None:
        """See `longshore.at_once.Application`."""
        return self._app.again(peer, sent)

    def known(self, scope: MutableMapping[str, Any]) -> at_once.Whole | None:
        """See `longshore.at_once.Application`."""
        scope["scheme"] = self._scheme
        return self._app.known(scope)
