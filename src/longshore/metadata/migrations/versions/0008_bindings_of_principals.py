"""To whom the ARNs belonged that policies of resources name, when they were set."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what was set before is bound to nobody."""
    op.add_column("repository_policies", sa.Column("bindings", sa.JSON(), nullable=True))
    op.add_column("registry_policies", sa.Column("bindings", sa.JSON(), nullable=True))
    op.add_column("roles", sa.Column("trust_bindings", sa.JSON(), nullable=True))
    op.add_column(
        "repository_creation_templates", sa.Column("policy_bindings", sa.JSON(), nullable=True)
    )
