"""Looking for secrets in what is logged."""

from __future__ import annotations

import logging
import re
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Loggers of the server's side; boto3 and its kin log what the client knows anyway.
_LOGGERS = ("longshore", "uvicorn", "sqlalchemy", "alembic", "asyncio")

# What a credential looks like on its way, whoever's it is.
_CREDENTIALS = re.compile(
    r"Basic [A-Za-z0-9+/=]{16,}|Signature=[0-9a-f]{64}|/layers/[A-Za-z0-9_-]{20,}|eyJwYXlsb2FkI"
)


class LogScan(logging.Handler):
    """Keeps what the server logs, to look through it for secrets."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
        self.lines: list[str] = []
        self._grown = threading.Condition()

    def attach(self) -> None:
        """Listen to everything that the server's side logs."""
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(self)
        # The access log too, which only the command line turns off.
        logging.getLogger("longshore").setLevel(logging.DEBUG)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record with all its parts."""
        line = f"{self.format(record)} {record.__dict__}"
        with self._grown:
            self.lines.append(line)
            self._grown.notify_all()

    def await_line(self, *parts: str) -> str:
        """Return the line that has these parts; a server may write it after its answer."""
        found: list[str] = []

        def is_there() -> bool:
            found[:] = [line for line in self.lines if all(part in line for part in parts)]
            return bool(found)

        with self._grown:
            assert self._grown.wait_for(is_there, timeout=60), f"nobody logged {parts}"
        return found[0]

    def leaks(self, secrets: Iterable[str]) -> list[str]:
        """Return the lines that hold one of `secrets`, or what looks like a credential."""
        wanted = re.compile("|".join([*map(re.escape, secrets), _CREDENTIALS.pattern]))
        return [line for line in self.lines if wanted.search(line)]
