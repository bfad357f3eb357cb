"""Images by their ids, several at a time, as BatchGetImage and BatchDeleteImage take them.

Each id succeeds or fails on its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from longshore.errors import (
    ImageInaccessible,
    ImageNotFound,
    InvalidParameter,
    RequestedImageNotFound,
)
from longshore.names import Digest, is_tag
from longshore.registry import image_removal, images, recycle_bin, repositories
from longshore.registry.manifest_conversion import convert
from longshore.registry.manifests import OCI_RULES, parse
from longshore.registry.recycle_bin import Deletion

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

    from longshore.names import Registry
    from longshore.registry.context import Context
    from longshore.registry.images import StoredManifest
    from longshore.registry.repositories import Repository

API_TAG_MAX_LENGTH = 300

# Both as ECR prints them.
ANY_DIGEST = re.compile(r"[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+")
TAG_PATTERN = "[a-zA-Z0-9_][a-zA-Z0-9._-]*"


@dataclass(frozen=True, slots=True)
class ImageId:
    """How a caller names an image: by digest, by tag, or by both. Nothing of it is checked."""

    digest: str | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one id of a batch failed, in ECR's words."""

    id: ImageId
    code: str
    reason: str


class _Refused(Exception):
    """An id can't be served."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def get(
    context: Context,
    registry: Registry,
    repository: str,
    ids: Sequence[ImageId],
    accepted_media_types: Collection[str],
) -> tuple[list[StoredManifest], list[Failure]]:
    """Return the manifests that `ids` name.

    A manifest asked for by tag alone is converted if its type isn't among the accepted ones,
    where the dialect does that and a conversion exists.

    Raises:
        RepositoryNotFound: there is no such repository.
    """
    with context.database.read() as tx:
        repositories.find(tx, registry, repository)
    found: list[StoredManifest] = []
    failures: list[Failure] = []
    for image_id in ids:
        try:
            manifest = _get(context, registry, repository, image_id)
        except _Refused as refusal:
            failures.append(Failure(image_id, refusal.code, refusal.reason))
        else:
            if image_id.digest is None:
                manifest = acceptable(context, manifest, accepted_media_types)
            found.append(manifest)
    return found, failures


def acceptable(
    context: Context, manifest: StoredManifest, accepted_media_types: Collection[str]
) -> StoredManifest:
    """Return `manifest`, converted where its type isn't accepted and there is a way."""
    if (
        not context.dialect.converts_manifests
        or not accepted_media_types
        or manifest.media_type in accepted_media_types
    ):
        return manifest
    # Reading a large manifest again takes too long for the event loop.
    context.memory.wait()
    # By the wider rules: it may have been pushed under the other dialect.
    parsed = parse(manifest.content, manifest.media_type, OCI_RULES)
    converted = convert(parsed, accepted_media_types)
    if converted is None:
        return manifest
    content, media_type = converted
    return images.StoredManifest(
        Digest.of(content), media_type, content, manifest.tag, converted_from=manifest.digest
    )


def delete(
    context: Context,
    registry: Registry,
    repository: str,
    ids: Sequence[ImageId],
    *,
    deleted_by: str | None = None,
) -> tuple[list[ImageId], list[Failure]]:
    """Delete what `ids` name, one after the other: a tag, or an image with all its tags.

    An image goes with its last tag. An image that an index refers to can't go before the index.

    Args:
        context: the store.
        registry: whose repository it is.
        repository: its name.
        ids: what to delete.
        deleted_by: the ARN of who does.

    Returns:
        A digest with a tag for each tag that went, or alone where an untagged image went; and the
        failures.

    Raises:
        RepositoryNotFound: there is no such repository.
    """
    deleted: list[ImageId] = []
    failures: list[Failure] = []
    with context.database.write(content_only=True) as tx:
        found = repositories.find(tx, registry, repository, lock=True)
        deletion = Deletion(deleted_by)
        for image_id in ids:
            try:
                deleted += _delete(context, tx, found, image_id, deletion, keep_image=False)
            except _Refused as refusal:
                failures.append(Failure(image_id, refusal.code, refusal.reason))
        if context.retention.deleted_images:
            _bin_tags(context, tx, found, deleted)
    return deleted, failures


def delete_one(
    context: Context,
    registry: Registry,
    repository: str,
    image_id: ImageId,
    *,
    keep_image: bool,
    deleted_by: str | None = None,
) -> None:
    """Delete what one id names, or refuse.

    Args:
        context: the store.
        registry: whose repository it is.
        repository: its name.
        image_id: a digest or a tag.
        keep_image: whether an image stays when its last tag goes.
        deleted_by: the ARN of who deletes it.

    Raises:
        ImageNotFound: there is no such image.
        InvalidParameter: an index refers to the image.
    """
    with context.database.write(content_only=True) as tx:
        found = repositories.find(tx, registry, repository, lock=True)
        try:
            deletion = Deletion(deleted_by)
            _delete(context, tx, found, image_id, deletion, keep_image=keep_image)
        except _Refused as refusal:
            if refusal.code != "ImageNotFound":
                raise InvalidParameter(refusal.reason) from refusal
            raise RequestedImageNotFound from refusal


def _get(
    context: Context, registry: Registry, repository: str, image_id: ImageId
) -> StoredManifest:
    digest, tag = _checked(image_id)
    try:
        if tag is None:
            return images.get_by_digest(context, registry, repository, _known(digest))
        manifest = images.get_by_tag(context, registry, repository, tag)
    except ImageInaccessible as error:
        raise _Refused("ImageInaccessible", error.message) from error
    except ImageNotFound as error:
        raise _not_found() from error
    if digest is not None and str(manifest.digest) != digest:
        raise _mismatch()
    return manifest


def _delete(
    context: Context,
    tx: Connection,
    repository: Repository,
    image_id: ImageId,
    deletion: Deletion,
    *,
    keep_image: bool,
) -> list[ImageId]:
    digest, tag = _checked(image_id)
    if tag is None:
        return _delete_image(context, tx, repository, _known(digest), deletion)
    tagged = images.digest_of(tx, repository, tag)
    if tagged is None:
        raise _not_found()
    if digest is not None and str(tagged) != digest:
        raise _mismatch()
    if not keep_image and image_removal.tags_of(tx, repository, tagged) == (tag,):
        _check_unreferenced(tx, repository, tagged)
    image_removal.remove_tag(tx, context, repository, tag, deletion, keep_image=keep_image)
    return [ImageId(str(tagged), tag)]


def _delete_image(
    context: Context, tx: Connection, repository: Repository, digest: Digest, deletion: Deletion
) -> list[ImageId]:
    if not images.exists(tx, repository, digest):
        raise _not_found()
    _check_unreferenced(tx, repository, digest)
    tags = image_removal.remove(tx, context, repository, digest, deletion)
    return [ImageId(str(digest), tag) for tag in tags] or [ImageId(str(digest))]


def _check_unreferenced(tx: Connection, repository: Repository, digest: Digest) -> None:
    parents = image_removal.parents(tx, repository, digest)
    if parents:
        raise _Refused(
            "ImageReferencedByManifestList",
            f"Requested image referenced by manifest list: [{', '.join(parents)}]",
        )


def _bin_tags(
    context: Context, tx: Connection, repository: Repository, deleted: Sequence[ImageId]
) -> None:
    """Let images that went tag by tag come back with all of these tags, not with the last alone."""
    tags: dict[str, list[str]] = {}
    for each in deleted:
        if each.digest is not None and each.tag is not None:
            tags.setdefault(each.digest, []).append(each.tag)
    for digest, its in tags.items():
        if len(its) > 1 and not images.exists(tx, repository, Digest.parse(digest)):
            recycle_bin.add_tags(tx, context, repository, digest, its)


def _checked(image_id: ImageId) -> tuple[str | None, str | None]:
    digest, tag = image_id.digest, image_id.tag
    if digest is None and tag is None:
        raise _Refused(
            "MissingDigestAndTag",
            "Invalid request parameters: both tag and digest cannot be null",
        )
    if digest is not None and ANY_DIGEST.fullmatch(digest) is None:
        raise _Refused(
            "InvalidImageDigest",
            "Invalid request parameters: image digest should satisfy the regex "
            f"'{ANY_DIGEST.pattern}'",
        )
    if tag is not None and not is_tag(tag, API_TAG_MAX_LENGTH):
        raise _Refused(
            "InvalidImageTag",
            f"Invalid request parameters: image tag should satisfy the regex '{TAG_PATTERN}'",
        )
    return digest, tag


def _known(digest: str | None) -> Digest:
    """Read a digest; one that no content can have is simply not found."""
    try:
        return Digest.parse(digest or "")
    except ValueError:
        raise _not_found() from None


def _not_found() -> _Refused:
    return _Refused("ImageNotFound", "Requested image not found")


def _mismatch() -> _Refused:
    return _Refused(
        "ImageTagDoesNotMatchDigest", "Requested image tag does not match the requested digest"
    )
