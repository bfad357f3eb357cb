"""Schemas of JSON documents as data, and what a document breaks of them.

The sentences are those of ECR, which hands lifecycle policies to a validator of JSON schemas.
Like that validator, this one says all that is wrong on the way down, but looks inside an object or
an array only while nothing was wrong before it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Text:
    """A string; one of `values`, where there are any."""

    kind = "string"
    values: tuple[str, ...] = ()

    def complaints(self, value: str) -> Iterator[str]:
        """Say what is wrong with `value` itself."""
        if self.values and value not in self.values:
            yield (
                f"instance value ({_shown(value)}) not found in enum "
                f"(possible values: {_shown(self.values)})"
            )

    def parts(self, _value: str) -> Iterator[tuple[Schema, object]]:
        """Return what is inside: nothing."""
        return iter(())


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number of at least `minimum`."""

    kind = "integer"
    minimum: int

    def complaints(self, value: int) -> Iterator[str]:
        """Say what is wrong with `value` itself."""
        if value < self.minimum:
            yield (
                "numeric instance is lower than the required minimum "
                f"(minimum: {self.minimum}, found: {value})"
            )

    def parts(self, _value: int) -> Iterator[tuple[Schema, object]]:
        """Return what is inside: nothing."""
        return iter(())


@dataclass(frozen=True, slots=True)
class Array:
    """An array of `least` to `most` elements."""

    kind = "array"
    element: Schema
    least: int = 0
    most: int | None = None

    def complaints(self, value: list[object]) -> Iterator[str]:
        """Say what is wrong with `value` itself."""
        count = len(value)
        if count < self.least:
            yield (
                f"array is too short: must have at least {self.least} elements "
                f"but instance has {count} elements"
            )
        if self.most is not None and count > self.most:
            yield (
                f"array is too long: must have at most {self.most} elements "
                f"but instance has {count} elements"
            )

    def parts(self, value: list[object]) -> Iterator[tuple[Schema, object]]:
        """Return the elements, with their schema."""
        return ((self.element, each) for each in value)


@dataclass(frozen=True, slots=True)
class Form:
    """One of the forms of an object: further members that it must have, and must not have."""

    needs: frozenset[str] = frozenset()
    forbids: frozenset[str] = frozenset()

    def fits(self, value: Mapping[str, object]) -> bool:
        """Tell whether an object has this form."""
        return self.needs <= value.keys() and not self.forbids & value.keys()


@dataclass(frozen=True, slots=True)
class Object:
    """An object of these members and no others.

    Attributes:
        members: the schema of each member.
        required: those that must be there.
        told_by: the member, a string, whose value tells the object's form.
        forms: the forms, by that value.
    """

    kind = "object"
    members: Mapping[str, Schema]
    required: frozenset[str]
    told_by: str = ""
    forms: Mapping[str, Form] = field(default_factory=dict)

    def complaints(self, value: Mapping[str, object]) -> Iterator[str]:
        """Say what is wrong with `value` itself."""
        unknown = value.keys() - self.members.keys()
        missing = self.required - value.keys()
        if unknown:
            yield (
                "object instance has properties which are not allowed by the schema: "
                f"({_shown(sorted(unknown))})"
            )
        if missing:
            yield f"object has missing required properties ({_shown(sorted(missing))})"
        if not unknown and not missing and not self._has_a_form(value):
            yield (
                f"instance failed to match exactly one schema (matched 0 out of {len(self.forms)})"
            )

    def _has_a_form(self, value: Mapping[str, object]) -> bool:
        if not self.forms or complaints(self.members[self.told_by], value[self.told_by]):
            # What is wrong with the member says it better.
            return True
        form = self.forms.get(str(value[self.told_by]))
        return form is not None and form.fits(value)

    def parts(self, value: Mapping[str, object]) -> Iterator[tuple[Schema, object]]:
        """Return the members, with their schemas, by name."""
        return ((self.members[name], value[name]) for name in sorted(value))


Schema: TypeAlias = Text | Integer | Array | Object


def complaints(schema: Schema, value: object) -> list[str]:
    """Return what a document breaks of a schema, a sentence for each thing."""
    found: list[str] = []
    _look(schema, value, found)
    return found


def _look(schema: Schema, value: object, found: list[str]) -> None:
    kind = _KINDS[type(value)]
    if kind != schema.kind:
        found.append(
            f"instance type ({kind}) does not match any allowed primitive type "
            f"(allowed: {_shown([schema.kind])})"
        )
        return
    found += schema.complaints(value)  # type: ignore[arg-type] # it is of the schema's kind
    if not found:
        for part_schema, part in schema.parts(value):  # type: ignore[arg-type] # likewise
            _look(part_schema, part, found)


_KINDS = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def _shown(value: str | Collection[str]) -> str:
    return json.dumps(value if isinstance(value, str) else list(value), separators=(",", ":"))
