"""Blobs on the registry face (OCI distribution-spec, "Pulling blobs", "Deleting Blobs")."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from longshore.api.oci import ranges
from longshore.api.oci.errors import BlobNotFound, MethodNotAllowed
from longshore.api.responses import FileBody, Response
from longshore.errors import LayerArchived, LayersNotFound
from longshore.registry import layers

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from longshore.api.http import Request
    from longshore.api.oci.calls import Call
    from longshore.registry.layers import Layer

_MEDIA_TYPE = "application/octet-stream"
_WITHOUT_DELETE = ("GET", "HEAD")


def get(call: Call) -> Response:
    """GET /v2/<name>/blobs/<digest>, whole or a range of it."""
    digest = call.digest()
    try:
        layer, file = layers.open_layer(call.context, call.registry, call.name, digest)
    except (LayersNotFound, LayerArchived) as error:
        raise BlobNotFound(error.message) from error
    reopen = partial(call.context.blobs.open, layer.location)
    return serve(call.request, layer, file, reopen)


def head(call: Call) -> Response:
    """HEAD /v2/<name>/blobs/<digest>."""
    try:
        layer = layers.find(call.context, call.registry, call.name, call.digest())
    except (LayersNotFound, LayerArchived) as error:
        raise BlobNotFound(error.message) from error
    return Response(200, _headers(layer) | {"Content-Length": str(layer.size)})


def delete(call: Call) -> Response:
    """DELETE /v2/<name>/blobs/<digest>, in the dialect that has it."""
    if not call.context.dialect.deletes_blobs:
        raise MethodNotAllowed(
            "Layers can't be deleted by themselves; one that no image refers to goes by itself.",
            allowed=_WITHOUT_DELETE,
        )
    try:
        removed = layers.remove(call.context, call.registry, call.name, call.digest())
    except LayersNotFound as error:
        raise BlobNotFound(error.message) from error
    if not removed:
        raise MethodNotAllowed(
            "An image refers to this layer. Delete the image first.", allowed=_WITHOUT_DELETE
        )
    return Response(202)


def serve(
    request: Request,
    layer: Layer,
    file: BinaryIO,
    reopen: Callable[[], BinaryIO] | None = None,
) -> Response:
    """Answer with an open layer, or with the range of it that the request asks for.

    Args:
        request: the request.
        layer: the layer.
        file: its bytes.
        reopen: opens them another time, where the same answer may be given to whoever asks again.
    """
    headers = _headers(layer)
    try:
        asked = ranges.requested(request.header(b"range"), layer.size)
    except ranges.UnsatisfiableRange:
        file.close()
        return Response(416, {"Content-Range": f"bytes */{layer.size}"})
    if asked is None:
        return Response(200, headers, FileBody(file, 0, layer.size, reopen))
    offset, length = asked
    headers["Content-Range"] = f"bytes {offset}-{offset + length - 1}/{layer.size}"
    return Response(206, headers, FileBody(file, offset, length))


def _headers(layer: Layer) -> dict[str, str]:
    return {
        "Content-Type": _MEDIA_TYPE,
        "Docker-Content-Digest": str(layer.digest),
        "Accept-Ranges": "bytes",
        # What a digest names never changes.
        "Etag": f'"{layer.digest}"',
        "Cache-Control": "max-age=31536000",
    }
