"""Work that comes round again and again, once for all processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.jobs import recurring

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.clock import Millis
    from longshore.registry.context import Context


class Schedule:
    """Enqueues what is due: a job of the kind, with nothing in it.

    Args:
        context: the store.
        intervals: how far apart the rounds of each kind are, in milliseconds.
    """

    def __init__(self, context: Context, intervals: Mapping[str, Millis]) -> None:
        self._context = context
        self._intervals = intervals

    def look(self) -> None:
        """Enqueue the rounds that are due and that no other process has enqueued."""
        database, now = self._context.database, self._context.clock()
        with database.read() as tx:
            kinds = recurring.to_advance(tx, self._intervals, now)
        for kind in kinds:
            with database.write(content_only=True) as tx:
                recurring.advance(tx, kind, self._intervals[kind], now)
