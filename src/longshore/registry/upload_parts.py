"""Parts: bytes that are being added to an upload."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from sqlalchemy import bindparam, select, update

from longshore.errors import LimitExceeded
from longshore.metadata import schema
from longshore.metadata.prepared import Prepared
from longshore.registry.uploads import (
    IS_THIS,
    as_refusals,
    not_found,
    refuse_conflict,
    refuse_part,
)

if TYPE_CHECKING:
    from longshore.blobs.store import BlobWriter
    from longshore.registry.context import Context
    from longshore.registry.uploads import Upload

# How often an upload is touched within its lifetime while its bytes come.
_TOUCHES = 8

_SIZE = Prepared(select(schema.uploads.c.size).where(IS_THIS))
_MOVE_ON = Prepared(
    update(schema.uploads).where(IS_THIS, schema.uploads.c.size == bindparam("size_before"))
)
_TOUCH = Prepared(update(schema.uploads).where(IS_THIS))


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
