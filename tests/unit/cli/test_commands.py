from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command as alembic
from click.testing import CliRunner
from sqlalchemy import inspect, text

from longshore import server
from longshore.access.sealing import ServerKey
from longshore.cli.commands import app
from longshore.clock import DAY
from longshore.identity import access_keys
from longshore.metadata import migrate
from longshore.metadata.database import Database
from longshore.settings import Settings
from tests.support.images import layer
from tests.support.pushing import begin, create_repository, upload

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from click.testing import Result

    from longshore.registry.context import Context


# The leader of a session that has a terminal.
IN_TERMINAL = """
import os, runpy
os.login_tty(0)
runpy.run_module("longshore", run_name="__main__")
"""


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], prog_name="longshore")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory, with letters that a shell makes something of."""
    data = tmp_path / 'it\'s a $(false) "registry" & more'
    server.prepare(Settings(data=data))
    return data


def files(directory: Path) -> set[Path]:
    return {*directory.rglob("*")}


def tables(url: str) -> list[str]:
    """Return what tables a database has."""
    database = Database(url)
    with database.read() as tx:
        found = inspect(tx).get_table_names()
    database.close()
    return found


def no_key(data: Path) -> str:
    return (
        f"There is no server.key in {data}, and the database was written with one. Take it from "
        "the backup, or name the data directory that has it with --data."
    )


def check_failed(result: Result, message: str) -> None:
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"longshore: {message}\n")


SOMEBODY = "arn:aws:iam::000000000000:user/administrator"
ON_THE_STORE = [
    ["gc"],
    ["worker"],
    ["key", "rotate"],
    ["key", "list"],
    ["iam", "user", "create", "ann"],
    ["iam", "key", "create", "--user", "administrator"],
    ["token", "list"],
    ["policy", "explain", f"--principal={SOMEBODY}", "--action=ecr:PutImage", "--resource=*"],
    ["lifecycle", "preview", "demo/app"],
    ["bin", "list"],
    ["jobs", "list"],
    ["events", "receivers"],
]


# --- In general -----------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_command(flag: str) -> None:
    result = run(flag)

    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: longshore [OPTIONS] COMMAND [ARGS]...")
    for name, command in app.commands.items():
        assert re.search(
            rf"^  {name} +{command.get_short_help_str(30)[:20]}", result.stdout, re.MULTILINE
        )


@pytest.mark.parametrize("command", app.commands)
def test_every_command_has_its_own_help(command: str) -> None:
    result = run(command, "--help")

    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: longshore {command} ")
    assert (app.commands[command].help or "").partition("\n")[0].split()[0] in result.stdout


def test_the_version_is_the_package_s() -> None:
    assert run("--version").stdout == f"longshore {version('longshore')}\n"


@pytest.mark.parametrize("words", [["nosuch"], ["serve", "--nosuch"], ["serve", "extra"]])
def test_what_it_does_not_know_is_a_usage_error(words: list[str]) -> None:
    result = run(*words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: longshore ")


def test_the_package_can_be_run() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "longshore", "--version"], capture_output=True, check=True, text=True
    )

    assert result.stdout == f"longshore {version('longshore')}\n"


def test_a_wrong_setting_is_told_of_in_one_line() -> None:
    check_failed(run("env", "--region", "here"), "region: write a region such as eu-west-1")


# --- env ------------------------------------------------------------------------------------------


def evaluated(script: str, **variables: str) -> Mapping[str, str]:
    """Return the environment of a shell that evaluated `script` as the README says."""
    result = subprocess.run(
        ["sh", "-euc", 'eval "$SCRIPT"; env'],
        env={"PATH": os.environ["PATH"], "SCRIPT": script, **variables},
        capture_output=True,
        check=True,
        text=True,
    )
    found = dict(line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)
    return {name: value for name, value in found.items() if name.startswith("AWS_")}


def test_env_points_aws_tools_at_the_registry(data: Path) -> None:
    administrator = server.read_administrator(Settings(data=data))
    assert administrator is not None
    result = run("env", "--data", data, "--listen", "0.0.0.0:5001", "--region", "eu-west-1")

    assert (result.exit_code, result.stderr) == (0, "")
    others = {"AWS_SESSION_TOKEN": "of others", "AWS_PROFILE": "theirs"}
    assert evaluated(result.stdout, **others) == {
        "AWS_ACCESS_KEY_ID": administrator.id,
        "AWS_SECRET_ACCESS_KEY": administrator.secret,
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL_ECR": "http://localhost:5001",
        "AWS_ENDPOINT_URL_IAM": "http://localhost:5001",
        "AWS_ENDPOINT_URL_STS": "http://localhost:5001",
    }


def test_env_quotes_whatever_a_shell_would_read(data: Path) -> None:
    credentials = data / "credentials"
    secret = "a'b\"c$(touch pwned)`d`\\e;f&g|h <i> *"
    credentials.write_text(
        f"[longshore]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = {secret}\n"
    )

    assert evaluated(run("env", "--data", data).stdout)["AWS_SECRET_ACCESS_KEY"] == secret


def test_env_knows_of_tls(data: Path) -> None:
    result = run("env", "--data", data, "--tls-certificate", "c", "--tls-key", "k")

    assert evaluated(result.stdout)["AWS_ENDPOINT_URL_ECR"] == "https://localhost:5000"


def test_env_without_the_key_of_the_first_start_says_how_to_make_one(data: Path) -> None:
    (data / "credentials").unlink()

    check_failed(
        run("env", "--data", data),
        f"There is no {data / 'credentials'}, which the first start made. Take it from the backup, "
        "or make another key (longshore iam key create --user administrator) and set the "
        "variables that this prints.",
    )

    made = run("iam", "key", "create", "--user", "administrator", "--data", data)
    variables = dict(line.split("=", 1) for line in made.stdout.splitlines())
    context = server.open_context(Settings(data=data))
    key = access_keys.find(context, variables["AWS_ACCESS_KEY_ID"])
    context.database.close()
    assert key.secret == variables["AWS_SECRET_ACCESS_KEY"]
    assert key.principal.subject.is_operator


@pytest.mark.parametrize(
    "content", ["", "no ini file", "[other]\na = b\n", "[longshore]\naws_access_key_id = A\n"]
)
def test_env_with_a_broken_file_of_credentials_names_it(data: Path, content: str) -> None:
    (data / "credentials").write_text(content)

    result = run("env", "--data", data)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("longshore: ")
    assert str(data) in result.stderr


# --- gc -------------------------------------------------------------------------------------------


@pytest.fixture
def littered(data: Path) -> Iterator[Context]:
    """A store with something that nobody needs, of two days ago."""
    context = server.open_context(Settings(data=data))
    created_at = context.clock() - 2 * DAY
    then = replace(context, clock=lambda: created_at)
    create_repository(then)
    upload(then, layer("that no image refers to"))
    begin(then, b"an upload that was never completed")
    yield context
    context.database.close()


def lines(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.output
    return [line.split("\t") for line in result.stdout.splitlines()]


@pytest.mark.usefixtures("littered")
def test_gc_tells_what_it_would_free_and_leaves_it(data: Path) -> None:
    dry = [run("gc", "--data", data, "--dry-run") for _ in range(2)]

    assert lines(dry[0]) == lines(dry[1])
    assert [row[0] for row in lines(dry[0])] == ["upload", "layer", "blob"]
    for _, size, name, reason in lines(dry[0]):
        assert size.isdigit()
        assert name
        assert reason
    freed = len("that no image refers to") + len("an upload that was never completed")
    assert dry[0].stderr == f"would free {freed} bytes, 3 things\n"


def test_gc_frees_what_it_told_of(data: Path, littered: Context) -> None:
    told = lines(run("gc", "--data", data, "--dry-run"))

    result = run("gc", "--data", data)

    assert lines(result) == told
    assert re.fullmatch(r"freed \d+ bytes, 3 things\n", result.stderr)
    assert lines(run("gc", "--data", data)) == []
    assert list(littered.blobs.locations()) == []


@pytest.mark.usefixtures("littered")
def test_gc_heeds_the_times_it_is_given(data: Path) -> None:
    week = str(7 * 86400)
    result = run("gc", "--data", data, "--layer-grace", week, "--upload-lifetime", week)

    assert lines(result) == []


def test_gc_where_the_database_is_gone(data: Path) -> None:
    for file in data.glob("metadata.sqlite*"):
        file.unlink()

    result = run("gc", "--data", data)

    check_failed(result, EMPTY)
    assert not list(data.glob("metadata.sqlite*"))


# --- Where there is no registry -------------------------------------------------------------------


@pytest.mark.parametrize("words", [["env"], *ON_THE_STORE], ids=" ".join)
def test_where_there_is_no_registry_every_command_says_what_to_do(
    tmp_path: Path, words: list[str]
) -> None:
    nowhere = tmp_path / "nowhere"

    check_failed(
        run(*words, "--data", nowhere),
        f"There is no registry in {nowhere}. Start the server once (longshore serve), "
        "or name the data directory with --data.",
    )
    assert not nowhere.exists()


@pytest.mark.parametrize("words", ON_THE_STORE, ids=" ".join)
def test_without_the_server_s_key_every_command_says_what_is_missing(
    data: Path, words: list[str]
) -> None:
    (data / "server.key").unlink()
    before = files(data)

    check_failed(run(*words, "--data", data), no_key(data))

    assert files(data) == before


# --- The database of another version --------------------------------------------------------------

LATER = (
    "The database was written by a later version of Longshore. "
    "Start that version or a newer one; going back isn't supported."
)
EARLIER = (
    "The database was written by an earlier version of Longshore. "
    "Start the server of this version once (longshore serve): it upgrades the database."
)
EMPTY = (
    "The database is empty or missing. Take it from the backup, name the right one "
    "(--database-url), or start the server once (longshore serve)."
)


def set_revision(database: Database, revision: str) -> None:
    with database.write() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = :new"), {"new": revision})


def state(data: Path) -> tuple[str, list[str]]:
    """Return what a data directory and its database hold."""
    with sqlite3.connect(data / "metadata.sqlite") as connection:
        dump = [*connection.iterdump()]
    return (data / "server.key").read_text(), dump


@pytest.mark.parametrize("words", ON_THE_STORE, ids=" ".join)
@pytest.mark.parametrize(("revision", "message"), [("9999", LATER), ("0001", EARLIER)])
def test_no_command_touches_the_database_of_another_version(
    data: Path, words: list[str], revision: str, message: str
) -> None:
    database = Database(Settings(data=data).database)
    set_revision(database, revision)
    database.close()
    before = state(data)

    check_failed(run(*words, "--data", data), message)

    assert state(data) == before


@pytest.mark.parametrize(("revision", "message"), [("9999", LATER), ("0001", EARLIER)])
def test_the_database_of_another_version_on_either_kind(
    tmp_path: Path, database_url: str, revision: str, message: str
) -> None:
    server.prepare(Settings(data=tmp_path / "data", database_url=database_url))
    database = Database(database_url)
    set_revision(database, revision)
    database.close()

    words = ("--data", tmp_path / "data", "--database-url", database_url)
    check_failed(run("iam", "user", "create", "ann", *words), message)


def test_what_the_first_start_of_this_version_upgrades_can_be_used(tmp_path: Path) -> None:
    data = tmp_path / "data"
    started(data)
    (data / "metadata.sqlite").unlink()
    database = Database(Settings(data=data).database)
    with database.write() as tx:
        alembic.upgrade(migrate._config(tx), "0011")
    database.close()
    check_failed(run("iam", "user", "list", "--data", data), EARLIER)

    started(data)

    assert "administrator" in run("iam", "user", "list", "--data", data).stdout


def test_a_database_that_nobody_has_prepared(data: Path, database_url: str) -> None:
    words = ("--data", data, "--database-url", database_url)
    check_failed(run("gc", *words), EMPTY)
    assert tables(database_url) == []


# --- completion -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_of_the_shell(shell: str) -> None:
    result = run("completion", shell)

    assert result.exit_code == 0
    assert "_LONGSHORE_COMPLETE" in result.stdout
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=result.stdout, text=True, check=True)


def test_completion_knows_its_shells() -> None:
    result = run("completion", "csh")

    assert (result.exit_code, result.stdout) == (2, "")


# --- serve ----------------------------------------------------------------------------------------


class Served:
    """`longshore serve` as a person or a service runs it, until it is interrupted."""

    def __init__(
        self, *words: str | Path, terminal: int = subprocess.PIPE, **variables: str
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "longshore", "serve", "--listen", "127.0.0.1:0", *words],
            stdout=terminal,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables},
            umask=0o022,
        )

    def read_welcome(self) -> str:
        """Return what it prints before it serves."""
        assert self._process.stdout is not None
        printed = ""
        for line in self._process.stdout:
            printed += line
            if "docker login" in line:
                break
        return printed

    def interrupt(self) -> tuple[int, str]:
        """End it; return its exit code and all else that it printed."""
        self._process.terminate()
        out, err = self._process.communicate(timeout=60)
        return self._process.returncode, (out or "") + err


def test_the_first_start_tells_the_key_once_and_keeps_it_private(tmp_path: Path) -> None:
    data = tmp_path / "made" / "by the start"

    first = Served("--data", data, "--region", "eu-west-1")
    welcome = first.read_welcome()
    # It isn't said to listen before it does.
    match = re.search(r"listening on http://localhost:(\d+)$", welcome, re.MULTILINE)
    assert match
    with socket.create_connection(("127.0.0.1", int(match[1])), timeout=10):
        pass
    code, rest = first.interrupt()

    administrator = server.read_administrator(Settings(data=data))
    assert administrator is not None
    assert f"new access key of the administrator: {administrator.id}\n" in welcome
    # What isn't a terminal is a log, for all that the server knows.
    assert f"its secret is in {data / 'credentials'}\n" in welcome
    assert administrator.secret not in welcome
    assert f"  data        {data}\n" in welcome
    assert "  registry    account 000000000000, region eu-west-1\n" in welcome
    assert (code, rest) in {(0, ""), (-15, "")}
    modes = {
        path.relative_to(data).as_posix(): oct(path.stat().st_mode & 0o777)
        for path in (data, *data.rglob("*"))
    }
    assert modes["server.key"] == modes["credentials"] == oct(0o600)
    assert set(modes.values()) == {oct(0o600), oct(0o700)}

    second = Served("--data", data, "--region", "eu-west-1")
    again = second.read_welcome()
    second.interrupt()
    assert "listening" in again
    assert "secret" not in again
    assert administrator.id not in again
    assert server.read_administrator(Settings(data=data)) == administrator


def test_a_terminal_is_shown_the_secret(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    served = Served("--data", tmp_path, terminal=theirs)
    os.close(theirs)
    with os.fdopen(ours, encoding="utf-8") as terminal:
        shown = next(line for line in terminal if "secret" in line)
        served.interrupt()
    administrator = server.read_administrator(Settings(data=tmp_path))
    assert administrator is not None
    assert shown == f"  its secret, shown this once:         {administrator.secret}\n"


def test_a_server_of_one_process_ends_with_its_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    words = ["serve", "--workers", "1", "--listen", "127.0.0.1:0", "--data", str(tmp_path)]
    with subprocess.Popen([sys.executable, "-c", IN_TERMINAL, *words], stdin=theirs) as process:
        os.close(theirs)
        with os.fdopen(ours, encoding="utf-8") as terminal:
            [port] = next(filter(None, (re.findall(r"localhost:(\d+)", line) for line in terminal)))
            # Who answers hears of hangups, too.
            with closing(HTTPConnection("127.0.0.1", int(port), timeout=60)) as client:
                client.request("GET", "/v2/")
                assert client.getresponse().status == 401
        try:
            assert process.wait(60) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("options", "registry"),
    [
        ((), "localhost:{port}"),
        (("--behind-tls", "--domain", "r.example"), "000000000000.dkr.ecr.us-east-1.r.example"),
        (("--behind-tls",), "000000000000.dkr.ecr.us-east-1.<domain>"),
    ],
)
def test_the_login_is_one_that_can_push(
    tmp_path: Path, options: tuple[str, ...], registry: str
) -> None:
    served = Served("--data", tmp_path, *options)
    welcome = served.read_welcome()
    served.interrupt()
    match = re.search(r"listening on .*:(\d+)$", welcome, re.MULTILINE)
    assert match
    assert welcome.endswith(f" --password-stdin {registry.format(port=match[1])}\n")


def test_the_command_for_the_other_shell_is_the_one_that_works_there(tmp_path: Path) -> None:
    data = tmp_path / "with blanks"
    served = Served("--data", data, "--region", "eu-west-1")
    welcome = served.read_welcome()
    command = re.search(r'eval "\$\((.*)\)"', welcome)
    assert command
    words = shlex.split(command[1])
    printed = run(*words[words.index("env") :])
    served.interrupt()

    found = evaluated(printed.stdout)
    assert found["AWS_REGION"] == "eu-west-1"
    assert f"listening on {found['AWS_ENDPOINT_URL_ECR']}\n" in welcome
    administrator = server.read_administrator(Settings(data=data))
    assert administrator is not None
    assert found["AWS_SECRET_ACCESS_KEY"] == administrator.secret


def started(data: Path, **settings: Any) -> server.Start:
    return server.prepare(Settings(data=data, **settings))


def test_a_port_that_is_taken_is_told_of_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run("serve", "--listen", address, "--data", tmp_path / "data")

    check_failed(
        result,
        f"Can't listen on {address}: Address already in use. Is another server running there? "
        "Choose another address with --listen HOST:PORT.",
    )
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("listen", ["nosuchhost.invalid:5000", "192.0.2.1:5000"])
def test_an_address_that_can_not_be_had(tmp_path: Path, listen: str) -> None:
    result = run("serve", "--listen", listen, "--data", tmp_path / "data")

    assert result.exit_code == 2
    assert result.stderr.startswith(f"longshore: Can't listen on {listen}: ")
    assert result.stderr.endswith(". Choose another address with --listen HOST:PORT.\n")
    assert "another server" not in result.stderr


def serve(data: Path, *words: str | Path) -> Result:
    """Run a server that doesn't come to serve."""
    return run("serve", "--listen", "127.0.0.1:0", "--data", data, *words)


def test_a_data_directory_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    for data in (file, file / "below"):
        result = serve(data)
        assert (result.exit_code, result.stdout) == (2, "")
        assert str(file) in result.stderr
        assert result.stderr.count("\n") == 1


def test_a_data_directory_that_can_not_be_read(tmp_path: Path) -> None:
    data = tmp_path / "data"
    started(data)
    as_somebody_else: list[str] = []
    if os.geteuid() == 0:
        as_somebody_else = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        for parent in [*tmp_path.parents][:-2]:
            if parent.stat().st_uid == 0 and "pytest" in str(parent):
                parent.chmod(0o755)
        tmp_path.chmod(0o755)
    else:
        data.chmod(0o000)
    for words in (["serve", "--listen", "127.0.0.1:0"], ["env"], ["gc"]):
        result = subprocess.run(
            [*as_somebody_else, sys.executable, "-m", "longshore", *words, "--data", str(data)],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        )
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr.startswith("longshore: ")
        assert result.stderr.count("\n") == 1
        assert str(data) in result.stderr
    data.chmod(0o700)


def test_a_database_of_another_data_directory(tmp_path: Path) -> None:
    data, other = tmp_path / "data", tmp_path / "other"
    started(data)
    started(other)
    strangers = ("--data", data, "--database-url", f"sqlite:///{other / 'metadata.sqlite'}")

    for words in (("serve", "--listen", "127.0.0.1:0"), ("gc",)):
        check_failed(
            run(*words, *strangers),
            f"The database isn't the one that the data directory {data} belongs to. Start with "
            "the database of before, or with another data directory: to a stranger's database, "
            "every blob here would be garbage.",
        )


@pytest.mark.parametrize("is_known", [True, False])
def test_a_new_database_where_there_are_blobs_of_an_old_one(
    data: Path, database_url: str, *, is_known: bool
) -> None:
    context = server.open_context(Settings(data=data))
    create_repository(context)
    upload(context, layer("kept"))
    context.database.close()
    (data / "metadata.sqlite").unlink()
    if not is_known:
        for name in ("server.key", "credentials", "database.id"):
            (data / name).unlink()
    before = files(data)

    for words in ([], ["--database-url", database_url]):
        check_failed(
            serve(data, *words),
            f"There are blobs in {data}, and their database is empty or missing. Take it from the "
            "backup, or start with the database of before or with another data directory: to a "
            "new database, every blob here would be garbage.",
        )

    assert files(data) == before
    assert tables(database_url) == []


@pytest.mark.parametrize("gone", [["server.key"], ["server.key", "database.id", "credentials"]])
def test_a_server_key_that_is_missing(tmp_path: Path, database_url: str, gone: list[str]) -> None:
    data = tmp_path / "data"
    started(data, database_url=database_url)
    for name in gone:
        (data / name).unlink()
    before = files(data)

    check_failed(serve(data, "--database-url", database_url), no_key(data))

    assert files(data) == before


def test_a_database_without_its_data_directory(tmp_path: Path, database_url: str) -> None:
    started(tmp_path / "data", database_url=database_url)
    other = tmp_path / "other"

    check_failed(serve(other, "--database-url", database_url), no_key(other))

    assert not other.exists()


def test_a_start_that_was_cut_short_is_begun_again(tmp_path: Path, database_url: str) -> None:
    data = tmp_path / "data"
    ServerKey.read_or_create(data / "server.key")
    assert started(data, database_url=database_url).is_first

    other = tmp_path / "other"
    ServerKey.read_or_create(other / "server.key")
    database = Database(f"sqlite:///{tmp_path / 'other.sqlite'}")
    migrate.migrate(database)
    database.close()
    assert started(other, database_url=f"sqlite:///{tmp_path / 'other.sqlite'}").is_first


def test_the_wrong_server_key(tmp_path: Path) -> None:
    data, other = tmp_path / "data", tmp_path / "other"
    started(data)
    started(other)
    shutil.copy(other / "server.key", data / "server.key")

    check_failed(
        serve(data),
        "The database was written with another server key than the one in the data directory. "
        "Put the right server.key there, or start with another database.",
    )


@pytest.mark.parametrize("content", ["", "short", "!" * 44, "\u00e9" * 44, "A" * 100])
def test_a_server_key_that_is_none(tmp_path: Path, content: str) -> None:
    data = tmp_path / "data"
    started(data)
    (data / "server.key").write_text(content)

    result = serve(data)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "server key" in result.stderr


def test_a_database_that_is_none(tmp_path: Path) -> None:
    data = tmp_path / "data"
    started(data)
    (data / "metadata.sqlite").write_bytes(b"no database" * 1000)

    result = serve(data)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("longshore: The database can't be used: ")


@pytest.mark.parametrize(
    ("url", "beginning"),
    [
        ("nonsense", "The database URL can't be read."),
        ("mysql://u:s3cr3t@h/n", "Longshore keeps its metadata in SQLite or PostgreSQL"),
        ("postgresql://u:s3cr3t@127.0.0.1:1/n", "The database can't be used: "),
    ],
)
def test_a_database_that_can_not_be_reached(tmp_path: Path, url: str, beginning: str) -> None:
    result = serve(tmp_path / "data", "--database-url", url)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"longshore: {beginning}")
    assert "s3cr3t" not in result.stderr


def test_an_account_that_the_database_does_not_know(tmp_path: Path) -> None:
    data = tmp_path / "data"
    started(data)

    result = serve(data, "--account", "111122223333")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "111122223333" in result.stderr or "000000000000" in result.stderr


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    nothing, garbage = tmp_path / "nothing.pem", tmp_path / "garbage.pem"
    garbage.write_text("no certificate")

    for certificate in (nothing, garbage):
        result = serve(tmp_path / "data", "--tls-certificate", certificate, "--tls-key", garbage)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.count("\n") == 1
        assert str(certificate) in result.stderr


def test_a_limit_of_no_operation(tmp_path: Path) -> None:
    config = tmp_path / "longshore.toml"
    config.write_text("[limits.rates]\nPutImages = 1\n")

    result = serve(tmp_path / "data", "--config", config)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(
        "longshore: limits.rates: there is no operation 'PutImages' to limit. "
    )


def test_a_key_of_an_earlier_start_is_kept_when_the_database_is_new(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = started(data)
    for file in data.glob("metadata.sqlite*"):
        file.unlink()

    second = started(data)

    assert second.administrator == first.administrator
    assert first.is_first
    assert second.is_first
    assert not started(data).is_first
