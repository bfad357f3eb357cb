"""Uploads: the bytes of a layer on their way in, over either face.

An upload belongs to the repository and to the principal that began it. Its bytes lie in the blob
store; how many of them count is said here, in SQL, after they were written. What a killed process
wrote beyond that was never acknowledged and is written over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

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
)
from sqlalchemy.exc import IntegrityError

from longshore.blobs.store import DigestMismatch, UploadBusy, UploadLost, is_upload_id
from longshore.errors import (
    InvalidLayer,
    InvalidLayerPart,
    RepositoryNotFound,
    UploadNotFound,
)
from longshore.metadata import schema
from longshore.metadata.prepared import Prepared
from longshore.registry import repositories

if TYPE_CHECKING:
    from longshore.clock import Millis
    from longshore.metadata.prepared import Record
    from longshore.names import Registry
    from longshore.registry.context import Caller, Context


IS_THIS = schema.uploads.c.id == bindparam("upload")
"""What tells one upload in a statement, by the parameter `upload`."""

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
        IS_THIS,
        schema.uploads.c.principal_arn == bindparam("principal"),
        *repositories.IS_NAMED,
    )
)
_END = Prepared(delete(schema.uploads).where(IS_THIS))


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
