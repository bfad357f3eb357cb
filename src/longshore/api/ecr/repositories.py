"""ECR operations on repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.api.ecr.calls import DEFAULT_PAGE, Call, Output, refuse_paging
from longshore.clock import as_datetime
from longshore.errors import InvalidParameter
from longshore.names import Registry, parse_repository_arn
from longshore.registry import repositories
from longshore.registry.mutability import Mode, TagMutability
from longshore.registry.repositories import Encryption, Repository

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from types_boto3_ecr import type_defs as ecr


def create_repository(call: Call, request: ecr.CreateRepositoryRequestTypeDef) -> Output:
    """CreateRepository."""
    encryption = request.get("encryptionConfiguration", {"encryptionType": "AES256"})
    repository = repositories.create(
        call.context,
        call.registry(request.get("registryId")),
        request["repositoryName"],
        mutability=_mutability(
            request.get("imageTagMutability", "MUTABLE"),
            request.get("imageTagMutabilityExclusionFilters", ()),
        ),
        scan_on_push=request.get("imageScanningConfiguration", {}).get("scanOnPush", False),
        encryption=Encryption(encryption["encryptionType"], encryption.get("kmsKey")),
        tags=tags_of(request.get("tags", ())),
    )
    return {"repository": _described(call, repository)}


def describe_repositories(call: Call, request: ecr.DescribeRepositoriesRequestTypeDef) -> Output:
    """DescribeRepositories."""
    registry = call.registry(request.get("registryId"))
    if names := request.get("repositoryNames"):
        refuse_paging(request, "repositoryNames")
        found = repositories.describe(call.context, registry, names)
        return {"repositories": [_described(call, repository) for repository in found]}
    page = call.read_page(f"DescribeRepositories {registry}", request, DEFAULT_PAGE)
    listed = repositories.list_all(call.context, registry, page.after, page.limit)
    return {
        "repositories": [_described(call, repository) for repository in listed.items],
        "nextToken": call.next_token(page, listed.next),
    }


def delete_repository(call: Call, request: ecr.DeleteRepositoryRequestTypeDef) -> Output:
    """DeleteRepository."""
    repository = repositories.remove(
        call.context,
        call.registry(request.get("registryId")),
        request["repositoryName"],
        force=request.get("force", False),
        deleted_by=call.caller.arn,
    )
    return {"repository": _described(call, repository)}


def put_image_tag_mutability(
    call: Call, request: ecr.PutImageTagMutabilityRequestTypeDef
) -> Output:
    """PutImageTagMutability."""
    repository = repositories.put_tag_mutability(
        call.context,
        call.registry(request.get("registryId")),
        request["repositoryName"],
        _mutability(
            request["imageTagMutability"], request.get("imageTagMutabilityExclusionFilters", ())
        ),
    )
    return _named(repository) | mutability_members(repository.mutability)


def put_image_scanning_configuration(
    call: Call, request: ecr.PutImageScanningConfigurationRequestTypeDef
) -> Output:
    """PutImageScanningConfiguration."""
    repository = repositories.put_scan_on_push(
        call.context,
        call.registry(request.get("registryId")),
        request["repositoryName"],
        scan_on_push=request["imageScanningConfiguration"].get("scanOnPush", False),
    )
    return _named(repository) | {
        "imageScanningConfiguration": {"scanOnPush": repository.scan_on_push}
    }


def tag_resource(call: Call, request: ecr.TagResourceRequestTypeDef) -> Output:
    """TagResource."""
    repositories.tag(call.context, *resource_of(call, request), tags_of(request["tags"]))
    return {}


def untag_resource(call: Call, request: ecr.UntagResourceRequestTypeDef) -> Output:
    """UntagResource."""
    repositories.untag(call.context, *resource_of(call, request), request["tagKeys"])
    return {}


def list_tags_for_resource(call: Call, request: ecr.ListTagsForResourceRequestTypeDef) -> Output:
    """ListTagsForResource."""
    tags = repositories.tags_of(call.context, *resource_of(call, request))
    return {"tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def resource_of(call: Call, request: Mapping[str, Any]) -> tuple[Registry, str]:
    """Return the repository that a request names by its ARN.

    Raises:
        InvalidParameter: that isn't the ARN of one in the call's region.
    """
    try:
        registry, name = parse_repository_arn(request["resourceArn"])
    except ValueError:
        raise InvalidParameter.at("resourceArn", "Invalid ARN") from None
    if registry.region != call.region:
        raise InvalidParameter.at("resourceArn", "Invalid ARN")
    return registry, name


def tags_of(tags: Sequence[ecr.TagTypeDef]) -> dict[str, str]:
    """Return resource tags by key."""
    return {tag["Key"]: tag["Value"] for tag in tags}


def _mutability(
    mode: str, filters: Sequence[ecr.ImageTagMutabilityExclusionFilterTypeDef]
) -> TagMutability:
    return TagMutability(Mode(mode), tuple(each["filter"] for each in filters))


def mutability_members(mutability: TagMutability) -> Output:
    """Return how a response tells of a mutability."""
    members: Output = {"imageTagMutability": mutability.mode.value}
    if mutability.exclusions:
        members["imageTagMutabilityExclusionFilters"] = [
            {"filterType": "WILDCARD", "filter": pattern} for pattern in mutability.exclusions
        ]
    return members


def _named(repository: Repository) -> Output:
    return {"registryId": repository.registry.account, "repositoryName": repository.name}


def _described(call: Call, repository: Repository) -> Output:
    return {
        "repositoryArn": repository.arn,
        **_named(repository),
        "repositoryUri": call.hosts.repository_uri(repository.registry, repository.name),
        "createdAt": as_datetime(repository.created_at),
        **mutability_members(repository.mutability),
        "imageScanningConfiguration": {"scanOnPush": repository.scan_on_push},
        "encryptionConfiguration": {"encryptionType": repository.encryption_type},
    }
