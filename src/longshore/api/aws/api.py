"""The API of a service of AWS: its protocol, its table of operations and the form of its errors."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from longshore.api.aws.calls import Call
from longshore.api.aws.errors import json_status, query_answer
from longshore.api.aws.query_reader import read_form
from longshore.api.responses import Response
from longshore.errors import MalformedHttpRequest, NotBuiltYet, UnknownOperation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.api.aws.json import JsonService
    from longshore.api.aws.operations import Operation
    from longshore.api.aws.query import QueryService
    from longshore.api.http import Request
    from longshore.errors import RegistryError

# Of the operations that carry neither parts of layers nor manifests.
LARGEST_BODY = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class Api(ABC):
    """A service's API.

    Attributes:
        name: the service's name in signatures.
        operations: what answers its operations, by name.
        call: the kind of call that its handlers take.
        region: the one region that it has for policies, or None if it has all of them.
    """

    name: str
    operations: Mapping[str, Operation]
    call: type[Call] = Call
    region: str | None = None

    def operation(self, name: str) -> Operation:
        """Return what answers an operation.

        Raises:
            NotBuiltYet: nothing does.
        """
        try:
            return self.operations[name]
        except KeyError:
            raise NotBuiltYet(
                f"{name} is not built yet in Longshore. docs/operations.md lists what is."
            ) from None

    @abstractmethod
    def largest_body(self, request: Request) -> int:
        """Return how many bytes the body of a request may have.

        Raises:
            RegistryError: its head can't be one of this API's.
        """

    @abstractmethod
    def operation_name(self, request: Request, body: bytes) -> str:
        """Return the name of the operation that a request calls.

        Raises:
            UnknownOperation: the service has no such operation.
            Serialization: the body can't be read.
        """

    @abstractmethod
    def parse(self, operation: str, body: bytes) -> dict[str, Any]:
        """Read a request; see `longshore.api.aws.protocol.Operation.parse`."""

    @abstractmethod
    def serialize(self, operation: str, output: Mapping[str, Any]) -> bytes:
        """Write what an operation gives."""

    @abstractmethod
    def answer(self, operation: str, content: bytes, request_id: str) -> Response:
        """Return the answer that tells a client what an operation gave, serialized."""

    @abstractmethod
    def refusal(self, error: RegistryError, request_id: str) -> Response:
        """Return the answer that tells a client of an error."""


@dataclass(frozen=True, kw_only=True)
class JsonApi(Api):
    """An API that speaks the JSON protocol.

    Attributes:
        title: the service's name in sentences.
        service: its model, compiled.
        largest_bodies: of operations whose requests may be larger than others.
    """

    title: str
    service: JsonService
    largest_bodies: Mapping[str, int] = field(default_factory=dict)

    def largest_body(self, request: Request) -> int:
        """Return how many bytes the body of a request may have."""
        return self.largest_bodies.get(self.operation_name(request, b""), LARGEST_BODY)

    def operation_name(self, request: Request, body: bytes) -> str:  # noqa: ARG002 - the head tells
        """Return the name of the operation that a request calls."""
        prefix, _, name = (request.header(b"x-amz-target") or "").partition(".")
        if prefix != self.service.target_prefix or name not in self.service.operations:
            raise UnknownOperation(
                f"X-Amz-Target must be {self.service.target_prefix}.<an operation of {self.title}>"
            )
        return name

    def parse(self, operation: str, body: bytes) -> dict[str, Any]:
        """Read a request."""
        return self.service.operations[operation].parse(body)

    def serialize(self, operation: str, output: Mapping[str, Any]) -> bytes:
        """Write what an operation gives."""
        return self.service.operations[operation].serialize(output)

    def answer(self, operation: str, content: bytes, request_id: str) -> Response:  # noqa: ARG002
        """Return the answer that tells a client what an operation gave, serialized."""
        return _json(200, content)

    def refusal(self, error: RegistryError, request_id: str) -> Response:  # noqa: ARG002
        """Return the answer that tells a client of an error."""
        document = {"__type": error.code, "message": error.message} | error.members
        return _json(json_status(type(error)), json.dumps(document).encode())


@dataclass(frozen=True, kw_only=True)
class QueryApi(Api):
    """An API that speaks the Query protocol.

    Attributes:
        service: its model, compiled.
    """

    service: QueryService

    def largest_body(self, request: Request) -> int:
        """Return how many bytes the body of a request may have."""
        if request.raw_query:
            # Signed or not, parameters in two places are two requests in one.
            raise MalformedHttpRequest("Parameters must be sent in the body, not in the URL.")
        return LARGEST_BODY

    def operation_name(self, request: Request, body: bytes) -> str:  # noqa: ARG002 - the body tells
        """Return the name of the operation that a request calls."""
        form = read_form(body)
        name, version = form.get("Action"), form.get("Version")
        if not isinstance(name, str):
            raise UnknownOperation("The request has no parameter Action that names an operation")
        if name in self.service.known and version == self.service.version:
            return name
        raise UnknownOperation(
            f"Could not find operation {name[:100]} for version {_told(version)}"
        )

    def parse(self, operation: str, body: bytes) -> dict[str, Any]:
        """Read a request."""
        return self.service.operations[operation].parse(body)

    def serialize(self, operation: str, output: Mapping[str, Any]) -> bytes:
        """Write what an operation gives."""
        return self.service.operations[operation].serialize(output)

    def answer(self, operation: str, content: bytes, request_id: str) -> Response:
        """Return the answer that tells a client what an operation gave, serialized."""
        return _xml(200, self.service.answer(operation, content, request_id))

    def refusal(self, error: RegistryError, request_id: str) -> Response:
        """Return the answer that tells a client of an error."""
        code, status = query_answer(type(error), self.service.error_statuses)
        document = self.service.refusal(code, error.message, request_id, is_senders=status < 500)
        return _xml(status, document)


def _told(version: object) -> str:
    return version[:20] if isinstance(version, str) else "NO_VERSION_SPECIFIED"


def _json(status: int, document: bytes) -> Response:
    return Response(status, {"Content-Type": "application/x-amz-json-1.1"}, document)


def _xml(status: int, document: bytes) -> Response:
    return Response(status, {"Content-Type": "text/xml"}, document)
