"""Uses of access keys: when each key was used last, for which service and in which region.

A request writes none down. The process that served it remembers the last one of each key, and
writes them down with all others every now and then (`longshore.work.recorder`). A process that is
killed forgets those since the last time: a use that is told may then be older than the last one.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, bindparam, insert, select, update

from longshore.metadata import schema
from longshore.metadata.statements import batches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import BindParameter

    from longshore.clock import Millis
    from longshore.registry.context import Context

_table = schema.access_key_uses


class KeyUse(NamedTuple):
    """A request that was signed with a long-term key: when it came, and what it was signed for."""

    moment: Millis
    service: str
    region: str


class KeyUses:
    """The last uses that one process has seen and that aren't written down yet. Threads share it.

    There are no more of them than keys.
    """

    def __init__(self) -> None:
        self._unwritten: dict[str, KeyUse] = {}
        self._lock = threading.Lock()

    def note(self, key_id: str, use: KeyUse) -> None:
        """Remember that a signature of a key was good, in less than a microsecond."""
        with self._lock:
            known = self._unwritten.get(key_id)
            if known is None or known.moment <= use.moment:
                self._unwritten[key_id] = use

    def unwritten(self) -> dict[str, KeyUse]:
        """Return what isn't in the database yet, by the ids of the keys.

        Whoever wants to miss none asks for it first, and then the database.
        """
        with self._lock:
            return dict(self._unwritten)

    def write(self, context: Context) -> None:
        """Write down what is remembered, in one transaction; what can't be written is kept."""
        uses = self.unwritten()
        if not uses:
            return
        # Who loses the last ones in a power cut has lost no more than by a kill.
        with context.database.write(durable=False, content_only=True) as tx:
            _write(tx, uses)
        # Only now: until here, nobody else could have told of them.
        with self._lock:
            for key_id, use in uses.items():
                if self._unwritten.get(key_id) is use:
                    del self._unwritten[key_id]


def _write(tx: Connection, uses: Mapping[str, KeyUse]) -> None:
    for key_ids in batches(sorted(uses)):
        there = _locked(tx, key_ids)
        rows = {key_id: _row(key_id, uses[key_id]) for key_id in there}
        known = set(tx.execute(select(_table.c.key_id).where(_table.c.key_id.in_(there))).scalars())
        if known:
            tx.execute(_USED, [rows[key_id] for key_id in known])
        if new := [rows[key_id] for key_id in there if key_id not in known]:
            tx.execute(_USED_FIRST, new)


def _row(key_id: str, use: KeyUse) -> dict[str, object]:
    return {"key": key_id, "moment": use.moment, "of": use.service, "within": use.region}


def _locked(tx: Connection, key_ids: Sequence[str]) -> Sequence[str]:
    """Lock those of the keys that are still there, and return their ids.

    In one order everywhere: two processes that write uses down don't wait for each other.
    """
    keys = schema.access_keys
    return (
        tx.execute(
            select(keys.c.id)
            .where(keys.c.id.in_(key_ids))
            .order_by(keys.c.id)
            .with_for_update(key_share=True)
        )
        .scalars()
        .all()
    )


# Parameters mustn't be called like columns.
_VALUES: dict[str, BindParameter[Any]] = {
    "used_at": bindparam("moment"),
    "service": bindparam("of"),
    "region": bindparam("within"),
}
_USED_FIRST = insert(_table).values(key_id=bindparam("key"), **_VALUES)
_USED = (
    update(_table)
    # Another process may have written down a later one.
    .where(_table.c.key_id == bindparam("key"), _table.c.used_at <= bindparam("moment"))
    .values(_VALUES)
)
