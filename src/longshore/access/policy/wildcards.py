"""Wildcards: `*` stands for any number of characters, `?` for one, everything else for itself.

A match takes at most as many steps as the product of the two lengths, and no pattern can be made to
take more. So both have to be bounded: policies are by their quotas, and what a request says of
itself is where it comes in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class Wild(Enum):
    """The two characters that stand for others."""

    ANY = "*"
    ONE = "?"


# A pattern in pieces, in which a `*` that is meant as such can't be taken for a wildcard.
Tokens: TypeAlias = tuple[str | Wild, ...]
Matcher: TypeAlias = Callable[[str], bool]
_Find: TypeAlias = Callable[[str, int, int], int]


def tokens(text: str) -> Tokens:
    """Split `text` into wildcards and what stands between them."""
    found: list[str | Wild] = []
    for number, between in enumerate(text.split("*")):
        found += [Wild.ANY] * (number > 0)
        for index, run in enumerate(between.split("?")):
            found += [Wild.ONE] * (index > 0)
            found += [run] * bool(run)
    return tuple(found)


def plain(pattern: Tokens) -> str | None:
    """Return what a pattern without wildcards stands for, or None if it has one."""
    runs: list[str] = []
    for token in pattern:
        if isinstance(token, Wild):
            return None
        runs.append(token)
    return "".join(runs)


def matcher(pattern: Tokens) -> Matcher:
    """Compile `pattern` into a function that tells whether it matches the whole of a text."""
    text = plain(pattern)
    if text is not None:
        return text.__eq__
    pieces = [_Piece.of(piece) for piece in _parted(pattern)]
    if len(pieces) == 1:
        return pieces[0].is_all_of
    head, *middle, tail = pieces
    if not middle and not tail.length and len(head.runs) == 1:
        prefix = head.runs[0]
        return lambda text: text.startswith(prefix)
    return _Glob(head, tuple((piece.finder(), piece.length) for piece in middle), tail).matches


def arn_matcher(pattern: Tokens) -> Matcher:
    """Compile the pattern of an ARN: no wildcard reaches beyond one of its six parts.

    The last part may hold colons. Missing parts are completed.
    """
    whole = completed_arn(pattern)
    parts = arn_parts(whole)
    if all(plain(part) is not None for part in parts[:-1]):
        return matcher(whole)  # beyond the last part there is nothing to reach
    asked = [number for number, part in enumerate(parts) if part != (Wild.ANY,)]
    # From the end: the last parts differ most.
    checks = tuple((number, matcher(parts[number])) for number in reversed(asked))

    def matches(text: str) -> bool:
        found = text.split(":", 5)
        if len(found) < 6:
            return False
        for number, fits in checks:  # noqa: SIM110 - each request comes by: no generator
            if not fits(found[number]):
                return False
        return True

    return matches


def completed_arn(pattern: Tokens) -> Tokens:
    """Complete the pattern of an ARN as IAM does: what is missing of its six parts is `*`."""
    missing = 6 - len(arn_parts(pattern))
    return (*pattern, *((":", Wild.ANY) * missing))


def arn_parts(pattern: Tokens) -> list[Tokens]:
    """Split the pattern of an ARN at its first five colons."""
    parts: list[list[str | Wild]] = [[]]
    for token in pattern:
        if isinstance(token, Wild):
            parts[-1].append(token)
            continue
        first, *others = token.split(":", 6 - len(parts))
        parts[-1] += [first] * bool(first)
        parts += [[other] * bool(other) for other in others]
    return [tuple(part) for part in parts]


def _parted(pattern: Tokens) -> Iterable[Tokens]:
    piece: list[str | Wild] = []
    for token in pattern:
        if token is Wild.ANY:
            yield tuple(piece)
            piece = []
        else:
            piece.append(token)
    yield tuple(piece)


@dataclass(frozen=True, slots=True)
class _Piece:
    """What stands between two `*`: runs of characters, with one unknown between each two."""

    runs: tuple[str, ...]
    length: int

    @classmethod
    def of(cls, pattern: Tokens) -> _Piece:
        runs = [""]
        for token in pattern:
            if isinstance(token, str):
                runs[-1] += token
            else:
                runs.append("")
        return cls(tuple(runs), sum(map(len, runs)) + len(runs) - 1)

    def is_all_of(self, text: str) -> bool:
        return len(text) == self.length and self.is_at(text, 0)

    def is_at(self, text: str, position: int) -> bool:
        """Tell whether the piece is at `position`, where `text` is long enough for it."""
        for run in self.runs:
            if not text.startswith(run, position):
                return False
            position += len(run) + 1
        return True

    def finder(self) -> _Find:
        """Return what finds the piece in a text between two places, or -1."""
        if len(self.runs) == 1:
            [run] = self.runs
            return lambda text, start, end: text.find(run, start, end)
        # Without quantifiers: at each place there is one way to match.
        search = re.compile(".".join(map(re.escape, self.runs)), re.DOTALL).search

        def find(text: str, start: int, end: int) -> int:
            found = search(text, start, end)
            return found.start() if found else -1

        return find


@dataclass(frozen=True, slots=True)
class _Glob:
    """A pattern with at least one `*`."""

    head: _Piece
    middle: tuple[tuple[_Find, int], ...]
    tail: _Piece

    def matches(self, text: str) -> bool:
        position, end = self.head.length, len(text) - self.tail.length
        if end < position or not (self.head.is_at(text, 0) and self.tail.is_at(text, end)):
            return False
        # The first place for each piece leaves the most room for those that follow.
        for find, length in self.middle:
            found = find(text, position, end)
            if found < 0:
                return False
            position = found + length
        return True
