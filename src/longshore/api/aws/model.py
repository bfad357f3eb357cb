"""The published model of an AWS service: its operations and the shapes of what they take and give.

Read straight from the data files of the installed botocore. Its own loader and `ServiceModel` give
the same facts, but importing them costs some 170 ms and 20 MB (an HTTP client and a date library
come along), and they would also let files in the user's home directory change the model.
"""

from __future__ import annotations

import gzip
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

_PARTS = ("member", "key", "value")


@dataclass(frozen=True, slots=True)
class Shape:
    """What the model says of one type.

    Attributes:
        name: the name of the shape.
        kind: `structure`, `list`, `map`, or the name of a scalar type such as `string`.
        members: of a structure: the shape's name of each member, in the model's order.
        required: of a structure: the members that must be there.
        key: of a map: the name of the shape of its keys.
        element: of a list or a map: the name of the shape of its values.
        minimum: the least value of a number, or the least length of anything else.
        maximum: the greatest value of a number, or the greatest length of anything else.
        pattern: of a string: the regular expression that the whole of it must match.
        enum: of a string: the only values that it may have.
        is_sensitive: whether its values are nobody else's to read, and so are never repeated.
        wire_names: of a structure: the names that members have on the wire, where they differ. Of a
            list or a map: those of its parts, `member`, `key` and `value`.
        is_flattened: of a list or a map: whether its parts stand on the wire without it.
    """

    name: str
    kind: str
    members: Mapping[str, str]
    required: frozenset[str]
    key: str | None
    element: str | None
    minimum: int | None
    maximum: int | None
    pattern: str | None
    enum: tuple[str, ...]
    is_sensitive: bool
    wire_names: Mapping[str, str]
    is_flattened: bool

    @classmethod
    def read(cls, name: str, description: Mapping[str, Any]) -> Self:
        """Read the shape `name` from its description in the model."""
        kind = description["type"]
        element = description.get("member" if kind == "list" else "value", {})
        members = description.get("members", {})
        parts = members or {part: description[part] for part in _PARTS if part in description}
        return cls(
            name=name,
            kind=kind,
            members={member: reference["shape"] for member, reference in members.items()},
            required=frozenset(description.get("required", ())),
            key=description.get("key", {}).get("shape"),
            element=element.get("shape"),
            minimum=description.get("min"),
            maximum=description.get("max"),
            pattern=description.get("pattern"),
            enum=tuple(description.get("enum", ())),
            is_sensitive=description.get("sensitive", False),
            wire_names={
                part: reference["locationName"]
                for part, reference in parts.items()
                if "locationName" in reference
            },
            is_flattened=description.get("flattened", False),
        )


@dataclass(frozen=True, slots=True)
class OperationModel:
    """What the model says of one operation.

    Attributes:
        name: the name of the operation.
        input: the name of the shape that it takes, if it takes any.
        output: the name of the shape that it gives, if it gives any.
        error_codes: the errors that it declares.
        result_wrapper: in XML: the element that holds what it gives.
    """

    name: str
    input: str | None
    output: str | None
    error_codes: frozenset[str]
    result_wrapper: str | None = None

    @classmethod
    def read(cls, description: Mapping[str, Any]) -> Self:
        """Read the operation from its description in the model."""
        return cls(
            name=description["name"],
            input=description.get("input", {}).get("shape"),
            output=description.get("output", {}).get("shape"),
            error_codes=frozenset(error["shape"] for error in description.get("errors", ())),
            result_wrapper=description.get("output", {}).get("resultWrapper"),
        )


@dataclass(frozen=True, slots=True)
class ServiceModel:
    """What the model says of a service.

    Attributes:
        metadata: the service's names, versions and protocol, as the model has them.
        operations: its operations, by name.
        shapes: its shapes, by name.
        error_statuses: the HTTP status of each error for which the model states one, by its code.
    """

    metadata: Mapping[str, Any]
    operations: Mapping[str, OperationModel]
    shapes: Mapping[str, Shape]
    error_statuses: Mapping[str, int]

    @classmethod
    def load(cls, service_name: str) -> Self:
        """Read the newest model of a service that the installed botocore has.

        Args:
            service_name: botocore's name of the service, such as `ecr`.

        Raises:
            FileNotFoundError: botocore has no such service.
        """
        return cls.read(_description(service_name))

    @classmethod
    def read(cls, description: Mapping[str, Any]) -> Self:
        """Read the model from its description, the text of botocore's data file."""
        return cls(
            metadata=description["metadata"],
            operations={
                name: OperationModel.read(operation)
                for name, operation in description["operations"].items()
            },
            shapes={name: Shape.read(name, shape) for name, shape in description["shapes"].items()},
            error_statuses={
                shape["error"]["code"]: shape["error"]["httpStatusCode"]
                for shape in description["shapes"].values()
                if "code" in shape.get("error", {})
            },
        )

    def with_lengths(self, lengths: Mapping[str, tuple[int, int]]) -> Self:
        """Return this model with lengths that the service keeps and the model doesn't state.

        Args:
            lengths: the least and the greatest length of the shapes named.
        """
        stated = {
            name: replace(self.shapes[name], minimum=least, maximum=greatest)
            for name, (least, greatest) in lengths.items()
        }
        return replace(self, shapes={**self.shapes, **stated})


def _description(service_name: str) -> dict[str, Any]:
    versions = (files("botocore") / "data" / service_name).iterdir()
    newest = max((version for version in versions if version.is_dir()), key=lambda it: it.name)
    plain = newest / "service-2.json"
    if plain.is_file():
        text = plain.read_bytes()
    else:
        text = gzip.decompress((newest / "service-2.json.gz").read_bytes())
    description: dict[str, Any] = json.loads(text)
    return description


Compiled = TypeVar("Compiled")


class ShapeCompiler(ABC, Generic[Compiled]):
    """Makes something of each shape of a service, once: a check, a reader, a writer.

    What is made of a structure, a list or a map holds what was made of its parts, so that nothing
    is looked up in the model while a request is served. None of the services that Longshore
    answers for has a shape that contains itself; such a shape would end in a RecursionError here,
    at start-up.
    """

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self.shapes = shapes
        self._compiled: dict[str, Compiled] = {}

    def compile(self, name: str) -> Compiled:
        """Return what is made of the shape `name`."""
        if name not in self._compiled:
            self._compiled[name] = self._make(self.shapes[name])
        return self._compiled[name]

    def _make(self, shape: Shape) -> Compiled:
        match shape.kind:
            case "structure":
                return self.structure(shape)
            case "list":
                return self.list(shape)
            case "map":
                return self.map(shape)
            case _:
                return self.scalar(shape)

    @abstractmethod
    def structure(self, shape: Shape) -> Compiled:
        """Make it of a structure."""

    @abstractmethod
    def list(self, shape: Shape) -> Compiled:
        """Make it of a list."""

    @abstractmethod
    def map(self, shape: Shape) -> Compiled:
        """Make it of a map."""

    @abstractmethod
    def scalar(self, shape: Shape) -> Compiled:
        """Make it of a string, a number, a boolean, a blob or a timestamp."""
