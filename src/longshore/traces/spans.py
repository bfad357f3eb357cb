"""Spans: one for a request or a job, and below it one for each part that takes time.

Errors are told by their kind alone. What they say, and where they were raised, may hold anything
that a request or a database held; the log has it, beside the id of the trace.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import (
    INVALID_SPAN,
    SpanKind,
    StatusCode,
    format_trace_id,
    set_span_in_context,
)

from longshore.api.http import ClientDisconnected
from longshore.errors import RegistryError, Server
from longshore.jobs.queue import LeaseLost
from longshore.logs import TRACE
from longshore.registry.memory import NotInMemory
from longshore.work.runner import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.trace import Span, Tracer
    from opentelemetry.util.types import AttributeValue

# A large upload and a run over a large repository have thousands of parts, one like the other.
_MOST_BELOW = 200
# How work that will be done elsewhere, or that nobody waits for any more, leaves off.
_NO_FAILURES = (NotInMemory, Interrupted, LeaseLost, ClientDisconnected)


@dataclass(slots=True)
class Root:
    """The span of a request or a job that is being recorded.

    Attributes:
        span: the span.
        is_api_call: whether it is one of an API of AWS.
        below: how many spans below it were wanted; threads count it without a lock.
    """

    span: Span
    is_api_call: bool = False
    below: int = 0

    @property
    def left_out(self) -> int:
        """How many spans below it there aren't."""
        return max(0, self.below - _MOST_BELOW)


_ROOT: ContextVar[Root | None] = ContextVar("root span", default=None)


def current_root() -> Root | None:
    """Return the span of the request or job that is being worked on, if it is recorded."""
    return _ROOT.get()


class Spans:
    """Begins and ends spans.

    Args:
        tracer: OpenTelemetry's.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def root(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, AttributeValue],
        *,
        parent: Context | None = None,
        is_api_call: bool = False,
    ) -> Iterator[Span]:
        """Tell of a request or a job, which the block does; the log names its trace.

        Args:
            name: what it is; only so many different ones as there are operations.
            kind: whether somebody waits for it.
            attributes: what is known of it beforehand.
            parent: the span of whoever asked for it.
            is_api_call: see `Root`.
        """
        parent = parent or Context()
        span = self._tracer.start_span(name, parent, kind, attributes)
        root = Root(span, is_api_call) if span.is_recording() else None
        root_token = _ROOT.set(root)
        context = span.get_span_context()
        trace_token = TRACE.set(format_trace_id(context.trace_id) if context.is_valid else None)
        token = attach(set_span_in_context(span, parent))
        try:
            yield span
        except Exception as error:
            tell_error(span, error)
            raise
        finally:
            detach(token)
            TRACE.reset(trace_token)
            _ROOT.reset(root_token)
            if root is not None and root.left_out:
                span.set_attribute("longshore.spans_left_out", root.left_out)
            span.end()

    @contextmanager
    def below(
        self,
        name: str,
        attributes: Mapping[str, AttributeValue] | None = None,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        has_parts: bool = False,
    ) -> Iterator[Span]:
        """Tell of a part of what the root span tells of, which the block does.

        Where there is no such span, because nobody asked for what is done or its trace isn't
        recorded, nothing is told.

        Args:
            name: what it is.
            attributes: what is known of it beforehand.
            kind: whether it is somebody else who does it.
            has_parts: whether spans that begin in the block are parts of it. The block must then
                begin and end in one frame of one thread, which a generator's doesn't.
        """
        root = _ROOT.get()
        if root is None:
            yield INVALID_SPAN
            return
        root.below += 1
        if root.left_out:
            yield INVALID_SPAN
            return
        span = self._tracer.start_span(name, None, kind, attributes)
        token = attach(set_span_in_context(span)) if has_parts else None
        try:
            yield span
        except Exception as error:
            tell_error(span, error)
            raise
        finally:
            if token is not None:
                detach(token)
            span.end()


def tell_error(span: Span, error: Exception) -> None:
    """Tell that something was refused or went wrong."""
    if isinstance(error, _NO_FAILURES):
        return
    if not isinstance(error, RegistryError):
        span.set_attribute("error.type", type(error).__qualname__)
        span.set_status(StatusCode.ERROR)
        return
    span.set_attribute("error.type", error.code)
    if isinstance(error, Server):
        span.set_status(StatusCode.ERROR)
