"""Who sends a request, where a proxy may stand between."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Address, IPv4Network, IPv6Network

    Address = IPv4Address | IPv6Address

# A proxy may write the port beside the address: `192.0.2.1:4711`, `[2001:db8::1]:4711`.
_WITH_PORT = re.compile(r"(?P<v4>[0-9.]+):[0-9]+|\[(?P<v6>[^\]]*)\](?::[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies whose word counts.

    Attributes:
        trusted: their addresses.
    """

    trusted: tuple[IPv4Network | IPv6Network, ...] = ()

    def client_of(self, peer: str, forwarded_for: Iterable[str]) -> str:
        """Return the address of whoever sends a request: the last one that isn't a proxy's.

        Args:
            peer: who holds the connection. If it isn't a trusted proxy, nothing else counts.
            forwarded_for: the headers `X-Forwarded-For`, in order. Every proxy adds at the end
                whom it was asked by, so what stands before the word of the first stranger may be
                invented.
        """
        if not self.trusted and ":" not in peer:
            return peer
        client = _address(peer)
        if client is None:
            return peer
        hops = [hop.strip() for header in forwarded_for for hop in header.split(",")]
        while hops and self._is_trusted(client):
            before = _address(hops.pop())
            if before is None:
                break
            client = before
        return str(client)

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self.trusted)


def _address(text: str) -> Address | None:
    if match := _WITH_PORT.fullmatch(text):
        text = match["v4"] or match["v6"]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A socket that listens on [::] sees clients of IPv4 so.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
