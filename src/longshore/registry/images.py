"""Images: manifests kept verbatim, and the tags that stand for them.

An image is whatever a manifest describes: an image proper, an index of them, or an artifact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection, Select, bindparam, insert, select, update

from longshore.errors import (
    ImageAlreadyExists,
    ImageDigestDoesNotMatch,
    ImageInaccessible,
    ImageNotFound,
    ImageTagAlreadyExists,
    LayersNotFound,
    ReferencedImagesNotFound,
)
from longshore.events import log, shapes
from longshore.metadata import schema
from longshore.metadata.prepared import Prepared
from longshore.names import Digest
from longshore.registry import (
    binned_layers,
    image_quotas,
    image_status,
    layers,
    manifests,
    repositories,
    storage_classes,
)
from longshore.registry.image_status import Status, has_status, status_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from longshore.metadata.prepared import Record
    from longshore.names import Registry
    from longshore.registry.context import Context
    from longshore.registry.manifests import Manifest
    from longshore.registry.repositories import Repository


_MANIFESTS: Select[Any] = (
    select(
        schema.images.c.digest,
        schema.images.c.media_type,
        schema.images.c.subject,
        schema.images.c.storage_class,
        schema.images.c.restoring_since,
        schema.manifests.c.content,
    )
    .join(schema.repositories, schema.repositories.c.id == schema.images.c.repository_id)
    .join(schema.manifests, schema.manifests.c.image_id == schema.images.c.id)
    .where(
        schema.repositories.c.account == bindparam("account"),
        schema.repositories.c.region == bindparam("region"),
        schema.repositories.c.name == bindparam("repository"),
    )
)
_FIND_BY_TAG = Prepared(
    _MANIFESTS.join(schema.tags, schema.tags.c.image_id == schema.images.c.id).where(
        schema.tags.c.repository_id == schema.repositories.c.id,
        schema.tags.c.name == bindparam("tag"),
    )
)
_FIND_BY_DIGEST = Prepared(_MANIFESTS.where(schema.images.c.digest == bindparam("digest")))
_IN_REPOSITORY = schema.images.c.repository_id == bindparam("repository")
_IMAGE_ID = Prepared(
    select(schema.images.c.id).where(_IN_REPOSITORY, schema.images.c.digest == bindparam("digest"))
)
_IS_TAG = (
    schema.tags.c.repository_id == bindparam("repository"),
    schema.tags.c.name == bindparam("tag"),
)
_TAGGED = Prepared(select(schema.tags.c.image_id).where(*_IS_TAG))
_DIGEST = Prepared(
    select(schema.images.c.digest)
    .join(schema.tags, schema.tags.c.image_id == schema.images.c.id)
    .where(*_IS_TAG)
)
_SIZES = Prepared(
    select(schema.images.c.digest, schema.images.c.size).where(
        _IN_REPOSITORY,
        has_status(Status.ACTIVE),
        schema.images.c.digest.in_(bindparam("digests", expanding=True)),
    )
)
_INSERT = Prepared(insert(schema.images).returning(schema.images.c.id))
_INSERT_MANIFEST = Prepared(insert(schema.manifests))
_INSERT_LAYERS = Prepared(insert(schema.image_layers))
_INSERT_TAG = Prepared(insert(schema.tags))
_MOVE_TAG = Prepared(update(schema.tags).where(*_IS_TAG))
_DESCRIBE_LAYERS = Prepared(
    update(schema.layers).where(
        schema.layers.c.repository_id == bindparam("repository"),
        schema.layers.c.digest.in_(bindparam("digests", expanding=True)),
    )
)


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest as it was pushed, with the tag it was asked by or pushed under.

    Attributes:
        converted_from: the digest of the image, where this is another form of its manifest.
    """

    digest: Digest
    media_type: str
    content: bytes
    tag: str | None
    subject: str | None = None
    converted_from: Digest | None = None

    @property
    def image_digest(self) -> Digest:
        """The digest under which the repository holds the image."""
        return self.converted_from or self.digest


def put(
    context: Context,
    registry: Registry,
    repository: str,
    content: bytes,
    *,
    media_type: str | None,
    tag: str | None,
    digest: Digest | None,
    more_tags: Collection[str] = (),
) -> StoredManifest:
    """Store a manifest, and let its tags stand for it: all of them, or nothing is changed.

    An image that is archived is restored at once. An index can't refer to one that is.

    Args:
        context: the store.
        registry: whose repository it is.
        repository: its name.
        content: the manifest's bytes.
        media_type: what the pusher says they are, where they don't say themselves.
        tag: a valid tag, or None.
        digest: what the pusher says their digest is; its algorithm names the image.
        more_tags: further valid tags.

    Raises:
        InvalidParameter: the bytes aren't a manifest.
        ImageDigestDoesNotMatch: they don't have `digest`.
        LayersNotFound, ReferencedImagesNotFound: what they refer to isn't in the repository.
        ImageAlreadyExists: the same manifest is there with the same tags.
        ImageTagAlreadyExists: a tag is immutable and stands for another image.
        LimitExceeded: a quota is used up.
    """
    manifest = manifests.parse(content, media_type, context.dialect.manifest_rules)
    computed = Digest.of(content, digest.algorithm) if digest else Digest.of(content)
    if digest is not None and computed != digest:
        raise ImageDigestDoesNotMatch(digest, computed)
    with context.database.write(content_only=True) as tx:
        found = repositories.find(tx, registry, repository, lock=True)
        image_id = id_of(tx, found, computed)
        tags = dict.fromkeys([*([] if tag is None else [tag]), *more_tags])
        tagged = {each: _tagged(tx, found, each) for each in tags}
        to_move = {
            each: holder
            for each, holder in tagged.items()
            if image_id is None or holder != image_id
        }
        status = None if image_id is None else image_status.find(tx, image_id)
        if status is Status.ACTIVE and not to_move:
            raise ImageAlreadyExists(computed, tag, repository, registry.account)
        for each, holder in to_move.items():
            if holder is not None and found.mutability.protects(each):
                raise ImageTagAlreadyExists(each, repository)
        if image_id is None:
            image_id = _insert(
                context, tx, found, manifest=manifest, content=content, digest=computed
            )
        elif status is not Status.ACTIVE:
            storage_classes.restore_at_once(tx, context, found, computed)
        for each, holder in to_move.items():
            _move_tag(context, tx, found, each, image_id, exists=holder is not None)
        now = context.clock()
        log.emit(
            tx,
            # Without a tag, it is the image itself that is new, or active again.
            [
                shapes.image_pushed(registry, now, repository, str(computed), each)
                for each in to_move or tags or [None]
            ],
        )
    subject = None if manifest.subject is None else str(manifest.subject.digest)
    return StoredManifest(computed, manifest.media_type, content, tag, subject)


def get_by_digest(
    context: Context, registry: Registry, repository: str, digest: Digest
) -> StoredManifest:
    """Return the manifest with this digest.

    Raises:
        RepositoryNotFound, ImageNotFound: there is none.
        ImageInaccessible: it is archived, or on its way back.
    """
    return context.memory.answer(
        ("image by digest", registry, repository, digest),
        lambda: _find_by_digest(context, registry, repository, digest),
        lambda manifest: len(manifest.content),
    )


def get_by_tag(context: Context, registry: Registry, repository: str, tag: str) -> StoredManifest:
    """Return the manifest that `tag` stands for.

    Raises:
        RepositoryNotFound, ImageNotFound: there is none.
        ImageInaccessible: it is archived, or on its way back.
    """
    return context.memory.answer(
        ("image by tag", registry, repository, tag),
        lambda: _find_by_tag(context, registry, repository, tag),
        lambda manifest: len(manifest.content),
    )


def id_of(tx: Connection, repository: Repository, digest: Digest) -> int | None:
    """Return the id of an image, or None where there is no such image."""
    return cast("int | None", _IMAGE_ID.value(tx, repository=repository.id, digest=str(digest)))


def digest_of(tx: Connection, repository: Repository, tag: str) -> Digest | None:
    """Return the digest of the image that `tag` stands for."""
    digest: str | None = _DIGEST.value(tx, repository=repository.id, tag=tag)
    return None if digest is None else Digest.parse(digest)


def exists(tx: Connection, repository: Repository, digest: Digest) -> bool:
    """Tell whether the repository holds an image."""
    return id_of(tx, repository, digest) is not None


def _find_by_digest(
    context: Context, registry: Registry, repository: str, digest: Digest
) -> StoredManifest:
    with context.database.read() as tx:
        row = _FIND_BY_DIGEST.one_or_none(tx, **_asked(registry, repository), digest=str(digest))
        if row is None:
            repositories.find(tx, registry, repository)
            raise ImageNotFound(digest, None, repository, registry.account)
    return _stored(row, tag=None)


def _find_by_tag(context: Context, registry: Registry, repository: str, tag: str) -> StoredManifest:
    with context.database.read() as tx:
        row = _FIND_BY_TAG.one_or_none(tx, **_asked(registry, repository), tag=tag)
        if row is None:
            repositories.find(tx, registry, repository)
            raise ImageNotFound(None, tag, repository, registry.account)
    return _stored(row, tag)


def _asked(registry: Registry, repository: str) -> dict[str, str]:
    return {"account": registry.account, "region": registry.region, "repository": repository}


def _stored(row: Record, tag: str | None) -> StoredManifest:
    status = status_of(row)
    if status is not Status.ACTIVE:
        raise ImageInaccessible(is_activating=status is Status.ACTIVATING)
    return StoredManifest(
        Digest.parse(row.digest), row.media_type, bytes(row.content), tag, row.subject
    )


def _tagged(tx: Connection, repository: Repository, tag: str) -> int | None:
    return cast("int | None", _TAGGED.value(tx, repository=repository.id, tag=tag))


def _insert(
    context: Context,
    tx: Connection,
    repository: Repository,
    *,
    manifest: Manifest,
    content: bytes,
    digest: Digest,
) -> int:
    _check_layers(context, tx, repository, list(manifest.required_layers))
    children = list(manifest.required_images)
    child_sizes = _child_sizes(context, tx, repository, children)
    image_quotas.check_images(context, tx, repository)
    values = {
        "repository_id": repository.id,
        "digest": str(digest),
        "media_type": manifest.media_type,
        "artifact_media_type": manifest.artifact_media_type,
        "artifact_type": manifest.artifact_type,
        "annotations": dict(manifest.annotations) or None,
        "subject": None if manifest.subject is None else str(manifest.subject.digest),
        "manifest_size": len(content),
        # Of an index ECR tells the largest of its images.
        "size": max(child_sizes, default=0) if manifest.size is None else manifest.size,
        "pushed_at": context.clock(),
    }
    image_id: int = _INSERT.value(tx, **values)
    _INSERT_MANIFEST.run(tx, image_id=image_id, content=content)
    _hold_layers(tx, repository, manifest, image_id)
    if children:
        tx.execute(
            insert(schema.image_children),
            [
                {"image_id": image_id, "repository_id": repository.id, "digest": str(child)}
                for child in children
            ],
        )
    return image_id


def _check_layers(
    context: Context, tx: Connection, repository: Repository, required: list[Digest]
) -> None:
    missing = layers.missing(tx, repository.id, required)
    if missing and context.retention.deleted_images:
        missing = binned_layers.lend(context, tx, repository, missing)
    if missing:
        raise LayersNotFound.required(missing, repository.name, repository.registry.account)


def _child_sizes(
    context: Context, tx: Connection, repository: Repository, children: list[Digest]
) -> Collection[int]:
    if not children:
        return ()
    asked = [str(child) for child in children]
    found = _SIZES.all(tx, repository=repository.id, digests=asked)
    sizes: dict[str, int] = {row.digest: row.size for row in found}
    missing = [child for child in children if str(child) not in sizes]
    if missing and not context.dialect.accepts_missing_children:
        raise ReferencedImagesNotFound(missing, repository.name, repository.registry.account)
    return sizes.values()


def _hold_layers(tx: Connection, repository: Repository, manifest: Manifest, image_id: int) -> None:
    """Refer to the layers that the repository holds; only foreign ones may be elsewhere."""
    declared = {blob.digest: blob.media_type for blob in manifest.blobs}
    required = set(manifest.required_layers)
    foreign = [digest for digest in declared if digest not in required]
    for digest in layers.missing(tx, repository.id, foreign):
        del declared[digest]
    _INSERT_LAYERS.run_for_each(
        tx,
        [
            {"image_id": image_id, "repository_id": repository.id, "digest": str(layer)}
            for layer in declared
        ],
    )
    for media_type in set(declared.values()):
        digests = [str(digest) for digest, its in declared.items() if its == media_type]
        _DESCRIBE_LAYERS.run(tx, repository=repository.id, digests=digests, media_type=media_type)


def _move_tag(
    context: Context,
    tx: Connection,
    repository: Repository,
    tag: str,
    image_id: int,
    *,
    exists: bool,
) -> None:
    image_quotas.check_tags(context, tx, image_id)
    now = context.clock()
    if exists:
        _MOVE_TAG.run(tx, repository=repository.id, tag=tag, image_id=image_id, tagged_at=now)
    else:
        _INSERT_TAG.run(tx, repository_id=repository.id, name=tag, image_id=image_id, tagged_at=now)
