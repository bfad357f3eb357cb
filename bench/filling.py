"""Many repositories and tags at once: written to where a server keeps them, past its front door."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select

from bench.content import LAYER, MANIFEST, digest_of, manifest_of, small_image
from bench.publishing import publish
from bench.servers import Distribution, Longshore
from longshore.metadata import schema
from longshore.metadata.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Table

    from bench.servers import Server

ACCOUNT, REGION = "000000000000", "us-east-1"
MANY_TAGS = "bench/many-tags"
"""The repository that `fill` gives many tags."""
_BATCH = 2_000


@dataclass(frozen=True, slots=True)
class Planned:
    """A repository to be.

    Attributes:
        name: its name.
        tags: how many tags it gets, `t0000000` and so on.
        images: how many images they stand for, by turns.
        offset: the number of its first tag and of its first image.
    """

    name: str
    tags: int
    images: int = 1
    offset: int = 0


def tag_name(number: int) -> str:
    """Return the name of a tag."""
    return f"t{number:07d}"


def fill(server: Server, count: int) -> None:
    """Give a server `bench/many-tags` with this many tags, and this many repositories besides."""
    done = server.home / f"filled-{count}"
    if done.exists():
        return
    planned = [
        Planned(MANY_TAGS, count),
        *(Planned(f"bench/many/r{number:07d}", 0, 0) for number in range(count)),
    ]
    if isinstance(server, Longshore):
        fill_longshore(server, planned)
    elif isinstance(server, Distribution):
        _fill_distribution(server, planned)
    done.touch()


def fill_longshore(server: Longshore, planned: Iterable[Planned]) -> None:
    """Write repositories with images and tags into the database of a running Longshore."""
    seed = small_image("seed")
    publish(server, "bench/seed", seed, "seed")
    database = Database(f"sqlite:///{server.home / 'data' / 'metadata.sqlite'}")
    try:
        filler = _Filler(database, [blob.digest for blob in seed.blobs])
        for repository in planned:
            filler.add(repository)
        filler.flush()
    finally:
        database.close()


class _Filler:
    """Gathers rows and writes them by the thousand."""

    def __init__(self, database: Database, digests: list[str]) -> None:
        self._database = database
        self._now = round(time.time() * 1000)
        blobs = schema.blobs
        with database.read() as tx:
            self._next_repository = _next_id(tx, schema.repositories)
            self._next_image = _next_id(tx, schema.images)
            found = tx.execute(select(blobs).where(blobs.c.digest.in_(digests)))
            known = {row.digest: (row.id, row.size) for row in found}
        self._blobs = {digest: known[digest] for digest in digests}
        config, *layers = [
            {"mediaType": LAYER, "digest": digest, "size": size}
            for digest, (_, size) in self._blobs.items()
        ]
        self._config, self._layers = config, layers
        self._rows: dict[Table, list[dict[str, object]]] = {
            table: []
            for table in (
                schema.repositories,
                schema.layers,
                schema.images,
                schema.manifests,
                schema.image_layers,
                schema.tags,
            )
        }

    def add(self, planned: Planned) -> None:
        """Add a repository, or more tags and images to one that an earlier filler made."""
        repository = self._repository(planned.name)
        images = [
            self._image(repository, planned.offset + number) for number in range(planned.images)
        ]
        for number in range(planned.tags):
            self._put(
                schema.tags,
                repository_id=repository,
                name=tag_name(planned.offset + number),
                image_id=images[number % planned.images],
                tagged_at=self._now,
            )

    def flush(self) -> None:
        """Write what is left."""
        with self._database.write(durable=False) as tx:
            for table, rows in self._rows.items():
                if rows:
                    tx.execute(insert(table), rows)
                    rows.clear()

    def _repository(self, name: str) -> int:
        table = schema.repositories
        with self._database.read() as tx:
            known: int | None = tx.execute(
                select(table.c.id).where(table.c.name == name)
            ).scalar_one_or_none()
        if known is not None:
            return known
        number, self._next_repository = self._next_repository, self._next_repository + 1
        self._put(
            table,
            id=number,
            account=ACCOUNT,
            region=REGION,
            name=name,
            created_at=self._now,
            tag_mutability="MUTABLE",
            tag_mutability_exclusions=[],
            scan_on_push=False,
            encryption_type="AES256",
            encryption_context="aes256",
        )
        for digest, (blob_id, _) in self._blobs.items():
            self._put(
                schema.layers,
                repository_id=number,
                digest=digest,
                blob_id=blob_id,
                media_type=LAYER,
                leased_at=self._now,
            )
        return number

    def _image(self, repository: int, number: int) -> int:
        image, self._next_image = self._next_image, self._next_image + 1
        content = manifest_of(self._config, self._layers, {"org.example.number": str(number)})
        self._put(
            schema.images,
            id=image,
            repository_id=repository,
            digest=digest_of(content),
            media_type=MANIFEST,
            artifact_media_type=LAYER,
            artifact_type=None,
            annotations={"org.example.number": str(number)},
            subject=None,
            manifest_size=len(content),
            size=sum(size for _, size in self._blobs.values()),
            pushed_at=self._now,
        )
        self._put(schema.manifests, image_id=image, content=content)
        for digest in self._blobs:
            self._put(schema.image_layers, image_id=image, digest=digest, repository_id=repository)
        return image

    def _put(self, table: Table, **row: object) -> None:
        self._rows[table].append(row)
        if len(self._rows[table]) >= 10 * _BATCH:
            self.flush()


def _next_id(tx: Connection, table: Table) -> int:
    return (tx.execute(select(func.max(table.c.id))).scalar() or 0) + 1


def _fill_distribution(server: Distribution, planned: Iterable[Planned]) -> None:
    # As little as makes a listing: removing it all again takes longer than anything else here.
    image = small_image("seed")
    publish(server, "bench/seed", image, "seed")
    for repository in planned:
        directory = server.registry_directory / "repositories" / repository.name
        # By the one or the other the releases tell a repository.
        (directory / "_layers").mkdir(parents=True)
        (directory / "_manifests").mkdir()
        for number in range(repository.tags):
            current = directory / "_manifests" / "tags" / tag_name(number) / "current"
            current.mkdir(parents=True)
            (current / "link").write_text(image.digest)
