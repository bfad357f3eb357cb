"""Policies that were compiled before, for each text once: what it means never changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from longshore.access.policy.documents import parse

if TYPE_CHECKING:
    from longshore.access.policy.documents import Grammar, Policy

# Of all texts together, in characters. A policy takes some ten times as much as its text.
_MOST_CHARACTERS: Final = 2 * 1024 * 1024


class CompiledPolicies:
    """The policies that were asked for last.

    Args:
        most_characters: how long all of their texts may be together.
    """

    def __init__(self, most_characters: int) -> None:
        self._most_characters = most_characters
        self._policies: OrderedDict[tuple[str, Grammar], Policy] = OrderedDict()
        self._characters = 0
        self._lock = threading.Lock()

    @property
    def characters(self) -> int:
        """How long all of their texts are together."""
        return self._characters

    def find(self, text: str, grammar: Grammar) -> Policy:
        """Return a policy that was checked when it was set.

        Raises:
            MalformedPolicy: it isn't one; nobody may be let in on a guess at what it denies.
        """
        key = text, grammar
        with self._lock:
            if key in self._policies:
                self._policies.move_to_end(key)
                return self._policies[key]
        policy = parse(text, grammar)
        with self._lock:
            if key not in self._policies:
                self._policies[key] = policy
                self._characters += len(text)
            while self._characters > self._most_characters:
                (forgotten, _), _ = self._policies.popitem(last=False)
                self._characters -= len(forgotten)
        return policy


# The function of one instance: all who ask share what is compiled.
compiled: Final = CompiledPolicies(_MOST_CHARACTERS).find
