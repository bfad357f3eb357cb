"""What the audit tells of a lifecycle run: CloudTrail's `PolicyExecutionEvent` (ECR user guide)."""

from __future__ import annotations

import uuid
from itertools import islice
from typing import TYPE_CHECKING, Any

from longshore.audit.records import ServiceEvent
from longshore.registry.lifecycle_rules import CountType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from longshore.clock import Millis
    from longshore.registry.lifecycle_rules import Rule
    from longshore.registry.lifecycle_runs import Outcome, Run

# As ECR splits what a run did.
_MOST_IMAGES = 10
_MOST_TAGS = 100
_REASON = "Requested image referenced by manifest list"
_COUNT_TYPES = {
    CountType.IMAGE_COUNT_MORE_THAN: "Image count more than",
    CountType.SINCE_IMAGE_PUSHED: "Since image pushed",
    CountType.SINCE_IMAGE_PULLED: "Since image pulled",
    CountType.SINCE_IMAGE_TRANSITIONED: "Since image transitioned",
}


def records(run: Run, outcomes: Iterable[Outcome], at: Millis) -> Iterator[ServiceEvent]:
    """Yield as many records as it takes to tell of what a run did."""
    repository = run.repository
    remaining = iter(outcomes)
    while some := list(islice(remaining, _MOST_IMAGES)):
        yield ServiceEvent(
            service="ecr",
            name="PolicyExecutionEvent",
            region=repository.registry.region,
            account=repository.registry.account,
            at=at,
            resources=[repository.arn],
            details={
                "repositoryName": repository.name,
                "lifecycleEventPolicy": {
                    "lifecycleEventRules": [_rule(rule) for rule in run.rules],
                    "lastEvaluatedAt": run.policy.evaluated_at or 0,
                    "policyId": str(
                        uuid.uuid5(uuid.NAMESPACE_URL, f"{repository.arn} {run.policy.text}")
                    ),
                },
                "lifecycleEventImageActions": [
                    _action(outcome) for outcome in some if outcome.failure is None
                ],
                "lifecycleEventFailureDetails": [
                    {
                        **_action(outcome),
                        "failureCode": outcome.failure,
                        "failureReason": _REASON,
                    }
                    for outcome in some
                    if outcome.failure is not None
                ],
            },
        )


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "rulePriority": rule.priority,
        "description": rule.description,
        "lifecycleEventSelection": {
            "tagStatus": rule.tag_status.capitalize(),
            "tagPrefixList": list(rule.tag_prefixes),
            "tagPatternList": list(rule.tag_patterns),
            "storageClass": rule.storage_class.capitalize(),
            "countType": _COUNT_TYPES[rule.count_type],
            "countNumber": rule.count_number,
        },
        "action": rule.action.lower(),
    }


def _action(outcome: Outcome) -> dict[str, Any]:
    return {
        "lifecycleEventImage": {
            "digest": outcome.digest,
            "tagStatus": "Tagged" if outcome.tags else "Untagged",
            "tagList": list(outcome.tags[:_MOST_TAGS]),
            "pushedAt": outcome.pushed_at,
        },
        "rulePriority": outcome.rule_priority,
    }
