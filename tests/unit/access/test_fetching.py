from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.access.fetching import CannotFetch, Fetcher
from longshore.outbound import is_public
from tests.support.certificates import write_certificate
from tests.support.identity_provider import running_site

if TYPE_CHECKING:
    import http.server
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.identity_provider import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(write_certificate(tmp_path)) as site:
        yield site


def fetcher(site: Site, **changes: Any) -> Fetcher:
    return Fetcher(**{"allows_private": True, "tls": site.trusted(), **changes})


def test_a_document_is_fetched_as_it_is(site: Site) -> None:
    site.publish("/a/b?c=d", b"\0content")
    assert fetcher(site).get(site.url("/a/b?c=d#fragment")) == b"\0content"
    assert site.asked == ["/a/b?c=d"]


def test_the_root_is_asked_where_no_path_is_given(site: Site) -> None:
    site.publish("/", b"root")
    assert fetcher(site).get(site.url("")) == b"root"


def test_private_addresses_are_not_asked_unless_that_is_allowed(site: Site) -> None:
    site.publish("/", b"secret")
    with pytest.raises(CannotFetch, match=r"localhost leads to .+ no public address"):
        fetcher(site, allows_private=False).get(site.url("/"))
    assert site.asked == []


def test_the_address_that_was_checked_is_the_one_that_is_asked(site: Site) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int, **_: object) -> list[Any]:
        # Who answers differently the second time must not be asked a second time.
        asked.append(host)
        return socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)

    site.publish("/", b"content")
    assert fetcher(site, resolve=resolve).get(site.url("/")) == b"content"
    assert asked == ["localhost"]


def test_one_private_address_among_public_ones_is_enough_to_refuse(site: Site) -> None:
    def resolve(*_: object, **__: object) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))
            for address in ("93.184.215.14", "169.254.169.254")
        ]

    with pytest.raises(CannotFetch, match=r"169\.254\.169\.254"):
        fetcher(site, allows_private=False, resolve=resolve).get("https://ci.example/")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(site: Site, status: int) -> None:
    site.publish("/", b"", status, Location=site.url("/elsewhere"))
    site.publish("/elsewhere", b"content")
    with pytest.raises(CannotFetch, match=f"{status} instead of 200; redirects aren't followed"):
        fetcher(site).get(site.url("/"))
    assert site.asked == ["/"]


@pytest.mark.parametrize("status", [204, 401, 404, 500])
def test_only_200_is_an_answer(site: Site, status: int) -> None:
    site.publish("/", b"", status)
    with pytest.raises(CannotFetch, match=f"{status} instead of 200"):
        fetcher(site).get(site.url("/"))


def test_a_document_is_not_endless(site: Site) -> None:
    site.publish("/", b"x" * 100)
    assert len(fetcher(site, largest=100).get(site.url("/"))) == 100
    with pytest.raises(CannotFetch, match="more than 99 bytes"):
        fetcher(site, largest=99).get(site.url("/"))


def test_a_document_that_was_cut_short_is_refused(site: Site) -> None:
    def half(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "8")
        handler.end_headers()
        handler.wfile.write(b"half")

    site.answers["/"] = half
    with pytest.raises(CannotFetch, match="cut short"):
        fetcher(site).get(site.url("/"))


def test_who_sends_a_byte_now_and_then_is_not_waited_for(site: Site) -> None:
    def trickle(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        # Until the other side has gone, which is what the test is about.
        with suppress(OSError):
            while not threading.Event().wait(0.01):
                handler.wfile.write(b"x")

    site.answers["/"] = trickle
    with pytest.raises(CannotFetch, match=r"longer than 0\.2 seconds"):
        fetcher(site, timeout=0.2).get(site.url("/"))


def test_who_says_nothing_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://localhost:{silent.getsockname()[1]}/"
        with pytest.raises(CannotFetch):
            Fetcher(allows_private=True, timeout=0.2).get(url)


def test_only_certificates_that_are_believed_count(site: Site) -> None:
    site.publish("/", b"content")
    with pytest.raises(CannotFetch, match="certificate verify failed"):
        fetcher(site, tls=ssl.create_default_context()).get(site.url("/"))
    other_name = site.url("/").replace("localhost", "127.0.0.1")
    with pytest.raises(CannotFetch, match="certificate verify failed"):
        fetcher(site).get(other_name)
    assert site.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "keys",
        "http://ci.example/",
        "file:///etc/passwd",
        "ftp://ci.example/",
        "https://",
        "https:///keys",
        "https://user@ci.example/",
        "https://user:password@ci.example/",
        "https://ci.example:0/",
        "https://ci.example:99999/",
        "https://ci.example:port/",
        "https://[::1/",
        "https://ci.example/a b",
        "https://ci.example/\r\nHost: evil",
        "https://ci.exämple/",
        "https://" + "x" * 300 + "/",
        "https://.../",
    ],
)
def test_only_a_plain_url_of_https_is_asked(url: str) -> None:
    def nowhere(host: str, *_: object, **__: object) -> list[Any]:
        host.encode("idna")
        raise socket.gaierror("no such host")

    with pytest.raises(CannotFetch):
        Fetcher(allows_private=True, resolve=nowhere).get(url)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.1",
        "0.0.0.0",  # noqa: S104 - compared
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


@given(number=st.integers(0, 2**32 - 1))
def test_an_ipv4_address_is_what_it_is_in_every_dress(number: int) -> None:
    plain = ipaddress.IPv4Address(number)
    high, low = number >> 16, number & 0xFFFF
    dresses = [f"::ffff:{plain}", f"64:ff9b::{plain}", f"2002:{high:x}:{low:x}::1"]
    assert {is_public(dress) for dress in dresses} == {is_public(str(plain))}
