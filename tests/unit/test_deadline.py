from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from longshore.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable


class Loop:
    """As much of an event loop as a deadline needs, with a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, act: Callable[[], None]) -> Timer:
        timer = (self.now + seconds, act)
        self.timers.append(timer)
        return Timer(self, timer)

    def pass_to(self, now: float) -> None:
        while due := [timer for timer in self.timers if timer[0] <= now]:
            timer = min(due, key=lambda each: each[0])
            self.timers.remove(timer)
            self.now = timer[0]
            timer[1]()
        self.now = now


@dataclass
class Timer:
    loop: Loop
    timer: tuple[float, Callable[[], None]]

    def cancel(self) -> None:
        self.loop.timers.remove(self.timer)


@given(steps=st.lists(st.tuples(st.sampled_from(["set", "clear", "end"]), st.integers(0, 15))))
def test_a_deadline_acts_once_when_nothing_was_said_for_so_long(steps: list[Any]) -> None:
    loop = Loop()
    acted: list[float] = []
    deadline = Deadline(loop, 10, lambda: acted.append(loop.now))  # type: ignore[arg-type]
    expected: list[float] = []
    due: float | None = None
    for step, pause in steps:
        getattr(deadline, step)()
        due = loop.now + 10 if step == "set" else None
        assert deadline.is_set is (due is not None)
        assert len(loop.timers) <= 1
        until = loop.now + pause
        if due is not None and due <= until:
            expected.append(due)
            due = None
        loop.pass_to(until)
    assert acted == expected
