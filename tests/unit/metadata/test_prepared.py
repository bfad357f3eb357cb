from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import bindparam, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from longshore.errors import StorageFull
from longshore.metadata.prepared import Prepared
from longshore.metadata.schema import repositories, uploads

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from longshore.metadata.database import Database

postgresql_only = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)

ROW = {
    "account": "000000000000",
    "region": "eu-west-1",
    "created_at": 2**40,
    "tag_mutability": "MUTABLE",
    "tag_mutability_exclusions": ["v*", "é\U0001f600"],
    "scan_on_push": True,
    "encryption_type": "AES256",
    "encryption_context": "aes256",
}
BY_NAME = select(repositories).where(repositories.c.name == bindparam("name"))
OF_THESE = (
    select(repositories)
    .where(
        repositories.c.name.in_(bindparam("names", expanding=True)),
        repositories.c.region.in_(["eu-west-1", "us-east-1"]),
        repositories.c.encryption_type == "AES256",
    )
    .order_by(repositories.c.name)
)
INSERT = insert(repositories).returning(repositories.c.id)


def add(database: Database, *names: str, **values: Any) -> None:
    with database.write() as tx:
        Prepared(insert(repositories)).run_for_each(
            tx, [{**ROW, "name": name, **values} for name in names]
        )


def names(tx: Connection) -> list[str]:
    return list(tx.execute(select(repositories.c.name).order_by(repositories.c.name)).scalars())


def test_it_finds_what_sqlalchemy_finds(database: Database) -> None:
    add(database, "a", "b", scan_on_push=True)
    add(database, "c", scan_on_push=False, tag_mutability_exclusions=[])
    by_name, of_these = Prepared(BY_NAME), Prepared(OF_THESE)
    with database.read() as tx:
        for name in ("a", "b", "c", "%(name)s", "?", "none"):
            expected = tx.execute(BY_NAME, {"name": name}).one_or_none()
            found = by_name.one_or_none(tx, name=name)
            assert found == expected
            if found is not None and expected is not None:
                assert found._asdict() == expected._asdict()
        for asked in (["c", "a"], ["b"], [], ["a", "b", "c", "d"], ["a", "b"]):
            found_all = of_these.all(tx, names=asked)
            assert found_all == tx.execute(OF_THESE, {"names": asked}).all()


def test_values_go_in_as_sqlalchemy_writes_them(database: Database) -> None:
    with database.write() as tx:
        first = Prepared(INSERT).value(tx, **ROW, name="prepared")
        second = tx.execute(INSERT, {**ROW, "name": "sqlalchemy"}).scalar_one()
        assert second == first + 1
        raw = [
            tx.execute(
                text(
                    "SELECT CAST(scan_on_push AS TEXT), CAST(tag_mutability_exclusions AS TEXT), "
                    "created_at FROM repositories WHERE id = :id"
                ),
                {"id": each},
            ).one()
            for each in (first, second)
        ]
    assert raw[0] == raw[1]


def test_it_tells_how_many_rows_it_wrote(database: Database) -> None:
    add(database, "a", "b")
    scan = Prepared(
        update(repositories).where(repositories.c.name.in_(bindparam("names", expanding=True)))
    )
    with database.write() as tx:
        assert scan.run(tx, names=["a", "b", "c"], scan_on_push=False) == 2
        assert scan.run(tx, names=["c"], scan_on_push=False) == 0
        assert scan.run(tx, names=["a"], created_at=5) == 1
    with database.read() as tx:
        rows = tx.execute(select(repositories.c.scan_on_push, repositories.c.created_at)).all()
    assert sorted(tuple(row) for row in rows) == [(False, 5), (False, 2**40)]


def test_no_rows_are_no_work(database: Database) -> None:
    add(database)
    with database.read() as tx:
        assert Prepared(select(func.count()).select_from(repositories)).value(tx) == 0
        assert Prepared(BY_NAME).value(tx, name="a") is None


def test_more_rows_than_one_are_an_error(database: Database) -> None:
    add(database, "a", "b")
    with database.read() as tx, pytest.raises(ValueError, match="2 rows"):
        Prepared(OF_THESE).one_or_none(tx, names=["a", "b"])


def test_it_is_a_part_of_the_transaction(database: Database) -> None:
    def fail() -> None:
        with database.write() as tx:
            Prepared(INSERT).value(tx, **ROW, name="a")
            tx.execute(INSERT, {**ROW, "name": "b"})
            assert names(tx) == ["a", "b"]
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with database.read() as tx:
        assert names(tx) == []


@pytest.mark.parametrize("many", [False, True])
def test_a_broken_constraint_is_sqlalchemys_error_without_its_values(
    database: Database, *, many: bool
) -> None:
    add(database, "a")

    def again() -> None:
        with database.write() as tx:
            if many:
                Prepared(insert(repositories)).run_for_each(tx, [{**ROW, "name": "a"}])
            else:
                Prepared(INSERT).value(tx, **ROW, name="a")

    with pytest.raises(IntegrityError) as raised:
        again()
    assert "MUTABLE" not in str(raised.value.args)
    add(database, "b")


@postgresql_only
def test_a_full_disk_is_told(database: Database) -> None:
    full = Prepared(text("DO $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$"))
    with pytest.raises(StorageFull), database.write() as tx:
        full.run(tx)


@postgresql_only
def test_a_connection_that_broke_is_replaced(database: Database) -> None:
    killer = Prepared(select(func.pg_terminate_backend(func.pg_backend_pid())))
    with pytest.raises(Exception, match="terminat"), database.read() as tx:
        killer.value(tx)
    add(database, "a")


def test_forms_are_kept_up_to_a_number(database: Database) -> None:
    of_these = Prepared(OF_THESE)
    add(database, "a")
    with database.read() as tx:
        for count in range(1, 300):
            assert len(of_these.all(tx, names=["a"] * count)) == 1
    assert 0 < len(of_these._forms) <= 256


def test_a_row_that_refers_to_nothing_is_refused(database: Database) -> None:
    row = {
        "id": "u", "repository_id": 77, "principal_arn": "", "started_at": 1, "touched_at": 1,
        "size": 0, "parts": 0, "last_part_size": 0, "has_small_part": False,
    }  # fmt: skip
    with pytest.raises(IntegrityError), database.write() as tx:
        Prepared(insert(uploads)).run(tx, **row)
