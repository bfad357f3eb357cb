"""JSON documents from outside, read so strictly that nobody can read them in another way."""

from __future__ import annotations

import json
import re
from array import array
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_T = TypeVar("_T")

_KINDS: Final = {str: "a string", int: "an integer", list: "an array", dict: "an object"}
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # as signed: one down, one up
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[{]}")
_MAX_DIGITS: Final = 100
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class MalformedDocument(ValueError):
    """The document can't be read; its text says why, to a person."""


def read_object(content: bytes, *, max_depth: int) -> dict[str, object]:
    """Read a JSON object as I-JSON (RFC 7493) has it, in a time in proportion to its length.

    Raises:
        MalformedDocument: the bytes aren't UTF-8, aren't JSON, nest arrays and objects deeper than
            `max_depth`, name a member twice, hold half a character or a number of absurd length,
            or aren't an object.
    """
    # Before the parser sees it: a document that is deep enough overflows the parser's stack.
    if _depth(content) > max_depth:
        raise MalformedDocument(f"the document nests deeper than {max_depth} levels")
    try:
        document = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_read_members,
            parse_int=_read_int,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError as error:
        raise MalformedDocument(f"the document isn't UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise MalformedDocument(
            f"the document isn't JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    if _SURROGATE.search(content):
        _refuse_half_characters(document)
    return as_kind(dict, document, "the document")


def _depth(content: bytes) -> int:
    """Tell how many arrays and objects lie inside one another, whether or not this is JSON."""
    unescaped = content.replace(rb"\\", b"").replace(rb"\"", b"")
    outside_strings = b"".join(unescaped.split(b'"')[::2])
    steps = array("b", outside_strings.translate(_STEPS, _NOT_BRACKETS))
    return max(accumulate(steps), default=0)


def _read_members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise MalformedDocument(f"the member {quoted(name)} stands twice in one object")
    return members


def _read_int(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:  # reading a number takes the square of its length
        raise MalformedDocument(f"a number has more than {_MAX_DIGITS} digits")
    return int(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedDocument(f"the document isn't JSON: {name} isn't a number")


def _refuse_half_characters(document: object) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise MalformedDocument("the document holds half of a surrogate pair") from None


def refuse_lookalikes(members: Mapping[str, object], known: Iterable[str], where: str) -> None:
    """Refuse a member that differs from a known one in nothing but the case of its letters.

    A client written in Go takes `Layers` for `layers`, and of the two the one that stands last.

    Raises:
        MalformedDocument: there is such a member.
    """
    known_by_fold = {name.casefold(): name for name in known}
    for name in members:
        meant = known_by_fold.get(name.casefold(), name)
        if name != meant:
            raise MalformedDocument(f"{where} has {quoted(name)}, which many read as {meant!r}")


def required(members: Mapping[str, object], name: str, kind: type[_T], where: str = "") -> _T:
    """Return the member `name` of the object at `where`.

    Raises:
        MalformedDocument: it isn't there, is null, or is of another kind.
    """
    value = optional(members, name, kind, where)
    if value is None:
        raise MalformedDocument(f"{path(where, name)} is missing")
    return value


def optional(
    members: Mapping[str, object], name: str, kind: type[_T], where: str = ""
) -> _T | None:
    """Return the member `name` of the object at `where`, or None if it isn't there or is null.

    Raises:
        MalformedDocument: it is of another kind.
    """
    value = members.get(name)
    return None if value is None else as_kind(kind, value, path(where, name))


def as_kind(kind: type[_T], value: object, where: str) -> _T:
    """Return `value` if it is of this kind: a string, an integer, an array or an object.

    Raises:
        MalformedDocument: it isn't; a boolean is no integer.
    """
    if not isinstance(value, kind) or isinstance(value, bool):
        raise MalformedDocument(f"{where} isn't {_KINDS[kind]}")
    return value


def path(where: str, name: str) -> str:
    """Return where the member `name` of the object at `where` stands, for a sentence."""
    return f"{where}.{name}" if where else name


def quoted(text: str) -> str:
    """Return what a stranger wrote in a form fit for a sentence: short, printable, in quotes."""
    return ascii(text if len(text) <= 140 else f"{text[:140]}...")
