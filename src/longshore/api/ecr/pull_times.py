"""ECR operations on who leaves the pull times of images alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.api.ecr.calls import DEFAULT_PAGE, Call, Output
from longshore.clock import as_datetime
from longshore.registry import pull_time_exclusions

if TYPE_CHECKING:
    from types_boto3_ecr import type_defs as ecr


def register_exclusion(
    call: Call, request: ecr.RegisterPullTimeUpdateExclusionRequestTypeDef
) -> Output:
    """RegisterPullTimeUpdateExclusion."""
    arn = request["principalArn"]
    created_at = pull_time_exclusions.register(call.context, call.own_registry, arn)
    return {"principalArn": arn, "createdAt": as_datetime(created_at)}


def deregister_exclusion(
    call: Call, request: ecr.DeregisterPullTimeUpdateExclusionRequestTypeDef
) -> Output:
    """DeregisterPullTimeUpdateExclusion."""
    arn = request["principalArn"]
    pull_time_exclusions.deregister(call.context, call.own_registry, arn)
    return {"principalArn": arn}


def list_exclusions(call: Call, request: ecr.ListPullTimeUpdateExclusionsRequestTypeDef) -> Output:
    """ListPullTimeUpdateExclusions."""
    registry = call.own_registry
    page = call.read_page(f"ListPullTimeUpdateExclusions {registry}", request, DEFAULT_PAGE)
    listed = pull_time_exclusions.list_all(call.context, registry, page.after, page.limit)
    return {
        "pullTimeUpdateExclusions": list(listed.items),
        "nextToken": call.next_token(page, listed.next),
    }
