"""What monitoring reads: the metrics of all processes of this server, and of its store."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, Literal

from longshore.api.ecr.layers import DOWNLOAD_OPERATION
from longshore.api.http import BadRequest
from longshore.api.measuring import REGISTRY_FACE
from longshore.api.oci.routes import ROUTES
from longshore.api.responses import Response
from longshore.clock import MINUTE, SECOND
from longshore.events import progress
from longshore.jobs import ledger
from longshore.metrics import processes
from longshore.metrics.counts import BUCKETS, CLASSES, UNKNOWN, Event
from longshore.metrics.exposition import CONTENT_TYPE, Kind, Metric, Page
from longshore.registry import pulls, statistics

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from longshore.api.http import Request
    from longshore.api.workers import Workers
    from longshore.clock import Millis
    from longshore.metrics.counts import Counts
    from longshore.registry.context import Context
    from longshore.registry.statistics import Holdings

PATH: Final = "/metrics"

Readers = Literal["off", "loopback", "everybody"]
"""Who may read the metrics."""

# Counting all that there is takes a while in a large store, and changes little in a minute.
_STOCK_KEPT: Millis = MINUTE

_log = logging.getLogger(__name__)

_PORT = re.compile(r":[0-9]+$")
_OF_OPERATION = ("face", "operation")
_BUILD = Metric("longshore_build_info", Kind.GAUGE, "1, and which version this is", ("version",))
_REQUESTS = Metric(
    "longshore_requests_total",
    Kind.COUNTER,
    "Requests, by the class of the answer's status; gone: the client went away before the answer",
    (*_OF_OPERATION, "status"),
)
_DURATIONS = Metric(
    "longshore_request_duration_seconds",
    Kind.HISTOGRAM,
    "How long requests took until the answer could be sent",
    _OF_OPERATION,
)
_RECEIVED = Metric(
    "longshore_received_bytes_total",
    Kind.COUNTER,
    "Bytes of the bodies of requests, as far as they were read",
    _OF_OPERATION,
)
_SENT = Metric(
    "longshore_sent_bytes_total",
    Kind.COUNTER,
    "Bytes of the bodies of answers, as long as they were to be",
    _OF_OPERATION,
)
_AUTHENTICATION_FAILURES = Metric(
    "longshore_authentication_failures_total",
    Kind.COUNTER,
    "Requests whose credentials were wrong",
)
_EXPIRATIONS = Metric(
    "longshore_lifecycle_expirations_total",
    Kind.COUNTER,
    "Images that lifecycle policies took, in this server's processes",
)
_SPANS_DROPPED = Metric(
    "longshore_spans_dropped_total",
    Kind.COUNTER,
    "Spans of traces that the collector didn't take, or not in time",
)
_DATABASE = Metric(
    "longshore_database_up",
    Kind.GAUGE,
    "Whether the database answered; without it, there are no metrics of the store",
)
_REPOSITORIES = Metric("longshore_repositories", Kind.GAUGE, "Repositories")
_IMAGES = Metric("longshore_images", Kind.GAUGE, "Images", ("storage_class",))
_LOGICAL = Metric(
    "longshore_logical_bytes",
    Kind.GAUGE,
    "Layers of each repository and manifests, as if repositories shared nothing",
)
_STORED = Metric(
    "longshore_stored_bytes",
    Kind.GAUGE,
    "Layers and manifests in the data directory, where what repositories share counts once",
)
_ARCHIVED = Metric(
    "longshore_archived_bytes",
    Kind.GAUGE,
    "What layers take in the archive directory, compressed where they are",
)
_BINNED_IMAGES = Metric("longshore_recycle_bin_images", Kind.GAUGE, "Images in the recycle bin")
_BINNED_BYTES = Metric(
    "longshore_recycle_bin_bytes",
    Kind.GAUGE,
    "Their manifests, and the layers that are kept for them alone",
)
_PULLS = Metric(
    "longshore_repository_pulls_total",
    Kind.COUNTER,
    "Pulls of each repository since it is there: ECR's RepositoryPullCount",
    ("account", "region", "repository"),
)
_JOBS = Metric("longshore_jobs", Kind.GAUGE, "Jobs in the queue", ("kind", "state"))
_OLDEST_JOB = Metric(
    "longshore_oldest_job_seconds",
    Kind.GAUGE,
    "How long ago the oldest of these jobs was enqueued",
    ("kind", "state"),
)
_BACKLOG = Metric(
    "longshore_events_backlog",
    Kind.GAUGE,
    "Events that a receiver doesn't have yet",
    ("receiver",),
)
_PROCESS = ("process",)
_CPU = Metric(
    "process_cpu_seconds_total", Kind.COUNTER, "Time that a process had a processor for", _PROCESS
)
_MEMORY = Metric("process_resident_memory_bytes", Kind.GAUGE, "Memory that a process has", _PROCESS)
_FILES = Metric("process_open_fds", Kind.GAUGE, "Descriptors that a process has open", _PROCESS)
_STARTED = Metric(
    "process_start_time_seconds",
    Kind.GAUGE,
    "When a process began, in seconds since 1970",
    _PROCESS,
)

METRICS: Final = (
    *(_BUILD, _REQUESTS, _DURATIONS, _RECEIVED, _SENT, _AUTHENTICATION_FAILURES, _EXPIRATIONS),
    *(_SPANS_DROPPED, _DATABASE, _REPOSITORIES, _IMAGES, _LOGICAL, _STORED, _ARCHIVED),
    *(_BINNED_IMAGES, _BINNED_BYTES, _PULLS, _JOBS, _OLDEST_JOB, _BACKLOG),
    *(_CPU, _MEMORY, _FILES, _STARTED),
)
"""Every metric there is."""


def operations(apis: Mapping[str, Iterable[str]]) -> list[tuple[str, str]]:
    """Return face and name of everything that requests are counted as.

    Args:
        apis: the operations of each of AWS's APIs, by its name.
    """
    routes = {route.operation for _, methods in ROUTES for route in methods.values()}
    routes |= {"CheckCredentials", "MountLayer", UNKNOWN}
    named = {(api, name) for api, names in apis.items() for name in (*names, UNKNOWN)}
    named |= {(REGISTRY_FACE, name) for name in routes} | {("ecr", DOWNLOAD_OPERATION)}
    return sorted(named)


class MetricsPage:
    """Answers `GET /metrics`.

    Args:
        context: the store.
        counts: what was counted.
        workers: where the store is asked.
        readers: who may read.
    """

    def __init__(
        self, context: Context, counts: Counts, workers: Workers, readers: Readers
    ) -> None:
        self._context = context
        self._counts = counts
        self._workers = workers
        self._readers = readers
        self._stock: tuple[Millis, Holdings] | None = None
        self._turn = asyncio.Lock()

    async def answer(self, request: Request) -> Response:
        """Answer a request for the metrics."""
        if self._readers == "off":
            return _text(404, "The metrics are off (the setting metrics).")
        if self._readers == "loopback" and not _is_of_this_machine(request):
            return _text(
                403,
                "The metrics are for this machine alone, asked by a name of loopback "
                "(the setting metrics).",
            )
        if not request.only_reads:
            return _text(405, "Metrics are read with GET.", Allow="GET, HEAD")
        # One at a time: however many ask, the other threads are for clients.
        async with self._turn:
            content = await self._workers.run(self._write)
        return Response(200, {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"}, content)

    def _write(self) -> bytes:
        page = Page()
        page.tell(_BUILD, [((version("longshore"),), 1)])
        _tell_requests(page, self._counts)
        page.tell(_AUTHENTICATION_FAILURES, _one(self._counts.total(Event.AUTHENTICATION_FAILURE)))
        page.tell(_EXPIRATIONS, _one(self._counts.total(Event.LIFECYCLE_EXPIRATION)))
        page.tell(_SPANS_DROPPED, _one(self._counts.total(Event.SPAN_DROPPED)))
        self._tell_store(page)
        _tell_processes(page, self._counts)
        return page.encode()

    def _tell_store(self, page: Page) -> None:
        told = Page()
        try:
            self._tell_stock(told)
            self._tell_work(told)
        except Exception:  # noqa: BLE001 - a server whose database is gone must be seen, too
            _log.exception("the metrics of the store are missing")
            page.tell(_DATABASE, _one(0))
            return
        page.tell(_DATABASE, _one(1))
        page.add(told)

    def _tell_stock(self, page: Page) -> None:
        now = self._context.clock()
        if self._stock is None or not 0 <= now - self._stock[0] < _STOCK_KEPT:
            self._stock = now, statistics.take_stock(self._context)
        stock = self._stock[1]
        page.tell(_REPOSITORIES, _one(stock.repositories))
        page.tell(_IMAGES, (((name,), count) for name, count in stock.images.items()))
        page.tell(_LOGICAL, _one(stock.logical_bytes))
        page.tell(_STORED, _one(stock.stored_bytes))
        page.tell(_ARCHIVED, _one(stock.archived_bytes))
        page.tell(_BINNED_IMAGES, _one(stock.binned.images))
        page.tell(_BINNED_BYTES, _one(stock.binned.size))

    def _tell_work(self, page: Page) -> None:
        counted = pulls.counts(self._context)
        page.tell(
            _PULLS,
            (
                ((registry.account, registry.region, name), count)
                for (registry, name), count in counted.items()
            ),
        )
        with self._context.database.read() as tx:
            depths = ledger.depths(tx)
            backlogs = {each.name: progress.backlog(tx, each) for each in progress.read_all(tx)}
        now = self._context.clock()
        page.tell(_JOBS, (((depth.kind, depth.state), depth.count) for depth in depths))
        page.tell(
            _OLDEST_JOB,
            (((depth.kind, depth.state), max(0, now - depth.oldest) / SECOND) for depth in depths),
        )
        page.tell(_BACKLOG, (((name,), count) for name, count in backlogs.items()))


def _tell_requests(page: Page, counts: Counts) -> None:
    counted = list(counts.operations())
    page.tell(
        _REQUESTS,
        (
            ((each.face, each.operation, status), count)
            for each in counted
            for status, count in zip(CLASSES, each.requests, strict=True)
            if count
        ),
    )
    page.tell_histogram(
        _DURATIONS,
        BUCKETS,
        (((each.face, each.operation), each.durations, each.seconds) for each in counted),
    )
    page.tell(_RECEIVED, (((each.face, each.operation), each.received) for each in counted))
    page.tell(_SENT, (((each.face, each.operation), each.sent) for each in counted))


def _tell_processes(page: Page, counts: Counts) -> None:
    """Tell of each process under a number that the one which takes its place has, too."""
    looked_at = enumerate(map(processes.look_at, counts.processes()))
    found = [((str(number),), each) for number, each in looked_at if each is not None]
    page.tell(_CPU, ((number, each.cpu_seconds) for number, each in found))
    page.tell(_MEMORY, ((number, each.resident_bytes) for number, each in found))
    page.tell(_FILES, ((number, each.open_files) for number, each in found))
    page.tell(_STARTED, ((number, each.started_at) for number, each in found))


def _one(value: float) -> list[tuple[tuple[str, ...], float]]:
    return [((), value)]


def _is_of_this_machine(request: Request) -> bool:
    """Tell whether a request comes from this machine, and not through a proxy that hides it.

    A proxy beside the server that nobody has declared looks like loopback, but it keeps the name
    that its client asked for.
    """
    try:
        host = _PORT.sub("", request.host).strip("[]")
    except BadRequest:
        return False
    return _is_loopback(host) and _is_loopback(request.client_address)


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _text(status: int, message: str, **headers: str) -> Response:
    kind = {"Content-Type": "text/plain; charset=utf-8"}
    return Response(status, kind | headers, f"{message}\n".encode())
