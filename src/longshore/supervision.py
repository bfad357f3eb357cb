"""Worker processes and the one that supervises them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def end_with_supervisor() -> None:
    """Let this worker end when its supervisor dies, killed and unable to say so.

    It would go on holding the port, so that no new server could start, and nobody would be left
    to stop it. In a process that has no supervisor this does nothing.
    """
    supervisor = multiprocessing.parent_process()
    if supervisor is None:
        return

    def watch() -> None:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="supervisor's end", daemon=True).start()
