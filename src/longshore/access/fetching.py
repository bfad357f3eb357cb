"""Fetching small documents from elsewhere, without being led anywhere else.

What is fetched is named by those who configure the server, but what a name leads to is up to
whoever holds the name: no address of this machine's or of its networks is asked unless that is
allowed, the address that was checked is the one that is asked, and no redirect is followed.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from longshore.outbound import is_public

if TYPE_CHECKING:
    from collections.abc import Callable
    from urllib.parse import SplitResult

_HTTPS_PORT = 443


class CannotFetch(Exception):
    """The document can't be had; the message says why, for the operator."""


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Gets documents over HTTPS.

    Attributes:
        allows_private: whether addresses that aren't public may be asked.
        timeout: how long a document may take from the connection to its last byte, in seconds.
        largest: how many bytes it may have.
        tls: whose certificates are believed.
        resolve: finds the addresses of a host.
    """

    allows_private: bool = False
    timeout: float = 5.0
    largest: int = 256 * 1024
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    resolve: Callable[..., list[Any]] = socket.getaddrinfo

    def get(self, url: str) -> bytes:
        """Return the document at `url`.

        Raises:
            CannotFetch: it can't be had.
        """
        parts = _split(url)
        host, port = parts.hostname or "", parts.port or _HTTPS_PORT
        try:
            with self.tls.wrap_socket(
                self._connect(host, port), server_hostname=host, do_handshake_on_connect=False
            ) as connection:
                # Whoever sends a byte now and then would outlast every timeout of the socket's.
                ends_at = time.monotonic() + self.timeout
                ending = threading.Timer(self.timeout, _shut_down, [connection])
                ending.start()
                try:
                    connection.do_handshake()
                    content = self._ask(connection, parts)
                finally:
                    ending.cancel()
                # What was cut off by that looks like a document that ended.
                if time.monotonic() >= ends_at:
                    raise TimeoutError(f"it took longer than {self.timeout:g} seconds")
                return content
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise CannotFetch(f"{url} can't be fetched: {reason}") from error

    def _connect(self, host: str, port: int) -> socket.socket:
        found = self.resolve(host, port, type=socket.SOCK_STREAM)
        addresses = [info[4] for info in found]
        if not self.allows_private:
            refused = [address[0] for address in addresses if not is_public(str(address[0]))]
            if refused:
                raise CannotFetch(
                    f"{host} leads to {refused[0]}, which is no public address. If it is meant, "
                    "allow it (outgoing_private_addresses)."
                )
        failure: OSError = ConnectionError(f"{host} has no address")
        for address in addresses:
            try:
                return socket.create_connection(address[:2], self.timeout)
            except OSError as error:
                failure = error
        raise failure

    def _ask(self, connection: ssl.SSLSocket, parts: SplitResult) -> bytes:
        asking = http.client.HTTPConnection(parts.netloc)
        asking.sock = connection
        path = parts.path or "/"
        asking.request(
            "GET",
            f"{path}?{parts.query}" if parts.query else path,
            headers={
                "Accept": "application/json",
                "User-Agent": "Longshore",
                "Connection": "close",
            },
        )
        with asking.getresponse() as answer:
            if answer.status != http.client.OK:
                raise CannotFetch(
                    f"{parts.geturl()} answered {answer.status} instead of 200"
                    + ("; redirects aren't followed" if answer.status in range(300, 400) else "")
                )
            content = answer.read(self.largest + 1)
            if len(content) > self.largest:
                raise CannotFetch(f"{parts.geturl()} answered with more than {self.largest} bytes")
            if answer.length:
                raise CannotFetch(f"{parts.geturl()} was cut short")
        return content


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_sound = url.isascii() and url.isprintable() and " " not in url and parts.port != 0
    except ValueError:
        raise CannotFetch(f"{url[:200]!r} is no URL") from None
    if parts.scheme != "https" or not parts.hostname or not is_sound:
        raise CannotFetch(f"{url[:200]!r} is no URL of HTTPS")
    if "@" in parts.netloc:
        raise CannotFetch(f"{parts.scheme}://{parts.hostname} must be named without a user")
    return parts


def _shut_down(connection: socket.socket) -> None:
    # Beneath TLS, which has no part in it: whoever reads sees the end.
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
