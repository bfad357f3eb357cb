from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from longshore.work.schedule import Recurring

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

AT_ONCE = 0.0
NEVER = 1e6
# Nothing takes so long; a test that waits for it hangs no longer than this.
FAR_TOO_LONG = 60


class Work:
    """Work that counts how often it was called, and tells when it was often enough."""

    def __init__(self, often: int, do: Callable[[], None] = lambda: None) -> None:
        self.calls = 0
        self.was_called = threading.Event()
        self._often = often
        self._do = do

    def __call__(self) -> None:
        self.calls += 1
        if self.calls >= self._often:
            self.was_called.set()
        self._do()


def fail() -> None:
    raise ValueError("the disk is on fire")


def test_work_is_called_again_and_again_until_it_is_stopped() -> None:
    work = Work(often=5)
    recurring = Recurring("sweeping", work, AT_ONCE)
    recurring.start()
    assert work.was_called.wait(FAR_TOO_LONG)
    recurring.stop()
    calls = work.calls
    assert calls >= 5
    # The thread has ended: nobody is left to call it.
    assert "sweeping" not in {thread.name for thread in threading.enumerate()}
    assert work.calls == calls


def test_work_that_fails_is_logged_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    work = Work(often=3, do=fail)
    recurring = Recurring("sweeping", work, AT_ONCE)
    recurring.start()
    assert work.was_called.wait(FAR_TOO_LONG)
    recurring.stop()
    assert "sweeping failed; it will be tried again" in caplog.messages
    assert "the disk is on fire" in caplog.text


def test_work_waits_before_its_first_call_and_is_stopped_while_it_waits() -> None:
    work = Work(often=1)
    recurring = Recurring("sweeping", work, NEVER)
    recurring.start()
    recurring.stop()
    assert work.calls == 0


def test_who_stops_work_waits_for_the_call_that_is_running() -> None:
    entered, leave, left = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        entered.set()
        assert leave.wait(FAR_TOO_LONG)
        left.set()

    recurring = Recurring("sweeping", work, AT_ONCE)
    recurring.start()
    assert entered.wait(FAR_TOO_LONG)
    stopping = threading.Thread(target=recurring.stop)
    stopping.start()
    assert stopping.is_alive()
    leave.set()
    stopping.join()
    assert left.is_set()


def test_a_process_can_end_while_work_goes_on() -> None:
    work = Work(often=1)
    recurring = Recurring("sweeping", work, AT_ONCE)
    recurring.start()
    assert work.was_called.wait(FAR_TOO_LONG)
    [thread] = [thread for thread in threading.enumerate() if thread.name == "sweeping"]
    assert thread.daemon
    recurring.stop()
