"""The AWS JSON protocol (1.0 and 1.1): bodies of requests read, bodies of answers written.

A service's model is compiled once into closures; see `longshore.api.aws.model`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Self

from longshore.api.aws.constraints import ConstraintCompiler
from longshore.api.aws.json_reader import JsonReader, Mistyped, ignore_members
from longshore.api.aws.json_writer import JsonWriter, refuse_members
from longshore.api.aws.model import ServiceModel
from longshore.errors import Serialization

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from longshore.api.aws.constraints import Check, Violation
    from longshore.api.aws.model import OperationModel
    from longshore.api.aws.wording import Dialect, Wording


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a service, ready to read its requests and to write its answers.

    Attributes:
        name: the name of the operation.
        error_codes: the errors that the model declares for it.
    """

    name: str
    error_codes: frozenset[str]
    _read: Callable[[Any], dict[str, Any]]
    _check: Check | None
    _wording: Wording
    _write: Callable[[Any], dict[str, Any]]

    def parse(self, body: bytes | bytearray) -> dict[str, Any]:
        """Read the body of a request.

        Blobs come as bytes, timestamps as aware datetimes. Members that the model doesn't know are
        ignored, and `null` is the same as no member. An empty body is an empty object. A number
        with a fraction or an exponent is not an integer, not even `1.0`.

        Raises:
            Serialization: the body isn't a JSON object (in UTF-8, each name once, no NaN, not
                nested too deeply, not of countless values), or a member has the wrong JSON type.
            InvalidParameter: a member breaks a constraint of the model. The service's wording says
                which error it is; `ValidationFailed` and `InvalidTagParameter` are others.
        """
        try:
            members = self._read(_load(body))
        except Mistyped as mistyped:
            raise Serialization(str(mistyped)) from None
        if self._check is not None:
            violations: list[Violation] = []
            self._check(members, "", violations)
            if violations:
                raise self._wording(violations)
        return members

    def serialize(self, output: Mapping[str, Any]) -> bytes:
        """Write the body of an answer. Members that are None are left out.

        Raises:
            TypeError: `output` has a member that the model doesn't know, or of another type. That
                is a mistake in the caller.
            ValueError: a number in `output` is infinite, or a text holds half a character.
        """
        return _ENCODER.encode(self._write(output)).encode()


@dataclass(frozen=True, slots=True)
class JsonService:
    """A service that speaks the AWS JSON protocol.

    Attributes:
        target_prefix: what stands before the dot and the operation's name in `X-Amz-Target`.
        operations: the operations of the service, by name.
    """

    target_prefix: str
    operations: Mapping[str, Operation]

    @classmethod
    def load(cls, service_name: str, dialect: Dialect) -> Self:
        """Compile the newest model of a service that the installed botocore has.

        Args:
            service_name: botocore's name of the service, such as `ecr`.
            dialect: how the service words broken constraints.

        Raises:
            FileNotFoundError: botocore has no such service.
        """
        model = ServiceModel.load(service_name).with_lengths(dialect.lengths)
        reader = JsonReader(model.shapes)
        constraints = ConstraintCompiler(model.shapes)
        writer = JsonWriter(model.shapes)

        def compiled(operation: OperationModel) -> Operation:
            taken, given = operation.input, operation.output
            return Operation(
                name=operation.name,
                error_codes=operation.error_codes,
                _read=reader.compile(taken) if taken else ignore_members,
                _check=constraints.compile(taken) if taken else None,
                _wording=dialect.wording(operation),
                _write=writer.compile(given) if given else refuse_members,
            )

        return cls(
            target_prefix=model.metadata["targetPrefix"],
            operations={name: compiled(operation) for name, operation in model.operations.items()},
        )


# An empty list is three bytes of a body and sixty of memory. A request has a few hundred values;
# the manifest in one may add the commas of its thousands of layers.
_MOST_VALUES = 250_000


def _load(body: bytes | bytearray) -> object:
    if not body:
        return {}
    if len(body) > _MOST_VALUES and _has_too_many_values(body):
        raise Serialization("The body of the request has too many values")
    try:
        return _DECODER.decode(str(body, "utf-8"))
    except (ValueError, RecursionError) as error:
        raise Serialization(f"The body of the request can't be read as JSON: {error}") from None


def _has_too_many_values(body: bytes | bytearray) -> bool:
    # Every value but the first stands after one of these. None is in base64, and `find` passes over
    # that many times faster than `count` does.
    seen = 0
    for mark in b",[{":
        place = body.find(mark)
        while place >= 0 and seen <= _MOST_VALUES:
            seen += 1
            place = body.find(mark, place + 1)
    return seen > _MOST_VALUES


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has two members of one name")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
)
