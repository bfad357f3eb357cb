"""The log: a line for each event, as text or as JSON, with the id of the request it is about."""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Literal, Protocol

from longshore.clock import as_datetime

if TYPE_CHECKING:
    from typing import Any

Format = Literal["text", "json"]


class Named(Protocol):
    """Something that has an id in the log."""

    @property
    def id(self) -> str:
        """The id."""


CURRENT: Final[ContextVar[Named | None]] = ContextVar("request", default=None)
"""The request that is being answered, by this task or by a thread on its behalf."""

TRACE: Final[ContextVar[str | None]] = ContextVar("trace", default=None)
"""The id of the trace that tells of what is being done, where there is one."""

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonFormatter(logging.Formatter):
    """Writes each event as a JSON object in a line of its own.

    Besides `time` (UTC), `level`, `logger` and `message` it has `request_id` where the event is
    about a request, `trace_id` where a trace tells of it, `exception` where there was one, and the
    members that the event brings along as `fields`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        told: dict[str, Any] = {
            "time": as_datetime(int(record.created * 1000)).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        request = CURRENT.get()
        if request is not None:
            told["request_id"] = request.id
        trace = TRACE.get()
        if trace is not None:
            told["trace_id"] = trace
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            told["stack"] = self.formatStack(record.stack_info)
        return json.dumps(told | getattr(record, "fields", {}), default=str)


def configure(level: str, form: Format) -> None:
    """Let this process log to standard error, from now on and unless it does so already.

    Args:
        level: the least severe events that are logged.
        form: how lines look.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler])
