"""What must hold of a registry when the dust has settled."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import select, text

from longshore.metadata import schema
from longshore.metadata.database import Database
from tests.chaos.ledger import Thing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection
    from types_boto3_ecr import ECRClient

    from tests.chaos.pushers import Pusher

_IS_HERE = schema.blobs.c.archived_size.is_(None)


def examine_images(pushers: Sequence[Pusher], ecr: ECRClient) -> None:
    """All that was acknowledged is there and can be pulled, and nothing else is."""
    listed = {
        Thing("image", repository["repositoryName"], image["imageDigest"])
        for repository in ecr.describe_repositories()["repositories"]
        for page in ecr.get_paginator("list_images").paginate(
            repositoryName=repository["repositoryName"]
        )
        for image in page["imageIds"]
    }
    for pusher in pushers:
        # A connection that lay idle may be closed by the server at any moment.
        pusher.close()
        for thing in pusher.ledger:
            pusher.check(thing)
        expected = {
            thing
            for thing in pusher.ledger
            if thing.kind == "image" and pusher.ledger.possible(thing) == {True}
        }
        for image in expected:
            pusher.check_layers(pusher.pushed[image.name])
        assert expected <= listed
        listed -= expected
    assert not listed, "images that nobody pushed, or that were deleted"


def examine_store(database: str | Path, data: Path) -> None:
    """No row leads to nothing, and every blob in the data directory is what its row says."""
    with _connection(database) as tx:
        _check_references(tx)
        for row in tx.execute(select(schema.blobs).where(_IS_HERE)):
            path = data / row.location
            assert path.stat().st_size == row.size
            assert _digest(path.read_bytes(), row.digest) == row.digest
        manifests = select(schema.images.c.digest, schema.manifests.c.content).outerjoin(
            schema.manifests, schema.manifests.c.image_id == schema.images.c.id
        )
        for digest, content in tx.execute(manifests):
            assert _digest(content, digest) == digest


def examine_emptied_store(database: str | Path, data: Path) -> None:
    """What images refer to is there, once, and nothing else is."""
    with _connection(database) as tx:
        referenced = set(tx.execute(select(schema.image_layers.c.digest)).scalars())
        layers = set(tx.execute(select(schema.layers.c.digest)).scalars())
        blobs = tx.execute(select(schema.blobs.c.digest)).scalars().all()
        here = set(tx.execute(select(schema.blobs.c.location).where(_IS_HERE)).scalars())
        uploads = tx.execute(select(schema.uploads.c.id)).all()
    assert layers == referenced
    assert sorted(blobs) == sorted(referenced)
    assert _files(data / "blobs", data) == here
    assert not uploads
    assert not _files(data / "uploads", data)


@contextmanager
def _connection(database: str | Path) -> Iterator[Connection]:
    opened = Database(database)
    try:
        with opened.read() as tx:
            yield tx
    finally:
        opened.close()


def _check_references(tx: Connection) -> None:
    if tx.dialect.name == "sqlite":
        assert tx.execute(text("PRAGMA integrity_check")).scalars().all() == ["ok"]
        assert not tx.execute(text("PRAGMA foreign_key_check")).all()
    # PostgreSQL keeps foreign keys by itself. What no foreign key says: an index has its children.
    children, images = schema.image_children, schema.images
    lost = select(children).where(
        ~select(images.c.id)
        .where(
            images.c.repository_id == children.c.repository_id,
            images.c.digest == children.c.digest,
        )
        .exists()
    )
    assert not tx.execute(lost).all()


def _files(directory: Path, root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in directory.rglob("*") if path.is_file()}


def _digest(content: bytes, like: str) -> str:
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
