from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from longshore.identity import access_keys
from longshore.registry.key_uses import KeyUse
from longshore.registry.pulls import Pulls
from longshore.work.recorder import Recorder

if TYPE_CHECKING:
    import pytest

    from longshore.registry.context import Context

AT_ONCE, NEVER = 0.001, 1e6
# Nothing takes so long; a test that waits for it hangs no longer than this.
FAR_TOO_LONG = 60


class Written(Pulls):
    """Pulls that tell how often they were written down."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__()
        self.times = 0
        self.was_often = threading.Event()
        self._fails = fails

    def write(self, context: Context) -> None:
        """See `Pulls`."""
        self.times += 1
        if self.times >= 3:
            self.was_often.set()
        if self._fails:
            raise ValueError("the disk is on fire")
        super().write(context)


def test_pulls_are_written_again_and_again_even_after_a_failure(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    for fails in (False, True):
        pulls = Written(fails=fails)
        recorder = Recorder(replace(context, pulls=pulls), AT_ONCE)
        recorder.start()
        assert pulls.was_often.wait(FAR_TOO_LONG)
        recorder.stop()
    assert "pulls could not be written down; it will be tried again" in caplog.messages
    assert "the disk is on fire" in caplog.text


def test_what_is_left_is_written_at_the_end(context: Context) -> None:
    pulls, before = Written(), set(threading.enumerate())
    recorder = Recorder(replace(context, pulls=pulls), NEVER)
    recorder.start()
    assert pulls.times == 0
    recorder.stop()
    assert pulls.times == 1
    assert set(threading.enumerate()) <= before


def test_what_is_left_of_one_kind_is_written_though_another_fails(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    key, _ = access_keys.create(context, "0" * 12, None)
    use = KeyUse(context.clock(), "ecr", "eu-west-1")
    context.key_uses.note(key.id, use)
    recorder = Recorder(replace(context, pulls=Written(fails=True)), NEVER)
    recorder.start()
    recorder.stop()
    assert context.key_uses.unwritten() == {}
    assert access_keys.get(context, "0" * 12, key.id).last_use == use
    assert caplog.messages == ["pulls could not be written down; it will be tried again"]
