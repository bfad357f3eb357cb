"""Users, groups, roles and their policies; each key is a user's."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import op

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import RowMapping

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_ADMINISTRATOR_ACCESS = "arn:aws:iam::aws:policy/AdministratorAccess"


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables, and a user of each principal that has had keys."""
    keys = op.get_bind().execute(sa.text("SELECT * FROM access_keys")).mappings().all()
    op.drop_table("access_keys")
    _create_tables()
    _move(keys)


def _move(keys: Sequence[RowMapping]) -> None:
    """Store the keys of before, whose principals all were administrators of the server."""
    identities = sa.table(
        "identities",
        *map(sa.column, ("id", "account", "kind", "name", "folded_name", "path", "created_at")),
        sa.column("is_operator", sa.Boolean()),
        sa.column("tags", sa.JSON()),
    )
    attachments = sa.table("attachments", sa.column("identity_id"), sa.column("policy_arn"))
    access_keys = sa.table(
        "access_keys",
        *map(sa.column, ("id", "secret", "account", "user_id", "created_at")),
        sa.column("active", sa.Boolean()),
    )
    users: dict[str, str] = {}
    for key in keys:
        arn = key["principal_arn"]
        _, _, _, _, account, resource = arn.split(":", 5)
        if arn not in users:
            users[arn] = "AIDA" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(17))
            name = resource.removeprefix("user/")
            op.execute(
                identities.insert().values(
                    id=users[arn],
                    account=account,
                    kind="user",
                    name=name,
                    folded_name=name.lower(),
                    path="/",
                    created_at=key["created_at"],
                    is_operator=True,
                    tags={},
                )
            )
            op.execute(
                attachments.insert().values(
                    identity_id=users[arn], policy_arn=_ADMINISTRATOR_ACCESS
                )
            )
        op.execute(
            access_keys.insert().values(
                id=key["id"],
                secret=key["secret"],
                account=account,
                user_id=users[arn],
                active=bool(key["active"]),
                created_at=key["created_at"],
            )
        )


def _create_tables() -> None:
    op.create_table(
        "identities",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("name", _name(128), nullable=False),
        sa.Column("folded_name", _name(128), nullable=False),
        sa.Column("path", _name(512), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("boundary", sa.String(2048), nullable=True),
        sa.Column("is_operator", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identities")),
        sa.UniqueConstraint(
            "account", "kind", "folded_name", name=op.f("uq_identities_account_kind_folded_name")
        ),
    )
    op.create_index(op.f("ix_identities_boundary"), "identities", ["boundary"])
    op.create_table(
        "roles",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("trust_policy", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("max_session_seconds", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["id"], ["identities.id"], name=op.f("fk_roles_id_identities"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roles")),
    )
    op.create_table(
        "group_members",
        sa.Column("group_id", sa.String(32), nullable=False),
        sa.Column("user_id", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["identities.id"], name=op.f("fk_group_members_group_id_identities")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identities.id"], name=op.f("fk_group_members_user_id_identities")
        ),
        sa.PrimaryKeyConstraint("group_id", "user_id", name=op.f("pk_group_members")),
    )
    op.create_index(op.f("ix_group_members_user_id"), "group_members", ["user_id"])
    op.create_table(
        "inline_policies",
        sa.Column("identity_id", sa.String(32), nullable=False),
        sa.Column("name", _name(128), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["identity_id"],
            ["identities.id"],
            name=op.f("fk_inline_policies_identity_id_identities"),
        ),
        sa.PrimaryKeyConstraint("identity_id", "name", name=op.f("pk_inline_policies")),
    )
    op.create_table(
        "managed_policies",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("arn", sa.String(2048), nullable=False),
        sa.Column("name", _name(128), nullable=False),
        sa.Column("folded_name", _name(128), nullable=False),
        sa.Column("path", _name(512), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("default_version", sa.Integer(), nullable=False),
        sa.Column("newest_version", sa.Integer(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_managed_policies")),
        sa.UniqueConstraint(
            "account", "folded_name", name=op.f("uq_managed_policies_account_folded_name")
        ),
        sa.UniqueConstraint("arn", name=op.f("uq_managed_policies_arn")),
    )
    op.create_table(
        "managed_policy_versions",
        sa.Column("policy_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_id"],
            ["managed_policies.id"],
            name=op.f("fk_managed_policy_versions_policy_id_managed_policies"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("policy_id", "number", name=op.f("pk_managed_policy_versions")),
    )
    op.create_table(
        "attachments",
        sa.Column("identity_id", sa.String(32), nullable=False),
        sa.Column("policy_arn", sa.String(2048), nullable=False),
        sa.ForeignKeyConstraint(
            ["identity_id"], ["identities.id"], name=op.f("fk_attachments_identity_id_identities")
        ),
        sa.PrimaryKeyConstraint("identity_id", "policy_arn", name=op.f("pk_attachments")),
    )
    op.create_index(op.f("ix_attachments_policy_arn"), "attachments", ["policy_arn"])
    op.create_table(
        "access_keys",
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("user_id", sa.String(32), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identities.id"], name=op.f("fk_access_keys_user_id_identities")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_keys")),
    )
    op.create_index(op.f("ix_access_keys_user_id"), "access_keys", ["user_id"])
    op.create_table(
        "openid_providers",
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("url", _name(255), nullable=False),
        sa.Column("client_ids", sa.JSON(), nullable=False),
        sa.Column("thumbprints", sa.JSON(), nullable=False),
        sa.Column("jwks", sa.Text(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "url", name=op.f("pk_openid_providers")),
    )
    op.create_table(
        "registry_credentials",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("user_id", sa.String(32), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identities.id"], name=op.f("fk_registry_credentials_user_id_identities")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_credentials")),
    )
    op.create_index(op.f("ix_registry_credentials_user_id"), "registry_credentials", ["user_id"])
