"""How operations on lifecycle policies refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.api.ecr.refusal_cases import ACCOUNT, POLICIES_BY_NAME, Names, Refusal
from tests.api.ecr.refusals import constraint

if TYPE_CHECKING:
    from tests.api.stage import Stage

TAKES_A_POLICY = ("PutLifecyclePolicy", "StartLifecyclePolicyPreview")
PREVIEW = "GetLifecyclePolicyPreview"
OF_REPOSITORY = f"for the repository with name '{{name}}' in the registry with id '{ACCOUNT}'"


def preview(stage: Stage) -> Names:
    stage.server.ecr.start_lifecycle_policy_preview(
        repositoryName=stage.name, lifecyclePolicyText=POLICIES_BY_NAME["keep_one"]
    )
    return {}


LIFECYCLE = [
    *(
        Refusal(operation, "InvalidParameter", sentence, {"lifecyclePolicyText": text}, why=why)
        for operation in TAKES_A_POLICY
        for text, sentence, why in (
            (
                "{{}}" + " " * 100,
                constraint(
                    "LifecyclePolicyText",
                    "Lifecycle policy validation failure: "
                    'object has missing required properties (["rules"])\n',
                ),
                "no rules",
            ),
            (
                "x" * 100,
                constraint(
                    "LifecyclePolicyText",
                    "Lifecycle policy parsing failure: "
                    "Could not map policyString into LifecyclePolicy",
                ),
                "no JSON",
            ),
            (
                "x" * 99,
                constraint(
                    "lifecyclePolicyText",
                    "Member must have length greater than or equal to 100",
                ),
                "a short text",
            ),
            (
                "x" * 30_721,
                constraint(
                    "lifecyclePolicyText",
                    "Member must have length less than or equal to 30720",
                ),
                "a long text",
            ),
        )
    ),
    Refusal(
        "PutLifecyclePolicy",
        "InvalidParameter",
        constraint("lifecyclePolicyText", "Member must not be null"),
        why="no text",
    ),
    *(
        Refusal(
            operation,
            "LifecyclePolicyNotFound",
            f"Lifecycle policy does not exist {OF_REPOSITORY}",
        )
        for operation in (
            "GetLifecyclePolicy",
            "DeleteLifecyclePolicy",
            "StartLifecyclePolicyPreview",
        )
    ),
    Refusal(
        PREVIEW,
        "LifecyclePolicyPreviewNotFound",
        f"Lifecycle policy preview does not exist {OF_REPOSITORY}",
    ),
    Refusal(
        "StartLifecyclePolicyPreview",
        "LifecyclePolicyPreviewInProgress",
        "The previous lifecycle policy preview request has not completed. Wait and try again.",
        {"lifecyclePolicyText": "{keep_one}"},
        setup=preview,
    ),
    *(
        Refusal(
            PREVIEW,
            "InvalidParameter",
            constraint(paging, f"{paging} cannot be used together with imageIds"),
            {paging: value, "imageIds": [{"imageTag": "1"}]},
            why=f"{paging} with imageIds",
        )
        for paging, value in (("nextToken", "x"), ("maxResults", 1))
    ),
    Refusal(
        PREVIEW,
        "InvalidParameter",
        constraint("maxResults", "Member must have value less than or equal to 100"),
        {"maxResults": 101},
        why="a large page",
    ),
    Refusal(
        PREVIEW,
        "InvalidParameter",
        constraint("nextToken", "The token is not one that this listing returned"),
        {"nextToken": "x"},
        why="another token",
    ),
]
