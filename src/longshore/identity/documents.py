"""Policy documents: how IAM checks them when they are set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.access.policy.documents import Grammar, MalformedPolicy, parse
from longshore.identity.errors import MalformedPolicyDocument

if TYPE_CHECKING:
    from longshore.access.policy.documents import Policy


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
