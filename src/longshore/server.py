"""What a server has before it serves: a data directory, a database, keys and an administrator."""

from __future__ import annotations

import configparser
import io
import logging
import ssl
import uuid
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import insert, select
from sqlalchemy.exc import DBAPIError

from longshore import logs
from longshore.access.fetching import Fetcher
from longshore.access.openid.discovery import Discovery
from longshore.access.sealing import ServerKey, write_private_file
from longshore.blobs.archive import ArchiveUnavailable
from longshore.blobs.archive_directory import ArchiveDirectory
from longshore.blobs.filesystem import FilesystemBlobStore, has_blobs
from longshore.clock import DAY, SECOND, system_clock
from longshore.errors import RegistryError
from longshore.events.receivers import NotInstalled
from longshore.housekeeping import receivers_of
from longshore.identity import access_keys, operators
from longshore.identity.access_keys import AccessKey
from longshore.metadata import schema
from longshore.metadata.database import Database
from longshore.registry import archived_layers
from longshore.registry.context import Context, Retention
from longshore.registry.dialect import DIALECTS
from longshore.registry.limits import Limits
from longshore.traces import parts as tracing
from longshore.traces.parts import CannotTrace

if TYPE_CHECKING:
    from pathlib import Path

    from longshore.settings import Settings

_ADMINISTRATOR = "administrator"
_PROFILE = "longshore"
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
    dialect = DIALECTS[settings.compatibility]
    rules = replace(dialect.manifest_rules, max_bytes=settings.limits.manifest_size)
    return Context(
        database=Database(
            settings.database, max(_CONNECTIONS // settings.processes, _FEWEST_CONNECTIONS)
        ),
        blobs=FilesystemBlobStore(settings.data),
        server_key=server_key,
        dialect=replace(dialect, manifest_rules=rules),
        limits=limits_of(settings),
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


def limits_of(settings: Settings) -> Limits:
    """Return the quotas that the settings name."""
    return Limits(**settings.limits.model_dump(exclude={"rates"}))


def prepare(settings: Settings) -> Start:
    """Bring the data directory and the database to where a server can start.

    Raises:
        CannotStart: they can't be used.
    """
    # Not at the top: only a start needs it, and not every process that serves.
    from longshore.metadata.migrate import OtherSchema, migrate  # noqa: PLC0415
    from longshore.operations import rates  # noqa: PLC0415

    check_certificate(settings)
    _check_traces(settings)
    try:
        rates(settings.limits)
        _refuse_to_replace(settings)
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        ServerKey.read_or_create(server_key_file(settings))
        context = open_context(settings)
        list(receivers_of(settings, context))
        migrate(context.database)
    except OSError as error:
        raise CannotStart(
            f"The data directory can't be used: {error.filename}: {error.strerror}."
        ) from error
    except (ValueError, OtherSchema, RegistryError, NotInstalled) as error:
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


def server_key_file(settings: Settings) -> Path:
    """Return the file of the server's keys, the newest first."""
    return settings.data / "server.key"


def check_started(settings: Settings) -> None:
    """Make sure that the data directory is one that a start has made.

    Raises:
        CannotStart: it isn't, or has lost the server's key.
        OSError: that can't be found out.
    """
    if server_key_file(settings).exists():
        return
    if _identity_file(settings).exists():
        raise _key_is_missing(settings)
    raise CannotStart(
        f"There is no registry in {settings.data}. Start the server once (longshore serve), "
        "or name the data directory with --data."
    )


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


def _refuse_to_replace(settings: Settings) -> None:
    """Make sure that no start makes anew what is only missing; nothing comes to be by looking.

    Raises:
        CannotStart: there is a database without its key, or there are blobs without their database.
    """
    from longshore.metadata.migrate import revision_of  # noqa: PLC0415

    # In the order in which a start makes them, backwards: another one may be doing so now.
    filled = _filled_directory(settings)
    with closing(Database(settings.database)) as database:
        has_tables = revision_of(database) is not None
    if has_tables and not server_key_file(settings).exists():
        raise _key_is_missing(settings)
    if filled is not None and not has_tables:
        raise CannotStart(
            f"There are blobs in {filled}, and their database is empty or missing. Take it "
            "from the backup, or start with the database of before or with another data "
            "directory: to a new database, every blob here would be garbage."
        )


def _key_is_missing(settings: Settings) -> CannotStart:
    return CannotStart(
        f"There is no {server_key_file(settings).name} in {settings.data}, and the database was "
        "written with one. Take it from the backup, or name the data directory that has it "
        "with --data."
    )


def _archive(settings: Settings) -> ArchiveDirectory | None:
    if settings.archive_directory is None:
        return None
    return ArchiveDirectory(settings.archive_directory.absolute(), _identity_file(settings))


def _ensure_identity(context: Context, settings: Settings) -> None:
    """Bind a new database and a new data directory together; check those that are bound."""
    from longshore.metadata.migrate import take_turns  # noqa: PLC0415

    table, file = schema.identity, _identity_file(settings)
    with context.database.write() as tx:
        take_turns(tx)
        is_new = tx.execute(select(table.c.id)).first() is None
        if is_new and _filled_directory(settings) is None:
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


def _filled_directory(settings: Settings) -> Path | None:
    """Return a directory whose bytes would be garbage to a new database, or None."""
    if has_blobs(settings.data):
        return settings.data
    archive = _archive(settings)
    # Nobody's yet, or another registry's: what is there isn't this one's to take.
    with suppress(ArchiveUnavailable):
        if archive is not None and next(archive.locations(), None) is not None:
            return settings.archive_directory
    return None


def _identity_file(settings: Settings) -> Path:
    return settings.data / "database.id"


def configure_logging(settings: Settings) -> None:
    """Let this process log to standard error what the settings ask for."""
    logs.configure(settings.log_level, settings.log_format)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # What uvicorn says of its start is said better by `serve`, and what it warns of is every probe
    # for TLS that docker and its kin begin with.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    if not settings.access_log:
        logging.getLogger("longshore.access").setLevel(logging.WARNING)


def check_certificate(settings: Settings) -> None:
    """Refuse a certificate and a key that nobody could speak TLS with.

    Raises:
        CannotStart: the settings name such.
    """
    if settings.tls_certificate is None:
        return
    files = f"tls_certificate {settings.tls_certificate} and tls_key {settings.tls_key}"
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except ssl.SSLError as error:
        raise CannotStart(
            f"{files} can't be used: one of them isn't PEM, or they don't belong together."
        ) from error
    except OSError as error:
        raise CannotStart(f"{files} can't be used: {error.strerror}.") from error


def _check_traces(settings: Settings) -> None:
    if settings.traces:
        try:
            tracing.check()
        except CannotTrace as error:
            raise CannotStart(f"traces: {error}") from error


def _ensure_administrator(context: Context, settings: Settings) -> Start:
    from longshore.metadata.migrate import take_turns  # noqa: PLC0415

    with context.database.write() as tx:
        take_turns(tx)
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
