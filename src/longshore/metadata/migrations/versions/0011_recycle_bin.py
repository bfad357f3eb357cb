"""The recycle bin."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "binned_images",
        sa.Column("id", _ROW_ID, autoincrement=False, nullable=False),
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("region", sa.String(32), nullable=False),
        sa.Column("repository", _name(256), nullable=False),
        sa.Column("repository_id", _ROW_ID, nullable=False),
        sa.Column("encryption_context", sa.String(64), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_by", sa.Text()),
        sa.Column("rule_priority", sa.Integer()),
        sa.Column("digest", sa.String(140), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("artifact_media_type", sa.Text()),
        sa.Column("artifact_type", sa.Text()),
        sa.Column("annotations", sa.JSON(none_as_null=True)),
        sa.Column("subject", sa.String(140)),
        sa.Column("manifest_size", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("pushed_at", sa.BigInteger(), nullable=False),
        sa.Column("storage_class", sa.String(16), nullable=False),
        sa.Column("last_pulled_at", sa.BigInteger()),
        sa.Column("archived_at", sa.BigInteger()),
        sa.Column("activated_at", sa.BigInteger()),
        sa.Column("restoring_since", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_binned_images")),
        sa.UniqueConstraint(
            "account",
            "region",
            "repository",
            "digest",
            name=op.f("uq_binned_images_account_region_repository_digest"),
        ),
    )
    for columns in (
        ["account", "region", "repository", "subject"],
        ["account", "region", "deleted_at", "id"],
        ["expires_at"],
    ):
        op.create_index(op.f("_".join(["ix_binned_images", *columns])), "binned_images", columns)
    _create_part("binned_manifests", sa.Column("content", sa.LargeBinary(), nullable=False))
    _create_part(
        "binned_tags",
        sa.Column("name", _name(300), nullable=False),
        sa.Column("tagged_at", sa.BigInteger(), nullable=False),
        key="name",
    )
    _create_part(
        "binned_layers",
        sa.Column("digest", sa.String(140), nullable=False),
        sa.Column("blob_id", _ROW_ID, nullable=False),
        sa.Column("media_type", sa.Text()),
        sa.ForeignKeyConstraint(
            ["blob_id"], ["blobs.id"], name=op.f("fk_binned_layers_blob_id_blobs")
        ),
        key="digest",
    )
    for column in ("digest", "blob_id"):
        op.create_index(op.f(f"ix_binned_layers_{column}"), "binned_layers", [column])
    _create_part(
        "binned_children", sa.Column("digest", sa.String(140), nullable=False), key="digest"
    )


def _create_part(
    table: str, *parts: sa.Column[object] | sa.Constraint, key: str | None = None
) -> None:
    op.create_table(
        table,
        sa.Column("image_id", _ROW_ID, nullable=False),
        *parts,
        sa.ForeignKeyConstraint(
            ["image_id"],
            ["binned_images.id"],
            name=op.f(f"fk_{table}_image_id_binned_images"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            *(["image_id"] if key is None else ["image_id", key]), name=op.f(f"pk_{table}")
        ),
    )
