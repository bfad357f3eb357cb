"""The registry's own work: its kinds of jobs, what comes round, and who hears of events."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from longshore.audit.trail import Trail
from longshore.clock import HOUR, SECOND
from longshore.events.lines import Lines
from longshore.events.webhooks import Webhook, read_secret
from longshore.jobs.queue import Terms
from longshore.outbound import Reach, Url
from longshore.work import archive, collector, event_delivery, lifecycle, recycle_bin
from longshore.work.event_delivery import Courier, Keeping, Outbox
from longshore.work.runner import Handler, Runner
from longshore.work.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from longshore.events.receivers import Receiver
    from longshore.registry.context import Context
    from longshore.settings import Settings
    from longshore.traces.parts import Parts

_FORGETTING_INTERVAL = HOUR
_ARCHIVE_INTERVAL = HOUR
# Also where there is no recycle bin any more: it may have been full.
_EMPTYING_INTERVAL = HOUR


def create_runner(
    settings: Settings,
    context: Context,
    expired: Callable[[], None] = lambda: None,
    parts: Parts | None = None,
) -> Runner:
    """Return a runner that does every kind of job, over a store that was opened.

    Args:
        settings: what the operator chose.
        context: the store.
        expired: is called for each image that a lifecycle policy has taken.
        parts: what the process is made of, where it isn't the usual.

    Raises:
        NotInstalled, ValueError: some receiver of events can't be.
    """
    receivers = list(receivers_of(settings, context))
    keeping = Keeping(settings.events.kept, round(settings.events.kept_for * SECOND))
    trail = audit_trail(settings)
    handlers = {
        # The next round will take what this one has left.
        collector.JOB: Handler(partial(collector.collect, context), terms=Terms(attempts=3)),
        lifecycle.ROUND: Handler(partial(lifecycle.enqueue_runs, context), terms=Terms(attempts=3)),
        lifecycle.RUN: Handler(
            partial(lifecycle.run, context, trail, expired=expired),
            terms=lifecycle.TERMS_OF_RUN,
        ),
        lifecycle.PREVIEW: Handler(
            partial(lifecycle.fill_preview, context, trail), terms=lifecycle.TERMS_OF_PREVIEW
        ),
        recycle_bin.JOB: Handler(partial(recycle_bin.empty, context), terms=Terms(attempts=3)),
        archive.RESTORATION: Handler(
            partial(archive.restore, context), terms=archive.TERMS_OF_RESTORATION
        ),
        archive.MOVE: Handler(partial(archive.move, context)),
        archive.FOLLOWING: Handler(partial(archive.follow, context), terms=Terms(attempts=3)),
        event_delivery.JOB: Handler(
            Courier(context, receivers).run,
            concurrency=max(1, len(receivers)),
            terms=event_delivery.TERMS,
        ),
        event_delivery.FORGETTING: Handler(lambda _: event_delivery.forget_old(context, keeping)),
    }
    intervals = {
        collector.JOB: round(settings.collect_interval * SECOND),
        lifecycle.ROUND: round(settings.lifecycle_interval * SECOND),
        recycle_bin.JOB: _EMPTYING_INTERVAL,
        event_delivery.FORGETTING: _FORGETTING_INTERVAL,
        archive.FOLLOWING: _ARCHIVE_INTERVAL,
        # It finds what was archived before there was a place for it, or was on lease until now.
        archive.MOVE: 0 if context.archive is None else _ARCHIVE_INTERVAL,
    }
    rounds = {kind: interval for kind, interval in intervals.items() if interval > 0}
    outbox = Outbox(context, [receiver.name for receiver in receivers], keeping)
    if parts is not None:
        handlers = {kind: parts.handler(kind, handler) for kind, handler in handlers.items()}
    return Runner(context, handlers, [Schedule(context, rounds), outbox])


def audit_trail(settings: Settings) -> Trail:
    """Return where audit records go."""
    file = settings.audit_file or settings.data / "audit.json"
    return Trail(
        file if settings.audit else None,
        largest=settings.audit_file_size,
        kept=settings.audit_files_kept,
        to_stdout=settings.audit and settings.audit_to_stdout,
    )


def receivers_of(settings: Settings, context: Context) -> Iterator[Receiver]:
    """Yield those who are to hear of events; nobody is asked anything yet.

    Raises:
        NotInstalled: events are to go to EventBridge, and boto3 isn't installed.
        ValueError: EventBridge can't be where the settings say.
    """
    chosen = settings.events
    timeout = round(chosen.timeout * SECOND)
    if chosen.file is not None:
        trail = Trail(chosen.file, largest=chosen.file_size, kept=chosen.files_kept)
        yield Lines("file", trail)
    if chosen.stdout:
        yield Lines("stdout", Trail(None, largest=1, kept=0, to_stdout=True))
    for name, webhook in chosen.webhooks.items():
        yield Webhook(
            name=f"webhooks.{name}",
            url=Url.parse(webhook.url),
            key=read_secret(webhook.secret.get_secret_value()),
            reach=Reach(chosen.networks),
            clock=context.clock,
            timeout=timeout,
        )
    if chosen.eventbridge_bus is not None:
        # Not at the top: few need it.
        from longshore.events.eventbridge import EventBridge  # noqa: PLC0415

        yield EventBridge.connect(
            "eventbridge",
            bus=chosen.eventbridge_bus,
            source=chosen.eventbridge_source,
            region=chosen.eventbridge_region or settings.region,
            endpoint=chosen.eventbridge_endpoint,
            timeout=timeout,
        )
