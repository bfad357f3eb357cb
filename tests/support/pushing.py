"""Pushing and pulling by the rules alone, without a server."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from longshore.errors import ImageAlreadyExists
from longshore.names import Digest, Registry
from longshore.registry import completion, images, layers, repositories, upload_parts, uploads
from longshore.registry.context import Caller
from longshore.registry.mutability import TagMutability
from longshore.registry.repositories import Encryption

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.registry.context import Context
    from longshore.registry.images import StoredManifest
    from longshore.registry.repositories import Repository
    from longshore.registry.uploads import Upload
    from tests.support.images import Blob, Image

ACCOUNT = "000000000000"
REGISTRY = Registry(ACCOUNT, "eu-west-1")
REPOSITORY = "demo/app"
CALLER = Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/administrator")


def create_repository(
    context: Context,
    name: str = REPOSITORY,
    *,
    registry: Registry = REGISTRY,
    mutability: TagMutability | None = None,
    tags: Mapping[str, str] | None = None,
) -> Repository:
    """Make a repository as CreateRepository does where nothing is chosen."""
    return repositories.create(
        context,
        registry,
        name,
        mutability=mutability or TagMutability(),
        scan_on_push=False,
        encryption=Encryption(),
        tags=tags or {},
    )


def begin(context: Context, content: bytes, repository: str = REPOSITORY) -> Upload:
    """Upload bytes in one part; nothing makes a layer of them yet."""
    started = uploads.start(context, CALLER, REGISTRY, repository)
    upload_parts.append_part(context, started, 0, len(content) - 1, content)
    return uploads.find(context, CALLER, REGISTRY, repository, started.id)


def upload(context: Context, blob: Blob, repository: str = REPOSITORY) -> Digest:
    """Upload a layer, whether or not the repository holds it."""
    completion.complete(context, CALLER, begin(context, blob.content, repository), blob.digest)
    return blob.digest


def put(
    context: Context, image: Image, tag: str | None = None, repository: str = REPOSITORY
) -> StoredManifest:
    """Push a manifest alone."""
    return images.put(
        context, REGISTRY, repository, image.content, media_type=None, tag=tag, digest=None
    )


def push(
    context: Context, image: Image, tag: str | None = None, repository: str = REPOSITORY
) -> StoredManifest:
    """Push an image with all that it refers to, where it isn't there already."""
    for child in image.children:
        with suppress(ImageAlreadyExists):
            push(context, child, None, repository)
    wanted = {blob.digest: blob for blob in image.blobs if not blob.urls}
    held = layers.check(context, REGISTRY, repository, list(wanted))
    for digest, blob in wanted.items():
        if digest not in held or held[digest].is_archived:
            upload(context, blob, repository)
    return put(context, image, tag, repository)


def read_layer(context: Context, digest: Digest, repository: str = REPOSITORY) -> bytes:
    """Return the bytes of a layer."""
    _, file = layers.open_layer(context, REGISTRY, repository, digest)
    with file:
        return file.read()


def pull(context: Context, reference: str, repository: str = REPOSITORY) -> StoredManifest:
    """Return the manifest that a tag or a digest names."""
    if ":" in reference:
        return images.get_by_digest(context, REGISTRY, repository, Digest.parse(reference))
    return images.get_by_tag(context, REGISTRY, repository, reference)
