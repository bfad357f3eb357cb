"""Pulls: when each image was pulled last, and how often its repository was pulled from.

A pull writes nothing. It is remembered by the process that served it, and written down with all
others every now and then (`longshore.work.pull_recorder`). A process that is killed forgets those
since the last time: a pull time may then be older than the last pull, and a number lower.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from sqlalchemy import Connection, bindparam, insert, or_, select, update

from longshore.metadata import schema
from longshore.metadata.statements import batches
from longshore.names import Registry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from longshore.clock import Millis
    from longshore.names import Digest
    from longshore.registry.context import Context

# A repository: its registry and its name.
_Named: TypeAlias = tuple[Registry, str]


class PulledImage(NamedTuple):
    """An image that somebody got the manifest of."""

    registry: Registry
    repository: str
    digest: Digest


@dataclass(slots=True)
class _Tally:
    """The pulls of an image by one principal: when the last was, and how many there were."""

    last: Millis
    count: int

    def add(self, last: Millis, count: int) -> None:
        """Take further ones in."""
        self.last = max(self.last, last)
        self.count += count


# By the image, and by the ARN of a user or of a role, or "".
_Gathered: TypeAlias = dict[tuple[PulledImage, str], _Tally]


class Pulls:
    """The pulls of one process that aren't written down yet. Threads share it."""

    def __init__(self) -> None:
        self._gathered: _Gathered = {}
        self._lock = threading.Lock()

    def note(self, image: PulledImage, principal_arn: str, now: Millis) -> None:
        """Remember a pull, in microseconds.

        Args:
            image: what was pulled.
            principal_arn: the ARN of the user, or of the role whose session it was; "" for others.
            now: when.
        """
        with self._lock:
            self._add((image, principal_arn), now, 1)

    def write(self, context: Context) -> None:
        """Write down what was gathered, in one transaction; what can't be written is kept."""
        with self._lock:
            gathered, self._gathered = self._gathered, {}
        if not gathered:
            return
        try:
            # Who loses the last pulls in a power cut has lost no more than by a kill.
            with context.database.write(durable=False, content_only=True) as tx:
                _write(tx, gathered)
        except Exception:
            with self._lock:
                for key, tally in gathered.items():
                    self._add(key, tally.last, tally.count)
            raise

    def _add(self, key: tuple[PulledImage, str], last: Millis, count: int) -> None:
        tally = self._gathered.get(key)
        if tally is None:
            self._gathered[key] = _Tally(last, count)
        else:
            tally.add(last, count)


def counts(context: Context) -> dict[tuple[Registry, str], int]:
    """Return how often manifests of each repository were pulled, where any was."""
    repository, pulls = schema.repositories.c, schema.repository_pulls.c
    with context.database.read() as tx:
        rows = tx.execute(
            select(repository.account, repository.region, repository.name, pulls.count).join_from(
                schema.repositories, schema.repository_pulls, pulls.repository_id == repository.id
            )
        ).all()
    return {(Registry(row[0], row[1]), row[2]): row[3] for row in rows}


def _write(tx: Connection, gathered: _Gathered) -> None:
    counts: Counter[_Named] = Counter()
    for (image, _), tally in gathered.items():
        counts[image.registry, image.repository] += tally.count
    times = _times(gathered, _exclusions(tx))
    for named, repository_id in _locked(tx, counts):
        if named in times:
            tx.execute(_PULLED, [{"repository": repository_id, **row} for row in times[named]])
        _count(tx, repository_id, counts[named])


def _times(
    gathered: _Gathered, excluded: Collection[tuple[Registry, str]]
) -> dict[_Named, list[dict[str, object]]]:
    """Return when each image of each repository was pulled last by whoever counts."""
    latest: dict[PulledImage, Millis] = {}
    for (image, principal_arn), tally in gathered.items():
        if (image.registry, principal_arn) not in excluded:
            latest[image] = max(latest.get(image, tally.last), tally.last)
    rows: dict[_Named, list[dict[str, object]]] = {}
    for image, moment in latest.items():
        row: dict[str, object] = {"of": str(image.digest), "moment": moment}
        rows.setdefault((image.registry, image.repository), []).append(row)
    return rows


def _exclusions(tx: Connection) -> set[tuple[Registry, str]]:
    table = schema.pull_time_exclusions.c
    rows = tx.execute(select(table.account, table.region, table.principal_arn))
    return {(Registry(row.account, row.region), row.principal_arn) for row in rows}


def _locked(tx: Connection, named: Iterable[_Named]) -> Iterator[tuple[_Named, int]]:
    """Lock those of the repositories that are still there, and yield their ids.

    In one order everywhere: two processes that write pulls down don't wait for each other.
    """
    table = schema.repositories
    ordered = sorted(named, key=lambda each: (each[0].account, each[0].region, each[1]))
    for registry, group in groupby(ordered, key=lambda each: each[0]):
        for names in batches(name for _, name in group):
            rows = tx.execute(
                select(table.c.id, table.c.name)
                .where(
                    table.c.account == registry.account,
                    table.c.region == registry.region,
                    table.c.name.in_(names),
                )
                .order_by(table.c.name)
                .with_for_update(key_share=True)
            ).all()
            yield from (((registry, row.name), row.id) for row in rows)


def _count(tx: Connection, repository_id: int, more: int) -> None:
    """Add to the number of pulls of a locked repository."""
    table = schema.repository_pulls
    counted = tx.execute(
        update(table)
        .where(table.c.repository_id == repository_id)
        .values(count=table.c.count + more)
    )
    if counted.rowcount == 0:
        tx.execute(insert(table).values(repository_id=repository_id, count=more))


_IMAGE = schema.images.c
_PULLED = (
    update(schema.images)
    .where(
        _IMAGE.repository_id == bindparam("repository"),
        _IMAGE.digest == bindparam("of"),
        # Else it isn't the image that was pulled, but one that was pushed since.
        _IMAGE.pushed_at <= bindparam("moment"),
        # Another process may have written down a later pull.
        or_(_IMAGE.last_pulled_at.is_(None), _IMAGE.last_pulled_at < bindparam("moment")),
    )
    .values(last_pulled_at=bindparam("moment"))
)
