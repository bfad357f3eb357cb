"""From the parameters of a form to Python values, by the shapes of a service's model.

`Tags.member.1.Key=a` is a parameter. A form is first read into a tree of its names' parts, whose
leaves are texts, and the tree by the shapes.
"""

from __future__ import annotations

import math
import re
from binascii import a2b_base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl

from longshore.api.aws.model import ShapeCompiler
from longshore.api.aws.protocol import Mistyped
from longshore.errors import Serialization

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from longshore.api.aws.model import Shape

Tree: TypeAlias = "dict[str, str | Tree]"
Read: TypeAlias = Callable[["str | Tree"], Any]

# The deepest name of the services is of seven parts, and their longest form of some hundred
# parameters.
_MOST_PARTS = 16
_MOST_PARAMETERS = 10_000

# One way to write each number, lest two parameters be one member of a list.
_POSITION = re.compile(r"[1-9][0-9]{0,8}")
_INTEGER = re.compile(r"-?[0-9]{1,19}")
# What no document of XML 1.0 can hold, so that no answer could repeat it.
_UNFIT_FOR_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_form(body: bytes | bytearray) -> Tree:
    """Read a body of the type `application/x-www-form-urlencoded`.

    Raises:
        Serialization: it isn't UTF-8, has countless parameters, one of them twice, a name with
            countless parts, or one parameter where another one has further parts.
    """
    try:
        parameters = parse_qsl(
            str(body, "utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )
    except UnicodeDecodeError:
        raise Serialization("The parameters of the request must be in UTF-8") from None
    except ValueError:
        raise Serialization(f"The request may have at most {_MOST_PARAMETERS} parameters") from None
    form: Tree = {}
    for name, value in parameters:
        _insert(form, name, value)
    return form


def _insert(form: Tree, name: str, value: str) -> None:
    *branches, leaf = name.split(".", _MOST_PARTS)
    place = form
    for branch in branches:
        inner = place.setdefault(branch, {})
        if isinstance(inner, str):
            raise _ambiguous(name)
        place = inner
    if leaf in place or "." in leaf:
        raise _ambiguous(name)
    place[leaf] = value


def _ambiguous(name: str) -> Serialization:
    return Serialization(f"The parameter {name[:100]!a} contradicts another one, or is too deep")


class QueryReader(ShapeCompiler[Read]):
    """Makes of each shape the function that reads its values, or raises `Mistyped`."""

    def structure(self, shape: Shape) -> Read:
        """Make the reader of a structure; it passes over members unknown."""
        readers = [
            (wire_name_of(self.shapes, shape, name), name, self.compile(part))
            for name, part in shape.members.items()
        ]

        def read(value: str | Tree) -> dict[str, Any]:
            if isinstance(value, str):
                raise Mistyped("a structure")
            members = {}
            for wire_name, name, read_member in readers:
                member = value.get(wire_name)
                if member is not None:
                    try:
                        members[name] = read_member(member)
                    except Mistyped as mistyped:
                        mistyped.path.append(name)
                        raise
            return members

        return read

    def list(self, shape: Shape) -> Read:
        """Make the reader of a list, whose members are in the order of their numbers."""
        read_member = self.compile(str(shape.element))
        holder = None if shape.is_flattened else shape.wire_names.get("member", "member")

        def read(value: str | Tree) -> list[Any]:
            # The one parameter that says: a list, and nothing in it.
            if value == "":
                return []
            return [
                _read_numbered(read_member, position, member)
                for position, member in _numbered(value, holder, "a list")
            ]

        return read

    def map(self, shape: Shape) -> Read:
        """Make the reader of a map, which is a list of keys and values."""
        read_key = self.compile(str(shape.key))
        read_element = self.compile(str(shape.element))
        key_name = shape.wire_names.get("key", "key")
        value_name = shape.wire_names.get("value", "value")
        holder = None if shape.is_flattened else "entry"

        def read(value: str | Tree) -> dict[str, Any]:
            members: dict[str, Any] = {}
            for position, entry in _numbered(value, holder, "a map"):
                if isinstance(entry, str) or entry.keys() != {key_name, value_name}:
                    raise Mistyped(f"a map: its entry {position} has no key or no value")
                key = _read_numbered(read_key, position, entry[key_name])
                if key in members:
                    raise Mistyped("a map: it has the same key twice")
                members[key] = _read_numbered(read_element, position, entry[value_name])
            return members

        return read

    def scalar(self, shape: Shape) -> Read:
        """Give the reader of a single value."""
        read_text = _READERS[shape.kind]

        def read(value: str | Tree) -> Any:  # noqa: ANN401 - whatever the shape says
            if not isinstance(value, str):
                raise Mistyped("a single value")
            if _UNFIT_FOR_XML.search(value):
                raise Mistyped("a text of characters that XML can hold")
            return read_text(value)

        return read


def wire_name_of(shapes: Mapping[str, Shape], shape: Shape, member: str) -> str:
    """Return the name that a member of the structure `shape` has on the wire."""
    part = shapes[shape.members[member]]
    name = shape.wire_names.get(member, member)
    # The members of a flattened list stand where it would: their own name counts.
    if part.kind == "list" and part.is_flattened:
        return part.wire_names.get("member", name)
    return name


def _numbered(
    value: str | Tree, holder: str | None, expected: str
) -> Iterator[tuple[int, str | Tree]]:
    members = value
    if holder is not None and not isinstance(value, str):
        if value.keys() != {holder}:
            raise Mistyped(f"{expected}: its members are called {holder}.1, {holder}.2 and so on")
        members = value[holder]
    if isinstance(members, str) or not all(map(_POSITION.fullmatch, members)):
        raise Mistyped(f"{expected}: its members are numbered from 1")
    for position in sorted(map(int, members)):
        yield position, members[str(position)]


def _read_numbered(read: Read, position: int, value: str | Tree) -> Any:  # noqa: ANN401
    try:
        return read(value)
    except Mistyped as mistyped:
        mistyped.path += "member", str(position)
        raise


def _integer_reader(bits: int) -> Callable[[str], int]:
    limit = 1 << (bits - 1)

    def read(text: str) -> int:
        if not _INTEGER.fullmatch(text) or not -limit <= int(text) < limit:
            raise Mistyped(f"an integer of {bits} bits")
        return int(text)

    return read


def _read_float(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Mistyped("a number")
    return number


def _read_boolean(text: str) -> bool:
    if text not in {"true", "false"}:
        raise Mistyped("true or false")
    return text == "true"


def _read_timestamp(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Mistyped("a time in ISO 8601") from None


def _read_blob(text: str) -> bytes:
    # Not every Python's strict mode refuses these two.
    if len(text) % 4 or text.endswith("==="):
        raise Mistyped("a string of base64")
    try:
        return a2b_base64(text, strict_mode=True)
    except ValueError:
        raise Mistyped("a string of base64") from None


_READERS: Mapping[str, Callable[[str], Any]] = {
    "string": str,
    "integer": _integer_reader(32),
    "long": _integer_reader(64),
    "float": _read_float,
    "double": _read_float,
    "boolean": _read_boolean,
    "timestamp": _read_timestamp,
    "blob": _read_blob,
}
