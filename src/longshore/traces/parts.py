"""The parts of a server that can tell of what they do; these don't."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from longshore.api.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from longshore.api.app import App
    from longshore.audit.trail import Trail
    from longshore.lifespan import Application
    from longshore.registry.context import Context
    from longshore.work.runner import Handler

_PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


class CannotTrace(ValueError):
    """Traces can't be sent; the message says why and what to do."""


class Parts:
    """What a process is made of where nobody wants traces: every part as it is."""

    def app(self, app: App) -> Application:
        """Return the application as requests are to come by it."""
        return app

    def workers(self) -> Workers:
        """Return the threads that requests are answered in."""
        return Workers()

    def context(self, context: Context) -> Context:
        """Return the store as requests and jobs are to see it."""
        return context

    def trail(self, trail: Trail) -> Trail:
        """Return the audit trail as requests and jobs are to see it."""
        return trail

    def handler(self, kind: str, handler: Handler) -> Handler:  # noqa: ARG002 - traced ones need it
        """Return how a kind of job is to be done."""
        return handler

    def close(self) -> None:
        """Tell what hasn't been told yet, if there is any; it takes a few seconds at most."""


def parts(*, traced: bool, dropped: Callable[[int], Any] = lambda _: None) -> Parts:
    """Return the parts of a process.

    Args:
        traced: whether they tell OpenTelemetry what they do.
        dropped: is called with how many spans nobody will get to see.

    Raises:
        CannotTrace: they are to, and can't.
    """
    if not traced:
        return Parts()
    check()
    # Not at the top: without traces nobody needs OpenTelemetry, or waits for it to be loaded.
    from longshore.traces.traced import TracedParts  # noqa: PLC0415

    return TracedParts(dropped)


def check() -> None:
    """Find out whether traces can be sent; nobody is asked anything yet.

    Raises:
        CannotTrace: they can't.
    """
    if not all(map(_is_installed, _PACKAGES)):
        raise CannotTrace(
            "Traces need OpenTelemetry's SDK. Install Longshore with it: "
            "pip install '.[opentelemetry]' in its directory."
        )
    try:
        from longshore.traces.export import check_variables  # noqa: PLC0415

        check_variables()
    except CannotTrace:
        raise
    except ValueError as error:
        # OpenTelemetry's own, which names the variable.
        raise CannotTrace(str(error)) from error


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        # There isn't even what it would be a part of.
        return False
