"""Whether an image can be pulled, as ECR's `imageStatus` tells."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, select

from longshore.metadata import schema
from longshore.metadata.prepared import Prepared
from longshore.registry.lifecycle_rules import StorageClass

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row

    from longshore.metadata.prepared import Record

_IMAGE = schema.images.c
_FIND = Prepared(
    select(_IMAGE.storage_class, _IMAGE.restoring_since).where(_IMAGE.id == bindparam("image"))
)


class Status(StrEnum):
    """What becomes of a pull: only an active image can be pulled."""

    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"
    ACTIVATING = "ACTIVATING"


def status_of(row: Record | Row[Any]) -> Status:
    """Return the status of an image, of which the row has `storage_class` and `restoring_since`."""
    if row.storage_class == StorageClass.STANDARD:
        return Status.ACTIVE
    return Status.ARCHIVED if row.restoring_since is None else Status.ACTIVATING


def has_status(status: Status) -> ColumnElement[bool]:
    """Return the condition that an image has a status."""
    if status is Status.ACTIVE:
        return _IMAGE.storage_class == StorageClass.STANDARD.value
    is_restored = _IMAGE.restoring_since.is_not(None)
    return and_(
        _IMAGE.storage_class == StorageClass.ARCHIVE.value,
        is_restored if status is Status.ACTIVATING else ~is_restored,
    )


def find(tx: Connection, image_id: int) -> Status | None:
    """Return the status of an image, or None if it is gone."""
    row = _FIND.one_or_none(tx, image=image_id)
    return None if row is None else status_of(row)
