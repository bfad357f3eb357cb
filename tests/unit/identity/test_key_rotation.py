from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select, update

from longshore.access.sealing import BrokenSeal, ServerKey
from longshore.errors import Server
from longshore.identity import access_keys, key_rotation
from longshore.metadata import schema

if TYPE_CHECKING:
    from pathlib import Path

    from longshore.identity.access_keys import AccessKey
    from longshore.registry.context import Context


@pytest.fixture
def context(context: Context, tmp_path: Path) -> Context:
    """A store whose key is in a file, bound to it as a start does."""
    server_key = ServerKey.read_or_create(tmp_path / "server.key")
    with context.database.write() as tx:
        tx.execute(
            insert(schema.identity).values(id="here", server_key_id=server_key.id, created_at=0)
        )
    return replace(context, server_key=server_key)


def name_in_database(context: Context) -> str:
    with context.database.read() as tx:
        return str(tx.execute(select(schema.identity.c.server_key_id)).scalar_one())


def test_stored_secrets_outlive_the_key_that_sealed_them(context: Context, key: AccessKey) -> None:
    before = context.server_key.id
    registry_token = context.server_key.seal_for("registry token").close(b"token")
    assert key_rotation.rotate(context) == 1
    assert context.server_key.ids[1:] == (before,)
    assert name_in_database(context) == context.server_key.id
    assert access_keys.find(context, key.id).secret == key.secret
    assert context.server_key.seal_for("registry token").open(registry_token) == b"token"

    assert key_rotation.retire(context) == 1
    assert context.server_key.ids == (name_in_database(context),)
    assert access_keys.find(context, key.id).secret == key.secret
    with pytest.raises(BrokenSeal):
        context.server_key.seal_for("registry token").open(registry_token)
    assert key_rotation.retire(context) == 0


def test_what_was_stored_with_an_older_key_meanwhile_is_sealed_anew(
    context: Context, key: AccessKey, tmp_path: Path
) -> None:
    old = replace(context, server_key=ServerKey.read(tmp_path / "server.key"))
    old_seal = access_keys.seal_of(old)
    key_rotation.rotate(context)
    with context.database.write() as tx:
        late = access_keys.generate()
        access_keys.store(tx, old_seal, late, account="0" * 12, user_id=None, now=0)
    assert key_rotation.retire(context) == 1
    assert {access_keys.find(context, each.id).secret for each in (key, late)} == {
        key.secret,
        late.secret,
    }


def test_no_key_is_forgotten_while_a_secret_needs_one_that_is_gone(
    context: Context, key: AccessKey
) -> None:
    with context.database.write() as tx:
        tx.execute(update(schema.access_keys).values(secret=b"sealed by nobody at all"))
    for change in (key_rotation.rotate, key_rotation.retire):
        with pytest.raises(Server, match=rf"access key {key.id} opens with none"):
            change(context)
    assert len(context.server_key.ids) == 2
    # The database still names a key that is there.
    assert name_in_database(context) in context.server_key.ids
