from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from longshore.access.sealing import BrokenSeal, ServerKey
from longshore.errors import UnrecognizedClient
from longshore.identity import access_keys, users
from longshore.identity.errors import NoSuchEntity, QuotaExceeded
from longshore.metadata import schema
from longshore.registry.memory import NotInMemory
from tests.support.identities import ACCOUNT

if TYPE_CHECKING:
    from longshore.identity.access_keys import AccessKey
    from longshore.registry.context import Context
    from tests.support.clock import FakeClock


def test_keys_have_the_form_of_those_of_aws() -> None:
    for key, prefix in (
        (access_keys.generate(), "AKIA"),
        (access_keys.generate_temporary(), "ASIA"),
    ):
        assert re.fullmatch(prefix + r"[A-Z2-7]{16}", key.id)
        assert re.fullmatch(r"[A-Za-z0-9+/]{40}", key.secret)


def test_no_key_is_made_twice() -> None:
    keys = [access_keys.generate() for _ in range(100)]
    assert len({key.id for key in keys}) == len({key.secret for key in keys}) == 100


def test_nothing_shows_a_secret(context: Context, key: AccessKey) -> None:
    for shown in (key, access_keys.find(context, key.id)):
        assert key.id in repr(shown)
        assert key.secret not in repr(shown)
        assert key.secret not in f"{shown}"


def test_a_key_stands_for_its_user(context: Context, key: AccessKey) -> None:
    found = access_keys.find(context, key.id)
    assert (found.key_id, found.secret) == (key.id, key.secret)
    assert found.principal.subject.arn == f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert (found.principal.subject.account, found.principal.name) == (ACCOUNT, "alice")
    assert found.principal.user_id == users.get(context, ACCOUNT, "alice").id
    assert found.principal.issued_at is None


def test_a_key_of_root_stands_for_root(context: Context) -> None:
    key, description = access_keys.create(context, ACCOUNT, None)
    principal = access_keys.find(context, key.id).principal
    assert principal.subject.kind == "root"
    assert principal.subject.arn == f"arn:aws:iam::{ACCOUNT}:root"
    assert (principal.user_id, principal.name) == (ACCOUNT, "")
    assert access_keys.list_all(context, ACCOUNT, None) == [description]
    assert access_keys.list_all(context, "999999999999", None) == []


def test_the_secret_lies_sealed_in_the_database(context: Context, key: AccessKey) -> None:
    with context.database.read() as tx:
        [row] = tx.execute(select(schema.access_keys))
    assert key.secret.encode() not in row.secret
    assert row.created_at == context.clock()


def test_an_unknown_key_is_refused(context: Context, key: AccessKey) -> None:
    unknown = ["", "AKIA", "akia", "%", "AKIA_", "AKIA' OR '1'='1", "é" * 200, key.id.lower()]
    for key_id in unknown:
        with pytest.raises(UnrecognizedClient):
            access_keys.find(context, key_id)


def test_a_long_term_key_has_no_token(context: Context, key: AccessKey) -> None:
    for token in ("", "token", "\ud800", "A" * 100_000):
        with pytest.raises(UnrecognizedClient):
            access_keys.find(context, key.id, token)


def test_a_key_counts_only_while_it_is_active_and_there(context: Context, key: AccessKey) -> None:
    for active in (False, True):
        access_keys.set_active(context, ACCOUNT, "alice", key.id, active=active)
        [description] = access_keys.list_all(context, ACCOUNT, "alice")
        assert description.active is active
        if active:
            access_keys.find(context, key.id)
        else:
            with pytest.raises(UnrecognizedClient):
                access_keys.find(context, key.id)
    access_keys.remove(context, ACCOUNT, "alice", key.id)
    with pytest.raises(UnrecognizedClient):
        access_keys.find(context, key.id)
    assert access_keys.list_all(context, ACCOUNT, "alice") == []


def test_a_user_has_two_keys_at_most(context: Context, key: AccessKey, clock: FakeClock) -> None:
    clock.advance(1)
    second, description = access_keys.create(context, ACCOUNT, "alice")
    assert (description.user, description.created_at) == ("alice", clock.now)
    with pytest.raises(QuotaExceeded, match="Cannot exceed quota for AccessKeysPerUser: 2"):
        access_keys.create(context, ACCOUNT, "alice")
    listed = access_keys.list_all(context, ACCOUNT, "alice")
    assert [each.id for each in listed] == [key.id, second.id]


def test_keys_are_changed_only_through_their_users(context: Context, key: AccessKey) -> None:
    users.create(context, ACCOUNT, "mallory")
    for account, user, sentence in (
        (ACCOUNT, "mallory", f"The Access Key with id {key.id} cannot be found."),
        (ACCOUNT, None, f"The Access Key with id {key.id} cannot be found."),
        (ACCOUNT, "nobody", "The user with name nobody cannot be found."),
        ("999999999999", "alice", "The user with name alice cannot be found."),
    ):
        for attempt in (
            lambda: access_keys.set_active(context, account, user, key.id, active=False),  # noqa: B023 - called at once
            lambda: access_keys.remove(context, account, user, key.id),  # noqa: B023 - called at once
        ):
            with pytest.raises(NoSuchEntity) as refusal:
                attempt()
            assert refusal.value.message == sentence
    access_keys.find(context, key.id)


def test_one_keys_secret_does_not_pass_for_anothers(context: Context, key: AccessKey) -> None:
    other, _ = access_keys.create(context, ACCOUNT, "alice")
    table = schema.access_keys
    with context.database.write() as tx:
        sealed = tx.execute(select(table.c.secret).where(table.c.id == other.id)).scalar_one()
        tx.execute(update(table).where(table.c.id == key.id).values(secret=sealed))
    with pytest.raises(BrokenSeal):
        access_keys.find(context, key.id)


def test_another_server_key_does_not_open_the_secrets(context: Context, key: AccessKey) -> None:
    with pytest.raises(BrokenSeal):
        access_keys.find(replace(context, server_key=ServerKey(b"x" * 32)), key.id)


def test_the_event_loop_is_answered_at_once_or_not_at_all(context: Context, key: AccessKey) -> None:
    quick = context.without_waiting()
    if context.database.is_sqlite:
        found = quick.run(lambda store: access_keys.find(store, key.id))
        assert access_keys.find(context, key.id) is found
        assert quick.run(lambda store: access_keys.find(store, key.id)) is found
    else:
        with pytest.raises(NotInMemory):
            quick.run(lambda store: access_keys.find(store, key.id))
