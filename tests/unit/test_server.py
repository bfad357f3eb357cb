from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from alembic import command
from sqlalchemy import text

from longshore import server
from longshore.identity import access_keys
from longshore.metadata import migrate
from longshore.metadata.database import Database
from longshore.server import CannotStart
from longshore.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from longshore.identity.access_keys import AccessKey
    from longshore.identity.principals import Principal

ACCOUNT = "123456789012"


def principal_of(settings: Settings, key: AccessKey) -> Principal:
    context = server.open_context(settings)
    try:
        found = access_keys.find(context, key.id)
    finally:
        context.database.close()
    assert found.secret == key.secret
    return found.principal


def test_the_first_start_makes_the_administrator_and_later_ones_find_it(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, account=ACCOUNT)
    first = server.prepare(settings)
    assert first.is_first
    assert first.administrator is not None
    principal = principal_of(settings, first.administrator)
    assert principal.subject.is_operator
    assert principal.subject.arn == f"arn:aws:iam::{ACCOUNT}:user/administrator"
    second = server.prepare(settings)
    assert (second.administrator, second.is_first) == (first.administrator, False)
    with pytest.raises(CannotStart, match=f"Start with --account {ACCOUNT}"):
        server.prepare(settings.model_copy(update={"account": "999999999999"}))


def test_a_data_directory_of_before_there_were_users_goes_on(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, account=ACCOUNT)
    key = server.prepare(settings).administrator
    assert key is not None
    # Back to what an earlier version left: the same key, sealed in the same way.
    database = Database(settings.database)
    with database.read() as tx:
        secret = tx.execute(text("SELECT secret FROM access_keys")).scalar_one()
        identity = tx.execute(text("SELECT * FROM identity")).mappings().one()
    database.close()
    for file in tmp_path.glob("*.sqlite*"):
        file.unlink()
    database = Database(settings.database)
    with database.write() as tx:
        command.upgrade(migrate._config(tx), "0002")
        tx.execute(
            text("INSERT INTO identity (id, server_key_id, created_at) VALUES (:id, :key, 1)"),
            {"id": identity["id"], "key": identity["server_key_id"]},
        )
        tx.execute(
            text(
                "INSERT INTO access_keys (id, secret, principal_arn, active, created_at) "
                "VALUES (:id, :secret, :arn, true, 1)"
            ),
            {
                "id": key.id,
                "secret": secret,
                "arn": f"arn:aws:iam::{ACCOUNT}:user/administrator",
            },
        )
    database.close()

    start = server.prepare(settings)

    assert (start.administrator, start.is_first) == (key, False)
    principal = principal_of(settings, key)
    assert principal.subject.is_operator
    [source] = principal.policies.identity
    assert source.name == "the managed policy arn:aws:iam::aws:policy/AdministratorAccess"
