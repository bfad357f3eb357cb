"""The kinds of identities, what IAM calls them and how many it allows."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import Enum

_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_ID_LENGTH = 17


class Kind(Enum):
    """What policies can be attached to, by the word that its ARNs have."""

    USER = "user"
    GROUP = "group"
    ROLE = "role"

    @property
    def title(self) -> str:
        """The word as sentences begin with it."""
        return self.value.capitalize()

    @property
    def quotas(self) -> Quotas:
        """What IAM allows."""
        return _QUOTAS[self]

    def new_id(self) -> str:
        """Return an id that no other identity has or will have."""
        return new_id(_PREFIXES[self])


@dataclass(frozen=True, slots=True)
class Quotas:
    """IAM's quotas for a kind of identity.

    Attributes:
        in_account: how many there may be.
        longest_name: in characters.
        inline_size: of all inline policies of one together, in characters, white space aside.
        attachments: managed policies of one.
    """

    in_account: int
    longest_name: int
    inline_size: int
    attachments: int = 10


_QUOTAS = {
    Kind.USER: Quotas(in_account=5_000, longest_name=64, inline_size=2_048),
    Kind.GROUP: Quotas(in_account=300, longest_name=128, inline_size=5_120),
    Kind.ROLE: Quotas(in_account=1_000, longest_name=64, inline_size=10_240),
}
_PREFIXES = {Kind.USER: "AIDA", Kind.GROUP: "AGPA", Kind.ROLE: "AROA"}


def new_id(prefix: str) -> str:
    """Return a unique id of the form that AWS gives to what begins with `prefix`."""
    return prefix + "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
