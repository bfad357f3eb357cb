"""Resource tags: keys and values that people hang on repositories (not the tags of images)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, func, insert, select

from longshore.errors import InvalidTagParameter, TooManyTags
from longshore.metadata import schema

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from longshore.registry.context import Context

_RESERVED_PREFIX = "aws:"


def read(tx: Connection, repository_id: int) -> dict[str, str]:
    """Return the tags of a repository, by key."""
    table = schema.resource_tags
    rows = tx.execute(
        select(table.c.key, table.c.value)
        .where(table.c.repository_id == repository_id)
        .order_by(table.c.key)
    )
    return {row.key: row.value for row in rows}


def write(tx: Connection, repository_id: int, tags: Mapping[str, str]) -> None:
    """Set each of `tags`; the others stay.

    Raises:
        InvalidTagParameter: a key is one that only AWS itself may set, or differs from another in
            case only. Conditions of policies don't tell such two apart.
    """
    if not tags:
        return
    check_keys(tags)
    erase(tx, repository_id, tags.keys())
    _refuse_alike([*read(tx, repository_id), *tags])
    tx.execute(
        insert(schema.resource_tags),
        [
            {"repository_id": repository_id, "key": key, "value": value}
            for key, value in tags.items()
        ],
    )


def erase(tx: Connection, repository_id: int, keys: Collection[str]) -> None:
    """Remove the tags with these keys; a key that isn't there is no error."""
    table = schema.resource_tags
    tx.execute(
        delete(table).where(table.c.repository_id == repository_id, table.c.key.in_(list(keys)))
    )


def count(tx: Connection, repository_id: int) -> int:
    """Return how many tags a repository has."""
    table = schema.resource_tags
    return tx.execute(
        select(func.count()).where(table.c.repository_id == repository_id)
    ).scalar_one()


def check_keys(keys: Iterable[str]) -> None:
    """Refuse keys that only AWS itself may set.

    Raises:
        InvalidTagParameter: one of them is.
    """
    if any(key.lower().startswith(_RESERVED_PREFIX) for key in keys):
        raise InvalidTagParameter(
            "Tag parameters are invalid: keys that begin with 'aws:' are reserved"
        )


def check_count(context: Context, tags: int) -> None:
    """Refuse more tags than a repository may have."""
    most = context.limits.resource_tags_per_repository
    if tags > most:
        raise TooManyTags(f"A repository may have at most {most} tags; this would make it {tags}")


def _refuse_alike(keys: Iterable[str]) -> None:
    known: dict[str, str] = {}
    for key in keys:
        other = known.setdefault(key.lower(), key)
        if other != key:
            raise InvalidTagParameter(
                f"Tag parameters are invalid: the keys '{other}' and '{key}' differ in case only"
            )
