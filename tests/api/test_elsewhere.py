"""Requests that are for neither face, or that are hardly HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.wire import wire

if TYPE_CHECKING:
    from tests.support.server import RunningServer

TEXT = "text/plain; charset=utf-8"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_browser_is_told_what_this_is(plain_server: RunningServer, method: str) -> None:
    answer = plain_server.send(method, "/")

    assert (answer.status, answer.headers["content-type"]) == (200, TEXT)
    assert answer.body.startswith(b"Longshore, a container registry" if method == "GET" else b"")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/x"),
        ("GET", "/v1/_ping"),
        ("GET", "/v2x"),
        ("GET", "/V2/"),
        ("GET", "//v2/"),
        ("GET", "/layers"),
        ("GET", "/../etc/passwd"),
        ("GET", "/%2e%2e/etc/passwd"),
        ("POST", "/x"),
        ("POST", "//"),
        ("PUT", "/"),
        ("DELETE", "/"),
        ("OPTIONS", "/"),
    ],
)
def test_nothing_is_elsewhere(plain_server: RunningServer, method: str, path: str) -> None:
    answer = plain_server.send(method, path)

    assert (answer.status, answer.headers["content-type"]) == (404, TEXT)
    assert answer.body == (
        b"Nothing is here. The APIs of AWS are POST /, the registry is below /v2/.\n"
    )


HARDLY_HTTP = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no version": b"GET /v2/\r\n\r\n",
    "an unknown method": b"FETCH /v2/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "a header without a colon": b"GET /v2/ HTTP/1.1\r\nHost a\r\n\r\n",
    "a header with a NUL": b"GET /v2/ HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
    "a path with a blank": b"GET /v2/a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "a path beyond ASCII": b"GET /v2/\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\n"
    b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "a length and chunks": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a length that is none": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "an unknown transfer encoding": b"POST / HTTP/1.1\r\nHost: a\r\n"
    b"Transfer-Encoding: gzip\r\n\r\n{}",
    "no host": b"GET /v2/ HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
}


@pytest.mark.parametrize("request_", HARDLY_HTTP.values(), ids=HARDLY_HTTP.keys())
def test_what_is_hardly_http_is_a_bad_request(plain_server: RunningServer, request_: bytes) -> None:
    with wire(plain_server) as connection:
        connection.send(request_)
        answer = connection.read_answer()

    assert answer.status == 400
    assert plain_server.oci("GET", "/v2/").status == 200


def test_one_connection_serves_many_requests(plain_server: RunningServer) -> None:
    """Also after refused ones, whose bodies nobody read."""
    name, value = plain_server.authorization
    head = f"Host: {plain_server.address}\r\n{name}: {value}\r\n"
    ping = f"GET /v2/ HTTP/1.1\r\n{head}\r\n".encode()
    delete = f"DELETE /v2/no/such/manifests/1 HTTP/1.1\r\n{head}Content-Length: 5\r\n\r\nabcde"
    nowhere = f"PUT /v2/nowhere HTTP/1.1\r\n{head}Content-Length: 5\r\n\r\nabcde"
    with wire(plain_server) as connection:
        connection.send(ping)
        assert connection.read_answer().status == 200
        for refused in (delete, nowhere):
            connection.send(refused.encode())
            assert connection.read_answer().status == 404
        connection.send(ping)
        assert connection.read_answer().status == 200
