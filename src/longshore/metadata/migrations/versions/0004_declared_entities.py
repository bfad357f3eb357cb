"""What the file of identities has made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "declared_entities",
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("id", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("account", "kind", "id", name=op.f("pk_declared_entities")),
    )
