"""What lifecycle policies cost in a large repository: seconds, and the memory of the process.

    python -m bench.lifecycle_runs [--images 10000 --images 100000] [--database-url URL]

Of ten images one is an index with a tag, three are what it refers to, four are tagged, one is
untagged, and one is the signature of a tagged one. Each policy is asked in a process of its own;
the memory is what the process took at most, beyond what it had with the store open.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy import func, insert, select, text

from longshore.access.sealing import ServerKey
from longshore.blobs.filesystem import FilesystemBlobStore
from longshore.clock import DAY, MINUTE
from longshore.metadata import schema
from longshore.metadata.database import Database
from longshore.metadata.migrate import migrate
from longshore.names import Registry
from longshore.registry import (
    lifecycle_images,
    lifecycle_policies,
    lifecycle_previews,
    lifecycle_runs,
    repositories,
)
from longshore.registry.context import Context
from longshore.registry.lifecycle_grammar import parse
from longshore.registry.lifecycle_rules import evaluate
from longshore.registry.mutability import TagMutability
from longshore.registry.repositories import Encryption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REGISTRY = Registry("000000000000", "us-east-1")
_DAYS = 400
_BATCH = 1_000
_MIB = 1024 * 1024
_LINE = "{:>8} {:9} {:22} {:>7} {:>8} {:>7} {:>6}"


def _rule(priority: int, selection: str) -> str:
    return f'{{"rulePriority":{priority},"selection":{{{selection}}},"action":{{"type":"expire"}}}}'


def _policy(*selections: str) -> str:
    rules = (_rule(number, each) for number, each in enumerate(selections, 1))
    return f'{{"rules":[{",".join(rules)}]}}'


_MORE_THAN = '"countType":"imageCountMoreThan","countNumber":'
_OLDER_THAN = '"countType":"sinceImagePushed","countUnit":"days","countNumber":'
POLICIES = {
    "older than a year": _policy(f'"tagStatus":"any",{_OLDER_THAN}365'),
    "all but 1,000": _policy(f'"tagStatus":"any",{_MORE_THAN}1000'),
    "untagged and old ones": _policy(
        f'"tagStatus":"untagged",{_OLDER_THAN}1', f'"tagStatus":"any",{_OLDER_THAN}365'
    ),
    "ten patterns": _policy(
        *(
            f'"tagStatus":"tagged","tagPatternList":["*-{digit}*"],{_MORE_THAN}200'
            for digit in range(9)
        ),
        f'"tagStatus":"any",{_OLDER_THAN}365',
    ),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What something cost: seconds, those of the processor, and bytes of memory."""

    found: int
    seconds: float
    cpu: float
    memory: int


def fill(database: Database, images: int) -> str:
    """Make a repository of so many images; return its name."""
    name = f"bench/lifecycle/{images}"
    context = _context(database)
    repository = repositories.create(
        context,
        REGISTRY,
        name,
        mutability=TagMutability(),
        scan_on_push=False,
        encryption=Encryption(),
        tags={},
    )
    now = context.clock()
    age = _DAYS * DAY // images
    with database.read() as tx:
        first = (tx.execute(select(func.max(schema.images.c.id))).scalar_one() or 0) + 1
    for begin in range(0, images, _BATCH):
        numbers = range(begin, min(begin + _BATCH, images))
        rows = [
            _image(repository.id, first, number, now, age * (images - number)) for number in numbers
        ]
        tags = [_tag(repository.id, first, number, now) for number in numbers if number % 10 < 5]
        children = [
            {"image_id": first + number, "repository_id": repository.id, "digest": _digest(child)}
            for number in numbers
            if number % 10 == 4
            for child in range(number - 9, number - 6)
            if child > 0
        ]
        with database.write(durable=False) as tx:
            tx.execute(insert(schema.images), rows)
            tx.execute(insert(schema.tags), tags)
            if children:
                tx.execute(insert(schema.image_children), children)
    if not database.is_sqlite:
        with database.write() as tx:
            tx.execute(text("ANALYZE"))
    return name


def _image(repository_id: int, first: int, number: int, now: int, age: int) -> dict[str, Any]:
    return {
        "id": first + number,
        "repository_id": repository_id,
        "digest": _digest(number),
        "media_type": "application/vnd.oci.image.manifest.v1+json",
        "subject": _digest(number - 9) if number % 10 == 9 else None,
        "manifest_size": 1_000,
        "size": 1_000_000,
        "pushed_at": now - age - MINUTE,
    }


def _tag(repository_id: int, first: int, number: int, now: int) -> dict[str, Any]:
    return {
        "repository_id": repository_id,
        "name": f"build-{number:07}-{number % 9}",
        "image_id": first + number,
        "tagged_at": now,
    }


def _digest(number: int) -> str:
    return f"sha256:{number:064x}"


def _context(database: Database) -> Context:
    nowhere = Path(tempfile.gettempdir()) / "longshore-bench-lifecycle"
    return Context(database, FilesystemBlobStore(nowhere), ServerKey(bytes(32)))


def _evaluate(context: Context, name: str, policy: str) -> int:
    with context.database.read() as tx:
        repository = repositories.find(tx, REGISTRY, name)
    shown = lifecycle_images.all_of(context.database.read, repository)
    return sum(1 for _ in evaluate(parse(policy), shown, context.clock()))


def _preview(context: Context, name: str, policy: str) -> int:
    preview = lifecycle_previews.start(context, REGISTRY, name, policy)
    lifecycle_previews.fill(context, REGISTRY, name, preview.id)
    complete, _ = lifecycle_previews.get(context, REGISTRY, name, limit=1)
    return complete.expiring


def _run(context: Context, name: str, policy: str) -> int:
    lifecycle_policies.put(context, REGISTRY, name, policy)
    return sum(outcome.failure is None for outcome in lifecycle_runs.run(context, REGISTRY, name))


def _measured(url: str, what: Callable[[Context, str, str], int], name: str, policy: str) -> Cost:
    database = Database(url)
    context = _context(database)
    with database.read() as tx:
        repositories.find(tx, REGISTRY, name)
    before, began, cpu = _peak(), time.perf_counter(), time.process_time()
    found = what(context, name, policy)
    cost = Cost(
        found,
        seconds=time.perf_counter() - began,
        cpu=time.process_time() - cpu,
        memory=_peak() - before,
    )
    database.close()
    return cost


def _peak() -> int:
    # What getrusage tells begins with the peak of the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def measure(url: str, name: str) -> Iterator[tuple[str, str, Cost]]:
    """Yield what was done, by which policy, and what it cost."""
    spawning = multiprocessing.get_context("spawn")
    work = [("evaluate", _evaluate, policy) for policy in POLICIES]
    work += [("preview", _preview, "older than a year"), ("run", _run, "older than a year")]
    for verb, what, policy in work:
        with spawning.Pool(1) as pool:
            yield verb, policy, pool.apply(_measured, (url, what, name, POLICIES[policy]))


@click.command(help="Measure lifecycle policies in large repositories, and print a table.")
@click.option("--images", type=int, multiple=True, default=(10_000, 100_000))
@click.option("--database-url", help="Another database than SQLite in a directory of its own.")
def main(images: tuple[int, ...], database_url: str | None) -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as directory:
        url = database_url or f"sqlite:///{directory}/metadata.sqlite"
        database = Database(url)
        migrate(database)
        click.echo(_LINE.format("images", "", "policy", "found", "seconds", "cpu", "MiB"))
        for count in images:
            name = fill(database, count)
            for verb, policy, cost in measure(url, name):
                numbers = (f"{cost.seconds:.2f}", f"{cost.cpu:.2f}", f"{cost.memory / _MIB:.1f}")
                click.echo(_LINE.format(count, verb, policy, cost.found, *numbers))
        database.close()


if __name__ == "__main__":
    main()
