"""ECR operations on images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.api.ecr.calls import DEFAULT_PAGE, Call, Output, read_digest, refuse_paging
from longshore.clock import as_datetime
from longshore.errors import InvalidParameter
from longshore.names import is_tag
from longshore.registry import image_archive, image_batches, image_listings, images, referrers
from longshore.registry.image_batches import API_TAG_MAX_LENGTH, Failure, ImageId
from longshore.registry.image_listings import TagStatus
from longshore.registry.image_status import Status
from longshore.registry.lifecycle_rules import StorageClass
from longshore.registry.pulls import PulledImage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from types_boto3_ecr import type_defs as ecr

    from longshore.names import Registry
    from longshore.registry.images import StoredManifest

REFERRERS_PAGE = 20


def put_image(call: Call, request: ecr.PutImageRequestTypeDef) -> Output:
    """PutImage."""
    registry = call.registry(request.get("registryId"))
    tag, digest = request.get("imageTag"), request.get("imageDigest")
    if tag is not None and not is_tag(tag, API_TAG_MAX_LENGTH):
        raise InvalidParameter.at(
            "imageTag",
            "Member must satisfy regular expression pattern: [a-zA-Z0-9_][a-zA-Z0-9._-]*",
        )
    manifest = images.put(
        call.context,
        registry,
        request["repositoryName"],
        request["imageManifest"].encode(),
        media_type=request.get("imageManifestMediaType"),
        tag=tag,
        digest=None if digest is None else read_digest(call, "imageDigest", digest),
    )
    return {"image": _image(registry, request["repositoryName"], manifest)}


def batch_get_image(call: Call, request: ecr.BatchGetImageRequestTypeDef) -> Output:
    """BatchGetImage."""
    registry = call.registry(request.get("registryId"))
    found, failures = image_batches.get(
        call.context,
        registry,
        request["repositoryName"],
        _image_ids(request["imageIds"]),
        request.get("acceptedMediaTypes", ()),
    )
    call.pulled.extend(
        PulledImage(registry, request["repositoryName"], manifest.image_digest)
        for manifest in found
    )
    return {
        "images": [_image(registry, request["repositoryName"], manifest) for manifest in found],
        "failures": [_failure(failure) for failure in failures],
    }


def batch_delete_image(call: Call, request: ecr.BatchDeleteImageRequestTypeDef) -> Output:
    """BatchDeleteImage."""
    deleted, failures = image_batches.delete(
        call.context,
        call.registry(request.get("registryId")),
        request["repositoryName"],
        _image_ids(request["imageIds"]),
        deleted_by=call.caller.arn,
    )
    return {
        "imageIds": [_image_id(image_id) for image_id in deleted],
        "failures": [_failure(failure) for failure in failures],
    }


def list_images(call: Call, request: ecr.ListImagesRequestTypeDef) -> Output:
    """ListImages."""
    registry, name = call.registry(request.get("registryId")), request["repositoryName"]
    tag_status, status = _tag_status(request), _image_status(request)
    listing = f"ListImages {registry} {name} {tag_status} {status}"
    page = call.read_page(listing, request, DEFAULT_PAGE)
    listed = image_listings.list_ids(
        call.context,
        registry,
        name,
        status=tag_status,
        image_status=status,
        after=page.after,
        limit=page.limit,
    )
    return {
        "imageIds": [_image_id(image_id) for image_id in listed.items],
        "nextToken": call.next_token(page, listed.next),
    }


def describe_images(call: Call, request: ecr.DescribeImagesRequestTypeDef) -> Output:
    """DescribeImages."""
    registry, name = call.registry(request.get("registryId")), request["repositoryName"]
    if image_ids := request.get("imageIds"):
        refuse_paging(request, "imageIds")
        described = image_listings.describe(call.context, registry, name, _image_ids(image_ids))
        return {"imageDetails": [_detail(registry, name, image) for image in described]}
    tag_status, status = _tag_status(request), _image_status(request)
    listing = f"DescribeImages {registry} {name} {tag_status} {status}"
    page = call.read_page(listing, request, DEFAULT_PAGE)
    listed = image_listings.list_images(
        call.context,
        registry,
        name,
        status=tag_status,
        image_status=status,
        after=page.after,
        limit=page.limit,
    )
    return {
        "imageDetails": [_detail(registry, name, image) for image in listed.items],
        "nextToken": call.next_token(page, listed.next),
    }


def list_image_referrers(call: Call, request: ecr.ListImageReferrersRequestTypeDef) -> Output:
    """ListImageReferrers."""
    registry, name = call.registry(request.get("registryId")), request["repositoryName"]
    subject = read_digest(call, "subjectId.imageDigest", request["subjectId"]["imageDigest"])
    chosen = request.get("filter", {})
    types = list(chosen.get("artifactTypes", ()))
    status = _status(chosen.get("artifactStatus", Status.ACTIVE))
    listing = f"ListImageReferrers {registry} {name} {subject} {types} {status}"
    page = call.read_page(listing, request, REFERRERS_PAGE)
    listed = referrers.list_of(
        call.context,
        registry,
        name,
        subject,
        artifact_types=types,
        status=status,
        after=page.after,
        limit=page.limit,
    )
    return {
        "referrers": [
            {
                "digest": str(referrer.digest),
                "mediaType": referrer.media_type,
                "artifactType": referrer.artifact_type,
                "size": referrer.size,
                "annotations": dict(referrer.annotations) or None,
                "artifactStatus": referrer.status.value,
            }
            for referrer in listed.items
        ],
        "nextToken": call.next_token(page, listed.next),
    }


def update_image_storage_class(
    call: Call, request: ecr.UpdateImageStorageClassRequestTypeDef
) -> Output:
    """UpdateImageStorageClass."""
    registry, name = call.registry(request.get("registryId")), request["repositoryName"]
    [image_id] = _image_ids([request["imageId"]])
    digest, status = image_archive.update_storage_class(
        call.context, registry, name, image_id, StorageClass(request["targetStorageClass"])
    )
    return {
        "registryId": registry.account,
        "repositoryName": name,
        "imageId": {"imageDigest": str(digest), "imageTag": image_id.tag},
        "imageStatus": status.value,
    }


def _image_status(request: Mapping[str, Any]) -> Status | None:
    return _status(request.get("filter", {}).get("imageStatus", Status.ACTIVE))


def _status(text: str) -> Status | None:
    """Read the filter of a listing; None stands for any status."""
    return None if text == "ANY" else Status(text)


def _tag_status(request: Mapping[str, Any]) -> TagStatus:
    return TagStatus(request.get("filter", {}).get("tagStatus", "ANY"))


def _image_ids(ids: Sequence[ecr.ImageIdentifierTypeDef]) -> list[ImageId]:
    return [ImageId(each.get("imageDigest"), each.get("imageTag")) for each in ids]


def _image_id(image_id: ImageId) -> Output:
    return {"imageDigest": image_id.digest, "imageTag": image_id.tag}


def _failure(failure: Failure) -> Output:
    return {
        "imageId": _image_id(failure.id),
        "failureCode": failure.code,
        "failureReason": failure.reason,
    }


def _image(registry: Registry, repository: str, manifest: StoredManifest) -> Output:
    return {
        "registryId": registry.account,
        "repositoryName": repository,
        "imageId": {"imageDigest": str(manifest.digest), "imageTag": manifest.tag},
        "imageManifest": manifest.content.decode(),
        "imageManifestMediaType": manifest.media_type,
    }


def _detail(registry: Registry, repository: str, image: image_listings.Image) -> Output:
    return {
        "registryId": registry.account,
        "repositoryName": repository,
        "imageDigest": str(image.digest),
        "imageTags": list(image.tags) or None,
        "imageSizeInBytes": image.size,
        "imagePushedAt": as_datetime(image.pushed_at),
        "lastRecordedPullTime": (
            None if image.last_pulled_at is None else as_datetime(image.last_pulled_at)
        ),
        "imageManifestMediaType": image.media_type,
        "artifactMediaType": image.artifact_media_type,
        "subjectManifestDigest": image.subject,
        "imageStatus": image.status.value,
        "lastArchivedAt": None if image.archived_at is None else as_datetime(image.archived_at),
        "lastActivatedAt": None if image.activated_at is None else as_datetime(image.activated_at),
    }
