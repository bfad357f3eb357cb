"""How operations on layers and on their uploads refuse."""

from __future__ import annotations

import base64
from typing import Any

from longshore.names import Digest
from tests.api.ecr.refusal_cases import (
    ACCOUNT,
    IN_REPOSITORY,
    NOTHING,
    PART,
    TAKES,
    Refusal,
    layer_and_upload_of_it,
    loose_layer,
    upload,
    upload_with_parts,
)
from tests.api.ecr.refusals import constraint
from tests.api.stage import Stage

OUT_OF_PLACE = (
    "Invalid layer part of the upload with id '{upload}' in the repository with name '{name}': "
)


def part(first: int, last: int, content: bytes = PART) -> dict[str, Any]:
    return {
        "uploadId": "{upload}",
        "partFirstByte": first,
        "partLastByte": last,
        "layerPartBlob": base64.b64encode(content).decode(),
    }


def out_of_place(why: str, request: dict[str, Any], reason: str, received: int = 0) -> Refusal:
    return Refusal(
        "UploadLayerPart",
        "InvalidLayerPart",
        OUT_OF_PLACE + reason,
        request,
        upload_with_parts(PART) if received else upload,
        {
            "registryId": ACCOUNT,
            "repositoryName": "{name}",
            "uploadId": "{upload}",
            "lastValidByteReceived": received - 1,
        },
        why,
    )


UNKNOWN_UPLOAD = (
    "The upload with id '00000000-0000-0000-0000-000000000000' does not exist " + IN_REPOSITORY
)
LAYERS = [
    Refusal("UploadLayerPart", "UploadNotFound", UNKNOWN_UPLOAD, TAKES["UploadLayerPart"]),
    Refusal("CompleteLayerUpload", "UploadNotFound", UNKNOWN_UPLOAD, TAKES["CompleteLayerUpload"]),
    *(
        Refusal(
            operation,
            "UploadNotFound",
            "The upload with id '{upload}' does not exist " + IN_REPOSITORY,
            {**TAKES[operation], "uploadId": "{upload}"},
            lambda stage: upload(Stage.build(stage.server)),
            why="of another repository",
        )
        for operation in ("UploadLayerPart", "CompleteLayerUpload")
    ),
    out_of_place("gap", part(11, 20), "The part must begin at byte 10, not at 11", 10),
    out_of_place("overlap", part(9, 18), "The part must begin at byte 10, not at 9", 10),
    out_of_place("again", part(0, 9), "The part must begin at byte 10, not at 0", 10),
    out_of_place("first", part(1, 10), "The part must begin at byte 0, not at 1"),
    out_of_place("short", part(0, 10), "The part's numbers name 11 bytes and it has 10"),
    out_of_place("long", part(0, 8), "The part's numbers name 9 bytes and it has 10"),
    out_of_place("backwards", part(0, 0, b""), "The part's numbers name 1 bytes and it has 0"),
    Refusal(
        "UploadLayerPart",
        "InvalidParameter",
        constraint("partFirstByte", "Member must have value greater than or equal to 0"),
        part(-1, 9),
        upload,
        why="before the beginning",
    ),
    Refusal(
        "CompleteLayerUpload",
        "EmptyUpload",
        "The upload with id '{upload}' in the repository with name '{name}' in registry with id "
        f"'{ACCOUNT}' cannot be completed because it does not have any parts",
        {"uploadId": "{upload}", "layerDigests": [str(Digest.of(b""))]},
        upload,
    ),
    Refusal(
        "CompleteLayerUpload",
        "InvalidLayer",
        f"The bytes that were uploaded have the digest '{Digest.of(PART)}', not the one given",
        {"uploadId": "{upload}", "layerDigests": [NOTHING]},
        upload_with_parts(PART),
    ),
    Refusal(
        "CompleteLayerUpload",
        "InvalidLayer",
        "No digest that names the layer's bytes by sha256 is among ['md5:00']",
        {"uploadId": "{upload}", "layerDigests": ["md5:00"]},
        upload_with_parts(PART),
        why="digest of another kind",
    ),
    Refusal(
        "CompleteLayerUpload",
        "LayerPartTooSmall",
        "Layer parts must be at least 5 MiB in size",
        {"uploadId": "{upload}", "layerDigests": [str(Digest.of(PART + PART))]},
        upload_with_parts(PART, PART),
    ),
    Refusal(
        "CompleteLayerUpload",
        "LayerAlreadyExists",
        f"Layer with digest '{Digest.of(PART)}' already exists " + IN_REPOSITORY,
        {"uploadId": "{upload}", "layerDigests": [str(Digest.of(PART))]},
        layer_and_upload_of_it,
    ),
    Refusal(
        "GetDownloadUrlForLayer",
        "LayersNotFound",
        f"Layer with digest '{NOTHING}' does not exist " + IN_REPOSITORY,
        {"layerDigest": NOTHING},
    ),
    Refusal(
        "GetDownloadUrlForLayer",
        "LayerInaccessible",
        "Layer with digest '{digest}' " + IN_REPOSITORY + " is not referenced by any image",
        {"layerDigest": "{digest}"},
        loose_layer,
    ),
    Refusal(
        "GetDownloadUrlForLayer",
        "InvalidParameter",
        constraint(
            "layerDigest",
            "Member must be a digest: sha256, a colon and 64 lower-case hex digits",
        ),
        {"layerDigest": "sha256:abc"},
        why="short digest",
    ),
]
