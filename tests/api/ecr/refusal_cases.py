"""Refusals of the ECR face as data: what is on the stage, what is asked, and what is answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.api.ecr.refusals import REPOSITORY_PATTERN, constraint
from tests.support.images import oci_image, oci_index
from tests.support.lifecycle import policy, rule

if TYPE_CHECKING:
    from tests.api.stage import Stage

Names: TypeAlias = Mapping[str, Any]
Setup: TypeAlias = "Callable[[Stage], Names]"

ACCOUNT = "000000000000"
IMAGE, OTHER = oci_image("image"), oci_image("other")
INDEX = oci_index([IMAGE, OTHER])
NOTHING = "sha256:" + "0" * 64
PART = b"0123456789"


NO_REPOSITORY = (
    f"The repository with name 'no/such' does not exist in the registry with id '{ACCOUNT}'"
)
BAD_NAME = constraint("repositoryName", f"must satisfy regular expression '{REPOSITORY_PATTERN}'")
IN_REPOSITORY = f"in the repository with name '{{name}}' in the registry with id '{ACCOUNT}'"

# What each operation takes, so that nothing but the repository is wrong with it.
TAKES: dict[str, dict[str, Any]] = {
    "DeleteRepository": {},
    "PutImageTagMutability": {"imageTagMutability": "MUTABLE"},
    "PutImageScanningConfiguration": {"imageScanningConfiguration": {"scanOnPush": True}},
    "BatchCheckLayerAvailability": {"layerDigests": [NOTHING]},
    "InitiateLayerUpload": {},
    "UploadLayerPart": {
        "uploadId": "00000000-0000-0000-0000-000000000000",
        "partFirstByte": 0,
        "partLastByte": 0,
        "layerPartBlob": "YQ==",
    },
    "CompleteLayerUpload": {
        "uploadId": "00000000-0000-0000-0000-000000000000",
        "layerDigests": [NOTHING],
    },
    "GetDownloadUrlForLayer": {"layerDigest": NOTHING},
    "PutImage": {"imageManifest": "{image}"},
    "BatchGetImage": {"imageIds": [{"imageTag": "1"}]},
    "BatchDeleteImage": {"imageIds": [{"imageTag": "1"}]},
    "ListImages": {},
    "DescribeImages": {},
    "ListImageReferrers": {"subjectId": {"imageDigest": NOTHING}},
    "UpdateImageStorageClass": {"imageId": {"imageTag": "1"}, "targetStorageClass": "ARCHIVE"},
    "PutLifecyclePolicy": {"lifecyclePolicyText": "{keep_one}"},
    "GetLifecyclePolicy": {},
    "DeleteLifecyclePolicy": {},
    "StartLifecyclePolicyPreview": {"lifecyclePolicyText": "{keep_one}"},
    "GetLifecyclePolicyPreview": {},
    "SetRepositoryPolicy": {"policyText": "{on_repository}"},
    "GetRepositoryPolicy": {},
    "DeleteRepositoryPolicy": {},
}

# Policies that requests name.
NO_POLICY_AT_ALL = "{{}}"
_NOBODY = {"Effect": "Deny", "Principal": {"AWS": "999999999999"}, "Action": "ecr:PutImage"}
_EVERYWHERE = {"Resource": "*"}
_STRANGER = {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/nobody"}}
POLICIES_BY_NAME = {
    name: json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    for name, statement in {
        "on_repository": _NOBODY,
        "on_registry": _NOBODY | _EVERYWHERE,
        "of_a_stranger": _NOBODY | _EVERYWHERE | _STRANGER,
        "locking_out": _NOBODY | {"Principal": "*", "Action": "ecr:SetRepositoryPolicy"},
    }.items()
} | {
    "keep_one": policy(rule(1, more_than=1)),
}


@dataclass(frozen=True)
class Refusal:
    """One way in which an operation refuses.

    Attributes:
        operation: its name.
        code: the error's, without `Exception`.
        message: its sentence; names in braces are filled in.
        request: what it takes besides the repository's name, filled in likewise.
        setup: puts something into the repository first, and names it.
        members: further members of the error.
        why: tells apart refusals of the same code.
    """

    operation: str
    code: str
    message: str
    request: Mapping[str, Any] = field(default_factory=dict)
    setup: Callable[[Stage], Names] | None = None
    members: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""

    def __str__(self) -> str:
        return f"{self.operation} {self.code} {self.why}".strip()


def filled(value: Any, names: Names) -> Any:
    """Fill names into texts; a text that is nothing but a name becomes what it stands for."""
    match value:
        case str() if value.startswith("{") and value[1:-1] in names:
            return names[value[1:-1]]
        case str():
            return value.format_map(names)
        case dict():
            return {key: filled(member, names) for key, member in value.items()}
        case list():
            return [filled(member, names) for member in value]
        case _:
            return value


# --- What is on the stage -------------------------------------------------------------------------


def image_tagged_1(stage: Stage) -> Names:
    stage.push(IMAGE, "1")
    return {}


def index_tagged_1(stage: Stage) -> Names:
    stage.push(INDEX, "1")
    return {}


def immutable_image_tagged_1(stage: Stage) -> Names:
    stage.push(IMAGE, "1")
    stage.push(OTHER)
    stage.server.ecr.put_image_tag_mutability(
        repositoryName=stage.name, imageTagMutability="IMMUTABLE"
    )
    return {}


def loose_layer(stage: Stage) -> Names:
    return {"digest": stage.push_blob(b"loose")}


def upload(stage: Stage) -> Names:
    return {"upload": stage.server.ecr.initiate_layer_upload(repositoryName=stage.name)["uploadId"]}


def upload_with_parts(*parts: bytes) -> Callable[[Stage], Names]:
    def setup(stage: Stage) -> Names:
        names, first = upload(stage), 0
        for part in parts:
            stage.server.ecr.upload_layer_part(
                repositoryName=stage.name,
                uploadId=names["upload"],
                partFirstByte=first,
                partLastByte=first + len(part) - 1,
                layerPartBlob=part,
            )
            first += len(part)
        return names

    return setup


def layer_and_upload_of_it(stage: Stage) -> Names:
    stage.push_blob(PART)
    return upload_with_parts(PART)(stage)


def fifty_tags(stage: Stage) -> Names:
    tags = [{"Key": str(number), "Value": ""} for number in range(50)]
    stage.server.call("TagResource", {"resourceArn": arn_of(stage.name), "tags": tags})
    return {}


def arn_of(name: str) -> str:
    return f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{name}"
