"""Writing pulls down, every now and then and at the end (`longshore.registry.pulls`)."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from longshore.registry.context import Context

_log = logging.getLogger(__name__)


class PullRecorder:
    """Writes down the pulls of this process, in a thread of its own; a failure is logged.

    It is no job of the queue: what a process remembers, no other can write down.

    Args:
        context: the store.
        interval: the pause between two times, in seconds.
    """

    def __init__(self, context: Context, interval: float) -> None:
        self._context = context
        self._interval = interval
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="pulls", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Write down what is left, and end."""
        self._stopped.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._stopped.wait(self._interval):
            self._write()
        self._write()

    def _write(self) -> None:
        try:
            self._context.pulls.write(self._context)
        except Exception:  # noqa: BLE001 - the next time may go better
            _log.exception("pulls could not be written down; it will be tried again")
