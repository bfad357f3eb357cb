from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from longshore.api.http import BadRequest, ClientDisconnected, Request, decode_segment
from longshore.api.responses import FileBody, Response
from longshore.api.workers import Workers
from longshore.errors import RequestEntityTooLarge, RequestTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@pytest.fixture
def workers() -> Iterator[Workers]:
    """A thread."""
    workers = Workers(1)
    yield workers
    workers.close()


def request(*messages: Mapping[str, Any], **scope: Any) -> Request:
    """Make a request; after `messages`, nothing more ever comes."""
    coming = iter(messages)

    async def receive() -> Mapping[str, Any]:
        for message in coming:
            return message
        await asyncio.Event().wait()
        raise AssertionError("nothing sets it")

    defaults = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
    return Request(defaults | scope, receive, idle_timeout=0.01)


def piece(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


# --- What was asked -------------------------------------------------------------------------------


def test_of_what_a_client_calls_itself_the_beginning_counts() -> None:
    asked = request(headers=[(b"user-agent", b"docker/27 " * 1_000)])

    assert asked.user_agent == ("docker/27 " * 1_000)[:1_024]
    assert asked.surroundings("us-east-1").user_agent == asked.user_agent
    assert request(headers=[]).user_agent is None


def test_the_path_stays_as_it_was_sent() -> None:
    asked = request(path="/a/b", raw_path=b"/a%2Fb", query_string=b"c=d")

    assert asked.path == "/a%2Fb"
    assert asked.query == [("c", "d")]


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        (b"", []),
        (b"a=1&a=2&b", [("a", "1"), ("a", "2"), ("b", "")]),
        (b"a=%2B+%20", [("a", "+  ")]),
        (b"a=b=c", [("a", "b=c")]),
        (b"&&a=1&", [("a", "1")]),
        (b"a=%C3%A9", [("a", "\u00e9")]),
        (b"a=%ff", [("a", "\ufffd")]),
        (b"a;b=1", [("a;b", "1")]),
    ],
)
def test_parameters(query: bytes, parameters: list[tuple[str, str]]) -> None:
    asked = request(query_string=query)

    assert asked.query == parameters
    assert asked.parameter("a") == next((value for name, value in parameters if name == "a"), None)


@pytest.mark.parametrize("query", [b"a=%00", b"%00=a", b"a=b%00c"])
def test_a_nul_in_the_query_is_refused(query: bytes) -> None:
    with pytest.raises(BadRequest):
        request(query_string=query).parameter("a")


def test_the_first_header_of_a_name_counts() -> None:
    asked = request(headers=[(b"range", b"bytes=0-1"), (b"range", b"bytes=2-3")])

    assert asked.header(b"range") == "bytes=0-1"
    assert asked.header(b"absent") is None


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:5000", "127.0.0.1", "[::1]", "[::1]:5000", "a_b.example.org", "A.b:1"],
)
def test_hosts(host: str) -> None:
    asked = request(headers=[(b"host", host.encode())], scheme="https")

    assert (asked.host, asked.base_url) == (host, f"https://{host}")


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [""],
        ["a b"],
        ["a/b"],
        ["a:"],
        ["a:b"],
        ["a:123456"],
        ["[::1"],
        ["::1"],
        ['a"'],
        ["a", "a"],
    ],
)
def test_hosts_that_are_none(hosts: list[str]) -> None:
    with pytest.raises(BadRequest):
        _ = request(headers=[(b"host", host.encode()) for host in hosts]).host


@pytest.mark.parametrize(
    ("length", "size"), [(b"0", 0), (b"12", 12), (b"-1", None), (b"x", None), (b"1.5", None)]
)
def test_announced_lengths(length: bytes, size: int | None) -> None:
    assert request(headers=[(b"content-length", length)]).content_length == size
    assert request(headers=[]).content_length is None


@pytest.mark.parametrize(
    ("segment", "decoded"),
    [
        ("plain", "plain"),
        ("sha256%3Aabc", "sha256:abc"),
        ("a%2fb", "a/b"),
        ("a%252fb", "a%2fb"),
        ("%C3%A9", "\u00e9"),
        ("%ff", "\ufffd"),
        ("%zz%", "%zz%"),
        ("a+b", "a+b"),
    ],
)
def test_segments_are_decoded_once(segment: str, decoded: str) -> None:
    assert decode_segment(segment) == decoded


def test_a_nul_in_a_segment_is_refused() -> None:
    with pytest.raises(BadRequest):
        decode_segment("a%00b")


# --- Its body -------------------------------------------------------------------------------------


def body(asked: Request, limit: int = 100) -> bytes:
    return asyncio.run(asked.body(limit))


def test_a_body_comes_in_pieces() -> None:
    assert body(request(piece(b"ab"), piece(b""), piece(b"c", more=False))) == b"abc"
    assert body(request(piece(b"", more=False))) == b""
    assert body(request({"type": "http.request"})) == b""


def test_a_body_as_large_as_the_limit_is_taken_and_a_larger_one_is_not() -> None:
    assert body(request(piece(b"abc", more=False)), limit=3) == b"abc"
    for pieces in ([piece(b"ab"), piece(b"cd")], [piece(b"abcd")], [piece(b"abcd", more=False)]):
        with pytest.raises(RequestEntityTooLarge, match="may have at most 3 bytes"):
            body(request(*pieces), limit=3)


def test_an_announced_body_too_large_is_not_waited_for() -> None:
    with pytest.raises(RequestEntityTooLarge):
        body(request(headers=[(b"content-length", b"4")]), limit=3)


def test_who_breaks_off_is_told_from_who_is_slow() -> None:
    with pytest.raises(ClientDisconnected):
        body(request(piece(b"ab"), {"type": "http.disconnect"}))
    with pytest.raises(RequestTimeout, match=r"No byte of the body came for 0\.01 seconds"):
        body(request(piece(b"ab")))


# --- The answer -----------------------------------------------------------------------------------


def sent(response: Response, workers: Workers, **scope: Any) -> list[Mapping[str, Any]]:
    messages: list[Mapping[str, Any]] = []

    async def send(message: Mapping[str, Any]) -> None:
        messages.append(message)

    asyncio.run(response.send(request(**scope), send, workers))
    return messages


def test_an_answer_tells_its_length(workers: Workers) -> None:
    assert sent(Response(200, {"X-A": "b"}, b"abc"), workers) == [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", b"3"), (b"x-a", b"b")],
        },
        {"type": "http.response.body", "body": b"abc"},
    ]


def test_an_answer_to_head_has_the_same_head_and_no_body(workers: Workers) -> None:
    to_get, to_head = (
        sent(Response(404, {}, b"abc"), workers, method=method) for method in ("GET", "HEAD")
    )

    assert to_head[0] == to_get[0]
    assert to_head[1:] == [{"type": "http.response.body", "body": b""}]


def test_an_answer_without_content_has_no_length(workers: Workers) -> None:
    start, end = sent(Response(204), workers)

    assert (start["headers"], end["body"]) == ([], b"")


def test_a_client_that_was_too_slow_is_sent_away(workers: Workers) -> None:
    start, _ = sent(Response(408, {}, b"slow"), workers)

    assert (b"connection", b"close") in start["headers"]


def test_a_header_is_added_to_those_that_there_are() -> None:
    response = Response(200, {"A": "1"}, b"x")
    assert response.with_header("X-B", "2") is response
    assert (response.headers, response.body) == ({"A": "1", "X-B": "2"}, b"x")


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nx: y", "a\rx: y"])
def test_no_value_begins_a_header_of_its_own(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        Response(200, {"A": value}).whole(request())


@pytest.mark.parametrize(("offset", "length"), [(0, 3_000_000), (5, 10), (2_999_999, 1), (7, 0)])
def test_a_piece_of_a_file_is_sent_and_the_file_closed(
    tmp_path: Path, workers: Workers, offset: int, length: int
) -> None:
    path = tmp_path / "file"
    content = bytes(range(250)) * 12_000
    path.write_bytes(content)

    for method, expected in (("GET", content[offset : offset + length]), ("HEAD", b"")):
        file = path.open("rb")
        answer = Response(200, {}, FileBody(file, offset, length))
        start, *bodies = sent(answer, workers, method=method)
        assert (b"content-length", str(length).encode()) in start["headers"]
        assert b"".join(message["body"] for message in bodies) == expected
        assert [message.get("more_body", False) for message in bodies][-1] is False
        assert file.closed


def test_a_file_that_ends_early_is_no_whole_answer(tmp_path: Path, workers: Workers) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"short")
    file = path.open("rb")

    with pytest.raises(EOFError, match="5 bytes early"):
        sent(Response(200, {}, FileBody(file, 0, 10)), workers)
    assert file.closed
