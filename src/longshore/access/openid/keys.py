"""Where the keys of identity providers come from that have none stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from longshore.errors import ProviderUnreachable

if TYPE_CHECKING:
    from longshore.access.openid.key_sets import Key


class Keys(Protocol):
    """Finds keys that providers publish."""

    def find(self, issuer: str, key_id: str | None, algorithm: str) -> tuple[Key, ...]:
        """Return the keys that a token of the issuer may be signed with.

        Raises:
            ProviderUnreachable: they can't be had.
        """


class NoKeys:
    """Finds none: only stored keys count."""

    def find(self, issuer: str, key_id: str | None, algorithm: str) -> tuple[Key, ...]:  # noqa: ARG002 - as `Keys` has it
        """Refuse to ask anybody."""
        raise unreachable(issuer)


def unreachable(issuer: str) -> ProviderUnreachable:
    """Word the refusal where keys can't be had."""
    return ProviderUnreachable(
        f"Couldn't retrieve verification key from your identity provider, {issuer}. The server's "
        "log tells why. Where the provider can't be reached, store its keys with it instead."
    )
