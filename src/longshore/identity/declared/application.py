"""A file of identities on its way into force: what it may touch, and what it has changed."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, insert, select

from longshore.errors import RegistryError
from longshore.identity.declared.yaml_reader import InvalidFile
from longshore.metadata import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from longshore.registry.context import Context

_table = schema.declared_entities


@dataclass(frozen=True, slots=True)
class Change:
    """Something that the file has changed, or would change.

    Attributes:
        verb: create, change or delete.
        account: whose it is.
        what: what it is, such as "user alice".
        details: what of it, in words.
    """

    verb: str
    account: str
    what: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Application:
    """A file on its way into force.

    Attributes:
        context: the store, within the transaction.
        tx: the transaction.
        changes: what was changed so far.
    """

    context: Context
    tx: Connection
    changes: list[Change] = field(default_factory=list)

    def remembered(self, kind: str) -> list[tuple[str, str]]:
        """Return the accounts and the ids of what a file has made of a kind."""
        query = select(_table.c.account, _table.c.id).where(_table.c.kind == kind)
        rows = self.tx.execute(query.order_by(_table.c.account, _table.c.id))
        return [(row.account, row.id) for row in rows]

    def is_remembered(self, account: str, kind: str, entity: str) -> bool:
        """Tell whether a file has made this."""
        return (account, entity) in self.remembered(kind)

    def remember(self, account: str, kind: str, entity: str) -> None:
        """Remember that this file has made something."""
        self.tx.execute(insert(_table).values(account=account, kind=kind, id=entity))

    def forget(self, account: str, kind: str, entity: str) -> None:
        """Forget something that is gone."""
        self.tx.execute(
            delete(_table).where(
                _table.c.account == account, _table.c.kind == kind, _table.c.id == entity
            )
        )

    def require_own(self, account: str, kind: str, entity: str, what: str, line: int) -> None:
        """Refuse to touch what no file has made.

        Raises:
            InvalidFile: no file has made it.
        """
        if not self.is_remembered(account, kind, entity):
            raise InvalidFile(
                line,
                f"the {what} of the account {account} is there already, and wasn't made by this "
                "file, which leaves it alone. Choose another name, or delete it first",
            )

    def tell(self, verb: str, account: str, what: str, *details: str) -> None:
        """Note a change."""
        self.changes.append(Change(verb, account, what, details))


@contextmanager
def told_of(line: int | None, what: str) -> Iterator[None]:
    """Say where in the file something is that IAM's rules refuse.

    Raises:
        InvalidFile: the block was refused.
    """
    try:
        yield
    except RegistryError as error:
        raise InvalidFile(line, f"the {what}: {error.message}") from error
