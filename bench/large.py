"""What a repository of very many images costs: to list, to describe, and by lifecycle policies.

Of ten images one is an index with a tag, three are what it refers to, four are tagged, one is
untagged, and one is the signature of a tagged one. The server is started anew for each operation,
so that nothing is in its memory; its memory is counted from where it was at rest.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select

from bench.http import BadAnswer
from bench.servers import Longshore
from longshore.clock import DAY, MINUTE, system_clock
from longshore.metadata import schema
from longshore.metadata.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import TypeAlias

    from bench.measuring import Bench
    from bench.scale import Scale
    from bench.servers import Server

    _Seen: TypeAlias = dict[str, Any]
    # Does the work, and returns what counts the images that it told of, or took.
    _Operation: TypeAlias = Callable[[Server], Callable[[], int]]

_NAME = "bench/large"
_PAGE = 1_000
_DAYS = 400
_BATCH = 1_000
_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 300.0
# How long after its first answer a server has come to rest.
_SETTLING_SECONDS = 1.0

_MORE_THAN = {"countType": "imageCountMoreThan"}
_OLDER_THAN = {"countType": "sinceImagePushed", "countUnit": "days"}


@dataclass(frozen=True, slots=True)
class LargeCost:
    """What an operation on a large repository cost.

    Attributes:
        images: how many images the repository has.
        found: how many of them the operation told of, or took.
        seconds: how long it took.
        cpu: the server's processor time.
        memory: the most memory that the server took beyond what it had at rest, in bytes.
    """

    images: int
    found: int
    seconds: float
    cpu: float
    memory: int


def measure(bench: Bench, scale: Scale, home: Path) -> dict[str, LargeCost]:
    """Fill a repository, and measure each operation on it."""
    server = _Longshore(home / "large")
    began = time.monotonic()
    with server.running():
        server.create_repository(_NAME)
        _fill(server, scale.images)
    bench.tell(f"  {scale.images:,} images, filled in {time.monotonic() - began:.0f} s")
    costs: dict[str, LargeCost] = {}
    for name, operation in _operations(scale.images).items():
        if time.monotonic() > bench.deadline:
            break
        with server.running():
            cost = costs[name] = _measured(server, operation, scale.images)
        bench.tell(f"  {name}: {cost.seconds:.2f} s, {cost.memory / 2**20:.1f} MiB")
    return costs


class _Longshore(Longshore):
    """One that looks every second whether there is a policy to be run."""

    def command(self) -> list[str]:
        """Return the command that starts it."""
        return [*super().command(), "--lifecycle-interval", "1"]


def _measured(server: Server, operation: _Operation, images: int) -> LargeCost:
    _ask(server, "ListImages", {"maxResults": 1})
    time.sleep(_SETTLING_SECONDS)
    at_rest = sum(memory.resident for memory in server.process.memory())
    server.process.forget_peak()
    began, cpu = time.perf_counter(), server.process.cpu_seconds()
    count = operation(server)
    seconds, cpu = time.perf_counter() - began, server.process.cpu_seconds() - cpu
    peak = sum(memory.peak for memory in server.process.memory())
    return LargeCost(images, found=count(), seconds=seconds, cpu=cpu, memory=peak - at_rest)


def _ask(server: Server, operation: str, members: Mapping[str, object]) -> _Seen:
    answer = server.call(operation, {"repositoryName": _NAME, **members}).expect(200)
    document: _Seen = json.loads(answer.body)
    return document


def _walk(operation: str, listed: str, server: Server) -> Callable[[], int]:
    """Ask for page after page; count the images that they told of."""
    count, members = 0, {"maxResults": _PAGE}
    while True:
        page = _ask(server, operation, members)
        count += len(page[listed])
        if "nextToken" not in page:
            return lambda: count
        members = {"maxResults": _PAGE, "nextToken": page["nextToken"]}


def _preview(policy: str, server: Server) -> Callable[[], int]:
    """Let a preview be made; it counts the images that would expire."""
    _ask(server, "StartLifecyclePolicyPreview", {"lifecyclePolicyText": policy})
    look = partial(_ask, server, "GetLifecyclePolicyPreview", {"maxResults": 1})
    preview = _await(look, lambda seen: seen["status"] != "IN_PROGRESS")
    if preview["status"] != "COMPLETE":
        raise BadAnswer(f"the preview is {preview['status']}")
    found: int = preview["summary"]["expiringImageTotalCount"]
    return lambda: found


def _run(images: int, policy: str, server: Server) -> Callable[[], int]:
    """Let a policy be run; count what it took of the images."""
    _ask(server, "PutLifecyclePolicy", {"lifecyclePolicyText": policy})
    # It is the beginning of 1970 until the first run has ended.
    look = partial(_ask, server, "GetLifecyclePolicy", {})
    _await(look, lambda seen: bool(seen["lastEvaluatedAt"]))
    return lambda: images - _walk("ListImages", "imageIds", server)()


def _await(look: Callable[[], _Seen], is_over: Callable[[_Seen], bool]) -> _Seen:
    """Look every now and then; return what is seen when it is over.

    Raises:
        BadAnswer: that took too long.
    """
    until = time.monotonic() + _PATIENCE_SECONDS
    while not is_over(seen := look()):
        if time.monotonic() > until:
            raise BadAnswer(f"there was no end within {_PATIENCE_SECONDS:g} s")
        time.sleep(_LOOK_SECONDS)
    return seen


def _policy(*selections: Mapping[str, object]) -> str:
    return json.dumps(
        {
            "rules": [
                {"rulePriority": number, "selection": each, "action": {"type": "expire"}}
                for number, each in enumerate(selections, 1)
            ]
        }
    )


# One in forty: taking an image takes longer than anything else here.
_OLDEST = _policy({"tagStatus": "any", **_OLDER_THAN, "countNumber": 390})
_ALL_BUT_A_THOUSAND = _policy({"tagStatus": "any", **_MORE_THAN, "countNumber": 1_000})
_TEN_PATTERNS = _policy(
    *(
        {
            "tagStatus": "tagged",
            "tagPatternList": [f"*-{digit}*"],
            **_MORE_THAN,
            "countNumber": 200,
        }
        for digit in range(9)
    ),
    {"tagStatus": "any", **_OLDER_THAN, "countNumber": 365},
)


def _operations(images: int) -> dict[str, _Operation]:
    return {
        f"ListImages, all by {_PAGE:,}": partial(_walk, "ListImages", "imageIds"),
        f"DescribeImages, all by {_PAGE:,}": partial(_walk, "DescribeImages", "imageDetails"),
        "preview: all but 1,000": partial(_preview, _ALL_BUT_A_THOUSAND),
        "preview: ten patterns": partial(_preview, _TEN_PATTERNS),
        # Last: nobody finds again what it takes.
        "run: older than 390 of 400 days": partial(_run, images, _OLDEST),
    }


def _fill(server: Server, images: int) -> None:
    """Write images into the database of a running Longshore, past its front door."""
    database = Database(f"sqlite:///{server.home / 'data' / 'metadata.sqlite'}")
    try:
        with database.read() as tx:
            table = schema.repositories
            repository = tx.execute(select(table.c.id).where(table.c.name == _NAME)).scalar_one()
            first = (tx.execute(select(func.max(schema.images.c.id))).scalar_one() or 0) + 1
        filler = _Filler(repository, first, images, system_clock())
        for begin in range(0, images, _BATCH):
            numbers = range(begin, min(begin + _BATCH, images))
            with database.write(durable=False) as tx:
                for rows_of in (filler.images, filler.tags, filler.children):
                    table, rows = rows_of(numbers)
                    if rows:
                        tx.execute(insert(table), rows)
    finally:
        database.close()


@dataclass(frozen=True, slots=True)
class _Filler:
    """Makes the rows of a repository's images, the oldest first."""

    repository: int
    first: int
    count: int
    now: int

    def images(self, numbers: range) -> tuple[Any, list[dict[str, Any]]]:
        apart = _DAYS * DAY // self.count
        return schema.images, [
            {
                "id": self.first + number,
                "repository_id": self.repository,
                "digest": _digest(number),
                "media_type": "application/vnd.oci.image.manifest.v1+json",
                "subject": _digest(number - 9) if number % 10 == 9 else None,
                "manifest_size": 1_000,
                "size": 1_000_000,
                "pushed_at": self.now - apart * (self.count - number) - MINUTE,
            }
            for number in numbers
        ]

    def tags(self, numbers: range) -> tuple[Any, list[dict[str, Any]]]:
        return schema.tags, [
            {
                "repository_id": self.repository,
                "name": f"build-{number:07}-{number % 9}",
                "image_id": self.first + number,
                "tagged_at": self.now,
            }
            for number in numbers
            if number % 10 < 5
        ]

    def children(self, numbers: range) -> tuple[Any, list[dict[str, Any]]]:
        return schema.image_children, [
            {
                "image_id": self.first + number,
                "repository_id": self.repository,
                "digest": _digest(child),
            }
            for number in numbers
            if number % 10 == 4
            for child in range(number - 9, number - 6)
            if child > 0
        ]


def _digest(number: int) -> str:
    return f"sha256:{number:064x}"
