"""Statements, compiled: what each asks of a request, as functions that are ready to be called."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from longshore.access.policy.malformed import MalformedPolicy
from longshore.access.policy.templates import Context, Template, Test, any_of
from longshore.access.policy.wildcards import (
    Wild,
    arn_matcher,
    arn_parts,
    completed_arn,
    matcher,
    tokens,
)
from longshore.documents import quoted
from longshore.names import is_account

if TYPE_CHECKING:
    from longshore.access.policy.conditions import Condition
    from longshore.access.policy.principals import Principals

_ACTION = re.compile(r"(?P<service>[A-Za-z0-9-]{1,64}):(?P<name>[A-Za-z0-9_*?-]{1,128})")
_ACCOUNT_PART: Final = 4
_SERVICE_PART: Final = 2

_Covers: TypeAlias = Callable[[str], bool]


def is_action(text: str) -> bool:
    """Tell whether `text` has the form of one action, such as `ecr:PutImage`: no wildcards."""
    return _ACTION.fullmatch(text) is not None and not {"*", "?"} & {*text}


class Effect(StrEnum):
    """What a statement that matches does."""

    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True, slots=True)
class Actions:
    """The actions of a statement, or those that it leaves out.

    Attributes:
        texts: as written.
        negated: the statement is about every other action.
        names: those without wildcards, in lower case.
        covers: tells whether the statement is about an action, which is in lower case.
    """

    texts: tuple[str, ...]
    negated: bool
    names: frozenset[str]
    covers: _Covers = field(repr=False, compare=False)

    @classmethod
    def parse(cls, texts: Sequence[str], *, negated: bool, service: str | None) -> Actions:
        """Read actions, such as `ecr:Get*`; of one service alone, if it is given.

        Raises:
            MalformedPolicy: one isn't an action, or is one of another service.
        """
        for text in texts:
            found = _ACTION.fullmatch(text)
            if text != "*" and found is None:
                raise MalformedPolicy(f"{quoted(text)} isn't an action")
            if service and found and found["service"].lower() != service:
                raise MalformedPolicy(f"{quoted(text)} isn't an action of {service}")
        patterns = [tokens(text.lower()) for text in texts]
        names = frozenset(text.lower() for text in texts if not ("*" in text or "?" in text))
        matchers = tuple(
            matcher(pattern) for pattern in patterns if Wild.ANY in pattern or Wild.ONE in pattern
        )

        def covers(action: str) -> bool:
            named = action in names or any(fits(action) for fits in matchers)
            return named is not negated

        return cls(tuple(texts), negated, names, covers)

    @property
    def only_names(self) -> bool:
        """Whether `names` is all that the statement is about."""
        return not self.negated and len(self.names) == len({text.lower() for text in self.texts})


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources of a statement, or those that it leaves out.

    Attributes:
        texts: as written.
        negated: the statement is about every other resource.
        variables: the condition keys that are asked for.
        test: tells whether a resource is one of those.
    """

    texts: tuple[str, ...]
    negated: bool
    variables: frozenset[str]
    test: Test = field(repr=False, compare=False)

    @classmethod
    def parse(
        cls, texts: Sequence[str], *, negated: bool, variables: bool, cautious: bool
    ) -> Resources:
        """Read resources: ARNs with wildcards, or `*`.

        Args:
            texts: as written.
            negated: they stand under `NotResource`.
            variables: `${…}` stands for a value of the request.
            cautious: those of `NotResource` match where a variable has no value, so that the
                statement doesn't.

        Raises:
            MalformedPolicy: one is neither an ARN nor `*`.
        """
        templates = [Template.parse(text, wildcards=True, variables=variables) for text in texts]
        for text, template in zip(texts, templates, strict=True):
            _check_resource(text, template)
        everything = "*" in texts
        arns = [_whole(each) for text, each in zip(texts, templates, strict=True) if text != "*"]
        named = any_of(arns, arn_matcher, unresolved=negated and cautious)
        asked = frozenset(v.name for template in templates for v in template.variables)
        return cls(
            tuple(texts), negated, asked, _test(named, everything=everything, negated=negated)
        )


def _test(named: Test, *, everything: bool, negated: bool) -> Test:
    if everything:
        return lambda _resource, _context: not negated
    if negated:
        return lambda resource, context: not named(resource, context)
    return named


def _whole(template: Template) -> Template:
    """Complete the pattern of an ARN; with variables that has to wait for their values."""
    fixed = None if template.variables else template.resolve({})
    return template if fixed is None else Template(completed_arn(fixed))


def _check_resource(text: str, template: Template) -> None:
    if text == "*":
        return
    first, *_ = template.parts or ("",)
    if not isinstance(first, str) or not first.startswith("arn:"):
        raise MalformedPolicy(f'{quoted(text)} is neither an ARN nor "*"')
    # What a variable stands for isn't known: neither are the parts that come after it.
    fixed = template.parts[: _first_variable(template)]
    parts = arn_parts(tuple(part for part in fixed if isinstance(part, str | Wild)))
    known = parts if len(fixed) == len(template.parts) else parts[:-1]
    if len(known) > _SERVICE_PART and known[_SERVICE_PART] == ():
        raise MalformedPolicy(f"{quoted(text)} isn't an ARN: it names no service")
    if len(known) > _ACCOUNT_PART:
        account = known[_ACCOUNT_PART]
        plain = "".join(part for part in account if isinstance(part, str))
        has_wildcard = any(isinstance(part, Wild) for part in account)
        is_pattern = has_wildcard and (not plain or (plain.isascii() and plain.isdigit()))
        if not (is_pattern or plain in {"", "aws"} or is_account(plain)):
            raise MalformedPolicy(f"{quoted(text)} isn't an ARN: {quoted(plain)} is no account")


def _first_variable(template: Template) -> int:
    kinds = [isinstance(part, str | Wild) for part in template.parts]
    return kinds.index(False) if False in kinds else len(kinds)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    Attributes:
        number: its place in the document, from 1.
        sid: its name, if it has one.
        effect: what it does where it matches.
        principals: whom it is about; None in a policy of an identity.
        actions: what is done.
        resources: to what; None where the policy belongs to the resource and needn't say it.
        conditions: what else must hold, all of it.
    """

    number: int
    sid: str | None
    effect: Effect
    principals: Principals | None
    actions: Actions
    resources: Resources | None
    conditions: tuple[Condition, ...]
    _test: Test | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        test = self.resources.test if self.resources else None
        object.__setattr__(self, "_test", test)

    def covers(self, resource: str, context: Context) -> bool:
        """Tell whether a request whose action and principal match matches altogether."""
        if self._test is not None and not self._test(resource, context):
            return False
        for condition in self.conditions:  # noqa: SIM110 - each request comes by: no generator
            if not condition.holds(context):
                return False
        return True

    @property
    def keys(self) -> frozenset[str]:
        """Every condition key that is asked for, as written."""
        asked = self.resources.variables if self.resources else frozenset()
        return asked.union(*(condition.keys for condition in self.conditions))

    def __str__(self) -> str:
        name = f"statement {self.number}"
        return f"{name} ({self.sid})" if self.sid else name
