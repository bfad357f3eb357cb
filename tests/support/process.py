"""What commands change in the process that runs them, undone."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOGGERS = ("", "alembic", "longshore.access", "uvicorn.error")


@contextmanager
def unchanged_process() -> Iterator[None]:
    """Put back the umask and the levels of loggers when the block ends."""
    umask = os.umask(0o022)
    os.umask(umask)
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    try:
        yield
    finally:
        os.umask(umask)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
