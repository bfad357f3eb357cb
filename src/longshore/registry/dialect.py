"""The two dialects: as strict as ECR, or as the OCI distribution specification has it.

`compatibility` chooses one of them. Whatever differs between the two is a field here, read at the
one place that it concerns; `docs/compatibility.md` lists them for users.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from longshore.registry.manifests import ECR_RULES, OCI_RULES, ManifestRules

Compatibility = Literal["ecr", "oci"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a registry accepts, and how it answers, where ECR and the specification disagree."""

    name: Compatibility
    # Which documents are manifests, and which digests name content.
    manifest_rules: ManifestRules
    # ECR stores no blob of zero bytes: the push of one succeeds, and the manifest that needs it
    # then finds it missing.
    stores_empty_blobs: bool
    # An index may come before the images it refers to, or without them.
    accepts_missing_children: bool
    # Any blob of a repository can be mounted, whatever the account setting BLOB_MOUNTING says and
    # whether or not an image refers to it.
    mounts_freely: bool
    # `DELETE /v2/<name>/blobs/<digest>`.
    deletes_blobs: bool
    # Deleting by tag leaves the image, untagged, where ECR deletes it with its last tag.
    untagging_keeps_image: bool
    # A manifest asked for by a tag is converted for clients that don't accept its type.
    converts_manifests: bool
    # `last` of the listings is an opaque token, and not the last name.
    opaque_cursors: bool
    # A page larger than the maximum is refused, and not cut to it.
    refuses_large_pages: bool
    # A creation template that sets resource tags needs a role of its own to create repositories.
    tagging_takes_role: bool


ECR = Dialect(
    name="ecr",
    manifest_rules=ECR_RULES,
    stores_empty_blobs=False,
    accepts_missing_children=False,
    mounts_freely=False,
    deletes_blobs=False,
    untagging_keeps_image=False,
    converts_manifests=True,
    opaque_cursors=True,
    refuses_large_pages=True,
    tagging_takes_role=True,
)
OCI = Dialect(
    name="oci",
    manifest_rules=OCI_RULES,
    stores_empty_blobs=True,
    accepts_missing_children=True,
    mounts_freely=True,
    deletes_blobs=True,
    untagging_keeps_image=True,
    converts_manifests=False,
    opaque_cursors=False,
    refuses_large_pages=False,
    tagging_takes_role=False,
)
DIALECTS: dict[Compatibility, Dialect] = {"ecr": ECR, "oci": OCI}
