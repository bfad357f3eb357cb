from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from longshore.access.sealing import BrokenSeal, ServerKey
from longshore.identity import access_keys
from longshore.metadata import schema
from tests.support.pushing import ACCOUNT

if TYPE_CHECKING:
    from longshore.identity.access_keys import AccessKey
    from longshore.registry.context import Context


@pytest.fixture
def key(context: Context) -> AccessKey:
    made = access_keys.generate(ACCOUNT, "administrator")
    with context.database.write() as tx:
        access_keys.store(tx, access_keys.seal_of(context), made, context.clock())
    return made


def test_a_key_has_the_form_of_the_keys_of_aws() -> None:
    key = access_keys.generate("123456789012", "administrator")
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", key.id)
    assert re.fullmatch(r"[A-Za-z0-9+/]{40}", key.secret)
    assert key.caller.account == "123456789012"
    assert key.caller.arn == "arn:aws:iam::123456789012:user/administrator"


def test_no_key_is_made_twice() -> None:
    keys = [access_keys.generate(ACCOUNT, "administrator") for _ in range(100)]
    assert len({key.id for key in keys}) == len({key.secret for key in keys}) == 100


def test_a_key_does_not_show_its_secret() -> None:
    key = access_keys.generate(ACCOUNT, "administrator")
    assert key.secret not in repr(key)
    assert key.secret not in f"{key}"
    assert key.id in repr(key)


def test_a_stored_key_is_found_with_its_secret_and_its_principal(
    context: Context, key: AccessKey
) -> None:
    assert access_keys.find(context, key.id) == key
    assert access_keys.find_caller(context, key.id) == key.caller


def test_the_secret_lies_sealed_in_the_database(context: Context, key: AccessKey) -> None:
    with context.database.read() as tx:
        [row] = tx.execute(select(schema.access_keys))
    assert key.secret.encode() not in row.secret
    assert row.created_at == context.clock()


@pytest.mark.parametrize("key_id", ["", "AKIA", "akia", "%", "AKIA_", "AKIA' OR '1'='1", "é" * 200])
def test_an_unknown_key_is_not_found(context: Context, key: AccessKey, key_id: str) -> None:
    assert access_keys.find(context, key_id) is None
    assert access_keys.find_caller(context, key_id) is None
    assert access_keys.find(context, key.id.lower()) is None


def test_a_key_that_was_deactivated_is_not_found(context: Context, key: AccessKey) -> None:
    with context.database.write() as tx:
        tx.execute(update(schema.access_keys).values(active=False))
    assert access_keys.find(context, key.id) is None
    assert access_keys.find_caller(context, key.id) is None


def test_one_keys_secret_does_not_pass_for_anothers(context: Context, key: AccessKey) -> None:
    other = access_keys.generate(ACCOUNT, "other")
    seal = access_keys.seal_of(context)
    with context.database.write() as tx:
        access_keys.store(tx, seal, other, context.clock())
        sealed = tx.execute(
            select(schema.access_keys.c.secret).where(schema.access_keys.c.id == other.id)
        ).scalar_one()
        tx.execute(
            update(schema.access_keys)
            .where(schema.access_keys.c.id == key.id)
            .values(secret=sealed)
        )
    with pytest.raises(BrokenSeal):
        access_keys.find(context, key.id)


def test_another_server_key_does_not_open_the_secrets(context: Context, key: AccessKey) -> None:
    with pytest.raises(BrokenSeal):
        access_keys.find(replace(context, server_key=ServerKey(b"x" * 32)), key.id)
