from __future__ import annotations

import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, event, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from longshore.errors import StorageFull
from longshore.metadata import journal, schema
from longshore.metadata.database import Database, UnsupportedDatabase
from longshore.metadata.migrate import migrate
from longshore.metadata.schema import identity
from longshore.metadata.sqlite_transactions import MustWait
from tests.support.threads import at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

sqlite_only = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
postgresql_only = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


def write(database: Database, name: str, created_at: int = 0) -> None:
    with database.write() as tx:
        tx.execute(insert(identity).values(id=name, server_key_id="key", created_at=created_at))


def names(database: Database) -> set[str]:
    with database.read() as tx:
        return set(tx.execute(select(identity.c.id)).scalars())


@pytest.fixture
def twin(database: Database) -> Iterator[Database]:
    """The same database as another process has it."""
    twin = Database(database.url.render_as_string(hide_password=False))
    yield twin
    twin.close()


# --- URLs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///{}/a.sqlite", "sqlite"),
        ("sqlite+pysqlite:///{}/a.sqlite", "sqlite+pysqlite"),
        ("postgresql://user:secret@host/name", "postgresql+psycopg"),
        ("postgres://user:secret@host/name", "postgresql+psycopg"),
        ("postgresql+psycopg://user:secret@host:1234/name?sslmode=require", "postgresql+psycopg"),
    ],
)
def test_a_database_is_sqlite_or_postgresql(tmp_path: Path, url: str, driver: str) -> None:
    database = Database(url.format(tmp_path))
    assert database.url.drivername == driver
    assert database.is_sqlite is driver.startswith("sqlite")
    assert list(tmp_path.iterdir()) == []
    database.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "The database URL can't be read."),
        ("/var/lib/longshore.sqlite", "The database URL can't be read."),
        ("sqlite:/a:b:c", "The database URL can't be read."),
        ("mysql://user:secret@host/name", "not in 'mysql'"),
        ("postgresql+asyncpg://user:secret@host/name", r"not in 'postgresql\+asyncpg'"),
        ("sqlite+aiosqlite:///a", r"not in 'sqlite\+aiosqlite'"),
        ("sqlite://", "needs a file"),
        ("sqlite:///", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite:///file:a?mode=memory&uri=true", "needs a file"),
    ],
)
def test_any_other_url_is_refused_with_a_way_on(url: str, message: str) -> None:
    with pytest.raises(UnsupportedDatabase, match=message) as refusal:
        Database(url)
    assert "secret" not in str(refusal.value)


def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UnsupportedDatabase, match=r"pip install '\.\[postgresql\]'"):
        Database("postgresql://host/name")


# --- Transactions ---------------------------------------------------------------------------------


def test_what_was_written_is_read(database: Database, twin: Database) -> None:
    write(database, "a")
    assert names(database) == names(twin) == {"a"}


def test_what_raises_is_undone(database: Database) -> None:
    def write_and_fail() -> None:
        with database.write() as tx:
            tx.execute(insert(identity).values(id="a", server_key_id="key", created_at=0))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert names(database) == set()
    write(database, "b")
    assert names(database) == {"b"}


@pytest.mark.parametrize("durable", [True, False])
def test_nobody_sees_what_is_not_committed(
    database: Database, twin: Database, *, durable: bool
) -> None:
    with database.write(durable=durable) as tx:
        tx.execute(insert(identity).values(id="a", server_key_id="key", created_at=0))
        assert names(twin) == set()
    assert names(twin) == {"a"}


@sqlite_only
def test_a_reader_of_sqlite_sees_one_state_throughout(database: Database, twin: Database) -> None:
    count = select(func.count()).select_from(identity)
    write(database, "a")
    with database.read() as tx:
        assert tx.execute(count).scalar_one() == 1
        write(twin, "b")
        write(database, "c")
        assert tx.execute(count).scalar_one() == 1
    assert names(database) == {"a", "b", "c"}


@sqlite_only
def test_writers_of_sqlite_take_turns_in_and_between_processes(
    database: Database, twin: Database
) -> None:
    write(database, "counter")

    def count(database: Database) -> None:
        for _ in range(10):
            with database.write(durable=False) as tx:
                seen = tx.execute(select(identity.c.created_at)).scalar_one()
                tx.execute(update(identity).values(created_at=seen + 1))

    at_once([partial(count, each) for each in (database, twin, database, twin)])
    with database.read() as tx:
        assert tx.execute(select(identity.c.created_at)).scalar_one() == 40


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    write(database, "a")
    with ThreadPoolExecutor(1) as pool, database.write() as tx:
        tx.execute(delete(identity))
        assert pool.submit(names, database).result() == {"a"}


@sqlite_only
def test_a_durable_commit_of_sqlite_waits_for_the_disk(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def sync(file: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{file}").readlink()))

    monkeypatch.setattr(journal, "_sync", sync)
    with database.write(durable=False):
        pass
    assert synced == []
    with database.write():
        assert synced == []
    assert synced == [f"{database.url.database}-wal"]


@sqlite_only
def test_a_refusal_waits_until_what_it_was_concluded_from_is_durable(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(journal, "_sync", synced.append)
    with database.write(durable=False) as tx:
        tx.execute(insert(identity).values(id="a", server_key_id="key", created_at=0))
    with pytest.raises(IntegrityError):
        write(database, "a")
    assert len(synced) == 1


@postgresql_only
def test_a_durable_commit_of_postgresql_waits_for_the_disk(database_url: str) -> None:
    def synchronous(*, durable: bool) -> str:
        with database.write(durable=durable) as tx:
            return str(tx.execute(text("SHOW synchronous_commit")).scalar_one())

    database = Database(database_url)
    with database.write() as tx:
        # The tests' own server doesn't wait for anything.
        tx.execute(text(f'ALTER DATABASE "{database.url.database}" SET synchronous_commit = on'))
    database.close()
    assert [synchronous(durable=durable) for durable in (True, False, True)] == ["on", "off", "on"]
    database.close()


@sqlite_only
@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("foreign_keys", 1), ("busy_timeout", 60_000)],
)
def test_every_connection_to_sqlite_is_set_up(
    database: Database, pragma: str, value: object
) -> None:
    with ThreadPoolExecutor(3) as pool:

        def ask(_: int) -> object:
            with database.read() as tx:
                return tx.execute(text(f"PRAGMA {pragma}")).scalar_one()

        assert set(pool.map(ask, range(6))) == {value}


def test_references_are_kept_by_the_database_itself(database: Database) -> None:
    def refer_to_nothing() -> None:
        with database.write() as tx:
            tx.execute(insert(schema.resource_tags).values(repository_id=12345, key="a", value="b"))

    with pytest.raises(IntegrityError):
        refer_to_nothing()


# --- Generations ----------------------------------------------------------------------------------


@sqlite_only
def test_every_committed_change_begins_a_new_generation(database: Database, twin: Database) -> None:
    seen = [database.generation()]
    for number, writer in enumerate((database, twin, database, twin)):
        write(writer, f"key {number}")
        seen.append(database.generation())
    assert len(set(seen)) == 5
    assert twin.generation() is not None


@sqlite_only
def test_a_change_of_content_alone_leaves_the_generation_of_all_else(
    database: Database, twin: Database
) -> None:
    def change(writer: Database, key: str, *, content_only: bool) -> None:
        with writer.write(durable=False, content_only=content_only) as tx:
            tx.execute(insert(identity).values(id=key, server_key_id="key", created_at=0))

    def beside_content() -> int:
        now = database.generation()
        assert now is not None
        return now.beside_content

    before = beside_content()
    for number, writer in enumerate((database, twin)):
        change(writer, f"content {number}", content_only=True)
        assert beside_content() == before
    for number, writer in enumerate((database, twin)):
        change(writer, f"other {number}", content_only=False)
        assert beside_content() == before + number + 1


@sqlite_only
def test_what_changes_nothing_begins_no_new_generation(database: Database) -> None:
    write(database, "a")
    before = database.generation()

    def write_and_fail() -> None:
        with database.write() as tx:
            tx.execute(insert(identity).values(id="b", server_key_id="key", created_at=0))
            assert database.generation() == before
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert names(database) == {"a"}
    assert database.generation() == before


@postgresql_only
def test_who_needs_one_more_connection_than_there_may_be_waits(database_url: str) -> None:
    database = Database(database_url, connections=2)
    count = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")

    def ask() -> int:
        with database.read() as tx:
            return int(tx.execute(count).scalar_one())

    with ThreadPoolExecutor() as pool:
        with database.read(), database.read() as tx:
            waiting = [pool.submit(ask) for _ in range(4)]
            assert tx.execute(count).scalar_one() == 2
            assert not any(each.done() for each in waiting)
        assert max(each.result() for each in waiting) <= 2
    database.close()


@postgresql_only
def test_postgresql_has_no_generations(database: Database) -> None:
    assert database.generation() is None


@sqlite_only
def test_a_commit_that_fails_leaves_nothing_open(database: Database) -> None:
    def write_what_is_refused_at_the_end() -> None:
        with database.write() as tx:
            tx.execute(
                text(
                    "CREATE TABLE child (parent REFERENCES identity (id) "
                    "DEFERRABLE INITIALLY DEFERRED)"
                )
            )
            tx.execute(text("INSERT INTO child VALUES ('nobody')"))

    for _ in range(3):
        with pytest.raises(IntegrityError):
            write_what_is_refused_at_the_end()
    write(database, "a")
    assert names(database) == {"a"}


# --- What the event loop reads --------------------------------------------------------------------


@sqlite_only
def test_the_event_loop_reads_what_is_committed_while_another_process_writes(
    database: Database, twin: Database
) -> None:
    quick = database.at_once()
    write(twin, "a")
    assert names(quick) == {"a"}
    with twin.write() as tx:
        tx.execute(insert(identity).values(id="b", server_key_id="key", created_at=0))
        assert names(quick) == {"a"}
    assert names(quick) == {"a", "b"}
    assert quick.generation() == database.generation()


@sqlite_only
def test_the_event_loop_waits_for_no_lock(database: Database) -> None:
    quick = database.at_once()
    assert names(quick) == set()
    holder = sqlite3.connect(str(database.url.database), isolation_level=None)
    # Nobody but the one that asks for it may be there when it is taken.
    database.close()
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    holder.execute("INSERT INTO identity VALUES ('a', 'key', 0)")
    holder.execute("COMMIT")
    with pytest.raises(MustWait):
        names(quick)
    holder.close()
    assert names(quick) == {"a"}


@sqlite_only
def test_what_fails_in_the_middle_of_a_read_leaves_the_event_loop_its_connection(
    database: Database,
) -> None:
    quick = database.at_once()

    def read_and_fail() -> None:
        with quick.read():
            raise ZeroDivisionError

    for _ in range(50):
        with pytest.raises(ZeroDivisionError):
            read_and_fail()
    write(database, "a")
    assert names(quick) == {"a"}


def test_the_event_loop_never_writes_and_never_waits_for_postgresql(database: Database) -> None:
    quick = database.at_once()
    with pytest.raises(MustWait):
        write(quick, "a")
    if not database.is_sqlite:
        with pytest.raises(MustWait):
            names(quick)
    assert names(database) == set()


# --- A full disk ----------------------------------------------------------------------------------


@sqlite_only
def test_a_full_disk_under_sqlite_is_told_and_nothing_is_kept(twin: Database) -> None:
    with twin.read() as tx:
        pages = tx.execute(text("PRAGMA page_count")).scalar_one() + 8
        # Earlier tests may have left some that are free.
        rows = tx.execute(text("PRAGMA freelist_count")).scalar_one() + 100

    def limit(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(twin._engine, "connect", limit)
    twin.close()

    def fill() -> None:
        with twin.write() as tx:
            for number in range(rows):
                # A page for each row.
                row = {"id": f"key {number}", "server_key_id": "x" * 4000, "created_at": 0}
                tx.execute(insert(identity).values(row))

    with pytest.raises(StorageFull):
        fill()
    assert names(twin) == set()
    write(twin, "a little more")
    assert names(twin) == {"a little more"}


@postgresql_only
def test_a_full_disk_under_postgresql_is_told_and_nothing_is_kept(database: Database) -> None:
    def fill() -> None:
        with database.write() as tx:
            tx.execute(insert(identity).values(id="a", server_key_id="key", created_at=0))
            tx.execute(text("DO $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$"))

    with pytest.raises(StorageFull):
        fill()
    assert names(database) == set()
    write(database, "a little more")
    assert names(database) == {"a little more"}


def fail_to_insert(database: Database) -> None:
    write(database, "a")
    write(database, "a")


def fail_to_parse(database: Database) -> None:
    with database.read() as tx:
        tx.execute(text("SELECT FROM WHERE"))


@pytest.mark.parametrize("fail", [fail_to_insert, fail_to_parse])
def test_any_other_failure_is_not_taken_for_a_full_disk(
    database: Database, fail: Callable[[Database], None]
) -> None:
    with pytest.raises(DBAPIError):
        fail(database)


# --- Closing --------------------------------------------------------------------------------------


def test_the_last_who_closes_a_database_of_sqlite_leaves_it_and_its_lock(
    tmp_path: Path,
) -> None:
    both = [Database(tmp_path / "metadata.sqlite") for _ in range(2)]
    migrate(both[0])
    for each in both:
        write(each, f"key of {id(each)}")
        each.generation()
    for each in both:
        each.close()
    assert {path.name: path.stat().st_size > 0 for path in tmp_path.iterdir()} == {
        "metadata.sqlite": True,
        "metadata.sqlite-lock": False,
    }


def test_a_new_file_can_be_opened_while_somebody_else_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "metadata.sqlite"
    # As much of a lock as a connection has while it switches the file to WAL.
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if other.in_transaction:
            other.execute("COMMIT")

    monkeypatch.setattr("longshore.metadata.database.sleep", pause)
    database = Database(file)
    migrate(database)
    write(database, "a")
    assert names(database) == {"a"}
    assert pauses
    database.close()
    other.close()


def test_a_database_can_be_used_again_after_it_was_closed(database: Database) -> None:
    write(database, "a")
    database.close()
    migrate(database)
    assert names(database) == {"a"}


# --- Within a transaction -------------------------------------------------------------------------


def test_what_joins_a_transaction_counts_with_it_or_not_at_all(database: Database) -> None:
    def write_both() -> None:
        with database.write() as tx:
            write(database.joined(tx), "a")
            write(database.joined(tx), "a")

    with pytest.raises(IntegrityError):
        write_both()
    assert names(database) == set()
    with database.write() as tx:
        joined = database.joined(tx)
        write(joined, "b")
        with pytest.raises(IntegrityError):
            write(joined, "b")
        # What failed is undone by itself, and the rest goes on.
        write(joined, "c")
        assert names(joined) == {"b", "c"}
        assert joined.generation() is None
        joined.close()
    assert names(database) == {"b", "c"}
