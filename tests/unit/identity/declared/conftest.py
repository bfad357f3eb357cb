"""Files of identities, applied to a store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert

from longshore.identity.declared.applying import apply
from longshore.identity.declared.declaration import read_declaration
from longshore.metadata import schema

if TYPE_CHECKING:
    from pathlib import Path

    from longshore.identity.declared.application import Change
    from longshore.registry.context import Context


@dataclass(frozen=True)
class File:
    """A file of identities of one account, which may change."""

    context: Context
    path: Path
    environment: dict[str, str] = field(default_factory=dict)

    def apply(self, text: str, *, dry_run: bool = False) -> list[Change]:
        """Apply a whole file."""
        self.path.write_text(text)
        declaration = read_declaration(self.path, self.environment)
        return apply(self.context, declaration, dry_run=dry_run)

    def declare(self, account: str = "", *, dry_run: bool = False) -> list[str]:
        """Apply what is declared of the one account; return the changes in words."""
        lines = "".join(f"    {line}\n" for line in account.splitlines())
        text = f'version: 1\naccounts:\n  "000000000000":\n{lines}'
        changes = self.apply(text, dry_run=dry_run)
        return [" ".join((change.verb, change.what, *change.details)) for change in changes]


@pytest.fixture
def file(context: Context, tmp_path: Path) -> File:
    with context.database.write() as tx:
        tx.execute(insert(schema.identity).values(id="here", server_key_id="key", created_at=0))
    return File(context, tmp_path / "identities.yaml")
