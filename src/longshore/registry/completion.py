"""The end of an upload: its bytes become a layer.

The bytes are durable before the row that names them, and that row before anybody is told. Where
the store has the same bytes already, those that came are verified and thrown away.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sqlalchemy import Connection, and_, bindparam, delete, select, update

from longshore.blobs.store import BlobMissing, DigestMismatch, Location
from longshore.errors import (
    EmptyUpload,
    LayerAlreadyExists,
    LayerPartTooSmall,
    RepositoryNotFound,
    Server,
    UploadNotFound,
)
from longshore.metadata import schema
from longshore.metadata.prepared import Prepared
from longshore.metadata.statements import insert_for_id
from longshore.registry import layers, repositories, uploads

if TYPE_CHECKING:
    from longshore.blobs.store import BlobWriter
    from longshore.metadata.prepared import Record
    from longshore.names import Digest
    from longshore.registry.context import Caller, Context
    from longshore.registry.upload_parts import Part
    from longshore.registry.uploads import Upload

_END_UNCHANGED = Prepared(
    delete(schema.uploads).where(
        schema.uploads.c.id == bindparam("upload"),
        schema.uploads.c.repository_id == bindparam("repository"),
        schema.uploads.c.principal_arn == bindparam("principal"),
        schema.uploads.c.size == bindparam("size"),
    )
)
_BLOB = (schema.blobs.c.id, schema.blobs.c.location, schema.blobs.c.archived_size)
_LOOK = Prepared(
    select(*_BLOB, schema.repositories.c.encryption_context)
    .select_from(
        schema.repositories.outerjoin(
            schema.blobs,
            and_(
                schema.blobs.c.encryption_context == schema.repositories.c.encryption_context,
                schema.blobs.c.digest == bindparam("digest"),
            ),
        )
    )
    .where(*repositories.IS_NAMED)
)
_IS_BLOB = (
    schema.blobs.c.encryption_context == bindparam("context"),
    schema.blobs.c.digest == bindparam("digest"),
)
_FIND_BLOB = Prepared(select(*_BLOB).where(*_IS_BLOB))
_FIND_AND_LOCK_BLOB = Prepared(
    select(*_BLOB)
    .where(*_IS_BLOB, schema.blobs.c.archived_size.is_(None))
    .with_for_update(read=True, key_share=True)
)
_REPLACE = Prepared(update(schema.blobs).where(schema.blobs.c.id == bindparam("blob")))


class _BlobUnknown(Exception):
    """The store doesn't have the bytes of an upload yet, or has collected them."""


def complete_in_parts(context: Context, caller: Caller, upload: Upload, digest: Digest) -> None:
    """Make a layer of an upload, by the rules of CompleteLayerUpload.

    Raises:
        EmptyUpload: it has no bytes.
        LayerPartTooSmall: a part other than the last is under the smallest size.
        InvalidLayer: the bytes have another digest.
        LayerAlreadyExists: the repository holds the layer; the upload is over.
    """
    if upload.parts == 0:
        raise EmptyUpload(upload.id, upload.repository, upload.registry.account)
    if upload.has_small_part:
        mebibytes = context.limits.layer_part_smallest // 1024**2
        raise LayerPartTooSmall(f"Layer parts must be at least {mebibytes} MiB in size")
    if not complete(context, caller, upload, digest):
        raise LayerAlreadyExists(digest, upload.repository, upload.registry.account)


def complete(
    context: Context, caller: Caller, upload: Upload, digest: Digest, last: Part | None = None
) -> bool:
    """Make a layer of an upload, once its bytes are known to have `digest`.

    Args:
        context: the store.
        caller: who began the upload.
        upload: the upload.
        digest: what its bytes must hash to.
        last: the part that is the end of it, not closed. Its bytes count with the layer; where
            none comes of it, whoever closes the part lets them count.

    Returns:
        Whether the layer is new to the repository.

    Raises:
        InvalidLayer: the bytes have another digest; the upload stays as it is.
        UploadConflict: somebody is writing to the upload.
    """
    if last is not None and upload.size > 0:
        # What came in earlier requests isn't sent again: whoever repeats this one after a failure
        # has to find all of it.
        upload, last = last.close(), None
    return _Completion(context, caller, upload, digest, last).run()


class _Completion:
    def __init__(
        self, context: Context, caller: Caller, upload: Upload, digest: Digest, last: Part | None
    ) -> None:
        self._context = context
        self._caller = caller
        self._upload = upload
        self._digest = digest
        self._last = last
        self._size = upload.size if last is None else last.size

    def run(self) -> bool:
        context, upload = self._context, self._upload
        if self._size == 0:
            # Nobody has written to it: the blob store doesn't know it yet.
            context.blobs.create(upload.id)
            if not context.dialect.stores_empty_blobs:
                self._check_digest()
                uploads.cancel(context, self._caller, upload.registry, upload.repository, upload.id)
                return True
        with context.database.read() as tx:
            found = _LOOK.one_or_none(
                tx,
                digest=str(self._digest),
                **repositories.named(upload.registry, upload.repository),
            )
            if found is None:
                raise RepositoryNotFound(upload.repository, upload.registry.account)
            if self._writer is None:
                # The commit cuts off what somebody else may have added since.
                uploads.check_unchanged(tx, self._caller, upload)
        # The collector may take a blob while it is looked at; it can't take one just stored.
        if found.id is not None and _holds(context, found):
            with suppress(_BlobUnknown):
                return self._deduplicate()
        for _ in range(2):
            with suppress(_BlobUnknown):
                return self._store(found.encryption_context)
        raise Server("The same layer was collected again and again while it was pushed. Try again.")

    @property
    def _writer(self) -> BlobWriter | None:
        return None if self._last is None else self._last.writer

    def _deduplicate(self) -> bool:
        """Turn the upload into a layer whose bytes the store has; its own are discarded.

        Raises:
            _BlobUnknown: the store doesn't have them any more.
        """
        try:
            self._check_digest()
        except UploadNotFound:
            # A process may have died with the bytes stored and no row for them: `_store` knows.
            raise _BlobUnknown from None
        with self._context.database.write(content_only=True) as tx:
            is_new, _ = self._finish(tx)
        self._context.blobs.discard(self._upload.id)
        if self._last is not None:
            self._last.let_go()
        return is_new

    def _check_digest(self) -> None:
        upload, algorithm = self._upload, self._digest.algorithm
        with uploads.as_refusals(upload):
            computed = self._context.blobs.digest(upload.id, self._size, algorithm, self._writer)
            if computed != self._digest:
                raise DigestMismatch(upload.id, computed)

    def _store(self, encryption_context: str) -> bool:
        """Turn the upload into a layer with its own bytes."""
        context, digest = self._context, str(self._digest)
        with uploads.as_refusals(self._upload):
            own = context.blobs.commit(
                self._upload.id, self._size, encryption_context, self._digest, self._writer
            )
        if self._last is not None:
            self._last.let_go()
        with context.database.write(content_only=True) as tx:
            blob_id = insert_for_id(
                tx,
                schema.blobs,
                encryption_context=encryption_context,
                digest=digest,
                size=self._size,
                location=own,
                stored_at=context.clock(),
            )
            if blob_id is not None:
                is_new, location = self._finish(tx, (blob_id, own))
            else:
                blob = _FIND_BLOB.one_or_none(tx, context=encryption_context, digest=digest)
                if blob is not None and blob.location != own and not _holds(context, blob):
                    # Its bytes lie in the archive, or were lost with their disk: these take their
                    # place.
                    _REPLACE.run(tx, blob=blob.id, location=own, archived_size=None)
                is_new, location = self._finish(tx)
        if location != own:
            # Somebody stored the same bytes in the meantime.
            context.blobs.delete(own)
        return is_new

    def _finish(
        self, tx: Connection, blob: tuple[int, Location] | None = None
    ) -> tuple[bool, Location]:
        """Let the repository hold the blob, and end the upload.

        Args:
            tx: an open transaction.
            blob: id and location of the blob, where its row is this transaction's own.
        """
        upload = self._upload
        repository = repositories.lock(tx, upload.registry, upload.repository)
        ended = _END_UNCHANGED.run(
            tx,
            upload=upload.id,
            repository=repository.id,
            principal=self._caller.arn,
            size=upload.size,
        )
        if ended == 0:
            # Moved on, cancelled or expired since it was looked at: its bytes may be gone as well.
            uploads.check_unchanged(tx, self._caller, upload)
            raise uploads.not_found(upload)
        if blob is None:
            # Kept from being collected or archived until the transaction ends.
            row = _FIND_AND_LOCK_BLOB.one_or_none(
                tx, context=repository.encryption_context, digest=str(self._digest)
            )
            if row is None:
                raise _BlobUnknown
            blob = row.id, Location(row.location)
        blob_id, location = blob
        is_new = layers.attach(self._context, tx, repository.id, self._digest, blob_id)
        return is_new, location


def _holds(context: Context, blob: Record) -> bool:
    """Tell whether the store still has the bytes that a row promises, and not the archive."""
    if blob.archived_size is not None:
        return False
    try:
        context.blobs.open(Location(blob.location)).close()
    except BlobMissing:
        return False
    return True
