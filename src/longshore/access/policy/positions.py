"""Where the statements of a policy stand in its text."""

from __future__ import annotations

import json
import re
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
    for name, start in _elements(text, _after_blanks(text, 0)):
        if name == "Statement":
            single = text[start] != "["
            starts = [start] if single else [place for _, place in _elements(text, start)]
            return tuple(_span(text, place, _end(text, place)) for place in starts)
    return ()


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


def _span(text: str, start: int, end: int) -> Span:
    return Span(_position(text, start), _position(text, end))


def _position(text: str, place: int) -> Position:
    return Position(text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place))
