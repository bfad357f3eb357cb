"""Lifecycle policies, their previews, and what they go by: storage classes and times of images."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and the columns of images."""
    op.add_column(
        "images",
        sa.Column("storage_class", sa.String(16), nullable=False, server_default="STANDARD"),
    )
    for name in ("last_pulled_at", "archived_at", "activated_at"):
        op.add_column("images", sa.Column(name, sa.BigInteger()))
    for name in ("pushed_at", "activated_at"):
        op.create_index(
            op.f(f"ix_images_repository_id_{name}_id"), "images", ["repository_id", name, "id"]
        )
    _create_policies()
    _create_previews()


def _create_policies() -> None:
    op.create_table(
        "lifecycle_policies",
        sa.Column("repository_id", _ROW_ID, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("evaluated_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_lifecycle_policies_repository_id_repositories"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("repository_id", name=op.f("pk_lifecycle_policies")),
    )


def _create_previews() -> None:
    op.create_table(
        "lifecycle_previews",
        sa.Column("repository_id", _ROW_ID, nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("expiring", sa.Integer(), nullable=False),
        sa.Column("transitioning", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_lifecycle_previews_repository_id_repositories"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("repository_id", name=op.f("pk_lifecycle_previews")),
    )
    op.create_index(op.f("ix_lifecycle_previews_started_at"), "lifecycle_previews", ["started_at"])
    op.create_table(
        "lifecycle_preview_images",
        sa.Column("repository_id", _ROW_ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(140), nullable=False),
        sa.Column("tags", sa.Text()),
        sa.Column("pushed_at", sa.BigInteger(), nullable=False),
        sa.Column("storage_class", sa.String(16), nullable=False),
        sa.Column("rule_priority", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["lifecycle_previews.repository_id"],
            name=op.f("fk_lifecycle_preview_images_repository_id_lifecycle_previews"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "repository_id", "position", name=op.f("pk_lifecycle_preview_images")
        ),
    )
    op.create_index(
        op.f("ix_lifecycle_preview_images_repository_id_digest"),
        "lifecycle_preview_images",
        ["repository_id", "digest"],
    )
