"""The port, and the processes that serve it."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import resource
import signal
import socket
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, cast

import uvicorn

from longshore.assembly import Apis, counting_rows, create_app
from longshore.server import CannotStart, check_certificate, configure_logging, limits_of
from longshore.supervision import REPLACED, NobodyServes, Supervisor, has_terminal
from longshore.transport import Patience, http_protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from longshore.lifespan import Lifespan
    from longshore.metrics.shared import SharedRows
    from longshore.settings import Settings
    from longshore.transport import Connection

_GRACEFUL_SECONDS = 15
# How long those may still ask something who have a connection that is theirs no longer.
_LEAVE_SECONDS = 2
_BACKLOG = 2048

_log = logging.getLogger(__name__)


def listen(settings: Settings) -> tuple[socket.socket, Settings]:
    """Take the port; return it with settings that name the one that was taken.

    Raises:
        CannotStart: it can't be had.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    taken = socket.socket(family)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((settings.host, settings.port))
        # From here on clients are heard, and nobody else can have the port.
        taken.listen(_BACKLOG)
    except OSError as error:
        taken.close()
        is_taken = error.errno == errno.EADDRINUSE
        question = "Is another server running there? " if is_taken else ""
        raise CannotStart(
            f"Can't listen on {settings.listen}: {error.strerror}. {question}"
            "Choose another address with --listen HOST:PORT."
        ) from error
    taken.set_inheritable(True)
    host = settings.listen.rpartition(":")[0]
    return taken, settings.model_copy(update={"listen": f"{host}:{taken.getsockname()[1]}"})


def run(settings: Settings, taken: socket.socket) -> None:
    """Serve until a signal says stop.

    Raises:
        CannotStart: of several processes, none came to serve.
    """
    _raise_descriptor_limit()
    # Made here, so that the processes of the server have them together.
    apis = Apis.load(limits_of(settings))
    serve = partial(_serve, settings, counting_rows(settings), apis, taken)
    if settings.processes == 1:
        serve()
        return
    # What has been loaded stays, and looking for garbage among it would be writing on shared pages.
    gc.freeze()
    try:
        Supervisor(
            serve, settings.processes, taken.close, may_replace=partial(_has_certificate, settings)
        ).run()
    except NobodyServes as error:
        raise CannotStart("No server process comes to serve; see above for the reason.") from error


def uvicorn_config(factory: Callable[[], Lifespan], settings: Settings) -> uvicorn.Config:
    """Return how uvicorn is to serve the application that `factory` makes."""
    return uvicorn.Config(
        factory,
        factory=True,
        loop="uvloop",
        http=http_protocol(Patience(stall=settings.idle_timeout)),
        ws="none",
        lifespan="on",
        interface="asgi3",
        backlog=_BACKLOG,
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        # uvicorn hands it to the event loop's timers, which take fractions.
        timeout_keep_alive=cast("int", settings.keep_alive),
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )


def _serve(
    settings: Settings,
    rows: SharedRows,
    apis: Apis,
    taken: socket.socket,
    ready: Callable[[], None] | None = None,
) -> None:
    """Serve, as one of several processes that tells when it begins, or as the only one."""
    # A process that isn't forked begins with nothing: not even with a log.
    configure_logging(settings)

    def make() -> Lifespan:
        app = create_app(settings, rows=rows, apis=apis)
        # What the start made stays: nobody need look for garbage among it.
        gc.freeze()
        return app

    # uvicorn ends as if nobody had waited for the interrupt, which a shell and click would tell.
    with suppress(KeyboardInterrupt):
        config = uvicorn_config(make, settings)
        hears = None if ready is not None else partial(_hang_up, settings, has_terminal())
        _Server(config, ready, hears).run(sockets=[taken])


class _Server(uvicorn.Server):
    """uvicorn's server, which tells when it answers.

    Args:
        config: uvicorn's.
        ready: is called then.
        hang_up: is called with the server at SIGHUP, if nobody else is there to hear of it.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        ready: Callable[[], None] | None,
        hang_up: Callable[[uvicorn.Server], None] | None,
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._hang_up = hang_up
        self._leave: asyncio.Future[None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        hear = asyncio.get_running_loop().add_signal_handler
        hear(REPLACED, self._begin_to_take_leave)
        # nohup(1) has hangups ignored, and means it.
        if self._hang_up is not None and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            hear(signal.SIGHUP, self._hang_up, self)
        await super().startup(sockets)
        if self._ready is not None:
            self._ready()

    def _begin_to_take_leave(self) -> None:
        self._leave = asyncio.ensure_future(self._take_leave())

    async def _take_leave(self) -> None:
        """Leave new connections to other processes, and end when those that there are may know."""
        for server in self.servers:
            server.close()
        for connection in self.server_state.connections:
            cast("Connection", connection).take_leave()
        await asyncio.sleep(_LEAVE_SECONDS)
        self.should_exit = True


def _hang_up(settings: Settings, is_terminals: bool, server: uvicorn.Server) -> None:
    """Do what SIGHUP asks of the only process of a server, which may belong to a terminal."""
    if is_terminals:
        server.should_exit = True
    elif server.config.ssl is not None and _has_certificate(settings):
        # Connections that there are keep the one that they began with.
        server.config.ssl.load_cert_chain(cast("Path", settings.tls_certificate), settings.tls_key)


def _has_certificate(settings: Settings) -> bool:
    """Tell whether a server that begins now could use its certificate, if it is to have one."""
    try:
        check_certificate(settings)
    except CannotStart as error:
        _log.error("nothing is read anew, and the certificate stays what it was: %s", error)
        return False
    return True


def _raise_descriptor_limit() -> None:
    # A download in progress holds three descriptors, and 1,024 of them are soon gone.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
