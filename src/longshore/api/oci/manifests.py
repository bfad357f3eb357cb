"""Manifests on the registry face (OCI distribution-spec, "Pulling manifests" and "Pushing")."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from longshore.api.oci.creation import creating
from longshore.api.responses import Response
from longshore.errors import (
    ImageAlreadyExists,
    ImageInaccessible,
    ImageNotFound,
    InvalidParameter,
    RequestedImageNotFound,
)
from longshore.names import Digest, is_tag
from longshore.registry import image_batches, images
from longshore.registry.image_batches import ImageId
from longshore.registry.pulls import PulledImage

if TYPE_CHECKING:
    from longshore.api.oci.calls import Call
    from longshore.registry.images import StoredManifest

# OCI distribution-spec, "Pulling manifests": a tag has at most 128 characters.
TAG_MAX_LENGTH = 128
_MAX_TAGS_OF_A_PUSH = 10


def get(call: Call) -> Response:
    """GET or HEAD /v2/<name>/manifests/<reference>."""
    manifest = _find(call)
    # Who looks whether it is there, or what it is, doesn't pull it.
    if call.request.method == "GET":
        call.pulled.append(PulledImage(call.registry, call.name, manifest.image_digest))
    return Response(
        200,
        {
            "Content-Type": manifest.media_type,
            "Docker-Content-Digest": str(manifest.digest),
        },
        manifest.content,
    )


def put(call: Call) -> Response:
    """PUT /v2/<name>/manifests/<reference>, with further tags in `?tag=` beside a digest."""
    digest = call.digest() if ":" in call.argument else None
    tags = _tags_beside(call) if digest is not None else [_checked_tag(call.argument)]
    try:
        stored = creating(
            call,
            lambda: images.put(
                call.context,
                call.registry,
                call.name,
                call.body,
                media_type=call.request.header(b"content-type"),
                tag=next(iter(tags), None),
                digest=digest,
                more_tags=tags[1:],
            ),
        )
    except ImageAlreadyExists:
        # The same manifest under the same tags is what the client wanted.
        named = digest or Digest.of(call.body)
        stored = images.get_by_digest(call.context, call.registry, call.name, named)
    headers = {
        "Location": call.url(f"manifests/{call.argument}"),
        "Docker-Content-Digest": str(stored.digest),
    }
    if stored.subject is not None:
        headers["OCI-Subject"] = stored.subject
    if digest is not None and tags:
        headers["OCI-Tag"] = ", ".join(tags)
    return Response(201, headers)


def delete(call: Call) -> Response:
    """DELETE /v2/<name>/manifests/<reference>: an image by its digest, or a tag by its name."""
    if ":" in call.argument:
        image_id = ImageId(digest=str(call.digest()))
    else:
        image_id = ImageId(tag=_checked_tag(call.argument))
    image_batches.delete_one(
        call.context,
        call.registry,
        call.name,
        image_id,
        keep_image=call.context.dialect.untagging_keeps_image,
        deleted_by=call.caller.arn,
    )
    return Response(202)


def _find(call: Call) -> StoredManifest:
    context, registry, name, reference = call.context, call.registry, call.name, call.argument
    try:
        if ":" in reference:
            return images.get_by_digest(context, registry, name, call.digest())
        manifest = images.get_by_tag(context, registry, name, reference)
    except ImageInaccessible:
        raise
    except ImageNotFound as error:
        raise RequestedImageNotFound from error
    return image_batches.acceptable(context, manifest, _accepted(call))


def _accepted(call: Call) -> tuple[str, ...]:
    """Return the media types that the client accepts; none where it accepts anything."""
    return _read_accept(call.request.all_headers(b"accept"))


# Each client sends the same header with each request.
@lru_cache(64)
def _read_accept(values: tuple[bytes, ...]) -> tuple[str, ...]:
    accepted = tuple(
        media_type.partition(";")[0].strip()
        for value in values
        for media_type in value.decode("latin-1").split(",")
    )
    return () if "*/*" in accepted else accepted


def _tags_beside(call: Call) -> list[str]:
    tags = [value for key, value in call.request.query if key == "tag"]
    if len(tags) > _MAX_TAGS_OF_A_PUSH:
        raise InvalidParameter(f"A manifest may be pushed with at most {_MAX_TAGS_OF_A_PUSH} tags")
    return [_checked_tag(tag) for tag in tags]


def _checked_tag(tag: str) -> str:
    if not is_tag(tag, TAG_MAX_LENGTH):
        raise InvalidParameter.at(
            "imageTag",
            "Member must satisfy regular expression pattern: [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}",
        )
    return tag
