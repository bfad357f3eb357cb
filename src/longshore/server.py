"""The assembly: settings become a store, the store gets its two faces, and a port."""

from __future__ import annotations

import configparser
import gc
import io
import logging
import resource
import socket
import ssl
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import uvicorn
from sqlalchemy import insert, select
from sqlalchemy.exc import DBAPIError

from longshore import logs
from longshore.access.fetching import Fetcher
from longshore.access.openid.discovery import Discovery
from longshore.access.sealing import ServerKey, write_private_file
from longshore.access.sigv4 import SignatureVerifier
from longshore.api import metrics
from longshore.api.app import App
from longshore.api.attempts import Attempts
from longshore.api.aws.face import AwsFace
from longshore.api.downloads import Downloads
from longshore.api.ecr import api as ecr
from longshore.api.ecr import operations as ecr_operations
from longshore.api.events import EventStream, Pace
from longshore.api.health import Health
from longshore.api.hosts import Hosts
from longshore.api.iam import api as iam
from longshore.api.iam import operations as iam_operations
from longshore.api.metrics import MetricsPage
from longshore.api.oci.face import OciFace
from longshore.api.proxies import Proxies
from longshore.api.sts import api as sts
from longshore.api.sts import operations as sts_operations
from longshore.api.throttle import Throttle
from longshore.blobs.archive import ArchiveUnavailable
from longshore.blobs.archive_directory import ArchiveDirectory
from longshore.blobs.filesystem import FilesystemBlobStore
from longshore.clock import DAY, SECOND, system_clock
from longshore.errors import RegistryError
from longshore.events.receivers import NotInstalled
from longshore.housekeeping import audit_trail, create_runner, receivers_of
from longshore.identity import access_keys, operators
from longshore.identity.access_keys import AccessKey
from longshore.lifespan import Lifespan
from longshore.metadata import schema
from longshore.metadata.database import Database
from longshore.metrics.counts import Counts, Event
from longshore.names import Registry
from longshore.registry import archived_layers
from longshore.registry.context import Context, Retention
from longshore.registry.dialect import DIALECTS
from longshore.registry.limits import Limits
from longshore.supervision import NobodyServes, Supervisor
from longshore.traces import parts as tracing
from longshore.traces.parts import CannotTrace
from longshore.transport import Patience, http_protocol
from longshore.work.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from longshore.metrics.shared import SharedRows
    from longshore.settings import Settings

_OPERATIONS = {
    ecr.SERVICE: ecr_operations.OPERATIONS,
    iam.SERVICE: iam_operations.OPERATIONS,
    sts.SERVICE: sts_operations.OPERATIONS,
}
_ADMINISTRATOR = "administrator"
_PROFILE = "longshore"
_GRACEFUL_SECONDS = 15
_BACKLOG = 2048
# To PostgreSQL, which by itself takes a hundred from all that use it: of a server, and of each of
# its processes at least.
_CONNECTIONS = 40
_FEWEST_CONNECTIONS = 10

_log = logging.getLogger(__name__)


class CannotStart(Exception):
    """The server can't start; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a start found or made.

    Attributes:
        administrator: the administrator's key, where this data directory has it.
        is_first: whether it was made just now.
    """

    administrator: AccessKey | None
    is_first: bool


def open_context(settings: Settings) -> Context:
    """Open the store that the settings name, which a start has made.

    Raises:
        OSError, ValueError: there is none, or it can't be used.
    """
    # First: without a key there is no store, and none must come to be by looking for it.
    server_key = ServerKey.read(server_key_file(settings))
    limits = settings.limits.model_dump(exclude={"rates"})
    dialect = DIALECTS[settings.compatibility]
    rules = replace(dialect.manifest_rules, max_bytes=settings.limits.manifest_size)
    return Context(
        database=Database(
            settings.database, max(_CONNECTIONS // settings.processes, _FEWEST_CONNECTIONS)
        ),
        blobs=FilesystemBlobStore(settings.data),
        server_key=server_key,
        dialect=replace(dialect, manifest_rules=rules),
        limits=Limits(**limits),
        retention=Retention(
            unreferenced_layers=round(settings.layer_grace * SECOND),
            unfinished_uploads=round(settings.upload_lifetime * SECOND),
            deleted_images=settings.recycle_bin_days * DAY,
        ),
        openid_keys=Discovery(
            Fetcher(allows_private=settings.outgoing_private_addresses).get,
            system_clock,
            settings.key_hosts,
        ),
        creates_on_push=settings.create_on_push,
        archive=_archive(settings),
    )


def prepare(settings: Settings) -> Start:
    """Bring the data directory and the database to where a server can start.

    Raises:
        CannotStart: they can't be used.
    """
    # Not at the top: only a start needs it, and not every process that serves.
    from longshore.metadata.migrate import SchemaTooNew, migrate  # noqa: PLC0415

    _rates(settings)
    _check_certificate(settings)
    _check_traces(settings)
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        ServerKey.read_or_create(server_key_file(settings))
        context = open_context(settings)
        list(receivers_of(settings, context))
        migrate(context.database)
    except OSError as error:
        raise CannotStart(
            f"The data directory can't be used: {error.filename}: {error.strerror}."
        ) from error
    except (ValueError, SchemaTooNew, RegistryError, NotInstalled) as error:
        raise CannotStart(str(error)) from error
    except DBAPIError as error:
        raise CannotStart(f"The database can't be used: {error.orig}") from error
    try:
        _ensure_identity(context, settings)
        check_archive(context)
        start = _ensure_administrator(context, settings)
        _apply_identities_file(context, settings)
        return start
    finally:
        context.database.close()


def read_administrator(settings: Settings) -> AccessKey | None:
    """Return the administrator's key that the first start left in the data directory.

    Raises:
        CannotStart: its file can't be read, or holds something else.
    """
    file = credentials_file(settings)
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
        profile = parser[_PROFILE]
        return AccessKey(profile["aws_access_key_id"], profile["aws_secret_access_key"])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CannotStart(f"{file} can't be read: {error.strerror}.") from error
    except (KeyError, UnicodeDecodeError, configparser.Error) as error:
        raise CannotStart(
            f"{file} holds no access key of the administrator's. Put the right file there, "
            "or remove this one."
        ) from error


def credentials_file(settings: Settings) -> Path:
    """Return the file of the administrator's key, in the form of ~/.aws/credentials."""
    return settings.data / "credentials"


def counting_rows(settings: Settings) -> SharedRows:
    """Return the memory that the processes of this server count in.

    Raises:
        OSError: the data directory can't have it.
    """
    operations = metrics.operations(_OPERATIONS)
    return Counts.rows_for(settings.data, operations, settings.processes)


def create_app(
    settings: Settings,
    context: Context | None = None,
    pace: Pace | None = None,
    rows: SharedRows | None = None,
) -> Lifespan:
    """Return the ASGI application over a store that `prepare` has seen.

    Args:
        settings: what the operator chose.
        context: the store, where the caller has opened it; it is closed at shutdown.
        pace: how streams of events behave, where not as usual.
        rows: the memory that all processes of the server count in; without it, this one is alone.
    """
    context = context or open_context(settings)
    hosts = Hosts(
        domain=settings.domain or f"localhost:{settings.port}",
        scheme=settings.scheme,
        default=Registry(settings.account, settings.region),
    )
    throttle = Throttle(_rates(settings), context.clock)
    apis = (ecr.load(context.limits), iam.load(), sts.load())
    operations = metrics.operations(_OPERATIONS)
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
        json_api=apis[0],
        query_apis=apis[1:],
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
        raise CannotStart(
            f"Can't listen on {settings.listen}: {error.strerror}. "
            "Is another server running there? Choose another address with --listen HOST:PORT."
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
    # Made here, so that the processes of the server have it together.
    serve = partial(_serve, settings, counting_rows(settings), taken)
    if settings.processes == 1:
        serve(_nobody_is_told)
        return
    # What has been loaded stays, and looking for garbage among it would be writing on shared pages.
    gc.freeze()
    try:
        Supervisor(serve, settings.processes, taken.close).run()
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
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )


def server_key_file(settings: Settings) -> Path:
    """Return the file of the server's keys, the newest first."""
    return settings.data / "server.key"


def check_identity(context: Context, settings: Settings) -> None:
    """Make sure that the database, the data directory and the server's key belong together.

    Raises:
        CannotStart: they don't.
    """
    with context.database.read() as tx:
        known = tx.execute(select(schema.identity)).one_or_none()
    file = _identity_file(settings)
    here = file.read_text(encoding="utf-8").strip() if file.exists() else None
    if known is None or known.id != here:
        raise CannotStart(
            f"The database isn't the one that the data directory {settings.data} belongs to. "
            "Start with the database of before, or with another data directory: to a stranger's "
            "database, every blob here would be garbage."
        )
    # One of them: a rotation that was cut short has changed the file and not the database.
    if known.server_key_id not in context.server_key.ids:
        raise CannotStart(
            "The database was written with another server key than the one in the data "
            "directory. Put the right server.key there, or start with another database."
        )


def check_archive(context: Context) -> None:
    """Make sure that the bytes of archived layers can be had, and that more can go there.

    Raises:
        CannotStart: they can't.
    """
    with context.database.read() as tx:
        count = archived_layers.count(tx)
    if context.archive is None:
        if count:
            raise CannotStart(
                f"{count} layers of archived images lie in an archive directory, and "
                "archive_directory isn't set. Start with --archive-directory and the directory of "
                "before. To do without it, restore or delete all archived images first."
            )
        return
    try:
        if count == 0:
            context.archive.claim()
        context.archive.probe()
    except ArchiveUnavailable as error:
        raise CannotStart(str(error)) from error


def _archive(settings: Settings) -> ArchiveDirectory | None:
    if settings.archive_directory is None:
        return None
    return ArchiveDirectory(settings.archive_directory.absolute(), _identity_file(settings))


def _ensure_identity(context: Context, settings: Settings) -> None:
    """Bind a new database and a new data directory together; check those that are bound."""
    table, file = schema.identity, _identity_file(settings)
    with context.database.write() as tx:
        is_new = tx.execute(select(table.c.id)).first() is None
        if is_new and next(context.blobs.locations(), None) is None:
            # A file of a start that was cut short names no database, and may name this one.
            write_private_file(file, f"{uuid.uuid4()}\n")
            tx.execute(
                insert(table).values(
                    id=file.read_text(encoding="utf-8").strip(),
                    server_key_id=context.server_key.id,
                    created_at=context.clock(),
                )
            )
    check_identity(context, settings)


def _identity_file(settings: Settings) -> Path:
    return settings.data / "database.id"


def _rates(settings: Settings) -> dict[str, float]:
    """Return the rate limits by operation; variables lose the case of their names."""
    # No two services have an operation of the same name.
    names = [name for operations in _OPERATIONS.values() for name in operations]
    operations = {name.lower(): name for name in names}
    unknown = sorted(name for name in settings.limits.rates if name.lower() not in operations)
    if unknown:
        raise CannotStart(
            f"limits.rates: there is no operation '{unknown[0]}' to limit. "
            f"Those there are: {', '.join(names)}."
        )
    return {operations[name.lower()]: rate for name, rate in settings.limits.rates.items()}


def configure_logging(settings: Settings) -> None:
    """Let this process log to standard error what the settings ask for."""
    logs.configure(settings.log_level, settings.log_format)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # What uvicorn says of its start is said better by `serve`, and what it warns of is every probe
    # for TLS that docker and its kin begin with.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    if not settings.access_log:
        logging.getLogger("longshore.access").setLevel(logging.WARNING)


def _serve(
    settings: Settings, rows: SharedRows, taken: socket.socket, ready: Callable[[], None]
) -> None:
    """Serve, as the only process or one of several, and tell when it begins."""
    # A process that isn't forked begins with nothing: not even with a log.
    configure_logging(settings)

    def make() -> Lifespan:
        app = create_app(settings, rows=rows)
        # What the start made stays: nobody need look for garbage among it.
        gc.freeze()
        return app

    # uvicorn ends as if nobody had waited for the interrupt, which a shell and click would tell.
    with suppress(KeyboardInterrupt):
        _Server(uvicorn_config(make, settings), ready).run(sockets=[taken])


class _Server(uvicorn.Server):
    """uvicorn's server, which tells when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def _nobody_is_told() -> None:
    """Do nothing when the only process of a server begins to serve."""


def _raise_descriptor_limit() -> None:
    # A download in progress holds three descriptors, and 1,024 of them are soon gone.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _check_certificate(settings: Settings) -> None:
    if settings.tls_certificate is None:
        return
    files = f"tls_certificate {settings.tls_certificate} and tls_key {settings.tls_key}"
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except OSError as error:
        raise CannotStart(f"{files} can't be used: {error.strerror}.") from error


def _check_traces(settings: Settings) -> None:
    if settings.traces:
        try:
            tracing.check()
        except CannotTrace as error:
            raise CannotStart(f"traces: {error}") from error


def _ensure_administrator(context: Context, settings: Settings) -> Start:
    with context.database.write() as tx:
        account = operators.find_account(tx)
        if account is not None:
            _check_account(settings, account)
            return Start(read_administrator(settings), is_first=False)
        # A file of an earlier start, whose database is gone, keeps its key.
        if read_administrator(settings) is None:
            _write_credentials(settings, access_keys.generate())
        # Another process may have been quicker: what counts is what the file holds.
        key = read_administrator(settings)
        if key is None:
            raise CannotStart(f"{credentials_file(settings)} is gone as soon as it is written.")
        operators.create(context, tx, settings.account, _ADMINISTRATOR, key)
    return Start(key, is_first=True)


def _apply_identities_file(context: Context, settings: Settings) -> None:
    if settings.identities_file is None:
        return
    # Not at the top: few servers have such a file, and only a start needs it.
    from longshore.identity.declared.applying import apply  # noqa: PLC0415
    from longshore.identity.declared.declaration import read_declaration  # noqa: PLC0415
    from longshore.identity.declared.yaml_reader import InvalidFile  # noqa: PLC0415

    file = settings.identities_file
    try:
        changes = apply(context, read_declaration(file))
    except OSError as error:
        raise CannotStart(f"identities_file {file} can't be read: {error.strerror}.") from error
    except InvalidFile as error:
        raise CannotStart(f"identities_file {file}: {error}.") from error
    for change in changes:
        _log.info("%s: %s %s of %s", file, change.verb, change.what, change.account)


def _check_account(settings: Settings, account: str) -> None:
    if account != settings.account:
        raise CannotStart(
            f"The administrator of this registry belongs to the account {account}, and its "
            f"default account can't become {settings.account}. "
            f"Start with --account {account}, or with another data directory."
        )


def _write_credentials(settings: Settings, key: AccessKey) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser[_PROFILE] = {"aws_access_key_id": key.id, "aws_secret_access_key": key.secret}
    text = io.StringIO()
    parser.write(text)
    write_private_file(credentials_file(settings), text.getvalue())
