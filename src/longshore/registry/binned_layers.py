"""The layers of images in the recycle bin: what was deleted can't be pulled.

Without the bin, a layer whose last image is deleted stays in its repository until its lease is
over. With the bin it leaves the repository at once, and the bin keeps the blob: what can be brought
back for a month must not be readable for a month. Only who was told before that the layer is there,
and now pushes a manifest that refers to it, still finds it, for as long as the lease would have
lasted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from longshore.metadata import schema
from longshore.registry import layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from longshore.names import Digest
    from longshore.registry.context import Context
    from longshore.registry.repositories import Repository


def withdraw(tx: Connection, repository: Repository, image_id: int) -> None:
    """Take the layers of an image that is in the bin now out of its locked repository.

    Those that other images refer to stay.
    """
    table, binned = schema.layers, schema.binned_layers.c
    its = select(binned.digest).where(binned.image_id == image_id)
    tx.execute(
        delete(table).where(
            table.c.repository_id == repository.id,
            table.c.digest.in_(its),
            ~layers.is_referenced(),
        )
    )


def lend(
    context: Context, tx: Connection, repository: Repository, digests: Sequence[Digest]
) -> list[Digest]:
    """Let a locked repository hold layers again that it held until lately.

    Returns:
        Those of the digests that it didn't hold, or not lately, in their order.
    """
    image, layer = schema.binned_images.c, schema.binned_layers.c
    lately = context.clock() - context.retention.unreferenced_layers
    query = (
        select(layer.digest, layer.blob_id)
        .join_from(schema.binned_layers, schema.binned_images, image.id == layer.image_id)
        .where(
            layer.digest.in_([str(digest) for digest in digests]),
            image.repository_id == repository.id,
            image.deleted_at >= lately,
        )
    )
    blobs = {row.digest: row.blob_id for row in tx.execute(query)}

    def lend_one(digest: Digest) -> bool:
        blob_id = blobs.get(str(digest))
        if blob_id is None or layers.lock_blob(tx, blob_id) is None:
            return False
        layers.attach(context, tx, repository.id, digest, blob_id)
        return True

    return [digest for digest in digests if not lend_one(digest)]
