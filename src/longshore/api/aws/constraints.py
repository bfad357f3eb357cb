"""The constraints of a service's model on the members of a request.

They are checked on Python values, after a protocol has read them, so that every protocol shares
them. What is found broken is told without words: wordings are in `longshore.api.aws.wording`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from longshore.api.aws.model import ShapeCompiler
from longshore.api.aws.patterns import compile_pattern

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from longshore.api.aws.model import Shape

# A request can break more constraints than any answer should list.
_ENOUGH = 10

_LENGTHLESS = frozenset({"integer", "long", "float", "double"})


class Kind(Enum):
    """What a constraint asks of a member, in AWS's words."""

    NOT_NULL = "not be null"
    MIN_LENGTH = "have length greater than or equal to {}"
    MAX_LENGTH = "have length less than or equal to {}"
    MIN_VALUE = "have value greater than or equal to {}"
    MAX_VALUE = "have value less than or equal to {}"
    PATTERN = "satisfy regular expression pattern: {}"
    ENUM = "satisfy enum value set: [{}]"


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint: what it asks, and the bound, pattern or values that it asks for."""

    kind: Kind
    bound: object = None

    @property
    def sentence(self) -> str:
        """The constraint as AWS states it."""
        return "Member must " + self.kind.value.format(self.bound)


@dataclass(frozen=True, slots=True)
class Violation:
    """One constraint that a request breaks.

    Attributes:
        path: where, as AWS writes it: `tags.2.member.key`, counting from 1. What is wrong with a
            scalar in a list is said of the list.
        value: the value at `path`, None if there is none, `HIDDEN` if it mustn't be repeated.
        shape: the name of the shape that the constraint belongs to.
        constraint: the constraint.
        among: of a scalar in a list: all the constraints of the list's members.
    """

    path: str
    value: object
    shape: str
    constraint: Constraint
    among: tuple[Constraint, ...] = ()


Check: TypeAlias = Callable[[Any, str, list[Violation]], None]

HIDDEN = object()

_NOT_NULL = Constraint(Kind.NOT_NULL)


@dataclass(frozen=True, slots=True)
class _Rule:
    constraint: Constraint
    is_broken_by: Callable[[Any], bool]


class ConstraintCompiler(ShapeCompiler[Check | None]):
    """Makes a check of each shape; None of a shape that constrains nothing.

    A check takes a value, its path, and the list to which it adds what is broken.
    """

    def structure(self, shape: Shape) -> Check | None:
        """Make the check that required members are there, and of each member that is."""
        parts = [
            (name, _as_in_paths(name), part, name in shape.required, self.compile(part))
            for name, part in shape.members.items()
        ]
        members = [part for part in parts if part[3] or part[4] is not None]
        if not members:
            return None

        def check(value: Mapping[str, Any], path: str, found: list[Violation]) -> None:
            prefix = path and path + "."
            for name, label, part, is_required, check_member in members:
                member = value.get(name)
                if member is None:
                    if is_required:
                        found.append(Violation(prefix + label, None, part, _NOT_NULL))
                elif check_member is not None:
                    check_member(member, prefix + label, found)

        return check

    def list(self, shape: Shape) -> Check:
        """Make the check of a list's length, and of each of its members."""
        check_length = _check_of(_length_rules(shape), shape)
        check_members = self._members_check(self.shapes[str(shape.element)])

        def check(value: Sequence[Any], path: str, found: list[Violation]) -> None:
            before = len(found)
            check_length(value, path, found)
            if len(found) == before:
                check_members(value, path, found)

        return check

    def map(self, shape: Shape) -> Check:
        """Make the check of a map's length, and of each of its keys and values."""
        check_length = _check_of(_length_rules(shape), shape)
        check_keys = self._members_check(self.shapes[str(shape.key)])
        check_element = self.compile(str(shape.element))

        def check(value: Mapping[str, Any], path: str, found: list[Violation]) -> None:
            before = len(found)
            check_length(value, path, found)
            check_keys(list(value), path, found)
            if len(found) > before:
                return
            for key, member in value.items():
                if len(found) >= _ENOUGH:
                    return
                if check_element is not None:
                    check_element(member, f"{path}.{key}.member", found)

        return check

    def scalar(self, shape: Shape) -> Check | None:
        """Make the check of a single value."""
        rules = _rules(shape)
        return _check_of(rules, shape) if rules else None

    def _members_check(self, element: Shape) -> Check:
        if element.kind in {"structure", "list", "map"}:
            return self._nested_members_check(element)
        return _scalar_members_check(element)

    def _nested_members_check(self, element: Shape) -> Check:
        check_member = self.compile(element.name)

        def check(value: Sequence[Any], path: str, found: list[Violation]) -> None:
            for position, member in enumerate(value, 1):
                if len(found) >= _ENOUGH:
                    return
                if member is None:
                    place = f"{path}.{position}.member"
                    found.append(Violation(place, None, element.name, _NOT_NULL))
                elif check_member is not None:
                    check_member(member, f"{path}.{position}.member", found)

        return check


def _scalar_members_check(element: Shape) -> Check:
    rules = _rules(element)
    constraints = tuple(rule.constraint for rule in rules)

    def check(value: Sequence[Any], path: str, found: list[Violation]) -> None:
        for member in value:
            if member is None:
                found.append(Violation(path, value, element.name, _NOT_NULL, (_NOT_NULL,)))
                return
            for rule in rules:
                if rule.is_broken_by(member):
                    told = HIDDEN if element.is_sensitive else value
                    violation = Violation(path, told, element.name, rule.constraint, constraints)
                    found.append(violation)
                    return

    return check


def _check_of(rules: Sequence[_Rule], shape: Shape) -> Check:
    def check(value: object, path: str, found: list[Violation]) -> None:
        for rule in rules:
            if rule.is_broken_by(value):
                told = HIDDEN if shape.is_sensitive else value
                found.append(Violation(path, told, shape.name, rule.constraint))
                # No pattern is tried on a text that is longer than the model foresees.
                if rule.constraint.kind is Kind.MAX_LENGTH:
                    return

    return check


def _rules(shape: Shape) -> Sequence[_Rule]:
    bounds = _value_rules(shape) if shape.kind in _LENGTHLESS else _length_rules(shape)
    return [*bounds, *_text_rules(shape)]


def _length_rules(shape: Shape) -> list[_Rule]:
    rules = []
    if shape.maximum is not None:
        most = shape.maximum
        rules.append(_Rule(Constraint(Kind.MAX_LENGTH, most), lambda value: len(value) > most))
    if shape.minimum is not None:
        least = shape.minimum
        rules.append(_Rule(Constraint(Kind.MIN_LENGTH, least), lambda value: len(value) < least))
    return rules


def _value_rules(shape: Shape) -> list[_Rule]:
    rules = []
    if shape.maximum is not None:
        most = shape.maximum
        rules.append(_Rule(Constraint(Kind.MAX_VALUE, most), lambda value: value > most))
    if shape.minimum is not None:
        least = shape.minimum
        rules.append(_Rule(Constraint(Kind.MIN_VALUE, least), lambda value: value < least))
    return rules


def _text_rules(shape: Shape) -> list[_Rule]:
    rules = []
    if shape.pattern is not None:
        fullmatch = compile_pattern(shape.pattern).fullmatch
        # The services print `/` where the model's pattern escapes it.
        constraint = Constraint(Kind.PATTERN, shape.pattern.replace(r"\/", "/"))
        rules.append(_Rule(constraint, lambda value: fullmatch(value) is None))
    if shape.enum:
        values = frozenset(shape.enum)
        constraint = Constraint(Kind.ENUM, ", ".join(_as_printed(shape.enum)))
        rules.append(_Rule(constraint, lambda value: value not in values))
    return rules


def _as_in_paths(member: str) -> str:
    # Paths have ECR's member `Key` as `key`, and IAM's `RoleName` as `roleName`.
    return member[0].lower() + member[1:]


def _as_printed(values: Sequence[str]) -> list[str]:
    """Put the values of an enum in the order in which AWS prints them.

    It is the order of a hash set of Java's with sixteen buckets or more, which the two sets that
    were seen in ECR's answers agree with.
    """
    buckets = 16
    while len(values) > buckets * 3 // 4:
        buckets *= 2
    return sorted(values, key=lambda value: _java_bucket(value, buckets))


def _java_bucket(value: str, buckets: int) -> int:
    code = 0
    for character in value:
        code = (31 * code + ord(character)) & 0xFFFF_FFFF
    return (code ^ code >> 16) & (buckets - 1)
