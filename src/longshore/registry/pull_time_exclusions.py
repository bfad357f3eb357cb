"""Pull time update exclusions: users and roles whose pulls leave the times of images alone.

A scanner that pulls everything would else keep everything from growing old.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from longshore.errors import ExclusionAlreadyExists, ExclusionNotFound, LimitExceeded
from longshore.metadata import schema
from longshore.registry.slices import Slice

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from longshore.clock import Millis
    from longshore.names import Registry
    from longshore.registry.context import Context
    from longshore.registry.slices import Position

_TABLE = schema.pull_time_exclusions


def register(context: Context, registry: Registry, principal_arn: str) -> Millis:
    """Exclude a user, or a role with all its sessions; return when that was done.

    Whoever it is needn't exist yet, and may belong to another account.

    Raises:
        ExclusionAlreadyExists: it is excluded.
        LimitExceeded: a quota is used up.
    """
    now = context.clock()
    try:
        with context.database.write() as tx:
            tx.execute(
                insert(_TABLE).values(
                    account=registry.account,
                    region=registry.region,
                    principal_arn=principal_arn,
                    created_at=now,
                )
            )
            _check_count(context, tx, registry)
    except IntegrityError:
        raise ExclusionAlreadyExists(principal_arn, registry.account) from None
    return now


def deregister(context: Context, registry: Registry, principal_arn: str) -> None:
    """Let the pulls of a user or a role count again.

    Raises:
        ExclusionNotFound: they do.
    """
    with context.database.write() as tx:
        found = tx.execute(
            delete(_TABLE).where(
                _TABLE.c.account == registry.account,
                _TABLE.c.region == registry.region,
                _TABLE.c.principal_arn == principal_arn,
            )
        ).rowcount
    if found == 0:
        raise ExclusionNotFound(principal_arn, registry.account)


def list_all(
    context: Context, registry: Registry, after: Position | None, limit: int
) -> Slice[str]:
    """Return the ARNs of up to `limit` of those who are excluded, sorted."""
    arn = _TABLE.c.principal_arn
    query = (
        select(arn)
        .where(_TABLE.c.account == registry.account, _TABLE.c.region == registry.region)
        .order_by(arn)
        .limit(limit + 1)
    )
    if after is not None:
        query = query.where(arn > after[0])
    with context.database.read() as tx:
        rows = tx.execute(query).scalars().all()
    return Slice.of(rows, limit, lambda row: (row,), lambda row: row)


def _check_count(context: Context, tx: Connection, registry: Registry) -> None:
    most = context.limits.pull_time_exclusions_per_registry
    count = tx.execute(
        select(func.count()).where(
            _TABLE.c.account == registry.account, _TABLE.c.region == registry.region
        )
    ).scalar_one()
    if count > most:
        raise LimitExceeded(
            f"The registry with id '{registry.account}' already has {most} pull time update "
            "exclusions, the most it may have. Deregister some or raise the limit "
            "(limits.pull_time_exclusions_per_registry)."
        )
