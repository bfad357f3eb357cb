"""From Python values to XML, by the shapes of a service's model."""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from longshore.api.aws.model import ShapeCompiler
from longshore.api.aws.query_reader import wire_name_of

if TYPE_CHECKING:
    from longshore.api.aws.model import Shape

# Takes the name of an element, its value, and the list to which it adds what is to be written.
Write: TypeAlias = Callable[[str, Any, list[str]], None]

# A reader of XML takes a bare carriage return for a line feed.
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})
_UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def element(name: str, text: str) -> str:
    """Return an element with nothing but text in it.

    A character that no document of XML can hold is replaced by U+FFFD.
    """
    return f"<{name}>{_UNFIT.sub(chr(0xFFFD), text).translate(_ESCAPES)}</{name}>"


class XmlWriter(ShapeCompiler[Write]):
    """Makes of each shape the function that writes its values, or raises TypeError."""

    def structure(self, shape: Shape) -> Write:
        """Make the writer of a structure; it leaves out members that are None."""
        writers = {
            name: (wire_name_of(self.shapes, shape, name), self.compile(part))
            for name, part in shape.members.items()
        }

        def write(name: str, value: Mapping[str, Any], out: list[str]) -> None:
            _expect(Mapping, value)
            unknown = value.keys() - writers.keys()
            if unknown:
                raise TypeError(f"{shape.name} has no member {', '.join(sorted(unknown))}")
            out.append(f"<{name}>")
            for member, part in value.items():
                try:
                    if part is not None:
                        wire_name, write_member = writers[member]
                        write_member(wire_name, part, out)
                except TypeError as error:
                    error.add_note(f"in {shape.name}.{member}")
                    raise
            out.append(f"</{name}>")

        return write

    def list(self, shape: Shape) -> Write:
        """Make the writer of a list, of a list or a tuple."""
        write_member = self.compile(str(shape.element))
        member_name = shape.wire_names.get("member", "member")

        def write(name: str, value: Sequence[Any], out: list[str]) -> None:
            _expect((list, tuple), value)
            if shape.is_flattened:
                for member in value:
                    write_member(name, member, out)
                return
            out.append(f"<{name}>")
            for member in value:
                write_member(member_name, member, out)
            out.append(f"</{name}>")

        return write

    def map(self, shape: Shape) -> Write:
        """Make the writer of a map."""
        write_key = self.compile(str(shape.key))
        write_element = self.compile(str(shape.element))
        key_name = shape.wire_names.get("key", "key")
        value_name = shape.wire_names.get("value", "value")

        def write(name: str, value: Mapping[str, Any], out: list[str]) -> None:
            _expect(Mapping, value)
            entry_name = name if shape.is_flattened else "entry"
            before, after = ("", "") if shape.is_flattened else (f"<{name}>", f"</{name}>")
            out.append(before)
            for key, part in value.items():
                out.append(f"<{entry_name}>")
                write_key(key_name, key, out)
                write_element(value_name, part, out)
                out.append(f"</{entry_name}>")
            out.append(after)

        return write

    def scalar(self, shape: Shape) -> Write:
        """Make the writer of a single value."""
        types, text_of = _TEXTS[shape.kind]

        def write(name: str, value: object, out: list[str]) -> None:
            _expect(types, value)
            if isinstance(value, bool) and types is not bool:
                raise TypeError(f"{types} is due, not a boolean")
            out.append(element(name, text_of(value)))

        return write


def _expect(types: type | tuple[type, ...], value: object) -> None:
    if not isinstance(value, types):
        raise TypeError(f"{types} is due, not {type(value)}")


def _text_of_timestamp(value: datetime) -> str:
    """Return the moment in UTC, cut to the second as IAM and STS tell it."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_TEXTS: Mapping[str, tuple[type | tuple[type, ...], Callable[[Any], str]]] = {
    "string": (str, str),
    "integer": (int, str),
    "long": (int, str),
    "float": ((float, int), repr),
    "double": ((float, int), repr),
    "boolean": (bool, lambda value: "true" if value else "false"),
    "timestamp": (datetime, _text_of_timestamp),
    "blob": (bytes, lambda value: b2a_base64(value, newline=False).decode("ascii")),
}
