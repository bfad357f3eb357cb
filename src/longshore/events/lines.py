"""Events as lines of JSON, in a file or on standard output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from longshore.events.receivers import Undelivered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.events.log import Entry


class Writer(Protocol):
    """Takes lines."""

    def append(self, lines: bytes) -> None:
        """Append whole lines.

        Raises:
            OSError: it couldn't.
        """


@dataclass(frozen=True, slots=True)
class Lines:
    """A file, or standard output.

    Attributes:
        name: its name.
        writer: what takes the lines.
    """

    name: str
    writer: Writer
    most: int = 100

    def deliver(self, events: Sequence[Entry]) -> str:
        """See `Receiver`."""
        try:
            self.writer.append("".join(f"{event.document}\n" for event in events).encode())
        except OSError as error:
            raise Undelivered(f"{type(error).__name__}: {error}") from error
        return "written"
