from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.metadata.database import Database
from longshore.metadata.migrate import migrate
from longshore.registry.memory import Memory, MemoryAlone, NotInMemory

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


def test_who_can_not_wait_is_told_what_is_not_in_memory(database: Database) -> None:
    memory = Memory(database)
    alone = MemoryAlone(memory)
    with pytest.raises(NotInMemory):
        alone.answer("question", lambda: 1)
    memory.answer("question", lambda: 2)
    assert alone.answer("question", lambda: 3) == 2
    with pytest.raises(NotInMemory):
        alone.answer("question", lambda: 3, beside_content=True)


def test_what_the_event_loop_is_answered_is_of_the_moment_at_which_it_looked(
    database: Database,
) -> None:
    memory = Memory(database)
    alone = MemoryAlone(memory)
    memory.answer("question", lambda: 1)
    change(database, content_only=True)
    assert alone.answer("question", lambda: 2) == 1
    alone.look_again()
    with pytest.raises(NotInMemory):
        alone.answer("question", lambda: 3)


def test_a_full_memory_begins_anew(database: Database) -> None:
    memory = Memory(database)
    large = 40 * 1024 * 1024
    assert memory.answer("a", lambda: 1, lambda _: large) == 1
    assert memory.answer("b", lambda: 2, lambda _: large) == 2
    assert memory.answer("a", lambda: 3, lambda _: large) == 3


def test_what_follows_from_the_answers_of_a_moment_counts_as_long_as_they(
    database: Database,
) -> None:
    alone = MemoryAlone(Memory(database))
    alone.keep("what follows", 1, 100)
    alone.look_again()
    assert alone.answer("what follows", lambda: 2) == 1

    change(database, content_only=True)
    # Found before the change, kept after it.
    alone.keep("what follows", 3, 100)
    alone.look_again()
    with pytest.raises(NotInMemory):
        alone.answer("what follows", lambda: 4)


def test_what_was_found_beside_content_stands_until_something_else_changes(
    database: Database,
) -> None:
    memory = Memory(database)
    alone = MemoryAlone(memory)
    Counter(memory).ask(beside_content=True)
    alone.look_again()
    alone.answer(("question", True), lambda: 0, beside_content=True)
    found = alone.beside_content
    assert found is not None
    change(database, content_only=True)
    assert memory.look()[1] is found
    change(database, content_only=False)
    assert memory.look()[1] is not found


def test_what_depends_on_content_does_not_stand(database: Database) -> None:
    memory = Memory(database)
    Counter(memory).ask(beside_content=False)
    alone = MemoryAlone(memory)
    alone.answer(("question", False), lambda: 0)
    assert alone.beside_content is None
    alone.look_again()
    assert alone.beside_content is not None
