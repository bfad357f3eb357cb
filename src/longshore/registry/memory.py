"""Answers kept in memory, for as long as nothing in the database changes.

The hottest questions (who is this, what does this tag stand for, where does this blob lie) are
asked again and again between two changes. Their answers are kept under the database's generation,
a number that every committed change moves on, whoever made it and in whatever process: an answer
counts only while the number is the one that it was found under.

Pushes change the database all the time, and hardly ever what identities may do. Answers that have
nothing to do with content are kept under a number of their own, which pushes leave alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

from longshore.metadata.sqlite_transactions import MustWait

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from longshore.metadata.database import Database

Answer = TypeVar("Answer")

# When it is full, everything is forgotten and what is hot comes back at once. An answer is a few
# hundred bytes, but for manifests, which are counted.
_MOST_ANSWERS = 20_000
_MOST_BYTES = 64 * 1024 * 1024


class NotInMemory(Exception):
    """The answer isn't at hand, and whoever asked can't wait for the database."""


@dataclass(slots=True)
class Generation:
    """What is known of one generation of the database. Threads share it without a lock."""

    number: int | None
    answers: dict[Hashable, object] = field(default_factory=dict)
    size: int = 0


class Memory:
    """The answers of one process.

    Args:
        database: tells its generation; one that can't has no memory.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known = Generation(None)
        self._beside_content = Generation(None)

    def answer(
        self,
        question: Hashable,
        find: Callable[[], Answer],
        size: Callable[[Answer], int] = lambda _: 0,
        *,
        beside_content: bool = False,
        is_long: bool = False,  # noqa: ARG002 - for those who can't wait
    ) -> Answer:
        """Return the answer to a question, from memory or else from the database.

        Args:
            question: all that the answer depends on, beside the database.
            find: asks the database. What it raises isn't remembered.
            size: how many bytes an answer takes, where they are many.
            beside_content: whether it depends on nothing that a transaction changes which was
                opened with `content_only` (`longshore.metadata.database`).
            is_long: whether to find it may take more than a few rows.
        """
        generation = self._now(beside_content=beside_content)
        answers = generation.answers
        if question in answers:
            return cast("Answer", answers[question])
        answer = find()
        if generation.number is not None:
            _keep(generation, question, answer, size(answer))
        return answer

    def recall(self, question: Hashable) -> object | None:
        """Return the answer to a question that content has a say in, or None if it isn't known."""
        return self._now(beside_content=False).answers.get(question)

    def wait(self) -> None:
        """Say that what comes next needs the database.

        Raises:
            NotInMemory: whoever asked can't wait for it.
        """

    def look(self) -> tuple[Generation, Generation]:
        """Return all answers that count now, and those of them that are beside content."""
        if not self._follow():
            return Generation(None), Generation(None)
        return self._known, self._beside_content

    def _now(self, *, beside_content: bool) -> Generation:
        if not self._follow():
            return Generation(None)
        return self._beside_content if beside_content else self._known

    def _follow(self) -> bool:
        """Forget what counts no longer; tell whether anything can be remembered."""
        now = self._database.generation()
        if now is None:
            return False
        # Found before, an answer may be older than the change: nothing of it is kept.
        if self._known.number != now.number:
            self._known = Generation(now.number)
        if self._beside_content.number != now.beside_content:
            self._beside_content = Generation(now.beside_content)
        return True


class MemoryAtOnce(Memory):
    """The same answers, for those who can't wait: on the event loop.

    Those that are kept are of one moment; `look_again` begins another one. What else is found is
    as new, or newer, and isn't kept for longer.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._is_about_content = False
        self.look_again()

    def look_again(self) -> None:
        """Forget what counts no longer."""
        self._known, self._beside_content = self._memory.look()
        self._is_about_content = False

    @property
    def beside_content(self) -> Generation | None:
        """Under what all was found since `look_again`, if content had no say in it, else None."""
        is_known = self._beside_content.number is not None
        return self._beside_content if is_known and not self._is_about_content else None

    def answer(
        self,
        question: Hashable,
        find: Callable[[], Answer],
        size: Callable[[Answer], int] = lambda _: 0,
        *,
        beside_content: bool = False,
        is_long: bool = False,
    ) -> Answer:
        """Return the answer to a question if it is in memory, or found at once.

        Raises:
            NotInMemory: it isn't.
        """
        generation = self._beside_content if beside_content else self._known
        self._is_about_content |= not beside_content
        if question in generation.answers:
            return cast("Answer", generation.answers[question])
        if is_long:
            raise NotInMemory
        try:
            answer = find()
        except MustWait:
            raise NotInMemory from None
        if generation.number is not None:
            _keep(generation, question, answer, size(answer))
        return answer

    def recall(self, question: Hashable) -> object | None:
        """Return the answer to a question that content has a say in, or None if it isn't known."""
        return self._known.answers.get(question)

    def keep(self, question: Hashable, answer: object, size: int) -> None:
        """Remember an answer that depends on nothing but this moment's.

        Args:
            question: all that the answer depends on, beside the database.
            answer: the answer.
            size: how many bytes it takes.
        """
        if self._known.number is not None:
            _keep(self._known, question, answer, size)

    def wait(self) -> None:
        """Refuse to wait."""
        raise NotInMemory


def _keep(generation: Generation, question: Hashable, answer: object, size: int) -> None:
    if len(generation.answers) >= _MOST_ANSWERS or generation.size + size > _MOST_BYTES:
        # Another one, as other threads may be looking at this one.
        generation.answers = {}
        generation.size = 0
    # If the database has changed since, this generation is no longer asked.
    generation.answers[question] = answer
    generation.size += size
