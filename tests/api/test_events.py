"""The stream of what happens."""

from __future__ import annotations

import http.client
import json
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from longshore.clock import DAY
from longshore.events import log
from longshore.housekeeping import create_runner
from tests.api.stage import Stage
from tests.support.images import oci_image
from tests.support.server import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.conftest import NewServer
    from tests.support.server import RunningServer

PATIENCE = 60
IMAGES = [oci_image(f"streamed {n}") for n in range(3)]


class Stream:
    """An answer that goes on, read message by message."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response

    def next(self) -> dict[str, str]:
        """Return the next message that isn't a comment."""
        while True:
            fields = self._read()
            if fields.pop("", None) is None:
                return fields

    def next_comment(self) -> str:
        """Return the next comment."""
        while True:
            fields = self._read()
            if "" in fields:
                return fields[""]

    def is_over(self) -> bool:
        """Read to the end, which has to come; tell whether it is a good one."""
        # http.client raises where the last chunk is missing.
        self._response.read()
        return self._response.isclosed()

    def _read(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        while line := self._response.readline().decode().rstrip("\n"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        assert fields, "the stream is over"
        return fields


@contextmanager
def listening(server: RunningServer, **headers: str) -> Iterator[Stream]:
    """Open a stream as the administrator."""
    connection = http.client.HTTPConnection(server.address, timeout=PATIENCE)
    with closing(connection):
        connection.request("GET", "/events", headers={**dict([server.authorization]), **headers})
        response = connection.getresponse()
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        stream = Stream(response)
        assert stream.next_comment() == "what happens follows"
        yield stream


def place(server: RunningServer) -> int:
    """Give what has happened its place, as a process that does jobs would; return the last one."""
    create_runner(server.settings, server.context).run_due()
    with server.context.database.read() as tx:
        return log.newest(tx)


def told(message: dict[str, str]) -> tuple[str, str]:
    document: dict[str, Any] = json.loads(message["data"])
    return document["detail"]["repository-name"], document["detail"]["image-digest"]


def test_what_happens_is_told_as_it_happens(stage: Stage) -> None:
    # What happened before, in other tests of this server, is over.
    place(stage.server)
    with listening(stage.server) as stream, listening(stage.server) as other:
        for image in IMAGES:
            digest = stage.push(image)
            position = place(stage.server)
            for each in (stream, other):
                message = each.next()
                assert told(message) == (stage.name, digest)
                assert message["id"] == str(position)
                assert message.keys() == {"id", "data"}


def test_who_comes_back_misses_nothing(stage: Stage) -> None:
    before = place(stage.server)
    digests = [stage.push(image) for image in IMAGES]
    last = place(stage.server)
    with listening(stage.server, **{"Last-Event-ID": str(before)}) as stream:
        assert [told(stream.next())[1] for _ in IMAGES] == digests
    with listening(stage.server, **{"Last-Event-ID": str(last - 1)}) as stream:
        assert told(stream.next())[1] == digests[-1]


def test_an_id_of_another_database_is_that_of_now(stage: Stage) -> None:
    place(stage.server)
    with listening(stage.server, **{"Last-Event-ID": "999999999"}) as stream:
        digest = stage.push(IMAGES[0])
        place(stage.server)
        assert told(stream.next())[1] == digest


def test_what_was_dropped_is_told(new_server: NewServer) -> None:
    server = new_server()
    stage = Stage.build(server)
    for image in IMAGES:
        stage.push(image)
    last = place(server)
    with server.context.database.write() as tx:
        tx.execute(log._TABLE.delete().where(log._TABLE.c.position < last))
    with listening(server, **{"Last-Event-ID": "0"}) as stream:
        assert stream.next() == {"event": "dropped", "data": '{"events":2}'}
        assert stream.next()["id"] == str(last)


def test_who_hears_nothing_hears_that_the_server_is_there(plain_server: RunningServer) -> None:
    with listening(plain_server) as stream:
        assert stream.next_comment() == "still here"


def test_a_stream_ends_with_the_credentials_that_it_was_opened_with(
    new_server: NewServer,
) -> None:
    server = new_server()
    with listening(server) as stream, server.clock.ahead(DAY):
        assert stream.is_over()


def test_a_server_that_stops_ends_its_streams(tmp_path: Path) -> None:
    with ExitStack() as client:
        with running_server(tmp_path) as server:
            stream = client.enter_context(listening(server))
        assert stream.is_over()


def test_a_head_is_answered_and_over(plain_server: RunningServer) -> None:
    answer = plain_server.send("HEAD", "/events", [plain_server.authorization])
    assert (answer.status, answer.body) == (200, b"")


def test_only_the_administrator_may_listen(plain_server: RunningServer) -> None:
    plain_server.iam.create_user(UserName="listener")
    plain_server.iam.attach_user_policy(
        UserName="listener", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    )
    key = plain_server.iam.create_access_key(UserName="listener")["AccessKey"]
    client = plain_server.client("ecr", (key["AccessKeyId"], key["SecretAccessKey"]))
    [data] = client.get_authorization_token()["authorizationData"]
    token = [("Authorization", f"Basic {data['authorizationToken']}")]
    answer = plain_server.send("GET", "/events", token)
    assert (answer.status, answer.body) == (
        403,
        b"Only the administrator of the server sees all that happens on it.\n",
    )


@pytest.mark.parametrize(
    "headers", [[], [("Authorization", "Basic bm9ib2R5Og==")], [("Authorization", "Bearer x")]]
)
def test_a_stranger_is_asked_who_it_is(
    plain_server: RunningServer, headers: list[tuple[str, str]]
) -> None:
    answer = plain_server.send("GET", "/events", headers)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize("last", ["", "x", "-1", "1.5", "\xb2", "1" * 5000])
def test_an_id_that_is_none_is_refused(plain_server: RunningServer, last: str) -> None:
    headers = [plain_server.authorization, ("Last-Event-ID", last)]
    assert plain_server.send("GET", "/events", headers).status == 400


def test_events_are_only_read(plain_server: RunningServer) -> None:
    answer = plain_server.send("POST", "/events", [plain_server.authorization])
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
