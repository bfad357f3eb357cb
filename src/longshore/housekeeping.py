"""The registry's own work: which kinds of jobs there are, and which of them come round."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from longshore.clock import SECOND
from longshore.jobs.queue import Terms
from longshore.work import collector, lifecycle
from longshore.work.runner import Handler, Runner
from longshore.work.schedule import Schedule

if TYPE_CHECKING:
    from longshore.registry.context import Context
    from longshore.settings import Settings


def create_runner(settings: Settings, context: Context) -> Runner:
    """Return a runner that does every kind of job, over a store that was opened."""
    handlers = {
        # The next round will take what this one has left.
        collector.JOB: Handler(partial(collector.collect, context), terms=Terms(attempts=3)),
        lifecycle.ROUND: Handler(partial(lifecycle.enqueue_runs, context), terms=Terms(attempts=3)),
        lifecycle.RUN: Handler(partial(lifecycle.run, context), terms=lifecycle.TERMS_OF_RUN),
        lifecycle.PREVIEW: Handler(
            partial(lifecycle.fill_preview, context), terms=lifecycle.TERMS_OF_PREVIEW
        ),
    }
    intervals = {
        collector.JOB: settings.collect_interval,
        lifecycle.ROUND: settings.lifecycle_interval,
    }
    rounds = {kind: round(every * SECOND) for kind, every in intervals.items() if every > 0}
    return Runner(context, handlers, [Schedule(context, rounds)])
