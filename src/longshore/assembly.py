"""The application over a store: its two faces, its jobs, and all that they need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from longshore.access.sigv4 import SignatureVerifier
from longshore.api import metrics
from longshore.api.app import App
from longshore.api.attempts import Attempts
from longshore.api.aws.face import AwsFace
from longshore.api.downloads import Downloads
from longshore.api.ecr import api as ecr
from longshore.api.events import EventStream, Pace
from longshore.api.health import Health
from longshore.api.hosts import Hosts
from longshore.api.iam import api as iam
from longshore.api.metrics import MetricsPage
from longshore.api.oci.face import OciFace
from longshore.api.proxies import Proxies
from longshore.api.sts import api as sts
from longshore.api.throttle import Throttle
from longshore.housekeeping import audit_trail, create_runner
from longshore.lifespan import Lifespan
from longshore.metrics.counts import Counts, Event
from longshore.names import Registry
from longshore.operations import OPERATIONS, rates
from longshore.server import open_context
from longshore.traces import parts as tracing
from longshore.work.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.api.aws.api import JsonApi, QueryApi
    from longshore.metrics.shared import SharedRows
    from longshore.registry.context import Context
    from longshore.registry.limits import Limits
    from longshore.settings import Settings


@dataclass(frozen=True, slots=True)
class Apis:
    """The APIs of AWS, compiled from their models.

    Processes that are forked share them; one that is started anew compiles its own.

    Attributes:
        limits: how large parts of layers and manifests may be.
        json: those whose requests name their operation in a header.
        query: those whose requests are forms.
    """

    limits: Limits
    json: JsonApi
    query: tuple[QueryApi, ...]

    @classmethod
    def load(cls, limits: Limits) -> Self:
        """Compile them, which takes some hundredths of a second."""
        return cls(limits, ecr.load(limits), (iam.load(), sts.load()))

    def __reduce__(self) -> tuple[Callable[..., Self], tuple[Any, ...]]:
        return self.load, (self.limits,)


def counting_rows(settings: Settings) -> SharedRows:
    """Return the memory that the processes of this server count in.

    Raises:
        OSError: the data directory can't have it.
    """
    operations = metrics.operations(OPERATIONS)
    return Counts.rows_for(settings.data, operations, settings.processes)


def create_app(
    settings: Settings,
    context: Context | None = None,
    pace: Pace | None = None,
    rows: SharedRows | None = None,
    apis: Apis | None = None,
) -> Lifespan:
    """Return the ASGI application over a store that `prepare` has seen.

    Args:
        settings: what the operator chose.
        context: the store, where the caller has opened it; it is closed at shutdown.
        pace: how streams of events behave, where not as usual.
        rows: the memory that all processes of the server count in; without it, this one is alone.
        apis: the APIs of AWS, where the caller has compiled them.
    """
    context = context or open_context(settings)
    hosts = Hosts(
        domain=settings.domain or f"localhost:{settings.port}",
        scheme=settings.scheme,
        default=Registry(settings.account, settings.region),
    )
    throttle = Throttle(rates(settings.limits), context.clock)
    apis = apis or Apis.load(context.limits)
    operations = metrics.operations(OPERATIONS)
    rows = rows or Counts.rows_for(settings.data, operations, 1)
    counts = Counts(rows, operations)
    dropped = partial(counts.happened, Event.SPAN_DROPPED)
    parts = tracing.parts(traced=settings.traces, dropped=dropped)
    context, workers = parts.context(context), parts.workers()
    attempts = Attempts(
        settings.failed_attempts,
        settings.failed_attempts_per_minute,
        context.clock,
        partial(counts.happened, Event.AUTHENTICATION_FAILURE),
    )
    trail = parts.trail(audit_trail(settings))
    aws = AwsFace(
        context=context,
        hosts=hosts,
        json_api=apis.json,
        query_apis=apis.query,
        verifier=SignatureVerifier(context.clock),
        throttle=throttle,
        attempts=attempts,
        workers=workers,
        trail=trail,
        counts=counts,
    )
    oci = OciFace(
        context=context,
        hosts=hosts,
        throttle=throttle,
        attempts=attempts,
        workers=workers,
        trail=trail,
        counts=counts,
    )
    events = EventStream(
        context=context, hosts=hosts, attempts=attempts, workers=workers, pace=pace or Pace()
    )
    app = App(
        aws=aws,
        oci=oci,
        events=events,
        downloads=Downloads(
            context=context, default=hosts.default, workers=workers, trail=trail, counts=counts
        ),
        health=Health(context, workers),
        metrics=MetricsPage(context, counts, workers, settings.metrics),
        workers=workers,
        idle_timeout=settings.idle_timeout,
        proxies=Proxies(settings.proxy_networks),
    )
    expired = partial(counts.happened, Event.LIFECYCLE_EXPIRATION)
    runner = create_runner(settings, context, expired, parts) if settings.jobs else None
    recorder = Recorder(context, settings.pulls_interval)

    def start() -> None:
        recorder.start()
        if runner is not None:
            runner.start()

    async def stop() -> None:
        if runner is not None:
            await workers.run(runner.stop)
        await workers.run(recorder.stop)
        await workers.run(parts.close)
        workers.close()
        trail.close()
        counts.close()
        context.database.close()

    return Lifespan(parts.app(app), settings.scheme, start, stop)
