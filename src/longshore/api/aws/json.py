"""The AWS JSON protocol (1.0 and 1.1): bodies of requests read, bodies of answers written.

A service's model is compiled once into closures; see `longshore.api.aws.model`. `null` is the same
as no member, and an empty body is an empty object. A number with a fraction or an exponent is not
an integer, not even `1.0`. What isn't a JSON object in UTF-8, each name once, no NaN, not nested
too deeply, not of countless values, is refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Self

from longshore.api.aws.constraints import ConstraintCompiler
from longshore.api.aws.json_reader import JsonReader, ignore_members
from longshore.api.aws.json_writer import JsonWriter, refuse_members
from longshore.api.aws.model import ServiceModel
from longshore.api.aws.protocol import Operation
from longshore.errors import Serialization

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from longshore.api.aws.model import OperationModel
    from longshore.api.aws.wording import Dialect


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
                _read=_reader_of(reader.compile(taken) if taken else ignore_members),
                _check=constraints.compile(taken) if taken else None,
                _wording=dialect.wording(operation),
                _write=_writer_of(writer.compile(given) if given else refuse_members),
            )

        return cls(
            target_prefix=model.metadata["targetPrefix"],
            operations={name: compiled(operation) for name, operation in model.operations.items()},
        )


def _reader_of(read: Callable[[Any], Any]) -> Callable[[bytes | bytearray], dict[str, Any]]:
    return lambda body: read(_load(body))


def _writer_of(write: Callable[[Any], Any]) -> Callable[[Mapping[str, Any]], bytes]:
    return lambda output: _ENCODER.encode(write(output)).encode()


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
