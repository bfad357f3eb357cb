"""The operations of the ECR API: what answers each, and the IAM action that it asks for.

Operations of the service model that aren't in the table aren't built yet and say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from longshore.api.ecr import images, layers, registry, repositories

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.api.ecr.calls import Call, Output

Handler: TypeAlias = "Callable[[Call, Any], Output]"


@dataclass(frozen=True, slots=True)
class Operation:
    """What answers an operation, and the IAM action that its caller needs.

    Attributes:
        handler: a plain function from request to response.
        action: the IAM action.
        only_reads: whether the answer depends on the request and the database alone and changes
            nothing, so that it can be kept in memory until the database changes.
    """

    handler: Handler
    action: str
    only_reads: bool = False


_ONLY_READ = frozenset(
    {
        "BatchGetImage",
        "DescribeImages",
        "DescribeRegistry",
        "DescribeRepositories",
        "GetAccountSetting",
        "ListImageReferrers",
        "ListImages",
        "ListTagsForResource",
    }
)

OPERATIONS: dict[str, Operation] = {
    name: Operation(handler, action, name in _ONLY_READ)
    for name, handler, action in (
        # repositories
        ("CreateRepository", repositories.create_repository, "ecr:CreateRepository"),
        ("DescribeRepositories", repositories.describe_repositories, "ecr:DescribeRepositories"),
        ("DeleteRepository", repositories.delete_repository, "ecr:DeleteRepository"),
        (
            "PutImageTagMutability",
            repositories.put_image_tag_mutability,
            "ecr:PutImageTagMutability",
        ),
        (
            "PutImageScanningConfiguration",
            repositories.put_image_scanning_configuration,
            "ecr:PutImageScanningConfiguration",
        ),
        ("TagResource", repositories.tag_resource, "ecr:TagResource"),
        ("UntagResource", repositories.untag_resource, "ecr:UntagResource"),
        ("ListTagsForResource", repositories.list_tags_for_resource, "ecr:ListTagsForResource"),
        # layers
        (
            "BatchCheckLayerAvailability",
            layers.batch_check_layer_availability,
            "ecr:BatchCheckLayerAvailability",
        ),
        ("InitiateLayerUpload", layers.initiate_layer_upload, "ecr:InitiateLayerUpload"),
        ("UploadLayerPart", layers.upload_layer_part, "ecr:UploadLayerPart"),
        ("CompleteLayerUpload", layers.complete_layer_upload, "ecr:CompleteLayerUpload"),
        ("GetDownloadUrlForLayer", layers.get_download_url_for_layer, "ecr:GetDownloadUrlForLayer"),
        # images
        ("PutImage", images.put_image, "ecr:PutImage"),
        ("BatchGetImage", images.batch_get_image, "ecr:BatchGetImage"),
        ("BatchDeleteImage", images.batch_delete_image, "ecr:BatchDeleteImage"),
        ("ListImages", images.list_images, "ecr:ListImages"),
        ("DescribeImages", images.describe_images, "ecr:DescribeImages"),
        ("ListImageReferrers", images.list_image_referrers, "ecr:BatchGetImage"),
        # the registry
        ("GetAuthorizationToken", registry.get_authorization_token, "ecr:GetAuthorizationToken"),
        ("DescribeRegistry", registry.describe_registry, "ecr:DescribeRegistry"),
        ("GetAccountSetting", registry.get_account_setting, "ecr:GetAccountSetting"),
        ("PutAccountSetting", registry.put_account_setting, "ecr:PutAccountSetting"),
    )
}
