"""Work that comes round again and again."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)


class Recurring:
    """Calls a function again and again in a thread of its own; a failure is logged.

    Args:
        name: what the work is called in the log.
        work: the function.
        interval: the pause between two calls, and before the first, in seconds.
    """

    def __init__(self, name: str, work: Callable[[], None], interval: float) -> None:
        self._name = name
        self._work = work
        self._interval = interval
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Make no further call, and wait for the one that is running."""
        self._stopped.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._stopped.wait(self._interval):
            try:
                self._work()
            except Exception:  # noqa: BLE001 - the next round may go better
                _log.exception("%s failed; it will be tried again", self._name)
