"""What an API answers to somebody who asks the same again is what it would answer anyway.

Two servers over one store: one that remembers what requests came to, and one whose decisions are
watched, which therefore makes each of them anew. Both are asked the same, over and over, and
whatever may change in between: tags, policies, keys, labels, the time. They answer alike, and tell
the audit alike.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import shutil
import tempfile
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from longshore import server
from longshore.access.policy.documents import Grammar
from longshore.api.aws.outcomes import Outcomes
from longshore.assembly import create_app
from longshore.clock import DAY, HOUR, MINUTE, as_datetime
from longshore.errors import ImageAlreadyExists
from longshore.identity import access_keys, inline_policies, registry_tokens, sessions, users
from longshore.identity.kinds import Kind
from longshore.registry import image_batches, policies, repositories, repository_policies
from longshore.registry.image_batches import ImageId
from longshore.settings import Settings
from tests.support.clock import FakeClock
from tests.support.drawn_policies import conditions, statements
from tests.support.images import layer, oci_image
from tests.support.pushing import ACCOUNT, REGISTRY, REPOSITORY, create_repository, push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from longshore.api.aws.exchanges import Exchange
    from longshore.api.aws.outcomes import Outcome
    from longshore.registry.context import Context

IMAGES = [oci_image(name, layers=[layer(name)]) for name in "ab"]
TARGET = "AmazonEC2ContainerRegistry_V20150921"
TOKEN = "GetAuthorizationToken"
ONE = {"repositoryName": REPOSITORY, "imageIds": [{"imageTag": "1"}]}
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("BatchGetImage", ONE),
    ("DescribeImages", ONE),
    ("DescribeImages", {"repositoryName": REPOSITORY}),
    ("DescribeRepositories", {"repositoryNames": [REPOSITORY]}),
    ("DescribeRepositories", {}),
    ("GetRepositoryPolicy", {"repositoryName": REPOSITORY}),
    (TOKEN, {}),
    (TOKEN, {"registryIds": [ACCOUNT, "222222222222"]}),
]
READ = sorted({f"ecr:{operation}" for operation, _ in REQUESTS})
WHO = ["ann", "ann", "root", "session"]
ADDRESSES = ["192.0.2.1", "192.0.2.2"]
AGENTS = ["aws-cli", "terraform"]
HOSTS = ["127.0.0.1:5000", "registry.example"]
PLACE = ADDRESSES[0], AGENTS[0], HOSTS[0]
CONDITIONS = [{}, *conditions("aws-cli")]
STATEMENTS = statements(READ, CONDITIONS)


class CountedOutcomes(Outcomes):
    """Tells how often an outcome was found."""

    found = 0

    def find(self, context: Context, exchange: Exchange) -> Outcome | None:
        outcome = super().find(context, exchange)
        self.found += outcome is not None
        return outcome


@dataclass(frozen=True)
class Key:
    """What requests are signed with."""

    id: str
    secret: str
    token: str | None = None


class Server:
    """A server, and one over the same store whose decisions are watched."""

    def __init__(self, data: Path, **chosen: Any) -> None:
        self.clock = FakeClock()
        told = Settings(data=data, region=REGISTRY.region, **chosen)
        server.prepare(told)
        self.context, self.other = (
            replace(server.open_context(told), clock=self.clock) for _ in range(2)
        )
        watched = replace(self.other, authorizing=lambda *_: nullcontext())
        self._apps = [create_app(told, context) for context in (self.context, watched)]
        face = cast("Any", self._apps[0])._app._aws
        self.outcomes = face._outcomes = CountedOutcomes(face._context, face._without_waiting)
        self._audit = data / "audit.json"
        self._seen = 0
        self._tokens: set[str] = set()
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        for context in (self.context, self.other):
            context.database.close()

    def ask(self, key: Key, request: tuple[str, Any], place: tuple[str, str, str]) -> int:
        """Ask both, compare, and return the status."""
        operation, document = request
        address, agent, host = place
        body = json.dumps(document).encode()
        headers = self._signed(key, operation, body, host) | {"user-agent": agent}
        scope = {
            "type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": (address, 4711), "scheme": "http",
        }  # fmt: skip
        ours, watched = (self._ask(app, scope, body) for app in self._apps)
        if operation == TOKEN and ours[0][0] == 200:
            ours[0][2], watched[0][2] = self._opened(ours[0][2]), self._opened(watched[0][2])
        assert ours == watched
        return int(ours[0][0])

    def _opened(self, content: bytes) -> list[Any]:
        """Return what an answer says, and whom its token stands for, which nobody had before."""
        told = json.loads(content)["authorizationData"]
        [token] = {data.pop("authorizationToken") for data in told}
        assert token not in self._tokens
        self._tokens.add(token)
        password = base64.b64decode(token).decode().partition(":")[2]
        return [*told, registry_tokens.authenticate(self.context, password, REGISTRY)]

    def _ask(self, app: Any, scope: dict[str, Any], body: bytes) -> list[Any]:
        """Return status, headers and body of an answer, and what the audit is told."""
        messages: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Mapping[str, Any]) -> None:
            messages.append(message)

        self._loop.run_until_complete(app(scope, receive, send))
        start, *pieces = messages
        headers = dict(start["headers"])
        request_id = headers.pop(b"x-amzn-requestid").decode()
        told = self._told()
        assert [record.pop("requestID") for record in told] == [request_id]
        for record in told:
            del record["eventID"]
        content = b"".join(piece["body"] for piece in pieces)
        return [[start["status"], headers, content], told]

    def _told(self) -> list[dict[str, Any]]:
        lines = self._audit.read_bytes()[self._seen :]
        self._seen += len(lines)
        return [json.loads(line) for line in lines.splitlines()]

    def _signed(self, key: Key, operation: str, body: bytes, host: str) -> dict[str, str]:
        moment = as_datetime(self.clock.now).strftime("%Y%m%dT%H%M%SZ")
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "host": host,
            "x-amz-date": moment,
            **({"x-amz-security-token": key.token} if key.token else {}),
            "x-amz-target": f"{TARGET}.{operation}",
        }
        scope = f"{moment[:8]}/{REGISTRY.region}/ecr/aws4_request"
        names, lines = ";".join(headers), "".join(f"{k}:{v}\n" for k, v in headers.items())
        canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        signed = (
            f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        )
        secret = f"AWS4{key.secret}".encode()
        for part in (*scope.split("/"), signed):
            secret = hmac.digest(secret, part.encode(), "sha256")
        credential = f"Credential={key.id}/{scope}, SignedHeaders={names}"
        return headers | {
            "authorization": f"AWS4-HMAC-SHA256 {credential}, Signature={secret.hex()}"
        }


def document(statements: list[dict[str, Any]], **more: str) -> str:
    told = [{**statement, **more} for statement in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": told})


class Asking(RuleBasedStateMachine):
    """Requests that come again, and changes between them."""

    def __init__(self, **chosen: Any) -> None:
        super().__init__()
        self._data = Path(tempfile.mkdtemp())
        self.server = Server(self._data, **chosen)
        self.keys: dict[str, Key] = {}
        self._asked: list[tuple[Any, ...]] = []

    def teardown(self) -> None:
        self.server.close()
        shutil.rmtree(self._data)

    @initialize()
    def begin(self) -> None:
        context = self.server.context
        create_repository(context, tags={"team": "a"})
        users.create(context, ACCOUNT, "ann")
        root, _ = access_keys.create(context, ACCOUNT, None)
        self.keys["root"] = Key(root.id, root.secret)
        self.mend()

    @rule()
    def mend(self) -> None:
        """Let everybody read everything, with new keys."""
        context = self.server.context
        for image in IMAGES:
            with suppress(ImageAlreadyExists):
                push(context, image, "1")
        self.let([{"Effect": "Allow", "Action": READ}], context)
        for old in access_keys.list_all(context, ACCOUNT, "ann"):
            access_keys.remove(context, ACCOUNT, "ann", old.id)
        key, _ = access_keys.create(context, ACCOUNT, "ann")
        self.keys["ann"] = Key(key.id, key.secret)
        found = access_keys.find(context, key.id)
        session = sessions.get_session_token(context, found, 3600)
        self.keys["session"] = Key(session.key_id, session.secret, session.token)

    @rule(
        who=st.sampled_from(WHO),
        request=st.sampled_from(REQUESTS),
        place=st.tuples(
            st.sampled_from(ADDRESSES), st.sampled_from(AGENTS), st.sampled_from(HOSTS)
        ),
        times=st.integers(1, 4),
    )
    def ask(self, who: str, request: tuple[str, Any], place: Any, times: int) -> None:
        self._asked.append((who, request, place))
        for _ in range(times):
            self.server.ask(self.keys[who], request, place)

    def ask_again(self) -> None:
        for who, request, place in self._asked[-3:]:
            self.server.ask(self.keys[who], request, place)

    @rule(data=st.data(), kind=st.sampled_from(["tag", "untag", "policy", "open", "label", "key"]))
    def change(self, data: st.DataObject, kind: str) -> None:
        context = data.draw(st.sampled_from([self.server.context, self.server.other]))
        for _ in range(3):
            self.ask_again()
        match kind:
            case "tag":
                with suppress(ImageAlreadyExists):
                    push(context, data.draw(st.sampled_from(IMAGES)), "1")
            case "untag":
                image_batches.delete(
                    context, REGISTRY, REPOSITORY, [ImageId(str(IMAGES[0].digest))]
                )
            case "policy":
                self.let(data.draw(st.lists(STATEMENTS, min_size=1, max_size=2)), context)
            case "open":
                text = document([data.draw(STATEMENTS)], Principal="*")
                read = policies.read(text, Grammar.REPOSITORY)
                repository_policies.put(context, REGISTRY, REPOSITORY, read)
            case "label":
                team = data.draw(st.sampled_from("ab"))
                repositories.tag(context, REGISTRY, REPOSITORY, {"team": team})
            case "key":
                active = data.draw(st.booleans())
                key_id = self.keys["ann"].id
                access_keys.set_active(context, ACCOUNT, "ann", key_id, active=active)
        self.ask_again()

    @rule(by=st.sampled_from([MINUTE, HOUR, DAY]))
    def wait(self, by: int) -> None:
        self.server.clock.advance(by)
        self.ask_again()

    @staticmethod
    def let(statements: list[dict[str, Any]], context: Context) -> None:
        text = document(statements, Resource="*")
        inline_policies.put(context, ACCOUNT, Kind.USER, "ann", "read", document=text)


@pytest.fixture
def machine() -> Iterator[Asking]:
    machine = Asking()
    machine.begin()
    yield machine
    machine.teardown()


def deactivate(machine: Asking) -> None:
    key_id = machine.keys["ann"].id
    access_keys.set_active(machine.server.other, ACCOUNT, "ann", key_id, active=False)


def forbid(machine: Asking) -> None:
    machine.let([{"Effect": "Deny", "Action": READ}], machine.server.other)


@pytest.mark.parametrize(
    ("who", "change", "status"),
    [
        ("ann", forbid, 400),
        ("ann", deactivate, 400),
        ("session", deactivate, 400),
        ("session", lambda machine: machine.server.clock.advance(HOUR), 400),
        ("ann", lambda machine: push(machine.server.other, IMAGES[0], "1"), 200),
    ],
)
def test_a_change_counts_for_the_next_request(
    machine: Asking, who: str, change: Callable[[Asking], object], status: int
) -> None:
    asked = REQUESTS[0], PLACE
    for _ in range(4):
        assert machine.server.ask(machine.keys[who], *asked) == 200
    found = machine.server.outcomes.found
    assert found > 0

    change(machine)
    assert machine.server.ask(machine.keys[who], *asked) == status
    assert machine.server.outcomes.found == found


@pytest.mark.parametrize("condition", CONDITIONS[1:])
def test_what_a_condition_has_a_say_in_is_decided_each_time(
    machine: Asking, condition: dict[str, Any]
) -> None:
    statement = {"Effect": "Allow", "Action": READ, "Condition": condition}
    machine.let([statement], machine.server.context)
    for _ in range(5):
        machine.ask("ann", REQUESTS[0], PLACE, 1)
    assert (machine.server.outcomes.found > 0) is (condition == {})


def test_a_wrong_signature_finds_nothing(machine: Asking) -> None:
    machine.ask("ann", REQUESTS[0], PLACE, 4)
    found = machine.server.outcomes.found
    wrong = replace(machine.keys["ann"], secret="another")
    assert machine.server.ask(wrong, REQUESTS[0], PLACE) == 400
    assert machine.server.outcomes.found == found


def test_rate_limits_hold_for_what_comes_again() -> None:
    machine = Asking(limits={"rates": {"BatchGetImage": 3}})
    machine.begin()
    statuses = [machine.server.ask(machine.keys["ann"], REQUESTS[0], PLACE) for _ in range(5)]
    assert statuses == [200, 200, 200, 400, 400]
    machine.teardown()


def test_what_is_asked_again_is_answered_as_it_would_be_anyway() -> None:
    found: list[int] = []

    class Counted(Asking):
        def teardown(self) -> None:
            found.append(self.server.outcomes.found)
            super().teardown()

    run_state_machine_as_test(
        Counted,
        settings=settings(
            max_examples=12,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    # Else there was nothing to compare.
    assert sum(found) > len(found)
