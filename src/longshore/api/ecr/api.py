"""The API of Amazon ECR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.api.aws.api import LARGEST_BODY, JsonApi
from longshore.api.aws.json import JsonService
from longshore.api.aws.wording import ECR
from longshore.api.ecr.calls import Call
from longshore.api.ecr.operations import OPERATIONS

if TYPE_CHECKING:
    from longshore.registry.limits import Limits

SERVICE = "ecr"


def load(limits: Limits) -> JsonApi:
    """Compile the API.

    Args:
        limits: how large parts of layers and manifests may be.
    """
    return JsonApi(
        name=SERVICE,
        title="Amazon ECR",
        service=JsonService.load(SERVICE, ECR),
        operations=OPERATIONS,
        call=Call,
        largest_bodies={
            # A part is carried as base64, and a manifest with its quotes escaped.
            "UploadLayerPart": limits.layer_part_largest * 4 // 3 + LARGEST_BODY,
            "PutImage": limits.manifest_size * 2 + LARGEST_BODY,
        },
    )
