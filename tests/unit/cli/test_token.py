from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from longshore import server
from longshore.clock import DAY
from longshore.identity import registry_tokens, robot_tokens, users
from longshore.names import Registry
from longshore.settings import Settings
from tests.support.policies import allow
from tests.unit.cli.test_commands import check_failed, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from longshore.registry.context import Context

ACCOUNT = "000000000000"
HERE = Registry(ACCOUNT, "us-east-1")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    server.prepare(Settings(data=tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def context(data: Path) -> Iterator[Context]:
    context = server.open_context(Settings(data=data))
    users.create(context, ACCOUNT, "ci")
    yield context
    context.database.close()


def test_a_token_is_made_listed_and_revoked(data: Path, context: Context) -> None:
    words = ["--user", "ci", "--pull", "base/*", "--push", "team/*", "--expires", "90d"]
    result = run("token", "create", "--data", data, *words, "--description", "nightly builds")
    assert (result.exit_code, result.stderr) == (0, "The password is shown this once.\n")
    password = result.stdout.rpartition(" ")[2].strip()
    assert registry_tokens.authenticate(context, password, HERE, "ci").name == "ci"
    [token] = robot_tokens.list_all(context, ACCOUNT)
    assert token.expires_at is not None
    assert token.expires_at - token.created_at == 90 * DAY
    assert token.scope == robot_tokens.scope_of(ACCOUNT, ["base/*"], ["team/*"])

    listed = run("token", "list", "--data", data)
    assert password not in listed.stdout
    head, row = listed.stdout.splitlines()
    assert head.split() == ["id", "user", "created", "expires", "description"]
    assert re.fullmatch(rf"{token.id}  ci    \S+Z  \S+Z  nightly builds", row)
    [document] = json.loads(run("token", "list", "--data", data, "--output", "json").stdout)
    assert document["scope"] == json.loads(token.scope)

    assert run("token", "revoke", token.id, "--data", data).stdout == f"{token.id} is revoked\n"
    assert robot_tokens.list_all(context, ACCOUNT) == []
    check_failed(
        run("token", "revoke", token.id, "--data", data),
        f"The robot token with id {token.id} cannot be found.",
    )


def test_a_scope_may_be_any_policy(data: Path, context: Context, tmp_path: Path) -> None:
    (tmp_path / "scope.json").write_text(allow("ecr:BatchGetImage"))
    result = run(
        *("token", "create", "--data", data, "--user", "ci", "--output", "json"),
        *("--policy", tmp_path / "scope.json"),
    )
    made = json.loads(result.stdout)
    assert (made["user"], made["expires"]) == ("ci", "never")
    assert registry_tokens.authenticate(context, made["password"], HERE).name == "ci"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Say what it is for"),
        (["--pull", "a", "--policy", "FILE"], "Say what it is for"),
        (["--pull", "a", "--expires", "90"], "write a number and a unit"),
        (["--pull", "a", "--expires", "0d"], "write a number and a unit"),
        (["--pull", "Upper"], "can't be the name of a repository"),
        (["--policy", "FILE"], "the document isn't JSON"),
        (["--policy", "nothing"], "No such file"),
        (["--policy", "BINARY"], "isn't text in UTF-8"),
    ],
)
def test_what_makes_no_token_is_told(
    data: Path, context: Context, tmp_path: Path, words: list[str], message: str
) -> None:
    (tmp_path / "FILE").write_text("no policy")
    (tmp_path / "BINARY").write_bytes(b"\xff")
    named = [str(tmp_path / word) if word.isupper() else word for word in words]
    result = run("token", "create", "--data", data, "--user", "ci", *named)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert robot_tokens.list_all(context, ACCOUNT) == []
