"""The garbage collector: it takes what nobody needs any more, while everything goes on.

What goes, and why nothing else can:

- An upload that nobody touched for its lifetime. A writer that comes back finds it gone.
- A layer that no image refers to, once its lease is over (`registry.layers`). Leases are renewed,
  and references made, under the lock of the repository, which the collector takes too.
- A blob that neither a repository nor the recycle bin holds. Its row is locked, looked at once more
  and deleted; only then are its bytes. Somebody who uploads the same bytes in between makes a new
  row and a new location.
- Bytes without a row, which a killed process left. A row always comes before the bytes: an upload's
  before its first byte, and a blob's in the transaction that ends the upload. Bytes that a job
  writes, to the archive or back, bear the lease of its run, and the job has it for as long.
"""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import and_, delete, exists, func, select, true

from longshore.blobs.store import Location, upload_of
from longshore.jobs import ledger
from longshore.metadata import schema
from longshore.metadata.statements import batches
from longshore.registry import bin_contents
from longshore.registry.layers import is_referenced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement

    from longshore.clock import Millis
    from longshore.registry.context import Context
    from longshore.work.runner import Work

JOB = "garbage collection"

_log = logging.getLogger(__name__)


class Kind(StrEnum):
    """What a piece of garbage is."""

    UPLOAD = "upload"
    LAYER = "layer"
    BLOB = "blob"
    STRAY = "stray"


@dataclass(frozen=True, slots=True)
class Garbage:
    """Something to be taken, or taken.

    Attributes:
        kind: what it is.
        name: an upload's id, a digest, or a location.
        size: the bytes that are freed; 0 where taking it frees none by itself.
        reason: why nobody needs it, for people.
    """

    kind: Kind
    name: str
    size: int
    reason: str


class Place(Protocol):
    """Where blobs lie: the data directory, or the archive."""

    def locations(self) -> Iterator[Location]:
        """Walk over all blobs."""

    def delete(self, location: Location) -> None:
        """Remove a blob."""


class Collector:
    """Finds garbage and takes it.

    Args:
        context: the store.
        dry_run: find it and leave it.
    """

    def __init__(self, context: Context, *, dry_run: bool = False) -> None:
        self._context = context
        self._dry_run = dry_run

    def run(self) -> Iterator[Garbage]:
        """Yield each piece of garbage, after it was taken."""
        now, retention = self._context.clock(), self._context.retention
        untouched_since = now - retention.unfinished_uploads
        yield from self._uploads(untouched_since)
        yield from self._layers(now - retention.unreferenced_layers)
        yield from self._blobs(now - retention.unreferenced_layers)
        yield from self._stray_uploads()
        yield from self._stray_blobs(self._context.blobs, untouched_since)
        if self._context.archive is not None:
            yield from self._stray_blobs(self._context.archive, untouched_since)

    def _uploads(self, untouched_since: Millis) -> Iterator[Garbage]:
        table = schema.uploads
        stale = table.c.touched_at < untouched_since
        with self._context.database.read() as tx:
            rows = tx.execute(select(table.c.id, table.c.size).where(stale)).all()
        for row in rows:
            if not self._dry_run:
                with self._context.database.write(content_only=True) as tx:
                    taken = tx.execute(delete(table).where(table.c.id == row.id, stale)).rowcount
                if not taken:
                    continue
                self._context.blobs.discard(row.id)
            yield Garbage(Kind.UPLOAD, row.id, row.size, "never completed and left alone since")

    def _layers(self, lease_over_since: Millis) -> Iterator[Garbage]:
        table = schema.layers
        idle = and_(table.c.leased_at < lease_over_since, ~is_referenced())
        with self._context.database.read() as tx:
            rows = tx.execute(
                select(table.c.repository_id, table.c.digest)
                .where(idle)
                .order_by(table.c.repository_id)
            ).all()
        for repository_id, group in itertools.groupby(rows, key=lambda row: row.repository_id):
            for batch in batches(row.digest for row in group):
                digests = batch if self._dry_run else self._take_layers(repository_id, batch, idle)
                for digest in digests:
                    yield Garbage(Kind.LAYER, digest, 0, "no image of its repository refers to it")

    def _take_layers(
        self, repository_id: int, digests: list[str], idle: ColumnElement[bool]
    ) -> list[str]:
        table, repository = schema.layers, schema.repositories.c.id
        these = and_(table.c.repository_id == repository_id, table.c.digest.in_(digests), idle)
        with self._context.database.write(content_only=True) as tx:
            # Pushes hold this lock while they refer to layers.
            tx.execute(select(repository).where(repository == repository_id).with_for_update())
            return list(tx.execute(delete(table).where(these).returning(table.c.digest)).scalars())

    def _blobs(self, lease_over_since: Millis) -> Iterator[Garbage]:
        table, layer = schema.blobs, schema.layers
        held = exists().where(
            layer.c.blob_id == table.c.id,
            is_referenced() | (layer.c.leased_at >= lease_over_since),
        )
        needed = held | bin_contents.holds_blob()
        with self._context.database.read() as tx:
            rows = tx.execute(
                # What it takes where it lies.
                select(
                    table.c.id,
                    table.c.digest,
                    func.coalesce(table.c.archived_size, table.c.size).label("size"),
                ).where(~needed)
            ).all()
        for batch in batches(rows):
            taken = {row.id for row in batch}
            if not self._dry_run:
                taken = self._take_blobs([row.id for row in batch])
            for row in batch:
                if row.id in taken:
                    yield Garbage(Kind.BLOB, row.digest, row.size, "no repository needs it")

    def _take_blobs(self, ids: list[int]) -> set[int]:
        table = schema.blobs
        held = exists().where(schema.layers.c.blob_id == table.c.id) | bin_contents.holds_blob()
        with self._context.database.write(content_only=True) as tx:
            # Whoever is about to let a repository hold one of them has locked it before.
            free = list(
                tx.execute(
                    select(table.c.id).where(table.c.id.in_(ids)).with_for_update(skip_locked=True)
                ).scalars()
            )
            rows = tx.execute(
                delete(table)
                .where(table.c.id.in_(free), ~held)
                .returning(table.c.id, table.c.location, table.c.archived_size)
            ).all()
        for row in rows:
            place = self._context.blobs if row.archived_size is None else self._context.archive
            # Without an archive, its bytes are for a process to take that has it.
            if place is not None:
                place.delete(Location(row.location))
        return {row.id for row in rows}

    def _stray_uploads(self) -> Iterator[Garbage]:
        table = schema.uploads
        for batch in batches(self._context.blobs.uploads()):
            with self._context.database.read() as tx:
                known = set(tx.execute(select(table.c.id).where(table.c.id.in_(batch))).scalars())
                known |= ledger.leases(tx, batch)
            for upload_id in batch:
                if upload_id not in known:
                    if not self._dry_run:
                        self._context.blobs.discard(upload_id)
                    yield Garbage(Kind.STRAY, upload_id, 0, "bytes of an upload that is over")

    def _stray_blobs(self, place: Place, untouched_since: Millis) -> Iterator[Garbage]:
        uploads, blobs = schema.uploads, schema.blobs
        # A run has taken the others by now.
        lasting = uploads.c.touched_at >= untouched_since if self._dry_run else true()
        for batch in batches(place.locations()):
            makers = list({upload_of(location) for location in batch})
            # In this order: an upload's row becomes a blob's row, and never the other way round. So
            # does the run of a job.
            with self._context.database.read() as tx:
                unfinished = set(
                    tx.execute(
                        select(uploads.c.id).where(uploads.c.id.in_(makers), lasting)
                    ).scalars()
                )
                unfinished |= ledger.leases(tx, makers)
            with self._context.database.read() as tx:
                known = set(
                    tx.execute(
                        select(blobs.c.location).where(blobs.c.location.in_(batch))
                    ).scalars()
                )
            for location in batch:
                if upload_of(location) not in unfinished and location not in known:
                    if not self._dry_run:
                        place.delete(location)
                    yield Garbage(Kind.STRAY, location, 0, "bytes that no row names")


def collect(context: Context, work: Work) -> None:
    """Take all the garbage there is: the handler of `JOB`, which needs to know nothing."""
    count = freed = 0
    for garbage in Collector(context).run():
        count, freed = count + 1, freed + garbage.size
        work.check()
    if count:
        _log.info("garbage collection: took %d things and freed %d bytes", count, freed)
