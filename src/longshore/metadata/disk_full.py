"""What a database says of a full disk."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from longshore.errors import StorageFull

_POSTGRESQL_DISK_FULL = "53100"


def refuse_if_full(error: BaseException) -> None:
    """Say of a database whose disk is full that the storage is."""
    if isinstance(error, DBAPIError) and _is_disk_full(error.orig):
        raise StorageFull from error


def _is_disk_full(error: object) -> bool:
    return (
        getattr(error, "sqlite_errorname", None) == "SQLITE_FULL"
        or getattr(error, "sqlstate", None) == _POSTGRESQL_DISK_FULL
    )
