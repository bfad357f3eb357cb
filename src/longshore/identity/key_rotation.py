"""Giving the server another key, and doing without the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, select, update

from longshore.access.sealing import BrokenSeal
from longshore.errors import Server
from longshore.identity import access_keys
from longshore.metadata import schema

if TYPE_CHECKING:
    from longshore.registry.context import Context


def rotate(context: Context) -> int:
    """Make a new server key, seal with it all that is stored, and return how much that is.

    What the older keys have sealed for others (sessions, registry tokens, pages, download URLs)
    goes on being good.

    Raises:
        Server: a stored secret opens with no key; the new key is there all the same.
    """
    with context.database.write() as tx:
        _lock(tx)
        context.server_key.rotate()
        return _reseal(context, tx)


def retire(context: Context) -> int:
    """Forget all server keys but the newest, and return how many.

    What they have sealed for others is good for nothing from then on.

    Raises:
        Server: a stored secret opens with no key, or the key was changed meanwhile; none is
            forgotten.
    """
    with context.database.write() as tx:
        _lock(tx)
        # What another process stored while the key was changed.
        _reseal(context, tx)
    # Again, for it must be in the database after any kill before the older keys go; and locked, for
    # whoever makes a new key now needs the one before.
    with context.database.write() as tx:
        _lock(tx)
        if _reseal(context, tx):
            raise Server("The server's key was changed once more meanwhile. Try again.")
        forgotten = len(context.server_key.ids) - 1
        if forgotten:
            context.server_key.retire()
        return forgotten


def _lock(tx: Connection) -> None:
    # Two who rotate at once would each take the other's key for the newest.
    tx.execute(select(schema.identity.c.id).with_for_update())


def _reseal(context: Context, tx: Connection) -> int:
    """Seal with the newest key what isn't, in the transaction; name it as the database's."""
    table, seal = schema.access_keys, access_keys.seal_of(context)
    rows = tx.execute(select(table.c.id, table.c.secret).with_for_update()).all()
    old = [row for row in rows if not seal.is_newest(row.secret)]
    for row in old:
        bound_to = row.id.encode()
        try:
            secret = seal.close(seal.open(row.secret, bound_to), bound_to)
        except BrokenSeal:
            raise Server(
                f"The secret of the access key {row.id} opens with none of the server's keys. "
                "Put the server.key back that sealed it, or delete the access key; then try again."
            ) from None
        tx.execute(update(table).where(table.c.id == row.id).values(secret=secret))
    tx.execute(update(schema.identity).values(server_key_id=context.server_key.id))
    return len(old)
