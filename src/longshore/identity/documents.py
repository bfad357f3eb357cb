"""Policy documents: read once, checked when they are set, compiled once for each text."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from longshore.access.policy.documents import Grammar, MalformedPolicy, parse
from longshore.identity.errors import MalformedPolicyDocument

if TYPE_CHECKING:
    from longshore.access.policy.documents import Policy

# Some kilobytes each. What the text means never changes, whatever happens in the database.
_MOST_COMPILED = 4_096


@lru_cache(maxsize=_MOST_COMPILED)
def compiled(text: str, grammar: Grammar = Grammar.IDENTITY) -> Policy:
    """Return a policy that was checked when it was set.

    Raises:
        MalformedPolicy: it isn't one; nobody may be let in on a guess at what it denies.
    """
    return parse(text, grammar)


def checked(text: str, grammar: Grammar = Grammar.IDENTITY) -> Policy:
    """Return a policy that somebody wants to set.

    Raises:
        MalformedPolicyDocument: the policy language has no such document.
    """
    try:
        return parse(text, grammar)
    except MalformedPolicy as error:
        raise MalformedPolicyDocument(str(error)) from None


def size(text: str) -> int:
    """Return how much of a quota a document uses: IAM doesn't count white space."""
    return len("".join(text.split()))
