"""What people type where a plain word isn't enough, and how times are written for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from longshore.clock import DAY, HOUR, MINUTE, SECOND, as_datetime

if TYPE_CHECKING:
    from longshore.clock import Millis

_DURATION = re.compile(r"([1-9][0-9]{0,5})([mhdw])")
_UNITS = {"m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}


class Duration(click.ParamType):
    """A duration such as 90d, in milliseconds."""

    name = "duration"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Millis:
        """Read `90d`."""
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            self.fail("write a number and a unit: 30m, 12h, 90d or 8w", param, ctx)
        return int(match[1]) * _UNITS[match[2]]


class Document(click.ParamType):
    """The text of a file, or of standard input for `-`."""

    name = "file"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        """Read the file."""
        with click.File(encoding="utf-8").convert(value, param, ctx) as stream:
            try:
                return str(stream.read())
            except UnicodeDecodeError:
                self.fail(f"{value} isn't text in UTF-8", param, ctx)


def moment(time: Millis | None) -> str | None:
    """Return a time as people and programs read it (RFC 3339)."""
    if time is None:
        return None
    return as_datetime(time // SECOND * SECOND).strftime("%Y-%m-%dT%H:%M:%SZ")
