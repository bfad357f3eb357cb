"""Blobs whose bytes lie in the archive."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the column."""
    op.add_column("blobs", sa.Column("archived_size", sa.BigInteger()))
