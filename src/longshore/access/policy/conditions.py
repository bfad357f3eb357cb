"""Conditions: what must hold of a request beside its action and its resource."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from longshore.access.policy.malformed import MalformedPolicy
from longshore.access.policy.operators import OPERATORS, Reading, read_bool, templates
from longshore.access.policy.templates import Context, Test, is_condition_key
from longshore.documents import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NULL: Final = "Null"
_IF_EXISTS: Final = "IfExists"
_SET_OPERATORS: Final = frozenset({"", "ForAllValues:", "ForAnyValue:"})


@dataclass(frozen=True, slots=True)
class Condition:
    """One key under one operator, with the values that it is held against.

    Attributes:
        operator: as written, with its set operator and `IfExists`.
        key: the condition key, as written.
        values: as written.
        keys: every condition key that is asked for, those of variables included.
        holds: tells whether the condition holds for a request.
    """

    operator: str
    key: str
    values: tuple[str, ...]
    keys: frozenset[str]
    holds: Callable[[Context], bool] = field(repr=False, compare=False)


def compile_condition(
    operator: str, key: str, values: Sequence[str], *, variables: bool, cautious: bool
) -> Condition:
    """Compile one line of a condition block.

    Args:
        operator: the operator, with what may stand before and behind it.
        key: the condition key.
        values: one at least.
        variables: `${…}` stands for a value of the request.
        cautious: a negated condition whose variable has no value does not hold.

    Raises:
        MalformedPolicy: the operator is unknown, the key none, or a value not of its kind.
    """
    if not is_condition_key(key):
        raise MalformedPolicy(f"{quoted(key)} isn't a condition key")
    quantifier, colon, name = operator.rpartition(":")
    if operator == _NULL:
        return Condition(operator, key, tuple(values), frozenset({key}), _null(key, values))
    basic = name.removesuffix(_IF_EXISTS)
    known = OPERATORS.get(basic)
    if known is None or quantifier + colon not in _SET_OPERATORS:
        raise MalformedPolicy(f"{quoted(operator)} isn't a condition operator")
    reading = Reading(
        variables=variables and known.has_variables, unresolved=known.negated and cautious
    )
    test = known.compile(values, reading)
    if_absent = (
        name.endswith(_IF_EXISTS)
        or quantifier == "ForAllValues"
        or (known.negated and quantifier != "ForAnyValue")
    )
    holds = _quantified(key.lower(), test, quantifier, negated=known.negated, if_absent=if_absent)
    asked = {
        variable.name
        for text in templates(values, reading, wildcards=True)
        for variable in text.variables
    }
    return Condition(operator, key, tuple(values), frozenset({key, *asked}), holds)


def _null(key: str, values: Sequence[str]) -> Callable[[Context], bool]:
    wanted = {read_bool(value) for value in values}
    if None in wanted:
        raise MalformedPolicy("Null takes true or false")
    name = key.lower()
    return lambda context: (not context.get(name)) in wanted


def _quantified(
    key: str, test: Test, quantifier: str, *, negated: bool, if_absent: bool
) -> Callable[[Context], bool]:
    # Without a set operator a negation is the opposite of the whole: no value may match.
    combined = all if quantifier == "ForAllValues" or (negated and not quantifier) else any

    def holds(context: Context) -> bool:
        values = context.get(key)
        if not values:
            return if_absent
        if len(values) == 1:
            return test(values[0], context) is not negated
        return combined(test(value, context) is not negated for value in values)

    return holds
