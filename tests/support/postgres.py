"""A throw-away PostgreSQL server for the tests, and fresh databases in it."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST_VERSION = 15
SUPERUSER = "longshore"

# Only the name of the socket; said wherever one connects, because PGPORT may say otherwise.
_PORT = 5432
_PROGRAMS = ("initdb", "pg_ctl", "postgres")
# Where the packages of Debian, of PostgreSQL for Red Hat, and of Homebrew put the programs that
# they keep off the PATH.
_PACKAGED = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)

# Reads its standard input to its end, which comes when the tests are over or have died, however
# they did; then it ends the server and removes what is left of it.
_WATCH = 'read -r _; "$1" stop --silent --mode=immediate --pgdata="$2/data"; rm -rf "$2"'


def find_postgres() -> Path | None:
    """Return the directory with the programs of a PostgreSQL that is new enough, the newest first.

    One on the PATH goes before one that isn't. None when this machine has none.
    """
    directories = [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep) if part]
    for pattern in _PACKAGED:
        directories += sorted(Path("/").glob(pattern[1:]), key=_version, reverse=True)
    return next((path for path in directories if _version(path) >= OLDEST_VERSION), None)


def _version(directory: Path) -> int:
    if not all(os.access(directory / program, os.X_OK) for program in _PROGRAMS):
        return 0
    command = (directory / "postgres", "--version")
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    match = re.search(r"\(PostgreSQL\) (\d+)", output)
    return int(match[1]) if match else 0


@dataclass
class PostgresCluster:
    """A running server, which whoever can enter its directory may use without a password."""

    directory: Path
    connection: psycopg.Connection[Any]
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def create_database(self, template: str | None = None) -> str:
        """Make a database and return its URL.

        Args:
            template: the URL of a database of this cluster to copy, which nobody is connected to.
        """
        name = f"test_{next(self._numbers)}"
        source = "template0" if template is None else _name_in(template)
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, source)
        return self._url(name).render_as_string(hide_password=False)

    def drop_database(self, url: str) -> None:
        """Remove a database, with the connections to it."""
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", _name_in(url))

    def _url(self, name: str) -> URL:
        return URL.create(
            "postgresql+psycopg",
            username=SUPERUSER,
            port=_PORT,
            database=name,
            query={"host": str(self.directory)},
        )

    def _execute(self, statement: str, *names: str) -> None:
        self.connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _name_in(url: str) -> str:
    name = make_url(url).database
    assert name is not None
    return name


@contextmanager
def postgres_cluster(
    directory: Path | None = None, *, durable: bool = False
) -> Iterator[PostgresCluster]:
    """Run a PostgreSQL server of this block's own, listening on a Unix socket alone.

    It ends with the block, and with this process however that ends.

    Args:
        directory: where the directory of the server is made, when not among the system's temporary
            files; the path of a socket must be short. Where the tests run as root the server runs
            as another user, who couldn't enter a directory of pytest's; it is ignored there.
        durable: wait for the disk as a real server does, instead of being fast.

    Raises:
        LookupError: this machine has no PostgreSQL that is new enough.
    """
    programs = find_postgres()
    if programs is None:
        raise LookupError(f"no PostgreSQL {OLDEST_VERSION} or newer on this machine")
    user = _ordinary_user()
    parent = directory if user is None else None
    home = Path(tempfile.mkdtemp(prefix="longshore-pg-", dir=parent))
    if user is not None:
        os.chown(home, user.pw_uid, user.pw_gid)
    with _watched(programs, home, user):
        _start(programs, home, user, durable=durable)
        with closing(_connect(home)) as connection:
            yield PostgresCluster(home, connection)


def _connect(home: Path) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=str(home), port=_PORT, user=SUPERUSER, dbname="postgres", autocommit=True
    )


def _ordinary_user() -> pwd.struct_passwd | None:
    """Return whom to run as instead of root, whom PostgreSQL refuses; None when we aren't root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _as(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """Return what `subprocess` takes to run a program as `user`, in a directory of nobody's."""
    if user is None:
        return {"cwd": "/"}
    return {"cwd": "/", "user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def _watched(programs: Path, home: Path, user: pwd.struct_passwd | None) -> Iterator[None]:
    """Make sure that the server in `home` ends, and `home` with it."""
    command = ("sh", "-c", _WATCH, "sh", programs / "pg_ctl", home)
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # an interrupt from the keyboard is for the tests
            **_as(user),
        ):
            yield
    finally:
        # The user of the server may not be allowed to remove the directory itself.
        shutil.rmtree(home, ignore_errors=True)


def _start(programs: Path, home: Path, user: pwd.struct_passwd | None, *, durable: bool) -> None:
    data, log = home / "data", home / "log"
    _run(
        programs / "initdb",
        f"--pgdata={data}",
        f"--username={SUPERUSER}",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
        user=user,
    )
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.write(_configuration(home, durable=durable))
    try:
        _run(programs / "pg_ctl", "start", f"--pgdata={data}", f"--log={log}", user=user)
    except RuntimeError as error:
        error.add_note(log.read_text() if log.exists() else "it wrote no log")
        raise


def _configuration(home: Path, *, durable: bool) -> str:
    on = "on" if durable else "off"
    return f"""
        listen_addresses = ''
        unix_socket_directories = '{home}'
        port = {_PORT}
        fsync = {on}
        synchronous_commit = {on}
        full_page_writes = {on}
    """


def _run(*command: str | Path, user: pwd.struct_passwd | None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **_as(user))
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stdout}{done.stderr}")
