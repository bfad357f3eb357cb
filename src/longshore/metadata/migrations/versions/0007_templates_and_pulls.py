"""Repository creation templates, and what is known of pulls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "repository_creation_templates",
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("region", sa.String(32), nullable=False),
        sa.Column("namespace", _name(256), nullable=False),
        sa.Column("prefix", sa.String(256), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("encryption_type", sa.String(16), nullable=False),
        sa.Column("resource_tags", sa.JSON(), nullable=False),
        sa.Column("tag_mutability", sa.String(32), nullable=False),
        sa.Column("tag_mutability_exclusions", sa.JSON(), nullable=False),
        sa.Column("repository_policy", sa.Text(), nullable=False),
        sa.Column("lifecycle_policy", sa.Text(), nullable=False),
        sa.Column("applied_for", sa.JSON(), nullable=False),
        sa.Column("custom_role_arn", sa.String(2048), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "account", "region", "namespace", name=op.f("pk_repository_creation_templates")
        ),
    )
    op.create_table(
        "pull_time_exclusions",
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("region", sa.String(32), nullable=False),
        sa.Column("principal_arn", _name(200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "account", "region", "principal_arn", name=op.f("pk_pull_time_exclusions")
        ),
    )
    op.create_table(
        "repository_pulls",
        sa.Column("repository_id", _ROW_ID, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_repository_pulls_repository_id_repositories"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("repository_id", name=op.f("pk_repository_pulls")),
    )
