"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "access_keys",
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("principal_arn", sa.String(2048), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_keys")),
    )
    op.create_table(
        "account_settings",
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("region", sa.String(32), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("account", "region", "name", name=op.f("pk_account_settings")),
    )
    op.create_table(
        "blobs",
        sa.Column("id", _ROW_ID, sa.Identity(), nullable=False),
        sa.Column("encryption_context", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(140), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("location", sa.String(512), nullable=False),
        sa.Column("stored_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blobs")),
        sa.UniqueConstraint(
            "encryption_context", "digest", name=op.f("uq_blobs_encryption_context_digest")
        ),
        sa.UniqueConstraint("location", name=op.f("uq_blobs_location")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "repositories",
        sa.Column("id", _ROW_ID, sa.Identity(), nullable=False),
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("region", sa.String(32), nullable=False),
        sa.Column("name", _name(256), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("tag_mutability", sa.String(32), nullable=False),
        sa.Column("tag_mutability_exclusions", sa.JSON(), nullable=False),
        sa.Column("scan_on_push", sa.Boolean(), nullable=False),
        sa.Column("encryption_type", sa.String(16), nullable=False),
        sa.Column("encryption_context", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_repositories")),
        sa.UniqueConstraint(
            "account", "region", "name", name=op.f("uq_repositories_account_region_name")
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "identity",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("server_key_id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity")),
    )
    op.create_table(
        "images",
        sa.Column("id", _ROW_ID, sa.Identity(), nullable=False),
        sa.Column("repository_id", _ROW_ID, nullable=False),
        sa.Column("digest", sa.String(140), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("artifact_media_type", sa.Text(), nullable=True),
        sa.Column("artifact_type", sa.Text(), nullable=True),
        sa.Column("annotations", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("subject", sa.String(140), nullable=True),
        sa.Column("manifest_size", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("pushed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_images_repository_id_repositories"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
        sa.UniqueConstraint("repository_id", "digest", name=op.f("uq_images_repository_id_digest")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_images_repository_id_id"), "images", ["repository_id", "id"])
    op.create_index(
        op.f("ix_images_repository_id_subject_id"), "images", ["repository_id", "subject", "id"]
    )

    op.create_table(
        "layers",
        sa.Column("repository_id", _ROW_ID, nullable=False),
        sa.Column("digest", sa.String(140), nullable=False),
        sa.Column("blob_id", _ROW_ID, nullable=False),
        sa.Column("media_type", sa.Text(), nullable=True),
        sa.Column("leased_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["blob_id"], ["blobs.id"], name=op.f("fk_layers_blob_id_blobs")),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_layers_repository_id_repositories"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("repository_id", "digest", name=op.f("pk_layers")),
    )
    op.create_index(op.f("ix_layers_blob_id"), "layers", ["blob_id"])
    op.create_index(op.f("ix_layers_leased_at"), "layers", ["leased_at"])

    op.create_table(
        "resource_tags",
        sa.Column("repository_id", _ROW_ID, nullable=False),
        sa.Column("key", _name(128), nullable=False),
        sa.Column("value", sa.String(256), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_resource_tags_repository_id_repositories"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("repository_id", "key", name=op.f("pk_resource_tags")),
    )
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("repository_id", _ROW_ID, nullable=False),
        sa.Column("principal_arn", sa.String(2048), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("touched_at", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("last_part_size", sa.BigInteger(), nullable=False),
        sa.Column("has_small_part", sa.Boolean(), nullable=False),
        sa.CheckConstraint("size >= 0", name=op.f("ck_uploads_size")),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_uploads_repository_id_repositories"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    op.create_index(op.f("ix_uploads_repository_id"), "uploads", ["repository_id"])
    op.create_index(op.f("ix_uploads_touched_at"), "uploads", ["touched_at"])

    op.create_table(
        "image_children",
        sa.Column("image_id", _ROW_ID, nullable=False),
        sa.Column("digest", sa.String(140), nullable=False),
        sa.Column("repository_id", _ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"],
            ["images.id"],
            name=op.f("fk_image_children_image_id_images"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_image_children_repository_id_repositories"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("image_id", "digest", name=op.f("pk_image_children")),
    )
    op.create_index(
        op.f("ix_image_children_repository_id_digest"),
        "image_children",
        ["repository_id", "digest"],
    )

    op.create_table(
        "image_layers",
        sa.Column("image_id", _ROW_ID, nullable=False),
        sa.Column("digest", sa.String(140), nullable=False),
        sa.Column("repository_id", _ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"],
            ["images.id"],
            name=op.f("fk_image_layers_image_id_images"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["repository_id", "digest"],
            ["layers.repository_id", "layers.digest"],
            name=op.f("fk_image_layers_repository_id_digest_layers"),
        ),
        sa.PrimaryKeyConstraint("image_id", "digest", name=op.f("pk_image_layers")),
    )
    op.create_index(
        op.f("ix_image_layers_repository_id_digest"), "image_layers", ["repository_id", "digest"]
    )

    op.create_table(
        "manifests",
        sa.Column("image_id", _ROW_ID, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"],
            ["images.id"],
            name=op.f("fk_manifests_image_id_images"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_manifests")),
    )
    op.create_table(
        "tags",
        sa.Column("repository_id", _ROW_ID, nullable=False),
        sa.Column("name", _name(300), nullable=False),
        sa.Column("image_id", _ROW_ID, nullable=False),
        sa.Column("tagged_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_tags_image_id_images"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_tags_repository_id_repositories"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("repository_id", "name", name=op.f("pk_tags")),
    )
    op.create_index(op.f("ix_tags_image_id"), "tags", ["image_id"])
