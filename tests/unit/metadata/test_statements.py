from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from longshore.metadata.schema import account_settings, blobs, identity
from longshore.metadata.statements import insert_if_absent, upsert
from tests.support.threads import at_once, until_done_or_waiting

if TYPE_CHECKING:
    from longshore.metadata.database import Database

KEY = {"account": "000000000000", "region": "eu-west-1", "name": "BLOB_MOUNTING"}


def insert_key(database: Database, name: str, created_at: int = 1) -> bool:
    with database.write() as tx:
        return insert_if_absent(tx, identity, id=name, server_key_id="key", created_at=created_at)


def insert_blob(database: Database, digest: str, location: str) -> bool:
    with database.write() as tx:
        return insert_if_absent(
            tx,
            blobs,
            encryption_context="aes256",
            digest=digest,
            size=1,
            location=location,
            stored_at=1,
        )


def test_a_row_is_inserted_once_and_the_first_stays(database: Database) -> None:
    assert insert_key(database, "a", 1)
    assert not insert_key(database, "a", 2)
    assert insert_key(database, "b", 3)
    with database.read() as tx:
        rows = tx.execute(
            select(identity.c.id, identity.c.created_at).order_by(identity.c.id)
        ).all()
    assert [tuple(row) for row in rows] == [("a", 1), ("b", 3)]


@pytest.mark.parametrize(
    ("digest", "location", "expected"),
    [("other", "other", True), ("same", "other", False), ("other", "same", False)],
)
def test_any_unique_constraint_counts(
    database: Database, digest: str, location: str, *, expected: bool
) -> None:
    assert insert_blob(database, "same", "same")
    assert insert_blob(database, digest, location) is expected


def test_of_many_who_insert_the_same_row_one_does(database: Database) -> None:
    inserted = at_once([partial(insert_key, database, "a", number) for number in range(8)])
    assert sorted(inserted) == [False] * 7 + [True]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize("is_undone", [False, True])
def test_it_waits_for_the_one_who_inserts_the_same_row(
    database: Database, *, is_undone: bool
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with database._engine.connect() as tx, tx.begin() as transaction:
            insert_if_absent(tx, identity, id="a", server_key_id="key", created_at=1)
            other = pool.submit(insert_key, database, "a", 2)
            until_done_or_waiting(database, other)
            assert not other.done()
            if is_undone:
                transaction.rollback()
        assert other.result() is is_undone


def test_a_row_is_written_whether_it_exists_or_not(database: Database) -> None:
    def value() -> str:
        with database.read() as tx:
            return str(tx.execute(select(account_settings.c.value)).scalar_one())

    for written in ("ENABLED", "DISABLED", "DISABLED"):
        with database.write() as tx:
            upsert(tx, account_settings, KEY, {"value": written})
        assert value() == written


def test_rows_with_other_keys_stay(database: Database) -> None:
    with database.write() as tx:
        upsert(tx, account_settings, KEY, {"value": "first"})
        upsert(tx, account_settings, KEY | {"region": "us-east-1"}, {"value": "second"})
        upsert(tx, account_settings, KEY, {"value": "third"})
    with database.read() as tx:
        values = tx.execute(select(account_settings.c.region, account_settings.c.value)).all()
    assert {tuple(row) for row in values} == {("eu-west-1", "third"), ("us-east-1", "second")}
