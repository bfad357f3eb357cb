"""What the audit tells of lifecycle policies (ECR user guide, CloudTrail's events).

A run is a `PolicyExecutionEvent`, a preview a `DryRunEvent`.
"""

from __future__ import annotations

import uuid
from itertools import islice
from typing import TYPE_CHECKING, Any

from longshore.audit.records import ServiceEvent
from longshore.registry.lifecycle_grammar import normal_form, parse
from longshore.registry.lifecycle_rules import CountType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from longshore.clock import Millis
    from longshore.names import Registry
    from longshore.registry.lifecycle_previews import PreviewImage
    from longshore.registry.lifecycle_rules import Rule
    from longshore.registry.lifecycle_runs import Outcome, Run

# As ECR splits what a run did, or would do.
_MOST_IMAGES = 10
_MOST_TAGS = 100
_REASON = "Requested image referenced by manifest list"
_COUNT_TYPES = {
    CountType.IMAGE_COUNT_MORE_THAN: "Image count more than",
    CountType.SINCE_IMAGE_PUSHED: "Since image pushed",
    CountType.SINCE_IMAGE_PULLED: "Since image pulled",
    CountType.SINCE_IMAGE_TRANSITIONED: "Since image transitioned",
}


def of_run(run: Run, outcomes: Iterable[Outcome], at: Millis) -> Iterator[ServiceEvent]:
    """Yield as many records as it takes to tell of what a run did."""
    repository, remaining = run.repository, iter(outcomes)
    policy = _policy(repository.arn, run.policy.text, run.policy.evaluated_at)
    while some := list(islice(remaining, _MOST_IMAGES)):
        details = {
            "repositoryName": repository.name,
            "lifecycleEventPolicy": policy,
            "lifecycleEventImageActions": [
                _action(outcome) for outcome in some if outcome.failure is None
            ],
            "lifecycleEventFailureDetails": [
                {**_action(outcome), "failureCode": outcome.failure, "failureReason": _REASON}
                for outcome in some
                if outcome.failure is not None
            ],
        }
        yield _event("PolicyExecutionEvent", repository.registry, details, at)


def of_preview(
    registry: Registry, name: str, text: str, images: Iterable[PreviewImage], at: Millis
) -> Iterator[ServiceEvent]:
    """Yield as many records as it takes to tell of what a preview found: one at least.

    Args:
        registry: whose repository it is.
        name: its name.
        text: the policy that the preview is of.
        images: what something would be done to.
        at: the time.
    """
    policy, remaining = _policy(registry.repository_arn(name), text, None), iter(images)
    some = list(islice(remaining, _MOST_IMAGES))
    while True:
        details = {
            "repositoryName": name,
            "lifecycleEventPolicy": policy,
            "lifecycleEventImageActions": [_action(image) for image in some],
            "lifecycleEventFailureDetails": [],
        }
        yield _event("DryRunEvent", registry, details, at)
        some = list(islice(remaining, _MOST_IMAGES))
        if not some:
            return


def _event(name: str, registry: Registry, details: dict[str, Any], at: Millis) -> ServiceEvent:
    return ServiceEvent(
        service="ecr",
        name=name,
        region=registry.region,
        account=registry.account,
        at=at,
        resources=[registry.repository_arn(details["repositoryName"])],
        details=details,
    )


def _policy(arn: str, text: str, evaluated_at: Millis | None) -> dict[str, Any]:
    return {
        "lifecycleEventRules": [_rule(rule) for rule in parse(text)],
        "lastEvaluatedAt": evaluated_at or 0,
        # The same for a preview of a policy as for its runs, which know its normal form alone.
        "policyId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{arn} {normal_form(text)}")),
    }


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


def _action(told: Outcome | PreviewImage) -> dict[str, Any]:
    return {
        "lifecycleEventImage": {
            "digest": told.digest,
            "tagStatus": "Tagged" if told.tags else "Untagged",
            "tagList": list(told.tags[:_MOST_TAGS]),
            "pushedAt": told.pushed_at,
        },
        "rulePriority": told.rule_priority,
    }
