"""The operations of the ECR API: what answers each, and what its caller needs for it.

Operations of the service model that aren't in the table aren't built yet and say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.api.aws.operations import Operation
from longshore.api.ecr import (
    images,
    layers,
    lifecycle,
    needs,
    policies,
    pull_times,
    registry,
    repositories,
    templates,
)

if TYPE_CHECKING:
    from longshore.api.aws.operations import Handler, Needs

_ONLY_READ = frozenset(
    {
        "BatchGetImage",
        "DescribeImages",
        "DescribeRegistry",
        "DescribeRepositories",
        "DescribeRepositoryCreationTemplates",
        "GetAccountSetting",
        "GetLifecyclePolicy",
        "GetRegistryPolicy",
        "GetRepositoryPolicy",
        "ListImageReferrers",
        "ListImages",
        "ListPullTimeUpdateExclusions",
        "ListTagsForResource",
    }
)
_ONLY_COMPUTE = frozenset({"GetAuthorizationToken"})
# All others have an action of their own.
_ACTIONS = {"ListImageReferrers": "ecr:BatchGetImage"}

_REPOSITORIES: dict[str, tuple[Handler, Needs]] = {
    "CreateRepository": (repositories.create_repository, needs.to_create),
    "DescribeRepositories": (repositories.describe_repositories, needs.on_the_repositories),
    "DeleteRepository": (repositories.delete_repository, needs.on_the_repository),
    "PutImageTagMutability": (repositories.put_image_tag_mutability, needs.on_the_repository),
    "PutImageScanningConfiguration": (
        repositories.put_image_scanning_configuration,
        needs.on_the_repository,
    ),
    "TagResource": (repositories.tag_resource, needs.to_tag),
    "UntagResource": (repositories.untag_resource, needs.to_untag),
    "ListTagsForResource": (repositories.list_tags_for_resource, needs.on_the_resource),
    "SetRepositoryPolicy": (policies.set_repository_policy, needs.on_the_repository),
    "GetRepositoryPolicy": (policies.get_repository_policy, needs.on_the_repository),
    "DeleteRepositoryPolicy": (policies.delete_repository_policy, needs.on_the_repository),
}
_LIFECYCLE: dict[str, tuple[Handler, Needs]] = {
    "PutLifecyclePolicy": (lifecycle.put_lifecycle_policy, needs.on_the_repository),
    "GetLifecyclePolicy": (lifecycle.get_lifecycle_policy, needs.on_the_repository),
    "DeleteLifecyclePolicy": (lifecycle.delete_lifecycle_policy, needs.on_the_repository),
    "StartLifecyclePolicyPreview": (
        lifecycle.start_lifecycle_policy_preview,
        needs.on_the_repository,
    ),
    "GetLifecyclePolicyPreview": (
        lifecycle.get_lifecycle_policy_preview,
        needs.on_the_repository,
    ),
}
_LAYERS: dict[str, tuple[Handler, Needs]] = {
    "BatchCheckLayerAvailability": (
        layers.batch_check_layer_availability,
        needs.on_the_repository,
    ),
    "InitiateLayerUpload": (layers.initiate_layer_upload, needs.on_the_repository),
    "UploadLayerPart": (layers.upload_layer_part, needs.on_the_repository),
    "CompleteLayerUpload": (layers.complete_layer_upload, needs.on_the_repository),
    "GetDownloadUrlForLayer": (layers.get_download_url_for_layer, needs.on_the_repository),
}
_IMAGES: dict[str, tuple[Handler, Needs]] = {
    "PutImage": (images.put_image, needs.on_the_repository),
    "BatchGetImage": (images.batch_get_image, needs.on_the_repository),
    "BatchDeleteImage": (images.batch_delete_image, needs.on_the_repository),
    "ListImages": (images.list_images, needs.on_the_repository),
    "DescribeImages": (images.describe_images, needs.on_the_repository),
    "ListImageReferrers": (images.list_image_referrers, needs.on_the_repository),
    "UpdateImageStorageClass": (images.update_image_storage_class, needs.on_the_repository),
}
_REGISTRY: dict[str, tuple[Handler, Needs]] = {
    "GetAuthorizationToken": (registry.get_authorization_token, needs.of_the_caller),
    "DescribeRegistry": (registry.describe_registry, needs.on_the_registry),
    "GetAccountSetting": (registry.get_account_setting, needs.on_a_setting),
    "PutAccountSetting": (registry.put_account_setting, needs.on_a_setting),
    "PutRegistryPolicy": (policies.put_registry_policy, needs.on_the_registry),
    "GetRegistryPolicy": (policies.get_registry_policy, needs.on_the_registry),
    "DeleteRegistryPolicy": (policies.delete_registry_policy, needs.on_the_registry),
}
_TEMPLATES: dict[str, tuple[Handler, Needs]] = {
    "CreateRepositoryCreationTemplate": (templates.create, needs.to_make_templates),
    "DescribeRepositoryCreationTemplates": (templates.describe, needs.on_the_registry),
    "UpdateRepositoryCreationTemplate": (templates.update, needs.to_make_templates),
    "DeleteRepositoryCreationTemplate": (templates.delete, needs.on_the_registry),
}
_PULL_TIMES: dict[str, tuple[Handler, Needs]] = {
    "RegisterPullTimeUpdateExclusion": (pull_times.register_exclusion, needs.on_the_registry),
    "DeregisterPullTimeUpdateExclusion": (pull_times.deregister_exclusion, needs.on_the_registry),
    "ListPullTimeUpdateExclusions": (pull_times.list_exclusions, needs.on_the_registry),
}

OPERATIONS: dict[str, Operation] = {
    name: Operation(
        handler,
        _ACTIONS.get(name, f"ecr:{name}"),
        needed,
        only_reads=name in _ONLY_READ,
        only_computes=name in _ONLY_COMPUTE,
    )
    for group in (
        _REPOSITORIES,
        _LIFECYCLE,
        _LAYERS,
        _IMAGES,
        _REGISTRY,
        _TEMPLATES,
        _PULL_TIMES,
    )
    for name, (handler, needed) in group.items()
}
