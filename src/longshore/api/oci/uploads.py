"""Uploads on the registry face (OCI distribution-spec, "Pushing blobs")."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, cast

from longshore.api.oci import ranges
from longshore.api.oci.creation import creating
from longshore.api.oci.errors import ChunkOutOfPlace
from longshore.api.oci.receiving import receive
from longshore.api.responses import Response
from longshore.errors import (
    InvalidLayerPart,
    InvalidParameter,
    RepositoryNotFound,
    UploadNotFound,
)
from longshore.identity import authorization
from longshore.identity.authorization import Need
from longshore.names import is_repository_name
from longshore.registry import completion, layers, uploads

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.api.oci.calls import Call
    from longshore.clock import Millis
    from longshore.names import Digest
    from longshore.registry.upload_parts import Part
    from longshore.registry.uploads import Upload


async def start(call: Call) -> Response:
    """POST /v2/<name>/blobs/uploads/: begin an upload, mount a blob, or send one whole."""
    mount, digest = call.request.parameter("mount"), call.request.parameter("digest")
    if mount is not None:
        source = call.request.parameter("from") or ""
        wanted = call.digest(mount)
        if is_repository_name(source) and await _mounted(call, source, wanted):
            return _created(call, wanted)
    whole = None if digest is None else call.digest(digest)
    begin = partial(uploads.start, call.context, call.caller, call.registry, call.name)
    upload = await call.workers.run(creating, call, begin)
    if whole is None:
        return _accepted(call, upload)
    try:
        return await receive(
            call, lambda _: upload, lambda _: None, lambda part: _complete(call, part, whole)
        )
    except Exception:
        # Nobody was told its id, so nobody could go on with it.
        with suppress(RepositoryNotFound, UploadNotFound):
            await call.workers.run(_cancel, call, upload.id)
        raise


async def _mounted(call: Call, source: str, digest: Digest) -> bool:
    return await call.workers.run(creating, call, partial(_mount, call, source, digest))


def _mount(call: Call, source: str, digest: Digest) -> bool:
    # Who may not read it there gets an upload, and doesn't learn whether it is there.
    need = Need.on(call.registry, source, "ecr:GetDownloadUrlForLayer")
    return authorization.allows(
        call.context, call.principal, need, call.surroundings
    ) and layers.mount(call.context, call.registry, call.name, source, digest)


async def append(call: Call) -> Response:
    """PATCH /v2/<name>/blobs/uploads/<id>: a chunk, or all of the bytes."""
    return await _receive(call, lambda part: _accepted(call, part.close()))


async def complete(call: Call) -> Response:
    """PUT /v2/<name>/blobs/uploads/<id>?digest=: the last bytes, if any, and the digest."""
    text = call.request.parameter("digest")
    if text is None:
        raise InvalidParameter.at("digest", "Member must not be null")
    digest = call.digest(text)
    return await _receive(call, lambda part: _complete(call, part, digest))


def status(call: Call) -> Response:
    """GET /v2/<name>/blobs/uploads/<id>: how much has come."""
    upload = _find(call)
    return Response(204, _progress(call, upload.id, upload.size))


def cancel(call: Call) -> Response:
    """DELETE /v2/<name>/blobs/uploads/<id>."""
    _cancel(call, call.argument)
    return Response(204)


def _cancel(call: Call, upload_id: str) -> None:
    uploads.cancel(call.context, call.caller, call.registry, call.name, upload_id)


def _find(call: Call, untouched_since: Millis | None = None) -> Upload:
    return uploads.find(
        call.context,
        call.caller,
        call.registry,
        call.name,
        call.argument,
        untouched_since=untouched_since,
    )


async def _receive(call: Call, finish: Callable[[Part], Response]) -> Response:
    """Add the body to the upload that the path names, and answer with what `finish` makes of it.

    A client whose chunk is refused is told from where to go on.
    """
    try:
        return await receive(
            call, partial(_find, call), lambda upload: _announced(call, upload), finish
        )
    except InvalidLayerPart as error:
        size = cast("int", error.members["lastValidByteReceived"]) + 1
        raise ChunkOutOfPlace(error.message, _progress(call, call.argument, size)) from error


def _announced(call: Call, upload: Upload) -> int | None:
    """Return how many bytes a chunk announces, or None for one that may have any number.

    Raises:
        InvalidLayerPart: it doesn't follow on what has come so far.
    """
    header = call.request.header(b"content-range")
    if header is None:
        return None
    try:
        first, last = ranges.of_chunk(header)
    except ValueError:
        uploads.refuse_part(upload, "Its Content-Range must be <first byte>-<last byte>")
    if first != upload.size:
        uploads.refuse_part(upload, f"It must begin at byte {upload.size}, not at {first}")
    length = last - first + 1
    if call.request.content_length not in {None, length}:
        uploads.refuse_part(upload, "Its Content-Range and its Content-Length disagree")
    return length


def _complete(call: Call, part: Part, digest: Digest) -> Response:
    # A key may have been revoked while the bytes were sent.
    call.admit_again()
    completion.complete(call.context, call.caller, part.upload, digest, part)
    return _created(call, digest)


def _created(call: Call, digest: Digest) -> Response:
    return Response(
        201,
        {"Location": call.url(f"blobs/{digest}"), "Docker-Content-Digest": str(digest)},
    )


def _accepted(call: Call, upload: Upload) -> Response:
    return Response(202, _progress(call, upload.id, upload.size))


def _progress(call: Call, upload_id: str, size: int) -> dict[str, str]:
    return {
        "Location": call.url(f"blobs/uploads/{upload_id}"),
        # "0-0" is also what nothing looks like: the form has no word for it.
        "Range": f"0-{max(size - 1, 0)}",
        "Docker-Upload-UUID": upload_id,
    }
