"""The registry face as data: one request to a line, and the whole answer to it.

Texts in a case may name what is on the stage, in braces: `GET manifests/{image}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from sqlalchemy import select

from longshore.metadata import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.api.stage import Stage
    from tests.support.server import Answer

Names: TypeAlias = Mapping[str, str]
Setup: TypeAlias = Callable[["Stage"], Names]
Choice = TypeVar("Choice")
Body: TypeAlias = "bytes | Sequence[bytes] | Callable[[Names], bytes]"


@dataclass(frozen=True)
class Reply:
    """A whole answer.

    Attributes:
        status: the HTTP status.
        code: of an error: its code.
        message: of an error: its message, where it is worth a promise.
        headers: all but those that every answer has: `Docker-Distribution-Api-Version`,
            `Content-Length`, and of an error its `Content-Type`.
        body: of a success.
    """

    status: int
    code: str | None = None
    message: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Callable[[Names], bytes] = b""


@dataclass(frozen=True)
class Case:
    """A request and the answer to it, with what it leaves behind.

    Attributes:
        description: a sentence.
        request: method and path; a path without a leading slash is below the repository.
        reply: the answer, or the two answers of the dialects `ecr` and `oci`.
        headers: of the request.
        body: of the request; in pieces, it is sent with chunked transfer encoding.
        setup: puts something into the repository first, and names it.
        then: requests to be made afterwards, each with the status of its answer (or with two).
    """

    description: str
    request: str
    reply: Reply | tuple[Reply, Reply]
    headers: tuple[tuple[str, str], ...] = ()
    body: Body = b""
    setup: Setup | None = None
    then: tuple[tuple[str, int | tuple[int, int]], ...] = ()

    def __str__(self) -> str:
        return self.description


def refused_parameter(message: str) -> tuple[Reply, Reply]:
    """Return how a parameter is refused: ECR's proxy says that the method isn't allowed."""
    return Reply(405, "UNSUPPORTED", message), Reply(400, "UNSUPPORTED", message)


def constraint(member: str, reason: str) -> str:
    """Return ECR's sentence on a member that breaks a constraint."""
    return f"Invalid parameter at '{member}' failed to satisfy constraint: '{reason}'"


# How a tag is refused that can't be one.
INVALID_TAG = refused_parameter(
    constraint(
        "imageTag",
        # Doubled, because these texts are templates.
        "Member must satisfy regular expression pattern: [a-zA-Z0-9_][a-zA-Z0-9._-]{{0,127}}",
    )
)


def play(case: Case, stage: Stage, names: Names) -> None:
    """Make the request of a case, and hold the answer and what is left against it."""
    names = {"name": stage.name, "url": stage.url, **names}
    dialect = stage.server.settings.compatibility
    reply = _of_dialect(case.reply, dialect)
    before = contents(stage)
    headers = [(name, value.format_map(names)) for name, value in case.headers]
    body = case.body(names) if callable(case.body) else case.body
    answer = _send(stage, case.request.format_map(names), headers, body)
    check(reply, answer, names, is_head=case.request.startswith("HEAD"))
    if reply.status >= 400:
        assert contents(stage) == before, "a refused request changed something"
    for request, status in case.then:
        later = _send(stage, request.format_map(names))
        assert (request, later.status) == (request, _of_dialect(status, dialect))


def check(reply: Reply, answer: Answer, names: Names, *, is_head: bool = False) -> None:
    """Hold an answer against what it should be, whole."""
    assert answer.status == reply.status, (answer, answer.body)
    expected = {"docker-distribution-api-version": "registry/2.0"}
    expected |= {name: value.format_map(names) for name, value in reply.headers.items()}
    headers = dict(answer.headers)
    if reply.code is not None:
        expected["content-type"] = "application/json"
    if "content-length" not in expected and reply.status != 204:
        length = headers.pop("content-length")
        assert is_head or int(length) == len(answer.body)
    assert headers == expected
    if is_head or reply.code is None:
        body = reply.body(names) if callable(reply.body) else reply.body
        assert answer.body == (b"" if is_head else body)
    else:
        [error] = answer.json()["errors"]
        assert error.keys() == {"code", "message"}
        assert error["code"] == reply.code
        assert error["message"]
        if reply.message is not None:
            assert error["message"] == reply.message.format_map(names)


def contents(stage: Stage) -> list[object]:
    """Return all that the repository holds, as the database has it."""
    repositories, images, tags, layers = (
        schema.repositories,
        schema.images,
        schema.tags,
        schema.layers,
    )
    found = select(repositories.c.id).where(repositories.c.name == stage.name).scalar_subquery()
    queries = (
        select(images.c.id, images.c.digest).where(images.c.repository_id == found),
        select(tags.c.name, tags.c.image_id).where(tags.c.repository_id == found),
        select(layers.c.digest).where(layers.c.repository_id == found),
    )
    with stage.server.context.database.read() as tx:
        return [sorted(tuple(row) for row in tx.execute(query)) for query in queries]


def _send(
    stage: Stage,
    request: str,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | Iterable[bytes] = b"",
) -> Answer:
    method, _, path = request.partition(" ")
    if not path.startswith("/"):
        path = f"/v2/{stage.name}/{path}"
    return stage.server.oci(method, path, headers, body)


def _of_dialect(choice: Choice | tuple[Choice, Choice], dialect: str) -> Choice:
    if isinstance(choice, tuple):
        return choice[0] if dialect == "ecr" else choice[1]
    return choice
