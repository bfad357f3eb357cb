"""From what `json` reads to Python values, by the shapes of a service's model."""

from __future__ import annotations

import math
from binascii import a2b_base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from longshore.api.aws.model import ShapeCompiler
from longshore.api.aws.protocol import Mistyped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.api.aws.model import Shape

Read: TypeAlias = Callable[[Any], Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class JsonReader(ShapeCompiler[Read]):
    """Makes of each shape the function that reads its values, or raises `Mistyped`."""

    def structure(self, shape: Shape) -> Read:
        """Make the reader of a structure; it passes over members unknown or null."""
        readers = {name: self.compile(part) for name, part in shape.members.items()}
        return _object_reader(readers.get)

    def list(self, shape: Shape) -> Read:
        """Make the reader of a list; a null in it stays, for the constraints to tell of."""
        read_member = self.compile(str(shape.element))

        def read(value: object) -> list[Any]:
            if type(value) is not list:
                raise Mistyped("a list")
            members = []
            for position, member in enumerate(value, 1):
                try:
                    members.append(None if member is None else read_member(member))
                except Mistyped as mistyped:
                    mistyped.path += "member", str(position)
                    raise
            return members

        return read

    def map(self, shape: Shape) -> Read:
        """Make the reader of a map; it passes over values that are null."""
        read_key = self.compile(str(shape.key))
        read_member = self.compile(str(shape.element))

        def reader_of(key: str) -> Read:
            read_key(key)
            return read_member

        return _object_reader(reader_of)

    def scalar(self, shape: Shape) -> Read:
        """Give the reader of a single value."""
        return _READERS[shape.kind]


def ignore_members(value: object) -> dict[str, Any]:
    """Read the input of an operation that takes none."""
    if type(value) is not dict:
        raise Mistyped("an object")
    return {}


def _object_reader(reader_of: Callable[[str], Read | None]) -> Read:
    def read(value: object) -> dict[str, Any]:
        if type(value) is not dict:
            raise Mistyped("an object")
        members = {}
        for name, member in value.items():
            try:
                if member is not None and (read_member := reader_of(name)):
                    members[name] = read_member(member)
            except Mistyped as mistyped:
                mistyped.path.append(name)
                raise
        return members

    return read


def _read_string(value: object) -> str:
    if type(value) is not str:
        raise Mistyped("a string")
    if not value.isascii():
        _refuse_half_characters(value)
    # No text column of PostgreSQL holds it, and nothing in the API needs it.
    if "\0" in value:
        raise Mistyped("a string without NUL characters")
    return value


def _refuse_half_characters(text: str) -> None:
    # JSON can escape one surrogate of a pair; such a text can be neither stored nor sent.
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Mistyped("a string of whole characters") from None


def _integer_reader(bits: int) -> Read:
    limit = 1 << (bits - 1)

    def read(value: object) -> int:
        if type(value) is not int or not -limit <= value < limit:
            raise Mistyped(f"an integer of {bits} bits")
        return value

    return read


def _read_float(value: object) -> float:
    if type(value) is int or type(value) is float:
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise Mistyped("a number")


def _read_boolean(value: object) -> bool:
    if type(value) is not bool:
        raise Mistyped("true or false")
    return value


def _read_timestamp(value: object) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=round(_read_float(value) * 1000))
    except (Mistyped, OverflowError):
        raise Mistyped("a time in seconds since 1970") from None


def _read_blob(value: object) -> bytes:
    # Not every Python's strict mode refuses these two.
    if type(value) is not str or len(value) % 4 or value.endswith("==="):
        raise Mistyped("a string of base64")
    try:
        return a2b_base64(value, strict_mode=True)
    except ValueError:
        raise Mistyped("a string of base64") from None


_READERS: Mapping[str, Read] = {
    "string": _read_string,
    "integer": _integer_reader(32),
    "long": _integer_reader(64),
    "float": _read_float,
    "double": _read_float,
    "boolean": _read_boolean,
    "timestamp": _read_timestamp,
    "blob": _read_blob,
}
