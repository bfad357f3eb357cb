"""Images on their way back from the archive."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the column."""
    op.add_column("images", sa.Column("restoring_since", sa.BigInteger()))
