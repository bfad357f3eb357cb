"""How a service words the constraints that a request breaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from longshore.api.aws.constraints import Constraint, Kind, Violation
from longshore.errors import InvalidParameter, InvalidTagParameter, RegistryError, ValidationFailed

if TYPE_CHECKING:
    from longshore.api.aws.model import OperationModel

# `Wording` words the violations of a request (at least one) as the error to answer with.
Wording: TypeAlias = Callable[[Sequence[Violation]], RegistryError]

_LONGEST_ECHO = 1024


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a service's model doesn't say of the constraints.

    Attributes:
        wording: gives an operation's wording of what breaks them.
        lengths: the least and the greatest length of shapes that the model leaves unbounded.
    """

    wording: Callable[[OperationModel], Wording]
    lengths: Mapping[str, tuple[int, int]] = field(default_factory=dict)


# --- The words that most services of AWS share ----------------------------------------------------


def validation_failed(violations: Sequence[Violation]) -> ValidationFailed:
    """Word all the violations in the sentence that most services of AWS share."""
    noun = "validation error" if len(violations) == 1 else "validation errors"
    sentences = "; ".join(
        f"{_echo(violation.value)} at '{violation.path}' failed to satisfy constraint: "
        + _reason(violation)
        for violation in violations
    )
    return ValidationFailed(f"{len(violations)} {noun} detected: {sentences}")


def _echo(value: object) -> str:
    if value is None:
        return "Value null"
    text = _printed(value)
    return f"Value '{text}'" if text is not None and len(text) <= _LONGEST_ECHO else "Value"


def _printed(value: object) -> str | None:
    match value:
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return str(value)
        case list() if all(isinstance(member, str) for member in value):
            return "[" + ", ".join(value) + "]"
        case _:
            return None


def _reason(violation: Violation) -> str:
    if violation.among:
        sentences = ", ".join(constraint.sentence for constraint in violation.among)
        return f"Member must satisfy constraint: [{sentences}]"
    return violation.constraint.sentence


GENERIC = Dialect(wording=lambda _: validation_failed)


# --- ECR's own words ------------------------------------------------------------------------------


def _ecr_wording(operation: OperationModel) -> Wording:
    codes = operation.error_codes
    if ValidationFailed.code in codes and InvalidParameter.code not in codes:
        return validation_failed
    if InvalidTagParameter.code in codes:
        return _invalid_parameter_or_tag
    return _invalid_parameter


def _invalid_parameter_or_tag(violations: Sequence[Violation]) -> RegistryError:
    first = violations[0]
    if first.shape in _TAG_LENGTHS and first.constraint.kind is not Kind.NOT_NULL:
        return InvalidTagParameter("Tag parameters are invalid")
    return _invalid_parameter(violations)


def _invalid_parameter(violations: Sequence[Violation]) -> InvalidParameter:
    """Word the first violation as ECR does; it never tells of more than one."""
    first = violations[0]
    # A name that breaks a rule is told of as `repositoryName` even if it stands in a list.
    if first.shape == "RepositoryName":
        return InvalidParameter.at("repositoryName", _own_reason(first.constraint))
    if first.path == "registryId":
        return InvalidParameter.at("registryId", _own_reason(first.constraint))
    if first.path == "policyText" and first.constraint.kind is Kind.NOT_NULL:
        return InvalidParameter.at("PolicyText", "Cannot be null")
    return InvalidParameter.at(first.path, _reason(first))


def _own_reason(constraint: Constraint) -> str:
    if constraint.kind is Kind.PATTERN:
        return f"must satisfy regular expression '{constraint.bound}'"
    return constraint.sentence.removeprefix("Member ")


# The model states these only in prose, in the description of InvalidTagParameterException.
_TAG_LENGTHS = {"TagKey": (1, 128), "TagValue": (0, 256)}

ECR = Dialect(wording=_ecr_wording, lengths=_TAG_LENGTHS)
