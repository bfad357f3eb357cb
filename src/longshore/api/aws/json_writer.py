"""From Python values to what `json` writes, by the shapes of a service's model."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from longshore.api.aws.model import ShapeCompiler

if TYPE_CHECKING:
    from longshore.api.aws.model import Shape

Write: TypeAlias = Callable[[Any], Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class JsonWriter(ShapeCompiler[Write]):
    """Makes of each shape the function that writes its values, or raises TypeError."""

    def structure(self, shape: Shape) -> Write:
        """Make the writer of a structure; it leaves out members that are None."""
        writers = {name: self.compile(part) for name, part in shape.members.items()}

        def write(value: Mapping[str, Any]) -> dict[str, Any]:
            _expect(Mapping, value)
            unknown = value.keys() - writers.keys()
            if unknown:
                raise TypeError(f"{shape.name} has no member {', '.join(sorted(unknown))}")
            members = {}
            for name, member in value.items():
                try:
                    if member is not None:
                        members[name] = writers[name](member)
                except TypeError as error:
                    error.add_note(f"in {shape.name}.{name}")
                    raise
            return members

        return write

    def list(self, shape: Shape) -> Write:
        """Make the writer of a list, of a list or a tuple."""
        write_member = self.compile(str(shape.element))

        def write(value: Sequence[Any]) -> list[Any]:
            _expect((list, tuple), value)
            return [write_member(member) for member in value]

        return write

    def map(self, shape: Shape) -> Write:
        """Make the writer of a map."""
        write_key = self.compile(str(shape.key))
        write_member = self.compile(str(shape.element))

        def write(value: Mapping[str, Any]) -> dict[str, Any]:
            _expect(Mapping, value)
            return {write_key(key): write_member(member) for key, member in value.items()}

        return write

    def scalar(self, shape: Shape) -> Write:
        """Give the writer of a single value."""
        return _WRITERS[shape.kind]


def refuse_members(value: Mapping[str, Any]) -> dict[str, Any]:
    """Write the output of an operation that gives none."""
    if value:
        raise TypeError("the operation has no output")
    return {}


def _expect(types: type | tuple[type, ...], value: object) -> None:
    if not isinstance(value, types):
        raise TypeError(f"{types} is due, not {type(value)}")


def _write_string(value: object) -> object:
    _expect(str, value)
    return value


def _write_boolean(value: object) -> object:
    _expect(bool, value)
    return value


def _write_integer(value: object) -> object:
    _expect(int, value)
    return _not_boolean(value)


def _write_float(value: object) -> object:
    _expect((float, int), value)
    return _not_boolean(value)


def _not_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise TypeError("a number is due, not a boolean")
    return value


def _write_timestamp(value: datetime) -> float:
    """Return seconds since 1970, cut to the millisecond.

    The shortest decimal of such a number, which `json` writes, has at most three places and, for
    every year of a datetime, no exponent.
    """
    _expect(datetime, value)
    milliseconds = (value - _EPOCH) // _MILLISECOND
    return milliseconds / 1000 if milliseconds % 1000 else milliseconds // 1000


def _write_blob(value: bytes) -> str:
    return b2a_base64(value, newline=False).decode("ascii")


_WRITERS: Mapping[str, Write] = {
    "string": _write_string,
    "integer": _write_integer,
    "long": _write_integer,
    "float": _write_float,
    "double": _write_float,
    "boolean": _write_boolean,
    "timestamp": _write_timestamp,
    "blob": _write_blob,
}
