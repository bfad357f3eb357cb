"""What the protocols of AWS have in common: an operation that reads requests and writes answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from longshore.errors import Serialization

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from longshore.api.aws.constraints import Check, Violation
    from longshore.api.aws.wording import Wording


class Mistyped(Exception):
    """A value isn't of the type that the model says. The path to it grows on the way out."""

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected
        self.path: list[str] = []

    def __str__(self) -> str:
        place = f"'{'.'.join(reversed(self.path))}'" if self.path else "The body of the request"
        return f"{place} must be {self.expected}"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a service, ready to read its requests and to write its answers.

    Attributes:
        name: the name of the operation.
        error_codes: the errors that the model declares for it.
    """

    name: str
    error_codes: frozenset[str]
    _read: Callable[[bytes | bytearray], dict[str, Any]]
    _check: Check | None
    _wording: Wording
    _write: Callable[[Mapping[str, Any]], bytes]

    def parse(self, body: bytes | bytearray) -> dict[str, Any]:
        """Read the body of a request.

        Blobs come as bytes, timestamps as aware datetimes. Members that the model doesn't know are
        ignored.

        Raises:
            Serialization: the body can't be read in the protocol, or a member has the wrong type.
            InvalidParameter: a member breaks a constraint of the model. The service's wording says
                which error it is; `ValidationFailed` and `InvalidTagParameter` are others.
        """
        try:
            members = self._read(body)
        except Mistyped as mistyped:
            raise Serialization(str(mistyped)) from None
        if self._check is not None:
            violations: list[Violation] = []
            self._check(members, "", violations)
            if violations:
                raise self._wording(violations)
        return members

    def serialize(self, output: Mapping[str, Any]) -> bytes:
        """Write what an answer gives. Members that are None are left out.

        Raises:
            TypeError: `output` has a member that the model doesn't know, or of another type. That
                is a mistake in the caller.
            ValueError: a number in `output` is infinite, or a text holds half a character.
        """
        return self._write(output)
