from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from longshore import outbound
from longshore.outbound import AddressRefused, BadUrl, Reach, Unreachable, Url
from tests.support.receiver import receiving

if TYPE_CHECKING:
    from collections.abc import Iterator

NOWHERE = Reach()
LOOPBACK = Reach((ip_network("127.0.0.0/8"),))
PATIENCE = 30.0

REFUSED = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",  # noqa: S104 - refused
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",  # Alibaba's metadata
    "169.254.169.254",  # everybody's metadata
    "169.254.170.2",  # that of ECS tasks
    "168.63.129.16",  # Azure's
    "192.0.0.192",  # Oracle's, of old
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",  # Amazon's metadata
    "fd20:ce::254",  # Google's
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "2002:7f00:1::",  # 6to4 of 127.0.0.1
    "64:ff9b::a9fe:a9fe",  # NAT64 of 169.254.169.254
    "2001:0:808:808::5601:5601",  # Teredo of 169.254.169.254
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", REFUSED)
def test_requests_go_to_no_address_inside(address: str) -> None:
    with pytest.raises(AddressRefused, match="isn't a public address"):
        NOWHERE.check(ip_address(address))
    with pytest.raises(AddressRefused):
        NOWHERE.check_literal(address)
    Reach((ip_network(address),)).check(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_requests_go_to_public_addresses(address: str) -> None:
    NOWHERE.check(ip_address(address))
    NOWHERE.check_literal(address)


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"])
def test_a_name_is_judged_by_what_it_resolves_to(host: str) -> None:
    NOWHERE.check_literal(host)
    with pytest.raises(AddressRefused):
        NOWHERE.resolve(host, 80)


def test_all_addresses_of_a_name_have_to_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 80)),
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1%eth0", 80, 0, 2)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(AddressRefused, match="fe80::1"):
        NOWHERE.resolve("rebinding.example", 80)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found[:1])
    assert NOWHERE.resolve("rebinding.example", 80) == [ip_address("8.8.8.8")]


def test_a_connection_goes_where_was_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        answers = [[(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", receiver.port))]]
        resolve = socket.getaddrinfo

        def rebind(host: str, *rest: object, **more: object) -> object:
            if host == "rebinding.example":
                # It has another address whenever it is asked again.
                return answers.pop()
            return resolve(host, *rest, **more)  # type: ignore[arg-type] # what it was given

        monkeypatch.setattr(socket, "getaddrinfo", rebind)
        url = Url.parse(f"http://rebinding.example:{receiver.port}/hook?a=b")
        answer = outbound.post(url, {"X-Name": "value"}, b"body", LOOPBACK, PATIENCE)
    assert answer.status == 204
    [received] = receiver.received
    assert (received.path, received.body) == ("/hook?a=b", b"body")
    assert received.headers["host"] == f"rebinding.example:{receiver.port}"
    assert received.headers["x-name"] == "value"


def test_nothing_is_sent_to_an_address_that_is_refused() -> None:
    with receiving() as receiver, pytest.raises(AddressRefused):
        outbound.post(Url.parse(receiver.url), {}, b"", NOWHERE, PATIENCE)
    assert receiver.received == []


def test_a_redirect_is_an_answer_like_others() -> None:
    with receiving() as receiver:
        receiver.answer_with(302, b"over there", Location=f"{receiver.url}/other")
        answer = outbound.post(Url.parse(receiver.url), {}, b"", LOOPBACK, PATIENCE)
    assert (answer.status, answer.beginning) == (302, "over there")
    assert len(receiver.received) == 1


def test_only_the_beginning_of_an_answer_is_read() -> None:
    with receiving() as receiver:
        receiver.answer_with(200, b"\xff" * 100_000)
        answer = outbound.post(Url.parse(receiver.url), {}, b"", LOOPBACK, PATIENCE)
    assert answer.beginning == "\ufffd" * 500


@contextmanager
def saying(*pieces: bytes) -> Iterator[int]:
    """Listen, say something to whoever connects, and then nothing until they go; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                for piece in pieces:
                    connection.sendall(piece)
                while connection.recv(65_536):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize("pieces", [(), (b"HTTP/1.1 200 OK\r\n",)])
def test_who_says_nothing_is_given_up(pieces: tuple[bytes, ...]) -> None:
    with saying(*pieces) as port:
        url = Url.parse(f"http://127.0.0.1:{port}")
        with pytest.raises(Unreachable, match=r"^no answer within 0\.05 seconds$"):
            outbound.post(url, {}, b"", LOOPBACK, 0.05)


def test_what_is_not_http_is_no_answer() -> None:
    with saying(b"220 mail.example ESMTP\r\n") as port:
        url = Url.parse(f"http://127.0.0.1:{port}")
        with pytest.raises(Unreachable, match="BadStatusLine"):
            outbound.post(url, {}, b"", LOOPBACK, PATIENCE)


def test_nobody_there_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unreachable, match="ConnectionRefusedError"):
        outbound.post(Url.parse(f"http://127.0.0.1:{port}"), {}, b"", LOOPBACK, PATIENCE)


def test_a_name_without_an_address_is_no_answer() -> None:
    with pytest.raises(Unreachable, match="can't be resolved"):
        NOWHERE.resolve("nowhere.invalid", 80)


def test_a_url_is_read_to_its_parts() -> None:
    assert Url.parse("https://a.example") == Url(True, "a.example", 443, "/")
    assert Url.parse("http://[2001:db8::1]:81/x?y=z") == Url(False, "2001:db8::1", 81, "/x?y=z")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.example",
        "ftp://a.example",
        "file:///etc/passwd",
        "http://",
        "http:///path",
        "https://user:password@a.example",
        "https://user@a.example",
        "http://a.example:99999",
        "http://a.example:x",
        "http://a.example/a b",
        "http://a.example/\r\nX: y",
        "http://ä.example",
        "http://[::1",
    ],
)
def test_what_is_no_url_of_the_web_is_refused(text: str) -> None:
    with pytest.raises(BadUrl):
        Url.parse(text)
