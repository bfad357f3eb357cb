"""Wildcards: `*` stands for any number of characters, `?` for one, everything else for itself.

No pattern can be made to take long: a match takes at most as many steps as the product of the two
lengths, and without `?` as many as their sum.
"""

from __future__ import annotations

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
    runs = [token for token in pattern if isinstance(token, str)]
    return "".join(runs) if len(runs) == len(pattern) else None


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
    return _Glob(head, tuple(middle), tail).matches


def arn_matcher(pattern: Tokens) -> Matcher:
    """Compile the pattern of an ARN: no wildcard reaches beyond one of its six parts.

    The last part may hold colons. Missing parts match everything, as IAM completes ARNs.
    """
    parts = arn_parts(pattern)
    if all(plain(part) is not None for part in parts[:5]) and len(parts) == 6:
        return matcher(pattern)  # what only the last part can reach beyond is nothing
    matchers = tuple(matcher(part) for part in parts)

    def matches(text: str) -> bool:
        found = text.split(":", 5)
        return len(found) == 6 and all(
            fits(part) for fits, part in zip(matchers, found, strict=False)
        )

    return matches


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

    def find(self, text: str, start: int, end: int) -> int:
        if len(self.runs) == 1:
            return text.find(self.runs[0], start, end)
        for position in range(start, end - self.length + 1):
            if self.is_at(text, position):
                return position
        return -1


@dataclass(frozen=True, slots=True)
class _Glob:
    """A pattern with at least one `*`."""

    head: _Piece
    middle: tuple[_Piece, ...]
    tail: _Piece

    def matches(self, text: str) -> bool:
        position, end = self.head.length, len(text) - self.tail.length
        if end < position or not (self.head.is_at(text, 0) and self.tail.is_at(text, end)):
            return False
        # The first place for each piece leaves the most room for those that follow.
        for piece in self.middle:
            found = piece.find(text, position, end)
            if found < 0:
                return False
            position = found + piece.length
        return True
