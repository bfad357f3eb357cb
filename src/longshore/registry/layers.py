"""Layers: the blobs that a repository holds.

A blob is shared by all who uploaded the same bytes, but it is served only to those who ask for it
through a repository that holds it.

A layer that no image refers to is on lease: the garbage collector takes it when it has been left
alone for the grace time (`Retention.unreferenced_layers`). Uploading, mounting and asking for a
layer renew the lease, so that a client which was told that a layer is there finds it there when it
pushes the manifest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, and_, bindparam, delete, exists, select, update

from longshore.blobs.store import BlobMissing, Location
from longshore.clock import has_come
from longshore.errors import LayerArchived, LayerInaccessible, LayersNotFound, Server
from longshore.metadata import schema
from longshore.metadata.prepared import Prepared
from longshore.metadata.statements import insert_if_absent
from longshore.names import Digest
from longshore.registry import account_settings, repositories
from longshore.registry.image_status import Status, has_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import BinaryIO

    from sqlalchemy import ColumnElement

    from longshore.metadata.prepared import Record
    from longshore.names import Registry
    from longshore.registry.context import Context

# A lease is renewed on reading once this part of it is over, so that most reads write nothing and
# every reader is left with most of the grace time.
_RENEW_AFTER_FRACTION = 8


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a repository.

    Attributes:
        size: in bytes.
        is_archived: whether all images that refer to it are archived, or its bytes, so that it
            can't be pulled.
    """

    digest: Digest
    size: int
    media_type: str | None
    location: Location
    is_archived: bool = False


def check(
    context: Context, registry: Registry, repository: str, digests: Sequence[Digest]
) -> dict[Digest, Layer]:
    """Return those of `digests` that the repository holds, with their leases renewed."""
    with context.database.read() as tx:
        found = repositories.find(tx, registry, repository)
        rows = tx.execute(
            _LAYERS.where(schema.layers.c.repository_id == found.id).where(
                schema.layers.c.digest.in_([str(digest) for digest in digests])
            )
        ).all()
    layers = (_renewed(context, found.id, row) for row in rows)
    return {layer.digest: layer for layer in layers if layer is not None}


def find(context: Context, registry: Registry, repository: str, digest: Digest) -> Layer:
    """Return a layer of a repository, with its lease renewed.

    Raises:
        LayersNotFound: the repository doesn't hold it, whoever else does.
        LayerArchived: only archived images refer to it.
    """
    row = context.memory.answer(
        ("layer", registry, repository, digest),
        lambda: _row(context, registry, repository, digest),
    )
    layer = _renewed(context, row.repository_id, row)
    if layer is None:
        raise LayersNotFound.asked(digest, repository, registry.account)
    return _pulled(layer, registry, repository)


def find_referenced(context: Context, registry: Registry, repository: str, digest: Digest) -> Layer:
    """Return a layer that an image of the repository refers to.

    Raises:
        LayersNotFound: the repository doesn't hold it.
        LayerInaccessible: no image refers to it, or only archived ones do.
    """
    row = _row(context, registry, repository, digest)
    if not row.referenced:
        raise LayerInaccessible(digest, repository, registry.account)
    return _pulled(_layer(row), registry, repository)


def open_layer(
    context: Context, registry: Registry, repository: str, digest: Digest
) -> tuple[Layer, BinaryIO]:
    """Open a layer's bytes for reading; they stay readable until the file is closed.

    Raises:
        LayersNotFound: the repository doesn't hold it.
        LayerArchived: only archived images refer to it.
    """
    layer = find(context, registry, repository, digest)
    try:
        return layer, context.blobs.open(layer.location)
    except BlobMissing as error:
        # Collected since, and perhaps uploaded again: then it is elsewhere now.
        again = find(context, registry, repository, digest)
        if again.location == layer.location:
            raise Server(
                f"The bytes of layer '{digest}' are missing from the registry's storage. "
                "Ask its operator to restore them."
            ) from error
        return again, context.blobs.open(again.location)


def mount(
    context: Context, registry: Registry, repository: str, source: str, digest: Digest
) -> bool:
    """Let `repository` hold a layer that `source`, a repository of the same registry, holds.

    Returns:
        Whether it does now. It doesn't where the registry's settings forbid it, where the two
        differ in encryption, and where `source` has no such layer, or has it in the archive.
    """
    with context.database.write(content_only=True) as tx:
        target = repositories.find(tx, registry, repository, lock=True)
        allowed = (
            context.dialect.mounts_freely
            or account_settings.read(tx, registry, account_settings.BLOB_MOUNTING) == "ENABLED"
        )
        if not allowed:
            return False
        row = tx.execute(
            _NAMED.where(schema.repositories.c.encryption_context == target.encryption_context),
            _asked(registry, source, digest),
        ).one_or_none()
        if row is None or not (row.referenced or context.dialect.mounts_freely):
            return False
        if _layer(row).is_archived:
            return False
        if lock_blob(tx, row.blob_id) is None:
            return False
        attach(context, tx, target.id, digest, row.blob_id)
        return True


def attach(
    context: Context, tx: Connection, repository_id: int, digest: Digest, blob_id: int
) -> bool:
    """Let a repository, which is locked, hold a blob, which is locked; begin or renew the lease.

    Returns:
        Whether it is new to the repository.
    """
    now = context.clock()
    is_new = insert_if_absent(
        tx,
        schema.layers,
        repository_id=repository_id,
        digest=str(digest),
        blob_id=blob_id,
        leased_at=now,
    )
    if not is_new:
        lease(tx, repository_id, [str(digest)], now)
    return is_new


def lock_blob(tx: Connection, blob_id: int) -> Location | None:
    """Keep a blob from being collected or archived until the transaction ends.

    Returns:
        Its location; None if it is gone, or lies in the archive.
    """
    location = _LOCK_BLOB.value(tx, blob=blob_id)
    return None if location is None else Location(location)


def lease(tx: Connection, repository_id: int, digests: Iterable[str], now: int) -> int:
    """Renew the leases of layers; return how many of them are still there."""
    return _LEASE.run(tx, repository=repository_id, digests=list(digests), leased_at=now)


def missing(tx: Connection, repository_id: int, digests: Sequence[Digest]) -> list[Digest]:
    """Return those of `digests` that the repository doesn't hold, in their order.

    What lies in the archive is missing, too: no image may refer to it as it is.
    """
    if not digests:
        return []
    asked = [str(digest) for digest in digests]
    held = {row.digest for row in _HELD.all(tx, repository=repository_id, digests=asked)}
    return [digest for digest in digests if str(digest) not in held]


def remove(context: Context, registry: Registry, repository: str, digest: Digest) -> bool:
    """Take a layer out of a repository, unless an image refers to it.

    Returns:
        Whether it was taken out; False where an image needs it.

    Raises:
        LayersNotFound: the repository doesn't hold it.
    """
    table = schema.layers
    with context.database.write(content_only=True) as tx:
        found = repositories.find(tx, registry, repository, lock=True)
        this = and_(table.c.repository_id == found.id, table.c.digest == str(digest))
        if tx.execute(select(table.c.digest).where(this)).first() is None:
            raise LayersNotFound.asked(digest, repository, registry.account)
        return tx.execute(delete(table).where(this, ~is_referenced())).rowcount == 1


def is_referenced() -> ColumnElement[bool]:
    """Return the condition that an image refers to the layer of the row."""
    return exists().where(
        schema.image_layers.c.repository_id == schema.layers.c.repository_id,
        schema.image_layers.c.digest == schema.layers.c.digest,
    )


_is_active = (
    exists()
    .where(
        schema.image_layers.c.repository_id == schema.layers.c.repository_id,
        schema.image_layers.c.digest == schema.layers.c.digest,
        schema.image_layers.c.image_id == schema.images.c.id,
        has_status(Status.ACTIVE),
    )
    .correlate(schema.layers)
)
_LAYERS = select(
    schema.layers,
    schema.blobs.c.size,
    schema.blobs.c.location,
    schema.blobs.c.archived_size,
    is_referenced().label("referenced"),
    _is_active.label("active"),
).join(schema.blobs, schema.blobs.c.id == schema.layers.c.blob_id)
_NAMED = _LAYERS.join(
    schema.repositories, schema.repositories.c.id == schema.layers.c.repository_id
).where(
    schema.repositories.c.account == bindparam("account"),
    schema.repositories.c.region == bindparam("region"),
    schema.repositories.c.name == bindparam("repository"),
    schema.layers.c.digest == bindparam("digest"),
)
_FIND = Prepared(_NAMED)
_ARE_THESE = (
    schema.layers.c.repository_id == bindparam("repository"),
    schema.layers.c.digest.in_(bindparam("digests", expanding=True)),
)
_HELD = Prepared(
    select(schema.layers.c.digest)
    .join(schema.blobs, schema.blobs.c.id == schema.layers.c.blob_id)
    .where(*_ARE_THESE, schema.blobs.c.archived_size.is_(None))
)
_LEASE = Prepared(update(schema.layers).where(*_ARE_THESE))
_LOCK_BLOB = Prepared(
    select(schema.blobs.c.location)
    .where(schema.blobs.c.id == bindparam("blob"), schema.blobs.c.archived_size.is_(None))
    .with_for_update(read=True, key_share=True)
)


def _asked(registry: Registry, repository: str, digest: Digest) -> dict[str, str]:
    return {
        "account": registry.account,
        "region": registry.region,
        "repository": repository,
        "digest": str(digest),
    }


def _row(context: Context, registry: Registry, repository: str, digest: Digest) -> Record:
    with context.database.read() as tx:
        row = _FIND.one_or_none(tx, **_asked(registry, repository, digest))
        if row is None:
            repositories.find(tx, registry, repository)
            raise LayersNotFound.asked(digest, repository, registry.account)
        return row


def _renewed(context: Context, repository_id: int, row: Record) -> Layer | None:
    """Return the layer of `row`, or None if it was collected while its lease was renewed."""
    # The whole milliseconds from which on as much of the time is over, or more.
    grace = -(-context.retention.unreferenced_layers // _RENEW_AFTER_FRACTION)
    if not row.referenced and has_come(context.clock, row.leased_at + grace):
        context.memory.wait()
        now = context.clock()
        with context.database.write(durable=False, content_only=True) as tx:
            if lease(tx, repository_id, [row.digest], now) == 0:
                return None
    return _layer(row)


def _layer(row: Record) -> Layer:
    return Layer(
        Digest.parse(row.digest),
        row.size,
        row.media_type,
        Location(row.location),
        is_archived=bool(row.archived_size is not None or (row.referenced and not row.active)),
    )


def _pulled(layer: Layer, registry: Registry, repository: str) -> Layer:
    if layer.is_archived:
        raise LayerArchived(layer.digest, repository, registry.account)
    return layer
