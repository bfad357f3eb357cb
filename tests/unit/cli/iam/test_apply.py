from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from longshore import server
from longshore.identity import users
from longshore.identity.errors import NoSuchEntity
from longshore.settings import Settings
from tests.unit.cli.iam.conftest import ACCOUNT
from tests.unit.cli.test_commands import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.iam.conftest import Registry

READ_ONLY = "AmazonEC2ContainerRegistryReadOnly"


def declaring(users: str) -> str:
    return f'version: 1\naccounts:\n  "{ACCOUNT}":\n    users: {users}\n'


def test_a_file_is_tried_and_applied(registry: Registry) -> None:
    file = registry.file("identities.yaml", declaring(f"{{ci: {{policies: [{READ_ONLY}]}}}}"))
    tried = registry.iam("apply", file, "--dry-run")
    assert tried == f"create  {ACCOUNT}  user ci\n"
    with pytest.raises(NoSuchEntity):
        users.get(registry.context, ACCOUNT, "ci")
    assert registry.iam("apply", file) == tried
    users.get(registry.context, ACCOUNT, "ci")
    assert registry.iam("apply", file) == ""

    registry.file("identities.yaml", declaring("{ci: {}}"))
    assert registry.iam("apply", file) == (
        f"change  {ACCOUNT}  user ci\n          without arn:aws:iam::aws:policy/{READ_ONLY}\n"
    )
    registry.file("identities.yaml", "version: 1")
    [told] = json.loads(registry.iam("apply", file, "--output", "json"))
    assert told == {"verb": "delete", "account": ACCOUNT, "what": "user ci", "details": []}


def test_what_is_wrong_with_a_file_is_told_in_a_line(registry: Registry) -> None:
    file = registry.file("identities.yaml", declaring("{administrator: {}}"))
    assert registry.refused("apply", file) == (
        f"longshore: {file}: line 4: the user administrator of the account {ACCOUNT} is there "
        "already, and wasn't made by this file, which leaves it alone. Choose another name, or "
        "delete it first.\n"
    )
    missing = str(registry.directory / "missing")
    expected = f"longshore: {missing} can't be read: No such file or directory.\n"
    assert registry.refused("apply", missing) == expected


def test_a_start_brings_the_file_into_force(tmp_path: Path) -> None:
    file = tmp_path / "identities.yaml"
    settings = Settings(data=tmp_path / "data", identities_file=file)
    file.write_text(declaring("{ci: {}, other: {}}"))
    assert server.prepare(settings).is_first
    file.write_text(declaring("{ci: {}}"))
    server.prepare(settings)
    # Without the file, all stays as it is.
    server.prepare(Settings(data=settings.data))
    context = server.open_context(settings)
    names = [user.name for user in users.list_all(context, ACCOUNT).items]
    context.database.close()
    assert names == ["administrator", "ci"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "can't be read: No such file or directory."),
        ("version: 2", "line 1: this is no file of identities that this server knows. Write: "),
        (declaring("{ci: {policies: [nosuch]}}"), "line 4: the user ci: There is no policy nosuch"),
    ],
)
def test_no_server_starts_with_a_file_that_is_wrong(
    tmp_path: Path, content: str | None, message: str
) -> None:
    file = tmp_path / "identities.yaml"
    if content is not None:
        file.write_text(content)
    words = ("--data", tmp_path / "data", "--listen", "127.0.0.1:0")
    result = run("serve", *words, "--identities-file", file)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"longshore: identities_file {file}")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
