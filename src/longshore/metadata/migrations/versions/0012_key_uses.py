"""When access keys were used last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "access_key_uses",
        sa.Column("key_id", sa.String(128), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.Column("service", sa.String(32), nullable=False),
        sa.Column("region", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"],
            ["access_keys.id"],
            name=op.f("fk_access_key_uses_key_id_access_keys"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_access_key_uses")),
    )
