"""Uploads: the bytes of a layer on their way in, over either face.

An upload belongs to the repository and to the principal that began it. Its bytes lie in the blob
store; how many of them count is said here, in SQL, after they were written. What a killed process
wrote beyond that was never acknowledged and is written over.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn, Self

from sqlalchemy import (
    BigInteger,
    Connection,
    String,
    bindparam,
    delete,
    false,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from longshore.blobs.store import DigestMismatch, UploadBusy, UploadLost, is_upload_id
from longshore.errors import (
    InvalidLayer,
    InvalidLayerPart,
    LimitExceeded,
    RepositoryNotFound,
    UploadNotFound,
)
from longshore.metadata import schema
from longshore.metadata.prepared import Prepared
from longshore.registry import repositories

if TYPE_CHECKING:
    from longshore.blobs.store import BlobWriter
    from longshore.clock import Millis
    from longshore.metadata.prepared import Record
    from longshore.names import Registry
    from longshore.registry.context import Caller, Context


# How often an upload is touched within its lifetime while its bytes come.
_TOUCHES = 8

_IS_THIS = schema.uploads.c.id == bindparam("upload")
_NOW = bindparam("now", type_=BigInteger)
_INSERT = Prepared(
    insert(schema.uploads).from_select(
        [column.name for column in schema.uploads.columns],
        select(
            bindparam("upload", type_=String),
            schema.repositories.c.id,
            bindparam("principal", type_=String),
            _NOW.label("started_at"),
            _NOW.label("touched_at"),
            literal(0).label("size"),
            literal(0).label("parts"),
            literal(0).label("last_part_size"),
            false().label("has_small_part"),
        ).where(*repositories.IS_NAMED),
    )
)
_FIND = Prepared(
    select(schema.uploads)
    .join(schema.repositories, schema.repositories.c.id == schema.uploads.c.repository_id)
    .where(
        _IS_THIS,
        schema.uploads.c.principal_arn == bindparam("principal"),
        *repositories.IS_NAMED,
    )
)
_SIZE = Prepared(select(schema.uploads.c.size).where(_IS_THIS))
_MOVE_ON = Prepared(
    update(schema.uploads).where(_IS_THIS, schema.uploads.c.size == bindparam("size_before"))
)
_TOUCH = Prepared(update(schema.uploads).where(_IS_THIS))
_END = Prepared(delete(schema.uploads).where(_IS_THIS))


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


def start(context: Context, caller: Caller, registry: Registry, repository: str) -> Upload:
    """Begin an upload."""
    upload_id = context.new_upload_id()
    # A power cut may forget an upload that holds nothing yet: not worth a sync.
    try:
        with context.database.write(durable=False, content_only=True) as tx:
            # The repository isn't locked: an upload waits for nobody's push.
            begun = _INSERT.run(
                tx,
                upload=upload_id,
                principal=caller.arn,
                now=context.clock(),
                **repositories.named(registry, repository),
            )
    except IntegrityError:
        # Deleted since it was found.
        begun = 0
    if begun == 0:
        raise RepositoryNotFound(repository, registry.account)
    return Upload(upload_id, registry, repository, 0, 0, 0, has_small_part=False)


def find(
    context: Context,
    caller: Caller,
    registry: Registry,
    repository: str,
    upload_id: str,
    *,
    untouched_since: Millis | None = None,
) -> Upload:
    """Return an upload.

    Args:
        context: the store.
        caller: who began it.
        registry: whose repository it belongs to.
        repository: the repository's name.
        upload_id: its id.
        untouched_since: when the request that asks began, if nothing may have been added since.

    Raises:
        RepositoryNotFound: there is no such repository.
        UploadNotFound: there is no such upload, or it is another repository's or principal's.
        UploadConflict: somebody has added to it since.
    """
    with context.database.read() as tx:
        row = _row(tx, caller, registry, repository, upload_id)
    upload = Upload(
        id=row.id,
        registry=registry,
        repository=repository,
        size=row.size,
        parts=row.parts,
        last_part_size=row.last_part_size,
        has_small_part=row.has_small_part,
    )
    if untouched_since is not None and row.touched_at > untouched_since:
        refuse_conflict(upload)
    return upload


def cancel(
    context: Context, caller: Caller, registry: Registry, repository: str, upload_id: str
) -> None:
    """Give an upload up and forget its bytes."""
    with context.database.write(content_only=True) as tx:
        row = _row(tx, caller, registry, repository, upload_id)
        _END.run(tx, upload=row.id)
    context.blobs.discard(upload_id)


def check_unchanged(tx: Connection, caller: Caller, upload: Upload) -> None:
    """Refuse if an upload isn't what it was when it was found.

    Raises:
        UploadNotFound: it is over.
        UploadConflict: somebody has added to it since.
    """
    row = _row(tx, caller, upload.registry, upload.repository, upload.id)
    if row.size != upload.size:
        refuse_conflict(upload)


class Part:
    """Bytes being added to an upload; a context manager.

    Closing it acknowledges what was appended, even where the client broke off in the middle, so
    that it can resume from there. So does completing the upload with it.

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
        self._writer: BlobWriter | None = None
        self._abandoned = False
        self._touched_at = context.clock()

    @property
    def writer(self) -> BlobWriter | None:
        """What holds the upload, if it is held."""
        return None if self.is_closed else self._writer

    @property
    def size(self) -> int:
        """The bytes of the upload so far, this part included."""
        return self.upload.size if self._writer is None else self._writer.offset

    @property
    def received(self) -> int:
        """The bytes of this part so far."""
        return self.size - self.upload.size

    def __enter__(self) -> Self:
        with as_refusals(self.upload):
            writer = self._held.enter_context(
                self._context.blobs.writer(self.upload.id, self.upload.size)
            )
        self._writer = writer
        if not writer.is_first:
            with ExitStack() as unless_refused:
                unless_refused.push(self._held)
                self._check_offset()
                unless_refused.pop_all()
        return self

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Write `data` behind what is there.

        Raises:
            LimitExceeded: the layer would be larger than layers may be.
        """
        if self._writer is None:
            raise ValueError("append to a part that holds nothing")
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

    def let_go(self) -> None:
        """Let go of the upload, which is what it was before."""
        self.is_closed = True
        self._held.close()

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
            raise not_found(self.upload)
        if size != self.upload.size:
            refuse_conflict(self.upload)

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
            raise not_found(upload)
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


class as_refusals:  # noqa: N801 - a block of statements begins with it
    """Say in the registry's words what the blob store can't do with an upload."""

    __slots__ = ("_upload",)

    def __init__(self, upload: Upload) -> None:
        self._upload = upload

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is None:
            return
        if isinstance(error, UploadBusy):
            refuse_conflict(self._upload)
        if isinstance(error, UploadLost):
            raise not_found(self._upload) from None
        if isinstance(error, DigestMismatch):
            raise InvalidLayer(
                "The bytes that were uploaded have the digest "
                f"'{error.computed}', not the one given"
            ) from None


def not_found(upload: Upload) -> UploadNotFound:
    """Return what says that an upload is over, or was never begun."""
    return UploadNotFound(upload.id, upload.repository, upload.registry.account)


def refuse_conflict(upload: Upload) -> NoReturn:
    """Refuse because somebody else works on an upload."""
    refuse_part(upload, "Another request is writing to this upload", kind=UploadConflict)


def _row(
    tx: Connection, caller: Caller, registry: Registry, repository: str, upload_id: str
) -> Record:
    row = None
    if is_upload_id(upload_id):
        named = repositories.named(registry, repository)
        row = _FIND.one_or_none(tx, upload=upload_id, principal=caller.arn, **named)
    if row is None:
        repositories.find(tx, registry, repository)
        raise UploadNotFound(upload_id, repository, registry.account)
    return row
