"""The AWS Query protocol: requests are forms, answers are XML.

A service's model is compiled once into closures; see `longshore.api.aws.model`. A model may have
many more operations than Longshore answers, so only those asked for are compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from longshore.api.aws.constraints import ConstraintCompiler
from longshore.api.aws.model import ServiceModel
from longshore.api.aws.protocol import Operation
from longshore.api.aws.query_reader import QueryReader, read_form
from longshore.api.aws.xml_writer import XmlWriter, element

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from longshore.api.aws.model import OperationModel
    from longshore.api.aws.query_reader import Read
    from longshore.api.aws.wording import Dialect
    from longshore.api.aws.xml_writer import Write


@dataclass(frozen=True, slots=True)
class QueryService:
    """A service that speaks the AWS Query protocol.

    Attributes:
        version: the version of its API, which each request names.
        namespace: the namespace of its answers.
        operations: those of its operations that are compiled, by name.
        known: the names of all its operations.
        error_statuses: the HTTP status of each error that the model declares, by its code.
    """

    version: str
    namespace: str
    operations: Mapping[str, Operation]
    known: frozenset[str]
    error_statuses: Mapping[str, int]

    @classmethod
    def load(cls, service_name: str, dialect: Dialect, operations: Collection[str]) -> Self:
        """Compile the newest model of a service that the installed botocore has.

        Args:
            service_name: botocore's name of the service, such as `iam`.
            dialect: how the service words broken constraints.
            operations: the names of the operations to compile.

        Raises:
            FileNotFoundError: botocore has no such service.
            KeyError: its model has no such operation.
        """
        model = ServiceModel.load(service_name).with_lengths(dialect.lengths)
        reader = QueryReader(model.shapes)
        constraints = ConstraintCompiler(model.shapes)
        writer = XmlWriter(model.shapes)

        def compiled(operation: OperationModel) -> Operation:
            taken, given = operation.input, operation.output
            return Operation(
                name=operation.name,
                error_codes=operation.error_codes,
                _read=_reader_of(reader.compile(taken) if taken else _ignore_parameters),
                _check=constraints.compile(taken) if taken else None,
                _wording=dialect.wording(operation),
                _write=_writer_of(operation.result_wrapper, writer.compile(given))
                if given
                else _refuse_members,
            )

        return cls(
            version=model.metadata["apiVersion"],
            namespace=model.metadata["xmlNamespace"],
            operations={name: compiled(model.operations[name]) for name in operations},
            known=frozenset(model.operations),
            error_statuses=model.error_statuses,
        )

    def answer(self, operation: str, result: bytes, request_id: str) -> bytes:
        """Return the document that tells a client what an operation gave.

        Args:
            operation: its name.
            result: what it gave, serialized.
            request_id: the request's id.
        """
        head = f'<{operation}Response xmlns="{self.namespace}">'
        metadata = f"<ResponseMetadata>{element('RequestId', request_id)}</ResponseMetadata>"
        return b"".join((head.encode(), result, f"{metadata}</{operation}Response>".encode()))

    def refusal(self, code: str, message: str, request_id: str, *, is_senders: bool) -> bytes:
        """Return the document that tells a client of an error.

        Args:
            code: the error's code.
            message: the sentence for the user.
            request_id: the request's id.
            is_senders: whether it is the client's doing, not the server's.
        """
        parts = (
            f'<ErrorResponse xmlns="{self.namespace}"><Error>',
            element("Type", "Sender" if is_senders else "Receiver"),
            element("Code", code),
            element("Message", message),
            "</Error>",
            element("RequestId", request_id),
            "</ErrorResponse>",
        )
        return "".join(parts).encode()


def _reader_of(read: Read) -> Callable[[bytes | bytearray], dict[str, Any]]:
    return lambda body: read(read_form(body))


def _ignore_parameters(_form: object) -> dict[str, Any]:
    return {}


def _writer_of(wrapper: str | None, write: Write) -> Callable[[Mapping[str, Any]], bytes]:
    if wrapper is None:
        raise TypeError("an output of the Query protocol stands in a wrapper")

    def write_result(output: Mapping[str, Any]) -> bytes:
        out: list[str] = []
        write(wrapper, output, out)
        return "".join(out).encode()

    return write_result


def _refuse_members(output: Mapping[str, Any]) -> bytes:
    if output:
        raise TypeError("the operation has no output")
    return b""
