from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.metadata.database import Database
from longshore.metadata.migrate import migrate
from longshore.metadata.sqlite_transactions import MustWait
from longshore.registry.memory import Memory, MemoryAtOnce, NotInMemory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "metadata.sqlite")
    migrate(database)
    yield database
    database.close()


def change(database: Database, *, content_only: bool) -> None:
    with database.write(durable=False, content_only=content_only) as tx:
        tx.exec_driver_sql("UPDATE identity SET created_at = created_at + 1")
        tx.exec_driver_sql("INSERT INTO identity SELECT hex(randomblob(8)), 'key', 0")


class Counter:
    """Finds another answer each time."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._found = 0

    def ask(self, *, beside_content: bool) -> int:
        return self._memory.answer(
            ("question", beside_content), self._find, beside_content=beside_content
        )

    def _find(self) -> int:
        self._found += 1
        return self._found


@pytest.mark.parametrize("beside_content", [False, True])
def test_an_answer_is_found_once_while_nothing_changes(
    database: Database, *, beside_content: bool
) -> None:
    counter = Counter(Memory(database))
    assert [counter.ask(beside_content=beside_content) for _ in range(3)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("beside_content", "content_only", "remembered"),
    [(False, False, False), (False, True, False), (True, False, False), (True, True, True)],
)
def test_a_change_leaves_only_the_answers_that_it_can_not_touch(
    database: Database, *, beside_content: bool, content_only: bool, remembered: bool
) -> None:
    counter = Counter(Memory(database))
    before = counter.ask(beside_content=beside_content)
    change(database, content_only=content_only)
    assert (counter.ask(beside_content=beside_content) == before) is remembered


def must_wait() -> int:
    raise MustWait


def test_who_can_not_wait_is_told_what_is_not_at_hand(database: Database) -> None:
    memory = Memory(database)
    at_once = MemoryAtOnce(memory)
    with pytest.raises(NotInMemory):
        at_once.answer("question", must_wait)
    with pytest.raises(NotInMemory):
        at_once.answer("question", lambda: 1, is_long=True)
    memory.answer("question", lambda: 2)
    assert at_once.answer("question", must_wait, is_long=True) == 2
    with pytest.raises(NotInMemory):
        at_once.answer("question", must_wait, beside_content=True)


def test_what_is_found_at_once_is_remembered_for_all(database: Database) -> None:
    memory = Memory(database)
    at_once = MemoryAtOnce(memory)
    at_once.look_again()
    assert at_once.answer("question", lambda: 1) == 1
    assert at_once.answer("question", must_wait) == 1
    assert memory.answer("question", must_wait) == 1


def test_what_is_found_at_once_after_a_change_counts_no_longer_than_the_moment(
    database: Database,
) -> None:
    memory = Memory(database)
    at_once = MemoryAtOnce(memory)
    change(database, content_only=True)
    at_once.answer("question", lambda: 1)
    at_once.look_again()
    assert at_once.answer("question", lambda: 2) == 2
    assert memory.answer("question", must_wait) == 2


def test_what_the_event_loop_is_answered_is_of_the_moment_at_which_it_looked(
    database: Database,
) -> None:
    memory = Memory(database)
    at_once = MemoryAtOnce(memory)
    memory.answer("question", lambda: 1)
    change(database, content_only=True)
    assert at_once.answer("question", lambda: 2) == 1
    at_once.look_again()
    assert at_once.answer("question", lambda: 3) == 3


def test_a_full_memory_begins_anew(database: Database) -> None:
    memory = Memory(database)
    large = 40 * 1024 * 1024
    assert memory.answer("a", lambda: 1, lambda _: large) == 1
    assert memory.answer("b", lambda: 2, lambda _: large) == 2
    assert memory.answer("a", lambda: 3, lambda _: large) == 3


def test_what_follows_from_the_answers_of_a_moment_counts_as_long_as_they(
    database: Database,
) -> None:
    at_once = MemoryAtOnce(Memory(database))
    at_once.keep("what follows", 1, 100)
    at_once.look_again()
    assert at_once.answer("what follows", lambda: 2) == 1

    change(database, content_only=True)
    # Found before the change, kept after it.
    at_once.keep("what follows", 3, 100)
    at_once.look_again()
    assert at_once.answer("what follows", lambda: 4) == 4


def test_what_was_found_beside_content_stands_until_something_else_changes(
    database: Database,
) -> None:
    memory = Memory(database)
    at_once = MemoryAtOnce(memory)
    Counter(memory).ask(beside_content=True)
    at_once.look_again()
    at_once.answer(("question", True), lambda: 0, beside_content=True)
    found = at_once.beside_content
    assert found is not None
    change(database, content_only=True)
    assert memory.look()[1] is found
    change(database, content_only=False)
    assert memory.look()[1] is not found


def test_what_depends_on_content_does_not_stand(database: Database) -> None:
    memory = Memory(database)
    Counter(memory).ask(beside_content=False)
    at_once = MemoryAtOnce(memory)
    at_once.answer(("question", False), lambda: 0)
    assert at_once.beside_content is None
    at_once.look_again()
    assert at_once.beside_content is not None
