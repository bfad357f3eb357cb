"""Writing down what a process remembers, every now and then and at the end.

That is pulls (`longshore.registry.pulls`) and uses of access keys (`longshore.registry.key_uses`).
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from longshore.registry.context import Context

_log = logging.getLogger(__name__)


class Recorder:
    """Writes down what this process remembers, in a thread of its own; a failure is logged.

    It is no job of the queue: what a process remembers, no other can write down.

    Args:
        context: the store.
        interval: the pause between two times, in seconds.
    """

    def __init__(self, context: Context, interval: float) -> None:
        self._context = context
        self._interval = interval
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="recorder", daemon=True)

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
        # Each by itself: the one isn't lost for the other's sake.
        for name, write in (
            ("pulls", self._context.pulls.write),
            ("uses of access keys", self._context.key_uses.write),
        ):
            try:
                write(self._context)
            except Exception:  # noqa: BLE001 - the next time may go better
                _log.exception("%s could not be written down; it will be tried again", name)
