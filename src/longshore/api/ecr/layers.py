"""ECR operations on layers and on their uploads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from longshore.api.ecr.calls import Call, Output, read_digest
from longshore.errors import InvalidLayer
from longshore.names import Digest
from longshore.registry import completion, downloads, layers, upload_parts, uploads

if TYPE_CHECKING:
    from types_boto3_ecr import type_defs as ecr

    from longshore.registry.uploads import Upload

# What InitiateLayerUpload recommends (ECR answers 10 MiB and takes up to 20).
PART_SIZE = 10 * 1024 * 1024
DOWNLOAD_OPERATION = "DownloadLayer"
"""What following a URL of `GetDownloadUrlForLayer` is called in the audit and the metrics."""
DOWNLOAD_PATH = "/layers/"

_ANY_DIGEST = re.compile(r"[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+")


def batch_check_layer_availability(
    call: Call, request: ecr.BatchCheckLayerAvailabilityRequestTypeDef
) -> Output:
    """BatchCheckLayerAvailability."""
    asked = list(dict.fromkeys(request["layerDigests"]))
    digests = {text: digest for text in asked if (digest := _possible_digest(text)) is not None}
    held = layers.check(
        call.context,
        call.registry(request.get("registryId")),
        request["repositoryName"],
        list(digests.values()),
    )
    found = {text: held[digest] for text, digest in digests.items() if digest in held}
    return {
        "layers": [
            {
                "layerDigest": text,
                "layerAvailability": "ARCHIVED" if found[text].is_archived else "AVAILABLE",
                "layerSize": found[text].size,
                "mediaType": found[text].media_type,
            }
            if text in found
            else {"layerDigest": text, "layerAvailability": "UNAVAILABLE"}
            for text in asked
            if _ANY_DIGEST.fullmatch(text)
        ],
        "failures": [_failure(text) for text in asked if not _ANY_DIGEST.fullmatch(text)],
    }


def initiate_layer_upload(call: Call, request: ecr.InitiateLayerUploadRequestTypeDef) -> Output:
    """InitiateLayerUpload."""
    upload = uploads.start(
        call.context,
        call.caller,
        call.registry(request.get("registryId")),
        request["repositoryName"],
    )
    largest = call.context.limits.layer_part_largest
    return {"uploadId": upload.id, "partSize": min(PART_SIZE, largest)}


def upload_layer_part(call: Call, request: ecr.UploadLayerPartRequestTypeDef) -> Output:
    """UploadLayerPart."""
    upload = _upload(call, request)
    part = request["layerPartBlob"]
    if not isinstance(part, bytes):
        raise TypeError("the protocol decodes blobs to bytes")
    last = upload_parts.append_part(
        call.context, upload, request["partFirstByte"], request["partLastByte"], part
    )
    return _named(upload) | {"lastByteReceived": last}


def complete_layer_upload(call: Call, request: ecr.CompleteLayerUploadRequestTypeDef) -> Output:
    """CompleteLayerUpload."""
    upload = _upload(call, request)
    digest = _layer_digest(call, request)
    completion.complete_in_parts(call.context, call.caller, upload, digest)
    return _named(upload) | {"layerDigest": str(digest)}


def get_download_url_for_layer(
    call: Call, request: ecr.GetDownloadUrlForLayerRequestTypeDef
) -> Output:
    """GetDownloadUrlForLayer."""
    digest = read_digest(call, "layerDigest", request["layerDigest"])
    ticket = downloads.ticket(
        call.context,
        call.registry(request.get("registryId")),
        request["repositoryName"],
        digest,
    )
    return {
        "downloadUrl": f"{call.base_url}{DOWNLOAD_PATH}{ticket}",
        "layerDigest": str(digest),
    }


def _layer_digest(call: Call, request: ecr.CompleteLayerUploadRequestTypeDef) -> Digest:
    """Return the one digest that counts: the first that names content as the registry does."""
    texts = request["layerDigests"]
    known = (digest for text in texts if (digest := _possible_digest(text)) is not None)
    algorithms = call.context.dialect.manifest_rules.algorithms
    digest = next((each for each in known if each.algorithm in algorithms), None)
    if digest is None:
        raise InvalidLayer(f"No digest that names the layer's bytes by sha256 is among {texts}")
    return digest


def _possible_digest(text: str) -> Digest | None:
    try:
        return Digest.parse(text)
    except ValueError:
        return None


def _failure(text: str) -> Output:
    if not text:
        code, reason = "MissingLayerDigest", "layer digest cannot be empty"
    else:
        code = "InvalidLayerDigest"
        reason = f"layer digest should satisfy the regex '{_ANY_DIGEST.pattern}'"
    return {
        "layerDigest": text,
        "failureCode": code,
        "failureReason": f"Invalid request parameters: {reason}",
    }


def _upload(
    call: Call,
    request: ecr.UploadLayerPartRequestTypeDef | ecr.CompleteLayerUploadRequestTypeDef,
) -> Upload:
    registry = call.registry(request.get("registryId"))
    name, upload_id = request["repositoryName"], request["uploadId"]
    return uploads.find(call.context, call.caller, registry, name, upload_id)


def _named(upload: Upload) -> Output:
    return {
        "registryId": upload.registry.account,
        "repositoryName": upload.repository,
        "uploadId": upload.id,
    }
