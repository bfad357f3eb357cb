"""Requests to the outside, to addresses that others choose.

A name is resolved first, and every address that it has must be a public one, or in a network that
the operator allows: else whoever chooses the name would send requests from inside the operator's
network, to the machine itself, or to where clouds keep their credentials. The connection goes to an
address that was looked at, whatever the name resolves to by then. Redirects aren't followed.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from ipaddress import IPv4Network, IPv6Network

Address: TypeAlias = IPv4Address | IPv6Address

# Public addresses that aren't the public's: where Azure and Oracle keep their metadata.
_INSIDE_CLOUDS = (ip_network("168.63.129.16/32"), ip_network("192.0.0.0/24"))
# RFC 6052: the last four bytes are an IPv4 address, which a gateway may lead to.
_NAT64 = ip_network("64:ff9b::/96")
_SCHEMES = {"http": 80, "https": 443}
_LONGEST_ANSWER = 500


def is_public(text: str) -> bool:
    """Tell whether an IP address is one of the public Internet's.

    An address of IPv6 that stands for one of IPv4 is what that one is.
    """
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        if address.teredo is not None:
            return False
        meant = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            meant = IPv4Address(address.packed[-4:])
        if meant is not None:
            return is_public(str(meant))
    is_inside = any(address in network for network in _INSIDE_CLOUDS)
    return address.is_global and not address.is_multicast and not (address.is_reserved or is_inside)


class Unreachable(Exception):
    """There was no answer; the message says why, without secrets."""


class AddressRefused(Unreachable):
    """The address isn't one that requests may go to."""


class BadUrl(ValueError):
    """The text is no URL that a request can be sent to; the message says why."""


@dataclass(frozen=True, slots=True)
class Url:
    """Where a request goes.

    Attributes:
        is_tls: whether it is `https`.
        host: the name, or the address.
        port: the port.
        target: path and query.
    """

    is_tls: bool
    host: str
    port: int
    target: str

    @classmethod
    def parse(cls, text: str) -> Url:
        """Read a URL.

        Raises:
            BadUrl: it isn't one, or not one of http and https, or there are credentials in it.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise BadUrl(f"{error}") from error
        if parts.scheme not in _SCHEMES or not parts.hostname:
            raise BadUrl("a URL begins with https:// or http:// and a host")
        if "@" in parts.netloc:
            raise BadUrl("a URL must hold no credentials: everybody can see them")
        if not text.isascii() or not text.isprintable() or " " in text:
            raise BadUrl("a URL is written in ASCII, without spaces")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        is_tls = parts.scheme == "https"
        return cls(is_tls, parts.hostname, port or _SCHEMES[parts.scheme], target)


@dataclass(frozen=True, slots=True)
class Reach:
    """Where requests may go, beside public addresses.

    Attributes:
        allowed: networks that are reached although they aren't public.
    """

    allowed: tuple[IPv4Network | IPv6Network, ...] = ()

    def check(self, address: Address) -> None:
        """Refuse an address that requests mustn't go to.

        Raises:
            AddressRefused: it isn't public, and not allowed.
        """
        if not is_public(str(address)) and not any(address in network for network in self.allowed):
            raise AddressRefused(
                f"{address} isn't a public address, and requests may not go there. If this one is "
                "meant, allow its network."
            )

    def check_literal(self, host: str) -> None:
        """Refuse a host that is written as an address which requests mustn't go to.

        Raises:
            AddressRefused: it is one. A name isn't resolved here.
        """
        with suppress(ValueError):
            self.check(ip_address(host))

    def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Return the addresses of a host, all of which requests may go to.

        Raises:
            Unreachable: it has none.
            AddressRefused: it has one that isn't allowed.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"{host} can't be resolved: {error}") from error
        # A scope, as in fe80::1%eth0, is of no use to whoever isn't allowed to go there.
        addresses = [ip_address(str(each[4][0]).partition("%")[0]) for each in found]
        for address in addresses:
            self.check(address)
        return list(dict.fromkeys(addresses))


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, and the beginning of the body."""

    status: int
    beginning: str


def post(url: Url, headers: Mapping[str, str], body: bytes, reach: Reach, seconds: float) -> Answer:
    """Send a POST request and return the answer.

    Args:
        url: where to.
        headers: its headers, but for Host and Content-Length.
        body: its body.
        reach: where requests may go.
        seconds: how long all of it may take.

    Raises:
        Unreachable: there was no answer in that time, or it wasn't HTTP.
        AddressRefused: the host is where requests mustn't go.
    """
    addresses = reach.resolve(url.host, url.port)
    connection = _Connection(url, addresses, seconds)
    try:
        with connection.cut_after(seconds):
            connection.request("POST", url.target, body, dict(headers))
            response = connection.getresponse()
            beginning = response.read(_LONGEST_ANSWER)
        # An answer that was cut looks like one that is over.
        connection.check_whole()
    except TimeoutError as error:
        raise Unreachable(f"no answer within {seconds:g} seconds") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        connection.check_whole()
        raise Unreachable(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
    return Answer(response.status, beginning.decode("utf-8", "replace"))


class _Connection(http.client.HTTPConnection):
    """A connection to one of the addresses that were looked at."""

    def __init__(self, url: Url, addresses: Sequence[Address], seconds: float) -> None:
        super().__init__(url.host, url.port, timeout=seconds)
        # http.client leaves the port out of the Host header where it is this one.
        self.default_port = _SCHEMES["https" if url.is_tls else "http"]
        self._was_cut = False
        self._seconds = seconds
        self._url = url
        self._addresses = addresses

    def connect(self) -> None:
        """Connect to the first address that answers."""
        failure: OSError = OSError("there is no address")
        for address in self._addresses:
            try:
                self.sock = socket.create_connection((str(address), self.port), self.timeout)
            except OSError as error:
                failure = error
            else:
                self._encrypt()
                return
        raise failure

    @contextmanager
    def cut_after(self, seconds: float) -> Iterator[None]:
        """Break the connection off if the block takes longer: each byte may come just in time."""
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def check_whole(self) -> None:
        """Refuse what was broken off.

        Raises:
            Unreachable: it was.
        """
        if self._was_cut:
            raise Unreachable(f"no answer within {self._seconds:g} seconds")

    def _encrypt(self) -> None:
        if self._url.is_tls:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(
                self.sock, server_hostname=self._url.host, do_handshake_on_connect=False
            )
            # Not while wrapping: `_cut` has to find the socket that is waited for.
            self.sock.do_handshake()

    def _cut(self) -> None:
        self._was_cut = True
        sock = self.sock
        if sock is not None:
            with suppress(OSError):
                # Not that of `ssl`, which takes the encryption from under who is reading.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
