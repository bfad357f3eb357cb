"""Policy documents: read, checked against the grammar of their kind, and compiled.

IAM User Guide, "Grammar of the IAM JSON policy language". What IAM would accept but nobody can have
meant (a member that is unknown or stands twice, a range of addresses that is none) is refused too.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from longshore.access.policy.conditions import Condition, compile_condition
from longshore.access.policy.malformed import MalformedPolicy
from longshore.access.policy.principals import Principals
from longshore.access.policy.statements import Actions, Effect, Resources, Statement
from longshore.documents import MalformedDocument, quoted, read_object

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["Grammar", "MalformedPolicy", "Policy", "parse"]

_MAX_DEPTH: Final = 8
_VERSION_WITH_VARIABLES: Final = "2012-10-17"
_VERSIONS: Final = frozenset({"2008-10-17", _VERSION_WITH_VARIABLES})
_PRINCIPAL_KINDS: Final = frozenset({"AWS", "Service", "Federated"})
_ELEMENTS: Final = frozenset(
    {
        *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction"),
        *("Resource", "NotResource", "Condition"),
    }
)
_PLAIN_SID = re.compile(r"[A-Za-z0-9]*")
# How many actions a policy remembers its statements for; there are fewer in Longshore.
_MOST_ACTIONS: Final = 512


class Needs(Enum):
    """Whether an element must be there."""

    ALWAYS = "required"
    MAYBE = "optional"
    NEVER = "forbidden"


@dataclass(frozen=True, slots=True)
class _Rules:
    """What a kind of policy may say.

    Attributes:
        principal: whether its statements name whom they are about.
        resource: whether they name what they are about.
        service: the one whose actions they may name; None for all.
        plain_sids: `Sid` has letters and digits only, and stands for one statement.
    """

    principal: Needs
    resource: Needs
    service: str | None
    plain_sids: bool


class Grammar(Enum):
    """The kinds of policies."""

    IDENTITY = _Rules(Needs.NEVER, Needs.ALWAYS, service=None, plain_sids=True)
    REPOSITORY = _Rules(Needs.ALWAYS, Needs.MAYBE, service="ecr", plain_sids=False)
    REGISTRY = _Rules(Needs.ALWAYS, Needs.ALWAYS, service="ecr", plain_sids=False)
    TRUST = _Rules(Needs.ALWAYS, Needs.NEVER, service="sts", plain_sids=True)


class Statements(NamedTuple):
    """The statements of a policy about one action, by their effects."""

    denying: tuple[Statement, ...]
    allowing: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy, ready to decide.

    Attributes:
        text: as it was given.
        grammar: its kind.
        version: of the language.
        statements: in their order.
    """

    text: str = field(repr=False)
    grammar: Grammar
    version: str
    statements: tuple[Statement, ...]
    _named: dict[str, list[Statement]] = field(init=False, repr=False, compare=False)
    _others: tuple[Statement, ...] = field(init=False, repr=False, compare=False)
    _found: dict[str, Statements] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        named: dict[str, list[Statement]] = {}
        for statement in self.statements:
            if statement.actions.only_names:
                for name in statement.actions.names:
                    named.setdefault(name, []).append(statement)
        others = (statement for statement in self.statements if not statement.actions.only_names)
        object.__setattr__(self, "_named", named)
        object.__setattr__(self, "_others", tuple(others))

    def about(self, action: str) -> Statements:
        """Return the statements about an action."""
        found = self._found.get(action)
        if found is None:
            found = self._find(action.lower())
            if len(self._found) < _MOST_ACTIONS:
                self._found[action] = found
        return found

    def _find(self, action: str) -> Statements:
        named = self._named.get(action, [])
        others = [statement for statement in self._others if statement.actions.covers(action)]
        found = sorted([*named, *others], key=lambda statement: statement.number)
        return Statements(
            tuple(statement for statement in found if statement.effect is Effect.DENY),
            tuple(statement for statement in found if statement.effect is Effect.ALLOW),
        )

    def principals(self) -> frozenset[str]:
        """Return every AWS principal that is named, as written, but for `*`."""
        named = [
            statement.principals.texts for statement in self.statements if statement.principals
        ]
        return frozenset[str]().union(*named) - {"*"}

    def actions(self) -> frozenset[str]:
        """Return every action that is named, as written, under `Action` or `NotAction`."""
        return frozenset(text for each in self.statements for text in each.actions.texts)

    def keys(self) -> frozenset[str]:
        """Return every condition key that is asked for, as written, variables included."""
        return frozenset[str]().union(*(statement.keys for statement in self.statements))


def parse(text: str, grammar: Grammar) -> Policy:
    """Read and compile a policy.

    Raises:
        MalformedPolicy: it isn't one of this kind.
    """
    try:
        document = read_object(text.encode("utf-8", "surrogatepass"), max_depth=_MAX_DEPTH)
    except MalformedDocument as error:
        raise MalformedPolicy(str(error)) from None
    _refuse_unknown(document, frozenset({"Version", "Id", "Statement"}), "the policy")
    if "Id" in document:
        _string(document["Id"], "Id")
    version = _string(document.get("Version", "2008-10-17"), "Version")
    if version not in _VERSIONS:
        raise MalformedPolicy(f"Version is neither 2012-10-17 nor 2008-10-17: {quoted(version)}")
    if "Statement" not in document:
        raise MalformedPolicy("Statement is missing")
    statements = [
        _Reader(grammar.value, where, variables=version == _VERSION_WITH_VARIABLES).read(
            number, element
        )
        for number, (where, element) in enumerate(_each(document["Statement"], "Statement"), 1)
    ]
    if grammar.value.plain_sids:
        _refuse_ambiguous_sids(statements)
    return Policy(text, grammar, version, tuple(statements))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one statement.

    Attributes:
        rules: of the policy's kind.
        where: the statement stands, for sentences.
        variables: the policy's version knows them.
    """

    rules: _Rules
    where: str
    variables: bool

    def read(self, number: int, element: object) -> Statement:
        members = _object(element, self.where)
        _refuse_unknown(members, _ELEMENTS, self.where)
        sid = _string(members["Sid"], self._at("Sid")) if "Sid" in members else None
        if "Effect" not in members:
            raise MalformedPolicy(f"{self.where} has no Effect")
        effect = _string(members["Effect"], self._at("Effect"))
        if effect not in {"Allow", "Deny"}:
            raise MalformedPolicy(f'{self._at("Effect")} is neither "Allow" nor "Deny"')
        cautious = effect == "Allow"
        return Statement(
            number,
            sid,
            Effect(effect),
            self._principals(members),
            self._actions(members),
            self._resources(members, cautious=cautious),
            tuple(self._conditions(members, cautious=cautious)),
        )

    def _principals(self, members: dict[str, object]) -> Principals | None:
        name = self._one_of(members, "Principal", self.rules.principal)
        if name is None:
            return None
        value, where = members[name], self._at(name)
        negated = name == "NotPrincipal"
        if value == "*":
            return Principals.parse({"AWS": ["*"]}, negated=negated)
        if isinstance(value, str):
            raise MalformedPolicy(f'{where} is neither an object nor "*"')
        kinds = _object(value, where)
        _refuse_unknown(kinds, _PRINCIPAL_KINDS, where)
        if not kinds:
            raise MalformedPolicy(f"{where} names nobody")
        texts = {kind: _strings(listed, f"{where}.{kind}") for kind, listed in kinds.items()}
        with _located(where):
            return Principals.parse(texts, negated=negated)

    def _actions(self, members: dict[str, object]) -> Actions:
        name = cast("str", self._one_of(members, "Action", Needs.ALWAYS))
        texts = _strings(members[name], self._at(name))
        with _located(self._at(name)):
            return Actions.parse(texts, negated=name == "NotAction", service=self.rules.service)

    def _resources(self, members: dict[str, object], *, cautious: bool) -> Resources | None:
        name = self._one_of(members, "Resource", self.rules.resource)
        if name is None:
            return None
        texts = _strings(members[name], self._at(name))
        with _located(self._at(name)):
            return Resources.parse(
                texts,
                negated=name == "NotResource",
                variables=self.variables,
                cautious=cautious,
            )

    def _conditions(self, members: dict[str, object], *, cautious: bool) -> Iterator[Condition]:
        where = self._at("Condition")
        for operator, block in _object(members.get("Condition", {}), where).items():
            seen: set[str] = set()
            for key, value in _object(block, f"{where}.{operator}").items():
                at = f"{where}.{operator}.{key}"
                if key.lower() in seen:
                    raise MalformedPolicy(f"{at} stands twice, the case of its letters apart")
                seen.add(key.lower())
                values = _values(value, at)
                with _located(at):
                    condition = compile_condition(
                        operator, key, values, variables=self.variables, cautious=cautious
                    )
                yield condition

    def _one_of(self, members: dict[str, object], name: str, needs: Needs) -> str | None:
        """Return which of an element and its opposite is there."""
        there = [each for each in (name, f"Not{name}") if each in members]
        if len(there) > 1:
            raise MalformedPolicy(f"{self.where} has both {name} and Not{name}")
        if there and needs is Needs.NEVER:
            raise MalformedPolicy(f"{self.where} has {there[0]}, which a policy of this kind can't")
        if not there and needs is Needs.ALWAYS:
            raise MalformedPolicy(f"{self.where} has neither {name} nor Not{name}")
        return there[0] if there else None

    def _at(self, name: str) -> str:
        return f"{self.where}.{name}"


@contextmanager
def _located(where: str) -> Iterator[None]:
    """Say of what is malformed where it stands."""
    try:
        yield
    except MalformedPolicy as error:
        raise MalformedPolicy(f"{where}: {error}") from None


def _refuse_unknown(members: Collection[str], known: frozenset[str], where: str) -> None:
    for name in members:
        if name not in known:
            raise MalformedPolicy(f"{where} has {quoted(name)}, which isn't an element there")


def _refuse_ambiguous_sids(statements: list[Statement]) -> None:
    sids = Counter(statement.sid for statement in statements if statement.sid)
    for sid, count in sids.items():
        if not _PLAIN_SID.fullmatch(sid):
            raise MalformedPolicy(f"the Sid {quoted(sid)} has more than letters and digits")
        if count > 1:
            raise MalformedPolicy(f"the Sid {quoted(sid)} stands for {count} statements")


def _each(value: object, where: str) -> list[tuple[str, object]]:
    """Return the elements of a list, or the one that stands in its place, with where they are."""
    if not isinstance(value, list):
        return [(where, value)]
    if not value:
        raise MalformedPolicy(f"{where} is empty")
    return [(f"{where}[{index}]", element) for index, element in enumerate(value)]


def _object(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise MalformedPolicy(f"{where} isn't an object")
    return value


def _string(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise MalformedPolicy(f"{where} isn't a string")
    return value


def _strings(value: object, where: str) -> list[str]:
    return [_string(element, at) for at, element in _each(value, where)]


def _values(value: object, where: str) -> list[str]:
    """Read the values of a condition, which JSON's numbers and booleans can be too."""
    return [_value(element, at) for at, element in _each(value, where)]


def _value(value: object, where: str) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if isfinite(value):
            return format(Decimal(repr(value)), "f")
        case _:
            raise MalformedPolicy(f"{where} isn't a string, a number, true or false")
