"""Any history of the queue, against a naive one in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longshore.jobs import ledger, queue
from longshore.jobs.queue import Job, LeaseLost, State, Terms
from longshore.metadata import schema

if TYPE_CHECKING:
    from longshore.metadata.database import Database

TERMS = Terms(lease=10, attempts=2, first_delay=4, longest_delay=6)
MIDDLE = 0.5

# Few and alike, so that keys meet. What is picked by a number is one of the newest.
KEYS = st.sampled_from(["a", "a", "b", None])
NUMBERS = st.sampled_from([0, 0, 1, 2])
ENQUEUE = st.tuples(st.just("enqueue"), KEYS, st.sampled_from([0, 0, 0, 5]))
TAKE = st.just(("take",))
END = st.tuples(st.sampled_from(["finish", "fail", "release", "renew"]), NUMBERS)
OPERATE = st.tuples(st.sampled_from(["revive", "cancel"]), NUMBERS)
PASS = st.tuples(st.just("pass"), st.sampled_from([1, 5, 12]))
COMMANDS = st.one_of(ENQUEUE, ENQUEUE, TAKE, TAKE, TAKE, END, END, OPERATE, OPERATE, PASS)


@dataclass
class Piece:
    """A job, as one would write it on a card."""

    id: int
    key: str | None
    due: int | None
    state: State = State.WAITING
    attempts: int = 0
    run: int = 0


@dataclass
class Cards:
    """The queue as a pile of cards; `run` tells one time that a card was taken from others."""

    now: int = 1_000
    pile: dict[int, Piece] = field(default_factory=dict)
    runs: int = 0

    def find(self, key: str | None, state: State) -> Piece | None:
        return next(
            (
                card
                for card in self.pile.values()
                if key is not None and card.key == key and card.state is state
            ),
            None,
        )

    def enqueue(self, job_id: int, key: str | None, due: int) -> int:
        if (waiting := self.find(key, State.WAITING)) is not None:
            assert waiting.due is not None
            if waiting.attempts == 0:
                waiting.due = min(waiting.due, due)
            return waiting.id
        self.pile[job_id] = Piece(job_id, key, due)
        return job_id

    def take(self) -> Piece | None:
        while True:
            free = [card for card in self.pile.values() if self._is_free(card)]
            if not free:
                return None
            card = min(free, key=lambda card: (card.due, card.id))
            if card.state is State.RUNNING and card.attempts >= 2:
                self._bury(card)
                continue
            self.runs += 1
            card.state, card.run, card.due = State.RUNNING, self.runs, self.now + TERMS.lease
            card.attempts += 1
            return card

    def held(self, run: int) -> Piece | None:
        return next(
            (
                card
                for card in self.pile.values()
                if card.run == run and card.state is State.RUNNING
            ),
            None,
        )

    def fail(self, card: Piece) -> None:
        if card.attempts >= 2:
            self._bury(card)
        else:
            self.put_back(card, self.now + TERMS.delay(card.attempts, MIDDLE), card.attempts)

    def put_back(self, card: Piece, due: int, attempts: int) -> None:
        waiting = self.find(card.key, State.WAITING) or card
        if waiting is not card:
            del self.pile[card.id]
        waiting.state, waiting.due, waiting.attempts = State.WAITING, due, attempts

    def _is_free(self, card: Piece) -> bool:
        if card.due is None or card.due > self.now:
            return False
        return self.find(card.key, State.RUNNING) in (None, card)

    def _bury(self, card: Piece) -> None:
        if (older := self.find(card.key, State.DEAD)) is not None:
            del self.pile[older.id]
        card.state, card.due = State.DEAD, None

    def rows(self) -> list[tuple[object, ...]]:
        return [
            (card.id, card.key, card.state, card.due, card.attempts)
            for card in sorted(self.pile.values(), key=lambda card: card.id)
        ]


class History:
    """One history, told to the queue and to the cards."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cards = Cards()
        # Every job that was ever taken, with the run that the cards gave it.
        self._taken: list[tuple[Job, int]] = []

    def tell(self, command: tuple[object, ...]) -> None:
        getattr(self, f"_{command[0]}")(*command[1:])
        with self._database.read() as tx:
            rows = [
                (entry.id, entry.key, entry.state, entry.due_at, entry.attempts)
                for entry in ledger.list_some(tx)
            ]
        assert rows == self._cards.rows()

    def _enqueue(self, key: str | None, after: int) -> None:
        now = self._cards.now
        with self._database.write(durable=False) as tx:
            job_id = queue.enqueue(tx, "work", {}, now=now, run_at=now + after, key=key)
        assert self._cards.enqueue(job_id, key, now + after) == job_id

    def _take(self) -> None:
        with self._database.write(durable=False) as tx:
            job = queue.take(tx, "work", TERMS, "worker", self._cards.now)
        card = self._cards.take()
        assert (job and (job.id, job.attempts)) == (card and (card.id, card.attempts))
        if job is not None and card is not None:
            self._taken.append((job, card.run))

    def _pass(self, time: int) -> None:
        self._cards.now += time

    def _finish(self, number: int) -> None:
        for job, card in self._one_taken(number):
            assert self._does(queue.finish, job) == (card is not None)
            if card is not None:
                del self._cards.pile[card.id]

    def _fail(self, number: int) -> None:
        chosen = {"terms": TERMS, "error": "no", "now": self._cards.now, "random": MIDDLE}
        for job, card in self._one_taken(number):
            assert self._does(queue.fail, job, **chosen) == (card is not None)
            if card is not None:
                self._cards.fail(card)

    def _release(self, number: int) -> None:
        for job, card in self._one_taken(number):
            self._does(queue.release, job, now=self._cards.now)
            if card is not None:
                self._cards.put_back(card, self._cards.now, card.attempts - 1)

    def _renew(self, number: int) -> None:
        for job, card in self._one_taken(number):
            until = self._cards.now + TERMS.lease
            with self._database.write(durable=False) as tx:
                assert queue.renew(tx, job, until) == (card is not None)
            if card is not None:
                card.due = until

    def _revive(self, number: int) -> None:
        for card in self._one_card(number):
            with self._database.write(durable=False) as tx:
                revived = queue.revive(tx, card.id, self._cards.now)
            assert revived == (card.state is not State.RUNNING)
            if revived:
                self._cards.put_back(card, self._cards.now, 0)

    def _cancel(self, number: int) -> None:
        for card in self._one_card(number):
            with self._database.write(durable=False) as tx:
                assert queue.cancel(tx, card.id)
            del self._cards.pile[card.id]

    def _one_taken(self, number: int) -> list[tuple[Job, Piece | None]]:
        return [(job, self._cards.held(run)) for job, run in self._taken[::-1][number : number + 1]]

    def _one_card(self, number: int) -> list[Piece]:
        return list(self._cards.pile.values())[::-1][number : number + 1]

    def _does(self, act: object, job: Job, **chosen: object) -> bool:
        try:
            with self._database.write(durable=False) as tx:
                act(tx, job, **chosen)  # type: ignore[operator] # one of the queue's
        except LeaseLost:
            return False
        return True


# The database is emptied below, before each history.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(commands=st.lists(COMMANDS, min_size=20, max_size=50))
def test_any_history_leaves_the_queue_as_a_pile_of_cards(
    database: Database, commands: list[tuple[object, ...]]
) -> None:
    with database.write(durable=False) as tx:
        tx.execute(schema.jobs.delete())
    history = History(database)
    for command in commands:
        history.tell(command)
