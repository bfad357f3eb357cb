"""Where the statements of a policy stand in its text."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from dataclasses import dataclass

_DECODER = json.JSONDecoder()
_BLANKS = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a text; lines and columns are counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Span:
    """From the first character of something to the place behind its last one."""

    start: Position
    end: Position


def statement_spans(text: str) -> tuple[Span, ...]:
    """Return where each statement stands in the text of a policy, which was parsed before."""
    breaks = [found.start() for found in re.finditer("\n", text)]

    def position(place: int) -> Position:
        line = bisect_left(breaks, place)
        return Position(line + 1, place - (breaks[line - 1] if line else -1))

    return tuple(Span(position(start), position(_end(text, start))) for start in _starts(text))


def _starts(text: str) -> list[int]:
    """Return where each statement begins."""
    for name, start in _elements(text, _after_blanks(text, 0)):
        if name == "Statement":
            single = text[start] != "["
            return [start] if single else [place for _, place in _elements(text, start)]
    return []


def _elements(text: str, opening: int) -> list[tuple[str, int]]:
    """Return where each value in an object or an array begins, and the name of each member."""
    found: list[tuple[str, int]] = []
    place = _after_blanks(text, opening + 1)
    while text[place] not in "}]":
        name = ""
        if text[opening] == "{":
            name, place = _DECODER.raw_decode(text, place)
            place = _after_blanks(text, _after_blanks(text, place) + len(":"))
        found.append((name, place))
        place = _after_blanks(text, _end(text, place))
        if text[place] == ",":
            place = _after_blanks(text, place + 1)
    return found


def _end(text: str, start: int) -> int:
    return _DECODER.raw_decode(text, start)[1]


def _after_blanks(text: str, place: int) -> int:
    blanks = _BLANKS.match(text, place)
    return blanks.end() if blanks else place
