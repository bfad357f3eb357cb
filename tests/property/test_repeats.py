"""What is answered without being read is what would be answered if it were read.

Any requests, over and over, and whatever may change between them: what tags stand for, what
policies say, who there is, which keys there are, and what time it is; by this process or by
another. Each request is first asked for among those that came before, by its bytes and then by what
of it has a say, and then answered the usual way: where more than one has an answer, it is the same
one, and so is what the audit tells and which pulls are noted.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from longshore import server
from longshore.access.policy.documents import Grammar
from longshore.api.oci import repeats
from longshore.assembly import create_app
from longshore.at_once import SENT
from longshore.clock import DAY, HOUR, MINUTE
from longshore.errors import ImageAlreadyExists, RegistryError
from longshore.identity import (
    access_keys,
    inline_policies,
    registry_tokens,
    robot_tokens,
    users,
)
from longshore.identity.kinds import Kind
from longshore.registry import image_batches, policies, repositories, repository_policies
from longshore.registry.image_batches import ImageId
from longshore.settings import Settings
from longshore.work.collector import Collector
from tests.support.clock import FakeClock
from tests.support.drawn_policies import conditions, statements
from tests.support.images import layer, oci_image
from tests.support.pushing import (
    ACCOUNT,
    REGISTRY,
    REPOSITORY,
    create_repository,
    push,
    upload,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from longshore.at_once import Whole
    from longshore.registry.context import Context

ALONE = layer("of no image")
# More than is kept in memory.
LARGE = layer("a large one" * 20_000)
IMAGES = [oci_image(name, layers=[layer(name)]) for name in "ab"]
TAGS = ["1", "2"]
PATHS = [
    *(f"manifests/{tag}" for tag in TAGS),
    *(f"manifests/{image.digest}" for image in IMAGES),
    f"blobs/{layer('a').digest}",
    f"blobs/{LARGE.digest}",
    f"blobs/{ALONE.digest}",
    "tags/list",
    "tags/list?last=1",
    f"referrers/{IMAGES[0].digest}",
    "/v2/_catalog",
]
BLOB_OF_NO_IMAGE = PATHS[5]
USERS = ["ann"]
ADDRESSES = ["192.0.2.1", "192.0.2.2"]
AGENTS = ["docker", "skopeo"]
TIMES = st.integers(1, 4)
PULL = [
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "ecr:BatchCheckLayerAvailability",
    "ecr:ListImages",
    "ecr:DescribeRepositories",
]
CONDITIONS = conditions("docker")
STATEMENTS = statements(PULL, CONDITIONS)

CHANGES = ["tag", "tag", "untag", "policy", "open", "close", "label"]


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    address: str

    @property
    def sent(self) -> bytes:
        """It, as it is sent."""
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{k}: {v}" for k, v in self.headers)]
        return "\r\n".join([*lines, "", ""]).encode()

    def scope(self) -> dict[str, Any]:
        """It, as ASGI has it."""
        path, _, query = self.path.partition("?")
        return {
            "type": "http", "method": self.method, "path": path,
            "raw_path": path.encode(), "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in self.headers],
            "client": (self.address, 4711), "scheme": "http", "extensions": {SENT: self.sent},
        }  # fmt: skip


class Server:
    """A server, and a second process over the same store.

    Attributes:
        repeated: how many requests were answered by their bytes.
        alike: how many were answered by what of them has a say.
    """

    def __init__(self, data: Path) -> None:
        self.clock = FakeClock()
        chosen = Settings(data=data, region=REGISTRY.region, failed_attempts=3)
        server.prepare(chosen)
        self.contexts = [replace(server.open_context(chosen), clock=self.clock) for _ in range(2)]
        self.context = self.contexts[0]
        self._audit = data / "audit.json"
        self._app = create_app(chosen, self.context)
        self._loop = asyncio.new_event_loop()
        # Where each request is logged, each is read; other tests may have asked for that.
        self._log = logging.getLogger("longshore.access")
        self._level = self._log.level
        self._log.setLevel(logging.WARNING)
        self._seen = 0
        self.repeated = self.alike = 0

    def close(self) -> None:
        self._log.setLevel(self._level)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        for context in self.contexts:
            context.database.close()

    def ask(self, asked: Asked) -> None:
        """Ask in all ways, and compare."""
        again, *effects = self._watch(lambda: self._app.again(asked.address, asked.sent))
        known, *effects_of_known = self._watch(lambda: self._app.known(asked.scope()))
        usual = self._watch(lambda: self._loop.run_until_complete(self._answer(asked)))
        for answer in ([again, *effects], [known, *effects_of_known]):
            assert answer in (usual, [None, [], 0])
        self.repeated += again is not None
        self.alike += known is not None

    def _watch(self, answer: Callable[[], Any]) -> list[Any]:
        """Return an answer, what the audit was told of it, and how many pulls were noted."""
        noted = self._noted()
        return [_in_bytes(answer()), self._told(), self._noted() - noted]

    async def _answer(self, asked: Asked) -> tuple[int, bytes, bytes]:
        messages: list[Any] = []

        async def send(message: Mapping[str, Any]) -> None:
            messages.append(message)

        await self._app(asked.scope(), _nothing, send)
        start, *pieces = messages
        lines = b"".join(b"%b: %b\r\n" % header for header in start["headers"])
        return start["status"], lines, b"".join(piece["body"] for piece in pieces)

    def _told(self) -> list[dict[str, Any]]:
        """Return what the audit was told since the last look."""
        lines = self._audit.read_bytes()[self._seen :] if self._audit.exists() else b""
        self._seen += len(lines)
        ids = {"eventID", "requestID"}
        records = [json.loads(line) for line in lines.splitlines()]
        return [{k: v for k, v in record.items() if k not in ids} for record in records]

    def _noted(self) -> int:
        return sum(tally.count for tally in self.context.pulls._gathered.values())


def _in_bytes(answer: Whole | None) -> Whole | None:
    if answer is None:
        return None
    status, lines, piece = answer
    if isinstance(piece, bytes):
        return answer
    with piece.file as file:
        return status, lines, os.pread(file.fileno(), piece.length, piece.offset)


async def _nothing() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


def document(statements: list[dict[str, Any]], **more: str) -> str:
    told = [{**statement, **more} for statement in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": told})


class Repeats(RuleBasedStateMachine):
    """Requests that come again, and changes between them."""

    def __init__(self) -> None:
        super().__init__()
        self._data = Path(tempfile.mkdtemp())
        self.server = Server(self._data)
        self._passwords = {"nobody": ""}
        self._asked: list[Asked] = []

    def teardown(self) -> None:
        self.server.close()
        shutil.rmtree(self._data)

    @initialize()
    def begin(self) -> None:
        context = self.server.context
        create_repository(context, tags={"team": "a"})
        for user in USERS:
            users.create(context, ACCOUNT, user)
        self.mend()
        for path in (PATHS[0], BLOB_OF_NO_IMAGE):
            self.ask(("ann", "GET", path, ADDRESSES[0], AGENTS[0]), 1)

    @rule()
    def mend(self) -> None:
        """Let everybody pull everything, with new passwords."""
        # Who guessed wrong doesn't have to wait any more.
        self.server.clock.advance(HOUR)
        context = self.server.context
        upload(context, ALONE)
        upload(context, LARGE)
        for image, tag in zip(IMAGES, TAGS, strict=True):
            with suppress(ImageAlreadyExists):
                push(context, image, tag)
        for user in USERS:
            self.let(user, [{"Effect": "Allow", "Action": PULL}], context)
            for old in access_keys.list_all(context, ACCOUNT, user):
                access_keys.remove(context, ACCOUNT, user, old.id)
            key, _ = access_keys.create(context, ACCOUNT, user)
            token = registry_tokens.issue(
                context, access_keys.find(context, key.id), REGISTRY.region
            )
            self._passwords[user] = f"AWS:{token.password}"
        for robot in robot_tokens.list_all(context, ACCOUNT):
            robot_tokens.revoke(context, ACCOUNT, robot.id)
        scope = robot_tokens.scope_of(ACCOUNT, pull=["*"])
        _, password = robot_tokens.create(context, ACCOUNT, "ann", scope, lifetime=DAY)
        self._passwords["robot"] = f"AWS:{password}"

    @rule(
        request=st.tuples(
            st.sampled_from(["ann", "ann", "robot", "robot", "nobody"]),
            st.sampled_from(["GET", "HEAD"]),
            st.sampled_from(PATHS),
            st.sampled_from(ADDRESSES),
            st.sampled_from(AGENTS),
        ),
        times=TIMES,
        numbered=st.booleans(),
    )
    def ask(
        self, request: tuple[str, str, str, str, str], times: int, *, numbered: bool = False
    ) -> None:
        for number in range(times):
            more = {"X-Request-Id": str(number)} if numbered else {}
            self.server.ask(self.request(*request, **more))
        self._asked.append(self.request(*request))

    def request(self, who: str, method: str, path: str, *of: str, **more: str) -> Asked:
        address, agent = of
        headers = [("Host", "127.0.0.1"), ("User-Agent", agent), *more.items()]
        if password := self._passwords[who]:
            basic = base64.b64encode(password.encode()).decode()
            headers.append(("Authorization", f"Basic {basic}"))
        path = path if path.startswith("/") else f"/v2/{REPOSITORY}/{path}"
        return Asked(method, path, tuple(headers), address)

    @rule(address=st.sampled_from(ADDRESSES), password=st.text("abc", min_size=5), times=TIMES)
    def guess(self, address: str, password: str, times: int) -> None:
        with self.asking_before_and_after():
            for number in range(times):
                self._passwords["a guesser"] = f"AWS:{password}{number}"
                asked = self.request("a guesser", "GET", PATHS[0], address, AGENTS[0])
                self.server.ask(asked)

    @contextmanager
    def asking_before_and_after(self) -> Iterator[None]:
        """Ask what was asked last until it is known, and once more after the block."""
        latest = self._asked[-3:]
        for asked in latest * 4:
            self.server.ask(asked)
        with suppress(RegistryError):
            yield
        for asked in latest:
            self.server.ask(asked)

    @rule(data=st.data(), kind=st.sampled_from(CHANGES))
    def change(self, data: st.DataObject, kind: str) -> None:
        context = self.server.contexts[data.draw(st.integers(0, 1))]
        with self.asking_before_and_after():
            match kind:
                case "tag":
                    tag = data.draw(st.sampled_from(TAGS))
                    push(context, data.draw(st.sampled_from(IMAGES)), tag)
                case "untag":
                    digest = str(data.draw(st.sampled_from(IMAGES)).digest)
                    image_batches.delete(context, REGISTRY, REPOSITORY, [ImageId(digest)])
                case "policy":
                    user = data.draw(st.sampled_from(USERS))
                    self.let(user, data.draw(st.lists(STATEMENTS, min_size=1, max_size=2)), context)
                case "open":
                    text = document([data.draw(STATEMENTS)], Principal="*")
                    read = policies.read(text, Grammar.REPOSITORY)
                    repository_policies.put(context, REGISTRY, REPOSITORY, read)
                case "close":
                    repository_policies.remove(context, REGISTRY, REPOSITORY)
                case "label":
                    team = data.draw(st.sampled_from("ab"))
                    repositories.tag(context, REGISTRY, REPOSITORY, {"team": team})

    @rule(data=st.data(), kind=st.sampled_from(["key", "robot", "server key"]))
    def revoke(self, data: st.DataObject, kind: str) -> None:
        context = self.server.contexts[data.draw(st.integers(0, 1))]
        user = data.draw(st.sampled_from(USERS))
        with self.asking_before_and_after():
            match kind:
                case "key":
                    (key, *_) = access_keys.list_all(context, ACCOUNT, user)
                    active = data.draw(st.booleans())
                    access_keys.set_active(context, ACCOUNT, user, key.id, active=active)
                case "robot":
                    for robot in robot_tokens.list_all(context, ACCOUNT):
                        robot_tokens.revoke(context, ACCOUNT, robot.id)
                case "server key":
                    context.server_key.rotate()
                    context.server_key.retire()

    @rule(by=st.sampled_from([MINUTE, 12 * HOUR, 12 * HOUR, -HOUR]))
    def wait(self, by: int) -> None:
        with self.asking_before_and_after():
            self.server.clock.advance(by)

    @rule()
    def collect(self) -> None:
        with self.asking_before_and_after():
            list(Collector(self.server.contexts[1]).run())

    @staticmethod
    def let(user: str, statements: list[dict[str, Any]], context: Context) -> None:
        text = document(statements, Resource="*")
        inline_policies.put(context, ACCOUNT, Kind.USER, user, "pull", document=text)


def forbid(machine: Repeats) -> None:
    machine.let("ann", [{"Effect": "Deny", "Action": PULL}], machine.server.contexts[1])


def replace_keys(machine: Repeats) -> None:
    machine.server.contexts[1].server_key.rotate()
    machine.server.contexts[1].server_key.retire()


def deactivate(machine: Repeats) -> None:
    context = machine.server.contexts[1]
    (key,) = access_keys.list_all(context, ACCOUNT, "ann")
    access_keys.set_active(context, ACCOUNT, "ann", key.id, active=False)


@pytest.mark.parametrize(
    "change",
    [
        forbid,
        replace_keys,
        deactivate,
        lambda machine: push(machine.server.contexts[1], IMAGES[1], TAGS[0]),
        lambda machine: machine.server.clock.advance(12 * HOUR),
    ],
)
def test_a_change_lets_a_request_be_read(
    machine: Repeats, change: Callable[[Repeats], object]
) -> None:
    asked = machine.request("ann", "GET", PATHS[0], ADDRESSES[0], AGENTS[0])
    for _ in range(4):
        machine.server.ask(asked)
    repeated, alike = machine.server.repeated, machine.server.alike
    machine.server.ask(asked)
    assert (machine.server.repeated, machine.server.alike) == (repeated + 1, alike + 1)

    change(machine)
    machine.server.ask(asked)
    assert (machine.server.repeated, machine.server.alike) == (repeated + 1, alike + 1)


def test_what_has_no_say_may_differ(machine: Repeats) -> None:
    for number in range(5):
        more = {"X-Request-Id": f"{number}", "Traceparent": f"{number}", "Cookie": f"a={number}"}
        machine.server.ask(machine.request("ann", "GET", PATHS[0], ADDRESSES[0], AGENTS[0], **more))
    # It came once before, at the beginning: of these the first is kept.
    assert (machine.server.repeated, machine.server.alike) == (0, 4)


@pytest.mark.parametrize(
    "more",
    [
        {"Accept": "application/vnd.oci.image.index.v1+json"},
        {"Range": "bytes=0-1"},
        {"X-Forwarded-For": "192.0.2.9"},
        {"Host": "registry.example"},
        {"User-Agent": "another"},
        {"Authorization": "Basic QVdTOmE="},
    ],
    ids=lambda more: next(iter(more)),
)
def test_what_has_a_say_may_not_differ(machine: Repeats, more: dict[str, str]) -> None:
    request = ("ann", "GET", PATHS[0], ADDRESSES[0], AGENTS[0])
    machine.ask(request, 3)
    alike = machine.server.alike

    asked = machine.request(*request, **more)
    machine.server.ask(asked)
    assert machine.server.alike == alike


def test_a_header_that_nobody_knows_to_have_a_say_lets_nothing_be_kept(
    machine: Repeats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "_DECIDING", repeats._DECIDING - {b"accept"})
    machine.ask(("ann", "GET", PATHS[0], ADDRESSES[1], AGENTS[1]), 5)
    assert (machine.server.repeated, machine.server.alike) == (0, 0)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_what_a_condition_has_a_say_in_is_read_each_time(
    machine: Repeats, condition: dict[str, Any]
) -> None:
    statement = {"Effect": "Allow", "Action": PULL, "Condition": condition}
    machine.let("ann", [statement], machine.server.context)
    asked = machine.request("ann", "GET", PATHS[0], ADDRESSES[0], AGENTS[0])
    repeated, alike = machine.server.repeated, machine.server.alike
    for _ in range(5):
        machine.server.ask(asked)
    assert (machine.server.repeated > repeated) is (condition == {})
    assert (machine.server.alike > alike) is (condition == {})


def test_of_requests_that_come_once_nothing_is_kept(machine: Repeats) -> None:
    """Else they would drive out what is asked for again."""

    def ask(first: int, last: int) -> None:
        for number in range(first, last):
            agent = f"agent {number}"
            machine.server.ask(machine.request("ann", "GET", PATHS[0], ADDRESSES[0], agent))

    ask(0, 5)
    known, _ = machine.server.context.memory.look()
    answers = len(known.answers)
    ask(5, 25)
    known_now, _ = machine.server.context.memory.look()
    assert (known_now, len(known.answers)) == (known, answers)


def test_a_large_blob_is_opened_each_time_and_read_where_it_is_gone(machine: Repeats) -> None:
    asked = machine.request("ann", "GET", f"blobs/{LARGE.digest}", ADDRESSES[0], AGENTS[0])
    for _ in range(4):
        machine.server.ask(asked)
    repeated = machine.server.repeated
    machine.server.ask(asked)
    assert machine.server.repeated == repeated + 1

    blobs = machine.server.context.blobs
    for location in list(blobs.locations()):
        blobs.delete(location)
    machine.server.ask(asked)
    assert machine.server.repeated == repeated + 1


@pytest.fixture
def machine() -> Iterator[Repeats]:
    machine = Repeats()
    machine.begin()
    yield machine
    machine.teardown()


def test_what_comes_again_is_answered_as_it_would_be_if_it_were_read() -> None:
    repeated: list[int] = []
    alike: list[int] = []

    class Counted(Repeats):
        def teardown(self) -> None:
            repeated.append(self.server.repeated)
            alike.append(self.server.alike)
            super().teardown()

    run_state_machine_as_test(
        Counted,
        settings=settings(
            max_examples=15,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    # Else there was nothing to compare.
    assert sum(repeated) > len(repeated)
    assert sum(alike) > len(alike)
