"""The tables.

Times are milliseconds since 1970 (`longshore.clock`), digests their text form. What a row means
stands beside it; how rows change stands in `longshore.registry` and `longshore.identity`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import JSON

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# `sqlite_autoincrement` below: the id of a deleted row never comes back.
# SQLite counts rows only in a column of exactly this type; PostgreSQL gets its eight bytes.
_RowId = BigInteger().with_variant(Integer, "sqlite")


def _name(length: int) -> String:
    """Return a text that sorts by code points on both databases, so that pages agree."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def _row_id() -> Column[int]:
    return Column("id", _RowId, Identity(), primary_key=True)


def _part_of_repository() -> Column[int]:
    return Column(
        "repository_id",
        _RowId,
        ForeignKey("repositories.id", ondelete="CASCADE"),
        primary_key=True,
    )


def _bindings(name: str) -> Column[dict[str, str]]:
    # To whom the ARNs belonged that a policy names when it was set: ids by ARNs. Policies of before
    # have none, and are about whoever has the ARN.
    return Column(name, JSON(none_as_null=True))


def _document() -> Column[str]:
    return Column("document", Text, nullable=False)


# Users, groups and roles: whoever policies can be attached to.
identities = Table(
    "identities",
    metadata,
    # Unique for ever (AIDA…, AGPA…, AROA…): who comes later under the same name is somebody else.
    Column("id", String(32), primary_key=True),
    Column("account", String(12), nullable=False),
    # `longshore.identity.identities.Kind`.
    Column("kind", String(8), nullable=False),
    Column("name", _name(128), nullable=False),
    # The name without regard to case: no two of a kind may differ by case alone.
    Column("folded_name", _name(128), nullable=False),
    Column("path", _name(512), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # The ARN of the managed policy that bounds what this identity may do.
    Column("boundary", String(2048), index=True),
    # The server's administrator, who may do everything in every account.
    Column("is_operator", Boolean, nullable=False),
    Column("tags", JSON, nullable=False),
    UniqueConstraint("account", "kind", "folded_name"),
)

# What a role has beside.
roles = Table(
    "roles",
    metadata,
    Column("id", String(32), ForeignKey("identities.id", ondelete="CASCADE"), primary_key=True),
    Column("trust_policy", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("max_session_seconds", Integer, nullable=False),
    _bindings("trust_bindings"),
)

group_members = Table(
    "group_members",
    metadata,
    Column("group_id", String(32), ForeignKey("identities.id"), primary_key=True),
    Column("user_id", String(32), ForeignKey("identities.id"), primary_key=True, index=True),
)

inline_policies = Table(
    "inline_policies",
    metadata,
    Column("identity_id", String(32), ForeignKey("identities.id"), primary_key=True),
    Column("name", _name(128), primary_key=True),
    _document(),
)

# Those of customers; AWS's own are in `longshore.identity.aws_managed_policies`.
managed_policies = Table(
    "managed_policies",
    metadata,
    # ANPA…
    Column("id", String(32), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("arn", String(2048), nullable=False, unique=True),
    Column("name", _name(128), nullable=False),
    Column("folded_name", _name(128), nullable=False),
    Column("path", _name(512), nullable=False),
    Column("description", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("default_version", Integer, nullable=False),
    # A version's number never comes back.
    Column("newest_version", Integer, nullable=False),
    Column("tags", JSON, nullable=False),
    UniqueConstraint("account", "folded_name"),
)

managed_policy_versions = Table(
    "managed_policy_versions",
    metadata,
    Column(
        "policy_id",
        String(32),
        ForeignKey("managed_policies.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("number", Integer, primary_key=True),
    _document(),
    Column("created_at", BigInteger, nullable=False),
)

# Which managed policies, AWS's own included, an identity has.
attachments = Table(
    "attachments",
    metadata,
    Column("identity_id", String(32), ForeignKey("identities.id"), primary_key=True),
    Column("policy_arn", String(2048), primary_key=True, index=True),
)

access_keys = Table(
    "access_keys",
    metadata,
    Column("id", String(128), primary_key=True),
    # Sealed with the server's key (`longshore.access.sealing`).
    Column("secret", LargeBinary, nullable=False),
    Column("account", String(12), nullable=False),
    # None: the key is the account root's.
    Column("user_id", String(32), ForeignKey("identities.id"), index=True),
    Column("active", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# When a key was used last, once it was. Apart from `access_keys`, whose rows decide on requests.
access_key_uses = Table(
    "access_key_uses",
    metadata,
    Column(
        "key_id", String(128), ForeignKey("access_keys.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("used_at", BigInteger, nullable=False),
    # What the request was signed for.
    Column("service", String(32), nullable=False),
    Column("region", String(32), nullable=False),
)

# Whose tokens AssumeRoleWithWebIdentity accepts.
openid_providers = Table(
    "openid_providers",
    metadata,
    Column("account", String(12), primary_key=True),
    # Without its scheme, as the ARN has it.
    Column("url", _name(255), primary_key=True),
    Column("client_ids", JSON, nullable=False),
    Column("thumbprints", JSON, nullable=False),
    # The keys themselves (RFC 7517), where the server can't or shall not fetch them.
    Column("jwks", Text),
    Column("tags", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# Passwords for the registry face that outlive the twelve hours: for robots.
registry_credentials = Table(
    "registry_credentials",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user_id", String(32), ForeignKey("identities.id"), nullable=False, index=True),
    Column("description", Text, nullable=False),
    # SHA-256 of the secret in the password, which nobody could guess.
    Column("digest", LargeBinary, nullable=False),
    # What it may be used for, at most: a policy document.
    Column("scope", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
)

# What the file of identities has made, and may change and delete: providers by their URLs, all
# others by their ids. What isn't there any more may be named.
declared_entities = Table(
    "declared_entities",
    metadata,
    Column("account", String(12), primary_key=True),
    # user, group, role, policy, provider or key.
    Column("kind", String(16), primary_key=True),
    Column("id", String(255), primary_key=True),
)

# One row: tells at start-up whether this database, the data directory and the server's key belong
# together. A stranger's directory would be garbage to the collector.
identity = Table(
    "identity",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("server_key_id", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

account_settings = Table(
    "account_settings",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("value", String(64), nullable=False),
)

repositories = Table(
    "repositories",
    metadata,
    _row_id(),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("name", _name(256), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("tag_mutability", String(32), nullable=False),
    # Wildcard filters of the two modes with exclusions, in the order they were given.
    Column("tag_mutability_exclusions", JSON, nullable=False),
    Column("scan_on_push", Boolean, nullable=False),
    Column("encryption_type", String(16), nullable=False),
    # Blobs are shared only among repositories of one encryption context.
    Column("encryption_context", String(64), nullable=False),
    UniqueConstraint("account", "region", "name"),
    sqlite_autoincrement=True,
)

resource_tags = Table(
    "resource_tags",
    metadata,
    _part_of_repository(),
    Column("key", _name(128), primary_key=True),
    Column("value", String(256), nullable=False),
)

# Policies, as they are shown: in ECR's normal form (`longshore.registry.policies`).
repository_policies = Table(
    "repository_policies",
    metadata,
    _part_of_repository(),
    Column("document", Text, nullable=False),
    _bindings("bindings"),
)

registry_policies = Table(
    "registry_policies",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("document", Text, nullable=False),
    _bindings("bindings"),
)

# Lifecycle policies, as they are shown: in ECR's normal form.
lifecycle_policies = Table(
    "lifecycle_policies",
    metadata,
    _part_of_repository(),
    Column("document", Text, nullable=False),
    # When the last run with this document began; null before the first.
    Column("evaluated_at", BigInteger),
)

# What a lifecycle policy would do: the newest preview of a repository.
lifecycle_previews = Table(
    "lifecycle_previews",
    metadata,
    _part_of_repository(),
    # Tells it from later ones, whose rows it mustn't touch.
    Column("id", String(36), nullable=False),
    # As it was given.
    Column("document", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("started_at", BigInteger, nullable=False, index=True),
    Column("expiring", Integer, nullable=False),
    Column("transitioning", Integer, nullable=False),
)

lifecycle_preview_images = Table(
    "lifecycle_preview_images",
    metadata,
    Column(
        "repository_id",
        _RowId,
        ForeignKey("lifecycle_previews.repository_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("position", Integer, primary_key=True),
    Column("digest", String(140), nullable=False),
    # Each between two line breaks, which no tag has in it; null where there are none.
    Column("tags", Text),
    Column("pushed_at", BigInteger, nullable=False),
    Column("storage_class", String(16), nullable=False),
    Column("rule_priority", Integer, nullable=False),
    Column("action", String(16), nullable=False),
    Index(None, "repository_id", "digest"),
)

# What becomes of repositories that nobody creates expressly, by the beginning of their names.
repository_creation_templates = Table(
    "repository_creation_templates",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    # The prefix without a slash at its end; empty for ROOT.
    Column("namespace", _name(256), primary_key=True),
    # As it was given.
    Column("prefix", String(256), nullable=False),
    Column("description", Text, nullable=False),
    Column("encryption_type", String(16), nullable=False),
    Column("resource_tags", JSON, nullable=False),
    Column("tag_mutability", String(32), nullable=False),
    Column("tag_mutability_exclusions", JSON, nullable=False),
    # In ECR's normal form; empty for none.
    Column("repository_policy", Text, nullable=False),
    _bindings("policy_bindings"),
    # As it was given; empty for none.
    Column("lifecycle_policy", Text, nullable=False),
    Column("applied_for", JSON, nullable=False),
    # Empty for none.
    Column("custom_role_arn", String(2048), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

# Users and roles whose pulls leave no times behind.
pull_time_exclusions = Table(
    "pull_time_exclusions",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("principal_arn", _name(200), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
)

# How often manifests were pulled. Apart from `repositories`, whose rows decide on every request.
repository_pulls = Table(
    "repository_pulls",
    metadata,
    _part_of_repository(),
    Column("count", BigInteger, nullable=False),
)

# Bytes in the blob store. A row is written after its bytes are durable.
blobs = Table(
    "blobs",
    metadata,
    _row_id(),
    Column("encryption_context", String(64), nullable=False),
    Column("digest", String(140), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("location", String(512), nullable=False, unique=True),
    # How many bytes it takes in the archive, if it lies there and not in the data directory.
    Column("archived_size", BigInteger),
    Column("stored_at", BigInteger, nullable=False),
    UniqueConstraint("encryption_context", "digest"),
    sqlite_autoincrement=True,
)

# A blob that a repository holds. A blob is served only through such a row.
layers = Table(
    "layers",
    metadata,
    _part_of_repository(),
    Column("digest", String(140), primary_key=True),
    Column("blob_id", _RowId, ForeignKey("blobs.id"), nullable=False, index=True),
    # As the manifest that referred to it last declared it; unknown before the first.
    Column("media_type", Text),
    # When it was last uploaded, mounted or asked for, or lost an image, to the archive too: the
    # grace time of the garbage collector, and of the move to the archive, runs from here.
    Column("leased_at", BigInteger, nullable=False, index=True),
)

images = Table(
    "images",
    metadata,
    _row_id(),
    Column(
        "repository_id",
        _RowId,
        ForeignKey("repositories.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("digest", String(140), nullable=False),
    Column("media_type", Text, nullable=False),
    Column("artifact_media_type", Text),
    # What the referrers listing filters by (OCI distribution-spec, "Listing Referrers").
    Column("artifact_type", Text),
    Column("annotations", JSON(none_as_null=True)),
    Column("subject", String(140)),
    Column("manifest_size", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("pushed_at", BigInteger, nullable=False),
    Column("storage_class", String(16), nullable=False, server_default="STANDARD"),
    Column("last_pulled_at", BigInteger),
    # When it was last archived, and last restored.
    Column("archived_at", BigInteger),
    Column("activated_at", BigInteger),
    # Since when it is on its way back from the archive, in which it is until then.
    Column("restoring_since", BigInteger),
    UniqueConstraint("repository_id", "digest"),
    Index(None, "repository_id", "id"),
    Index(None, "repository_id", "pushed_at", "id"),
    Index(None, "repository_id", "activated_at", "id"),
    Index(None, "repository_id", "subject", "id"),
    sqlite_autoincrement=True,
)

# Apart from `images`, so that listing a repository doesn't read through megabytes of manifests.
manifests = Table(
    "manifests",
    metadata,
    Column("image_id", _RowId, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

tags = Table(
    "tags",
    metadata,
    _part_of_repository(),
    Column("name", _name(300), primary_key=True),
    Column(
        "image_id",
        _RowId,
        ForeignKey("images.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("tagged_at", BigInteger, nullable=False),
)

# The layers, its configuration included, that an image needs. The foreign key keeps every layer
# of an image in its repository, whatever else happens.
image_layers = Table(
    "image_layers",
    metadata,
    Column("image_id", _RowId, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", String(140), primary_key=True),
    Column("repository_id", _RowId, nullable=False),
    ForeignKeyConstraint(["repository_id", "digest"], ["layers.repository_id", "layers.digest"]),
    Index(None, "repository_id", "digest"),
)

# The images that an index or a manifest list refers to.
image_children = Table(
    "image_children",
    metadata,
    Column("image_id", _RowId, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", String(140), primary_key=True),
    Column(
        "repository_id",
        _RowId,
        ForeignKey("repositories.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Index(None, "repository_id", "digest"),
)

# The recycle bin (`longshore.registry.recycle_bin`): images that were deleted, as they were, until
# their time is over. They belong to a name in a registry, whatever repository has it.
binned_images = Table(
    "binned_images",
    metadata,
    # The id that the image had, and gets again.
    Column("id", _RowId, primary_key=True, autoincrement=False),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("repository", _name(256), nullable=False),
    # The one that the image was in, which may be gone.
    Column("repository_id", _RowId, nullable=False),
    Column("encryption_context", String(64), nullable=False),
    Column("deleted_at", BigInteger, nullable=False),
    # From when on it can't be restored any more.
    Column("expires_at", BigInteger, nullable=False, index=True),
    # Who deleted it, as an ARN, or the priority of the lifecycle rule that did.
    Column("deleted_by", Text),
    Column("rule_priority", Integer),
    *(
        Column(column.name, column.type, nullable=column.nullable)
        for column in images.c
        if column.name not in {"id", "repository_id"}
    ),
    UniqueConstraint("account", "region", "repository", "digest"),
    Index(None, "account", "region", "repository", "subject"),
    Index(None, "account", "region", "deleted_at", "id"),
)


def _part_of_binned_image() -> Column[int]:
    return Column(
        "image_id", _RowId, ForeignKey("binned_images.id", ondelete="CASCADE"), primary_key=True
    )


binned_manifests = Table(
    "binned_manifests",
    metadata,
    _part_of_binned_image(),
    Column("content", LargeBinary, nullable=False),
)

binned_tags = Table(
    "binned_tags",
    metadata,
    _part_of_binned_image(),
    Column("name", _name(300), primary_key=True),
    Column("tagged_at", BigInteger, nullable=False),
)

# The foreign key keeps the bytes. That they are here doesn't let any repository serve them.
binned_layers = Table(
    "binned_layers",
    metadata,
    _part_of_binned_image(),
    Column("digest", String(140), primary_key=True, index=True),
    Column("blob_id", _RowId, ForeignKey("blobs.id"), nullable=False, index=True),
    Column("media_type", Text),
)

binned_children = Table(
    "binned_children",
    metadata,
    _part_of_binned_image(),
    Column("digest", String(140), primary_key=True),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(36), primary_key=True),
    Column(
        "repository_id",
        _RowId,
        ForeignKey("repositories.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("principal_arn", String(2048), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("touched_at", BigInteger, nullable=False, index=True),
    # Bytes received and acknowledged.
    Column("size", BigInteger, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("last_part_size", BigInteger, nullable=False),
    # Whether a part other than the last is under the smallest size.
    Column("has_small_part", Boolean, nullable=False),
    CheckConstraint("size >= 0", name="size"),
)

# Work that must not be forgotten (`longshore.jobs`). A job that is done has no row.
jobs = Table(
    "jobs",
    metadata,
    _row_id(),
    Column("kind", String(64), nullable=False),
    # Jobs of one key do the same work: at most one of them waits, and one runs, at a time.
    Column("key", String(512)),
    Column("payload", JSON, nullable=False),
    # waiting, running or dead.
    Column("state", String(16), nullable=False),
    # While it waits: when it may begin. While it runs: when its lease is over. Dead: null.
    Column("due_at", BigInteger),
    Column("enqueued_at", BigInteger, nullable=False),
    # How often it was begun.
    Column("attempts", Integer, nullable=False),
    # Who runs it, for people; and what tells this run from every other one.
    Column("worker", String(255)),
    Column("lease", String(36)),
    # Why the last attempt failed, and when.
    Column("error", Text),
    Column("failed_at", BigInteger),
    UniqueConstraint("kind", "key", "state"),
    Index(None, "kind", "due_at"),
    sqlite_autoincrement=True,
)

# When work that comes round is due next, whichever process sees it first.
recurring_jobs = Table(
    "recurring_jobs",
    metadata,
    Column("kind", String(64), primary_key=True),
    Column("next_at", BigInteger, nullable=False),
)

# What happened, as EventBridge tells it (`longshore.events`). An event gets its place in the log
# after it was committed: places have no gaps, and none is filled later than the one after it.
events = Table(
    "events",
    metadata,
    _row_id(),
    Column("position", BigInteger, unique=True),
    Column("event_id", String(36), nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    sqlite_autoincrement=True,
)

# How far each receiver is: it has all events up to a position, or they were dropped.
event_receivers = Table(
    "event_receivers",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("position", BigInteger, nullable=False),
    # How often it refused the next one.
    Column("refusals", Integer, nullable=False),
)

# What became of deliveries; of each receiver the newest.
event_deliveries = Table(
    "event_deliveries",
    metadata,
    _row_id(),
    Column("receiver", String(64), nullable=False),
    Column("at", BigInteger, nullable=False),
    # delivered, failed, refused or dropped.
    Column("outcome", String(16), nullable=False),
    # The first of them, unless they were dropped, and how many they were.
    Column("event_id", String(36)),
    Column("events", Integer, nullable=False),
    # What the receiver answered, or why it wasn't reached.
    Column("answer", Text, nullable=False),
    Index(None, "receiver", "id"),
    sqlite_autoincrement=True,
)
