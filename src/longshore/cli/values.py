"""What people type where a plain word isn't enough, and how times are written for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from longshore.clock import DAY, HOUR, MINUTE, SECOND, as_datetime

if TYPE_CHECKING:
    from longshore.clock import Millis

_DURATION = re.compile(r"([1-9][0-9]{0,5})([mhdw])")
_UNITS = {"m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}


def read_duration(ctx: click.Context, param: click.Parameter, value: str | None) -> Millis | None:
    """Read a duration such as `90d`."""
    if value is None:
        return None
    match = _DURATION.fullmatch(value)
    if match is None:
        raise click.BadParameter("write a number and a unit: 30m, 12h, 90d or 8w", ctx, param)
    return int(match[1]) * _UNITS[match[2]]


def read_document(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Read the text of a file, or of standard input for `-`."""
    if value is None:
        return None
    try:
        with click.open_file(value, encoding="utf-8") as stream:
            return str(stream.read())
    except OSError as error:
        raise click.BadParameter(f"{value}: {error.strerror}", ctx, param) from error
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{value} isn't text in UTF-8", ctx, param) from error


def moment(time: Millis | None) -> str | None:
    """Return a time as people and programs read it (RFC 3339)."""
    if time is None:
        return None
    return as_datetime(time // SECOND * SECOND).strftime("%Y-%m-%dT%H:%M:%SZ")
