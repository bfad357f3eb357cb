"""ECR operations on lifecycle policies and their previews."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.api.ecr.calls import DEFAULT_PAGE, Call, Output, refuse_paging
from longshore.clock import as_datetime
from longshore.registry import lifecycle_policies, lifecycle_previews
from longshore.registry.image_batches import ImageId
from longshore.registry.lifecycle_previews import Status
from longshore.registry.lifecycle_rules import Action, StorageClass, TagStatus

if TYPE_CHECKING:
    from types_boto3_ecr import type_defs as ecr

    from longshore.registry.lifecycle_policies import LifecyclePolicy
    from longshore.registry.lifecycle_previews import Preview, PreviewImage


def put_lifecycle_policy(call: Call, request: ecr.PutLifecyclePolicyRequestTypeDef) -> Output:
    """PutLifecyclePolicy."""
    registry, name = call.registry(request.get("registryId")), request["repositoryName"]
    policy = lifecycle_policies.put(call.context, registry, name, request["lifecyclePolicyText"])
    return {
        "registryId": registry.account,
        "repositoryName": name,
        "lifecyclePolicyText": policy.text,
    }


def get_lifecycle_policy(call: Call, request: ecr.GetLifecyclePolicyRequestTypeDef) -> Output:
    """GetLifecyclePolicy."""
    registry, name = call.registry(request.get("registryId")), request["repositoryName"]
    policy = lifecycle_policies.get(call.context, registry, name)
    return {"registryId": registry.account, "repositoryName": name, **_policy(policy)}


def delete_lifecycle_policy(call: Call, request: ecr.DeleteLifecyclePolicyRequestTypeDef) -> Output:
    """DeleteLifecyclePolicy."""
    registry, name = call.registry(request.get("registryId")), request["repositoryName"]
    policy = lifecycle_policies.remove(call.context, registry, name)
    return {"registryId": registry.account, "repositoryName": name, **_policy(policy)}


def start_lifecycle_policy_preview(
    call: Call, request: ecr.StartLifecyclePolicyPreviewRequestTypeDef
) -> Output:
    """StartLifecyclePolicyPreview."""
    registry, name = call.registry(request.get("registryId")), request["repositoryName"]
    preview = lifecycle_previews.start(
        call.context, registry, name, request.get("lifecyclePolicyText")
    )
    return {"registryId": registry.account, "repositoryName": name, **_preview(preview)}


def get_lifecycle_policy_preview(
    call: Call, request: ecr.GetLifecyclePolicyPreviewRequestTypeDef
) -> Output:
    """GetLifecyclePolicyPreview."""
    registry, name = call.registry(request.get("registryId")), request["repositoryName"]
    image_ids = request.get("imageIds", ())
    if image_ids:
        refuse_paging(request, "imageIds")
    status = TagStatus(request.get("filter", {}).get("tagStatus", "ANY"))
    page = call.read_page(
        f"GetLifecyclePolicyPreview {registry} {name} {status}", request, DEFAULT_PAGE
    )
    preview, found = lifecycle_previews.get(
        call.context,
        registry,
        name,
        ids=[ImageId(each.get("imageDigest"), each.get("imageTag")) for each in image_ids],
        status=status,
        after=page.after,
        limit=page.limit,
    )
    return {
        "registryId": registry.account,
        "repositoryName": name,
        **_preview(preview),
        "nextToken": call.next_token(page, found.next),
        "previewResults": [_result(image) for image in found.items],
        "summary": _summary(preview) if preview.status is Status.COMPLETE else None,
    }


def _policy(policy: LifecyclePolicy) -> Output:
    return {
        "lifecyclePolicyText": policy.text,
        # Before the first run ECR shows the beginning of time.
        "lastEvaluatedAt": as_datetime(policy.evaluated_at or 0),
    }


def _preview(preview: Preview) -> Output:
    return {"lifecyclePolicyText": preview.text, "status": preview.status.value}


def _summary(preview: Preview) -> Output:
    transitioning = {
        "targetStorageClass": StorageClass.ARCHIVE.value,
        "imageTotalCount": preview.transitioning,
    }
    return {
        "expiringImageTotalCount": preview.expiring,
        "transitioningImageTotalCounts": [transitioning] if preview.transitioning else None,
    }


def _result(image: PreviewImage) -> Output:
    archives = image.action is Action.TRANSITION
    return {
        "imageTags": list(image.tags) or None,
        "imageDigest": image.digest,
        "imagePushedAt": as_datetime(image.pushed_at),
        "action": {
            "type": image.action.value,
            "targetStorageClass": StorageClass.ARCHIVE.value if archives else None,
        },
        "appliedRulePriority": image.rule_priority,
        "storageClass": image.storage_class.value,
    }
