"""Uploads: the bytes of a layer on their way in, over either face.

An upload belongs to the repository and to the principal that began it. Its bytes lie in the blob
store; how many of them count is said here, in SQL, after they were written. What a killed process
wrote beyond that was never acknowledged and is written over.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn, Self

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from longshore.blobs.store import (
    BlobMissing,
    DigestMismatch,
    Location,
    UploadBusy,
    UploadLost,
    is_upload_id,
)
from longshore.errors import (
    EmptyUpload,
    InvalidLayer,
    InvalidLayerPart,
    LayerAlreadyExists,
    LayerPartTooSmall,
    LimitExceeded,
    RepositoryNotFound,
    Server,
    UploadNotFound,
)
from longshore.metadata import schema
from longshore.metadata.prepared import Prepared
from longshore.metadata.statements import insert_if_absent
from longshore.registry import layers, repositories

if TYPE_CHECKING:
    from collections.abc import Iterator

    from longshore.blobs.store import BlobWriter
    from longshore.metadata.prepared import Record
    from longshore.names import Digest, Registry
    from longshore.registry.context import Caller, Context
    from longshore.registry.repositories import Repository


# How often an upload is touched within its lifetime while its bytes come.
_TOUCHES = 8

_IS_THIS = schema.uploads.c.id == bindparam("upload")
_INSERT = Prepared(insert(schema.uploads))
_FIND = Prepared(
    select(schema.uploads).where(
        _IS_THIS,
        schema.uploads.c.repository_id == bindparam("repository"),
        schema.uploads.c.principal_arn == bindparam("principal"),
    )
)
_SIZE = Prepared(select(schema.uploads.c.size).where(_IS_THIS))
_MOVE_ON = Prepared(
    update(schema.uploads).where(_IS_THIS, schema.uploads.c.size == bindparam("size_before"))
)
_TOUCH = Prepared(update(schema.uploads).where(_IS_THIS))
_END = Prepared(delete(schema.uploads).where(_IS_THIS))
_END_UNCHANGED = Prepared(
    delete(schema.uploads).where(
        _IS_THIS,
        schema.uploads.c.repository_id == bindparam("repository"),
        schema.uploads.c.principal_arn == bindparam("principal"),
        schema.uploads.c.size == bindparam("size"),
    )
)
_BLOB = select(schema.blobs.c.id, schema.blobs.c.location, schema.blobs.c.archived_size).where(
    schema.blobs.c.encryption_context == bindparam("context"),
    schema.blobs.c.digest == bindparam("digest"),
)
_FIND_BLOB = Prepared(_BLOB)
_FIND_AND_LOCK_BLOB = Prepared(
    _BLOB.where(schema.blobs.c.archived_size.is_(None)).with_for_update(read=True, key_share=True)
)
_REPLACE = Prepared(update(schema.blobs).where(schema.blobs.c.id == bindparam("blob")))


class UploadConflict(InvalidLayerPart):
    """Somebody else is writing to the upload at this moment."""


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that isn't complete. `size` counts the bytes received so far."""

    id: str
    registry: Registry
    repository: str
    size: int
    parts: int
    last_part_size: int
    has_small_part: bool


class _BlobUnknown(Exception):
    """The store doesn't have the bytes of an upload yet, or has collected them."""


def start(context: Context, caller: Caller, registry: Registry, repository: str) -> Upload:
    """Begin an upload."""
    now = context.clock()
    upload_id = context.new_upload_id()
    # A power cut may forget an upload that holds nothing yet: not worth a sync.
    try:
        with context.database.write(durable=False, content_only=True) as tx:
            # Not locked: an upload waits for nobody's push.
            found = repositories.find(tx, registry, repository)
            _INSERT.run(
                tx,
                id=upload_id,
                repository_id=found.id,
                principal_arn=caller.arn,
                started_at=now,
                touched_at=now,
                size=0,
                parts=0,
                last_part_size=0,
                has_small_part=False,
            )
    except IntegrityError:
        # Deleted since it was found.
        raise RepositoryNotFound(repository, registry.account) from None
    return Upload(upload_id, registry, repository, 0, 0, 0, has_small_part=False)


def find(
    context: Context, caller: Caller, registry: Registry, repository: str, upload_id: str
) -> Upload:
    """Return an upload.

    Raises:
        RepositoryNotFound: there is no such repository.
        UploadNotFound: there is no such upload, or it is another repository's or principal's.
    """
    with context.database.read() as tx:
        found = repositories.find(tx, registry, repository)
        return _upload(_row(tx, caller, found, upload_id), registry, repository)


def cancel(
    context: Context, caller: Caller, registry: Registry, repository: str, upload_id: str
) -> None:
    """Give an upload up and forget its bytes."""
    with context.database.write(content_only=True) as tx:
        row = _row(tx, caller, repositories.find(tx, registry, repository), upload_id)
        _END.run(tx, upload=row.id)
    context.blobs.discard(upload_id)


class Part:
    """Bytes being added to an upload; a context manager.

    Closing it acknowledges what was appended, even where the client broke off in the middle, so
    that it can resume from there.

    Attributes:
        upload: the upload, as it was before the part.
        is_closed: whether the part is over.

    Raises:
        UploadConflict: somebody else is writing to this upload.
        UploadNotFound: its bytes were lost in a power cut.
    """

    def __init__(self, context: Context, upload: Upload) -> None:
        self._context = context
        self.upload = upload
        self.is_closed = False
        self._room = context.limits.layer_size - upload.size
        self._held = ExitStack()
        self._writer: BlobWriter
        self._abandoned = False
        self._touched_at = context.clock()

    @property
    def size(self) -> int:
        """The bytes of the upload so far, this part included."""
        return self._writer.offset

    @property
    def received(self) -> int:
        """The bytes of this part so far."""
        return self.size - self.upload.size

    def __enter__(self) -> Self:
        with _as_refusals(self.upload):
            self._writer = self._held.enter_context(
                self._context.blobs.writer(self.upload.id, self.upload.size)
            )
        with ExitStack() as let_go:
            let_go.push(self._held)
            self._check_offset()
            let_go.pop_all()
        return self

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Write `data` behind what is there.

        Raises:
            LimitExceeded: the layer would be larger than layers may be.
        """
        self._room -= len(data)
        if self._room < 0:
            raise LimitExceeded(f"A layer may have at most {self._context.limits.layer_size} bytes")
        self._writer.append(data)
        self._touch()

    def abandon(self) -> None:
        """Don't acknowledge what was appended: it turned out not to be what was announced."""
        self._abandoned = True

    def close(self) -> Upload:
        """Acknowledge what was appended, let go of the upload, and return it as it is now."""
        self.is_closed = True
        with self._held:
            if self.received > 0 and not self._abandoned:
                return self._acknowledge()
            return self.upload

    def __exit__(self, *exception: object) -> None:
        if not self.is_closed:
            self.close()

    def _touch(self) -> None:
        """Let the collector know that bytes still come, long before it would take the upload."""
        now = self._context.clock()
        if now - self._touched_at < self._context.retention.unfinished_uploads // _TOUCHES:
            return
        self._touched_at = now
        with self._context.database.write(durable=False, content_only=True) as tx:
            _TOUCH.run(tx, upload=self.upload.id, touched_at=now)

    def _check_offset(self) -> None:
        """Refuse if somebody else moved the upload on before it was ours."""
        with self._context.database.read() as tx:
            size = _SIZE.value(tx, upload=self.upload.id)
        if size is None:
            raise _not_found(self.upload)
        if size != self.upload.size:
            _refuse_conflict(self.upload)

    def _acknowledge(self) -> Upload:
        upload = self.upload
        smallest = self._context.limits.layer_part_smallest
        moved_on = replace(
            upload,
            size=self.size,
            parts=upload.parts + 1,
            last_part_size=self.received,
            has_small_part=upload.has_small_part or 0 < upload.last_part_size < smallest,
        )
        with self._context.database.write(durable=False, content_only=True) as tx:
            changed = _MOVE_ON.run(
                tx,
                upload=upload.id,
                size_before=upload.size,
                size=moved_on.size,
                parts=moved_on.parts,
                last_part_size=moved_on.last_part_size,
                has_small_part=moved_on.has_small_part,
                touched_at=self._context.clock(),
            )
        if changed == 0:
            raise _not_found(upload)
        return moved_on


def append_part(
    context: Context, upload: Upload, first_byte: int, last_byte: int, data: bytes
) -> int:
    """Add a part of known place, as UploadLayerPart does.

    Returns:
        The number of the last byte received, counted from zero.

    Raises:
        InvalidLayerPart: the part doesn't follow on the bytes received, or isn't as long as its
            numbers say, or is larger than parts may be.
        LimitExceeded: the upload has too many parts or bytes.
    """
    largest = context.limits.layer_part_largest
    if len(data) > largest:
        refuse_part(upload, f"Layer parts must be at most {largest} bytes in size")
    if first_byte != upload.size:
        refuse_part(upload, f"The part must begin at byte {upload.size}, not at {first_byte}")
    if last_byte - first_byte + 1 != len(data):
        refuse_part(
            upload,
            f"The part's numbers name {last_byte - first_byte + 1} bytes and it has {len(data)}",
        )
    if upload.parts >= context.limits.layer_parts:
        raise LimitExceeded(
            f"A layer may be uploaded in at most {context.limits.layer_parts} parts"
        )
    with Part(context, upload) as part:
        part.append(data)
        return part.size - 1


def refuse_part(
    upload: Upload, reason: str, kind: type[InvalidLayerPart] = InvalidLayerPart
) -> NoReturn:
    """Refuse a part, and say where the upload stands."""
    raise kind(
        f"Invalid layer part of the upload with id '{upload.id}' in the repository with name "
        f"'{upload.repository}': {reason}",
        registryId=upload.registry.account,
        repositoryName=upload.repository,
        uploadId=upload.id,
        # ECR has no word for "nothing yet": its first part then starts at -1 + 1.
        lastValidByteReceived=upload.size - 1,
    )


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


def complete(context: Context, caller: Caller, upload: Upload, digest: Digest) -> bool:
    """Make a layer of an upload, once its bytes are known to have `digest`.

    The bytes are durable before the row that names them, and that row before this returns.

    Returns:
        Whether the layer is new to the repository.

    Raises:
        InvalidLayer: the bytes have another digest; the upload stays as it is.
        UploadConflict: somebody is writing to the upload.
    """
    if upload.size == 0:
        # Nobody has written to it: the blob store doesn't know it yet.
        context.blobs.create(upload.id)
        if not context.dialect.stores_empty_blobs:
            _check_digest(context, upload, digest)
            cancel(context, caller, upload.registry, upload.repository, upload.id)
            return True
    with context.database.read() as tx:
        repository = repositories.find(tx, upload.registry, upload.repository)
        # The commit cuts off what somebody else may have added since.
        _check_unchanged(tx, caller, repository, upload)
        blob = _find_blob(tx, repository.encryption_context, digest)
    # The collector may take a blob while it is looked at; it can't take one that was just stored.
    if blob is not None and _holds(context, blob):
        with suppress(_BlobUnknown):
            return _deduplicate(context, caller, upload, digest)
    for _ in range(2):
        with suppress(_BlobUnknown):
            return _store(context, caller, upload, repository.encryption_context, digest)
    raise Server("The same layer was collected again and again while it was pushed. Try again.")


def _deduplicate(context: Context, caller: Caller, upload: Upload, digest: Digest) -> bool:
    """Turn the upload into a layer whose bytes the store has; its own are discarded.

    Raises:
        _BlobUnknown: the store doesn't have them any more.
    """
    try:
        _check_digest(context, upload, digest)
    except UploadNotFound:
        # A process may have died with the bytes stored and no row for them yet: `_store` knows.
        raise _BlobUnknown from None
    with context.database.write(content_only=True) as tx:
        is_new, _ = _finish(context, tx, caller, upload, digest)
    context.blobs.discard(upload.id)
    return is_new


def _check_digest(context: Context, upload: Upload, digest: Digest) -> None:
    with _as_refusals(upload):
        computed = context.blobs.digest(upload.id, upload.size, digest.algorithm)
        if computed != digest:
            raise DigestMismatch(upload.id, computed)


def _store(
    context: Context, caller: Caller, upload: Upload, encryption_context: str, digest: Digest
) -> bool:
    """Turn the upload into a layer with its own bytes."""
    with _as_refusals(upload):
        own = context.blobs.commit(upload.id, upload.size, encryption_context, digest)
    with context.database.write(content_only=True) as tx:
        is_first = insert_if_absent(
            tx,
            schema.blobs,
            encryption_context=encryption_context,
            digest=str(digest),
            size=upload.size,
            location=own,
            stored_at=context.clock(),
        )
        blob = None if is_first else _find_blob(tx, encryption_context, digest)
        if blob is not None and blob.location != own and not _holds(context, blob):
            # Its bytes lie in the archive, or were lost with their disk: these take their place.
            _REPLACE.run(tx, blob=blob.id, location=own, archived_size=None)
        is_new, location = _finish(context, tx, caller, upload, digest)
    if location != own:
        # Somebody stored the same bytes in the meantime.
        context.blobs.delete(own)
    return is_new


def _finish(
    context: Context, tx: Connection, caller: Caller, upload: Upload, digest: Digest
) -> tuple[bool, Location]:
    """Let the repository hold the blob, and end the upload."""
    repository = repositories.find(tx, upload.registry, upload.repository, lock=True)
    ended = _END_UNCHANGED.run(
        tx,
        upload=upload.id,
        repository=repository.id,
        principal=caller.arn,
        size=upload.size,
    )
    if ended == 0:
        # Moved on, cancelled or expired since it was looked at: its bytes may be gone as well.
        _check_unchanged(tx, caller, repository, upload)
        raise _not_found(upload)
    # Kept from being collected or archived until the transaction ends.
    blob = _find_blob(tx, repository.encryption_context, digest, _FIND_AND_LOCK_BLOB)
    if blob is None:
        raise _BlobUnknown
    is_new = layers.attach(context, tx, repository, digest, blob.id)
    return is_new, Location(blob.location)


def _check_unchanged(
    tx: Connection, caller: Caller, repository: Repository, upload: Upload
) -> None:
    row = _row(tx, caller, repository, upload.id)
    if row.size != upload.size:
        _refuse_conflict(upload)


@contextmanager
def _as_refusals(upload: Upload) -> Iterator[None]:
    """Say in the registry's words what the blob store can't do."""
    try:
        yield
    except UploadBusy:
        _refuse_conflict(upload)
    except UploadLost:
        raise _not_found(upload) from None
    except DigestMismatch as error:
        raise InvalidLayer(
            f"The bytes that were uploaded have the digest '{error.computed}', not the one given"
        ) from None


def _not_found(upload: Upload) -> UploadNotFound:
    return UploadNotFound(upload.id, upload.repository, upload.registry.account)


def _refuse_conflict(upload: Upload) -> NoReturn:
    refuse_part(upload, "Another request is writing to this upload", kind=UploadConflict)


def _find_blob(
    tx: Connection, encryption_context: str, digest: Digest, statement: Prepared = _FIND_BLOB
) -> Record | None:
    return statement.one_or_none(tx, context=encryption_context, digest=str(digest))


def _holds(context: Context, blob: Record) -> bool:
    """Tell whether the store still has the bytes that a row promises, and not the archive."""
    if blob.archived_size is not None:
        return False
    try:
        context.blobs.open(Location(blob.location)).close()
    except BlobMissing:
        return False
    return True


def _row(tx: Connection, caller: Caller, repository: Repository, upload_id: str) -> Record:
    row = None
    if is_upload_id(upload_id):
        row = _FIND.one_or_none(
            tx, upload=upload_id, repository=repository.id, principal=caller.arn
        )
    if row is None:
        raise UploadNotFound(upload_id, repository.name, repository.registry.account)
    return row


def _upload(row: Record, registry: Registry, repository: str) -> Upload:
    return Upload(
        id=row.id,
        registry=registry,
        repository=repository,
        size=row.size,
        parts=row.parts,
        last_part_size=row.last_part_size,
        has_small_part=row.has_small_part,
    )
