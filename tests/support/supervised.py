"""Processes under a supervisor that do nothing but tell, a line each, when they begin and end.

`python -m tests.support.supervised METHOD COUNT HOME`; while there is a file `broken` in HOME, no
process comes to serve, and while there is one `killed`, each is killed before it does.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from longshore.supervision import REPLACED, NobodyServes, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.supervision import Method

BROKEN = 7
"""The exit code of a process that can't serve."""


def tell(what: str) -> None:
    """Write a line, in one piece."""
    os.write(1, f"{what} {os.getpid()}\n".encode())


def serve(home: Path, ready: Callable[[], None]) -> None:
    """Serve until a signal says stop."""
    if (home / "broken").exists():
        sys.exit(BROKEN)
    if (home / "killed").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    interrupts: list[int] = []

    def stop(number: int, _: object) -> None:
        if number == signal.SIGINT:
            interrupts.append(number)
        if number in {signal.SIGTERM, REPLACED} or len(interrupts) > 1:
            raise SystemExit

    try:
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        signal.signal(REPLACED, stop)
        tell("begins")
        ready()
        tell("began")
        threading.Event().wait()
    finally:
        tell("ended")


def _main(method: Method, count: str, home: str) -> NoReturn:
    logging.basicConfig(format="%(levelname)s %(message)s")
    supervisor = Supervisor(partial(serve, Path(home)), int(count), partial(tell, "ends"), method)
    try:
        supervisor.run()
    except NobodyServes:
        tell("failed")
        sys.exit(1)
    sys.exit(0)


if __name__ == "__main__":
    _main(*sys.argv[1:])  # type: ignore[arg-type] # as the tests call it
