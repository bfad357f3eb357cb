"""Texts of a policy that are matched against a request: with wildcards, and with variables."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from longshore.access.policy.malformed import MalformedPolicy
from longshore.access.policy.wildcards import Matcher, Tokens, Wild, plain, tokens
from longshore.documents import quoted

# What is known of a request: the condition keys in lower case, with all their values.
Context: TypeAlias = Mapping[str, tuple[str, ...]]
# Tells whether a value of a request is what the policy says, given what else is known.
Test: TypeAlias = Callable[[str, Context], bool]

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_DEFAULT = re.compile(r"([^,']*),\s*'([^']*)'\s*")
# A prefix, and a name that may end in the key of a tag: letters, digits, spaces and _.:/=+-@.
_CONDITION_KEY = re.compile(r"[A-Za-z0-9][\w./-]*:[\w.:/=+@-](?:[\w .:/=+@-]*[\w.:/=+@-])?")
# How many forms that texts with variables took are kept compiled.
_MOST_RESOLVED: Final = 64
_LITERALS: Final = frozenset("*?$")


def is_condition_key(text: str) -> bool:
    """Tell whether `text` has the form of a condition key, such as `aws:PrincipalTag/team`."""
    return len(text) <= 512 and _CONDITION_KEY.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Variable:
    """A place that a condition key's value is put in when a request is there.

    Attributes:
        name: the condition key, as it was written.
        default: stands in where the request lacks the key.
    """

    name: str
    default: str | None

    def value(self, context: Context) -> str | None:
        """Return what stands here, or None if the request has no value, or more than one."""
        values = context.get(self.name.lower())
        if not values:
            return self.default
        return values[0] if len(values) == 1 else None


@dataclass(frozen=True, slots=True)
class Template:
    """A text of a policy, read: its characters, its wildcards and its variables."""

    parts: tuple[str | Wild | Variable, ...]

    @classmethod
    def parse(cls, text: str, *, wildcards: bool, variables: bool) -> Template:
        """Read `text`.

        Args:
            text: as it stands in the document.
            wildcards: `*` and `?` stand for other characters.
            variables: `${…}` stands for a value of the request, as of Version 2012-10-17.

        Raises:
            MalformedPolicy: a variable can't be read.
        """
        if not variables or "${" not in text:
            return cls(_characters(text, wildcards=wildcards))
        parts: list[str | Wild | Variable] = []
        # The even ones stand between the variables, the odd ones in their braces.
        for index, piece in enumerate(_VARIABLE.split(text)):
            if index % 2:
                parts.append(_variable(piece))
            elif "${" in piece:
                raise MalformedPolicy(f"a variable in {quoted(text)} isn't closed by a brace")
            else:
                parts += _characters(piece, wildcards=wildcards)
        return cls(tuple(parts))

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables in the text."""
        return tuple(part for part in self.parts if isinstance(part, Variable))

    def resolve(self, context: Context) -> Tokens | None:
        """Return the text for a request, or None if a variable has no value there.

        A value is put in as it is: a `*` in it stands for itself.
        """
        resolved: list[str | Wild] = []
        for part in self.parts:
            token = part.value(context) if isinstance(part, Variable) else part
            if token is None:
                return None
            resolved.append(token)
        return tuple(resolved)


def _characters(text: str, *, wildcards: bool) -> Tokens:
    if wildcards:
        return tokens(text)
    return (text,) if text else ()


def _variable(inner: str) -> str | Variable:
    if inner in _LITERALS:
        return inner
    with_default = _DEFAULT.fullmatch(inner)
    name, default = with_default.groups() if with_default else (inner, None)
    name = name.strip()
    if not is_condition_key(name):
        raise MalformedPolicy(f"{quoted('${' + inner + '}')} names no condition key")
    return Variable(name, default)


def any_of(
    templates: Sequence[Template], compiled: Callable[[Tokens], Matcher], *, unresolved: bool
) -> Test:
    """Compile the texts into a test of whether one of them matches.

    Args:
        templates: the texts.
        compiled: makes the matcher of one.
        unresolved: what a text counts as whose variable has no value: True as matching.
    """
    fixed = [template.resolve({}) for template in templates if not template.variables]
    known = [pattern for pattern in fixed if pattern is not None]
    exact = frozenset(text for text in map(plain, known) if text is not None)
    patterns = tuple(compiled(pattern) for pattern in known if plain(pattern) is None)
    variable = tuple(template for template in templates if template.variables)
    if not variable and not patterns:
        return lambda value, _: value in exact
    if not variable and not exact and len(patterns) == 1:
        only = patterns[0]
        return lambda value, _: only(value)
    remembered = lru_cache(maxsize=_MOST_RESOLVED)(compiled)

    def matches(value: str, context: Context) -> bool:
        if value in exact:
            return True
        for fits in patterns:
            if fits(value):
                return True
        for template in variable:
            pattern = template.resolve(context)
            if unresolved and pattern is None:
                return True
            if pattern is not None and remembered(pattern)(value):
                return True
        return False

    return matches
