"""Lifecycle policies and their previews, through boto3."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from longshore.clock import DAY
from longshore.housekeeping import create_runner
from longshore.names import Registry
from longshore.registry import lifecycle_previews, lifecycle_runs
from tests.api.ecr.refusal_cases import ACCOUNT
from tests.api.ecr.refusals import body
from tests.support.images import artifact, layer, oci_image, oci_index
from tests.support.lifecycle import policy, rule
from tests.support.server import REGION

if TYPE_CHECKING:
    from tests.api.stage import Stage
    from tests.support.images import Image

SENT = """{
  "rules": [
    {
      "action": { "type": "expire" },
      "selection": {
        "countNumber": 1,
        "countType": "imageCountMoreThan",
        "tagStatus": "any"
      },
      "description": "only the newest",
      "rulePriority": 7
    }
  ]
}"""
SHOWN = (
    '{"rules":[{"rulePriority":7,"description":"only the newest",'
    '"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1},'
    '"action":{"type":"expire"}}]}'
)
SHARED = layer("what all images stand on")


def plain(name: str) -> Image:
    return oci_image(name, layers=[SHARED])


def push_daily(stage: Stage, *images: tuple[Image, str | None]) -> list[datetime]:
    """Push images, one a day, until now; return when."""
    for days, (image, tag) in reversed(list(enumerate(reversed(images)))):
        with stage.server.clock.ahead(-days * DAY):
            stage.push(image, *([tag] if tag else []))
    details = stage.server.ecr.describe_images(repositoryName=stage.name)["imageDetails"]
    by_digest = {detail["imageDigest"]: detail["imagePushedAt"] for detail in details}
    return [by_digest[str(image.digest)] for image, _ in images]


def do_jobs(stage: Stage) -> None:
    """Do what is due now, as the server does by itself elsewhere."""
    create_runner(stage.server.settings, stage.server.context).run_due()


def preview(stage: Stage, text: str | None = SENT, **chosen: Any) -> dict[str, Any]:
    given = {} if text is None else {"lifecyclePolicyText": text}
    stage.server.ecr.start_lifecycle_policy_preview(repositoryName=stage.name, **given)
    do_jobs(stage)
    return get_preview(stage, **chosen)


def get_preview(stage: Stage, **chosen: Any) -> dict[str, Any]:
    return body(stage.server.ecr.get_lifecycle_policy_preview(repositoryName=stage.name, **chosen))


def digests(results: dict[str, Any]) -> list[str]:
    return [result["imageDigest"] for result in results["previewResults"]]


def test_the_policy_of_a_repository(stage: Stage) -> None:
    ecr, name = stage.server.ecr, stage.name
    shown = {"registryId": ACCOUNT, "repositoryName": name, "lifecyclePolicyText": SHOWN}
    never = datetime.fromtimestamp(0, UTC)

    assert body(ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=SENT)) == shown
    expected = {**shown, "lastEvaluatedAt": never}
    assert body(ecr.get_lifecycle_policy(repositoryName=name)) == expected
    # What was shown can be sent again.
    assert body(ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=SHOWN)) == shown
    assert body(ecr.delete_lifecycle_policy(repositoryName=name)) == expected
    with pytest.raises(ecr.exceptions.LifecyclePolicyNotFoundException):
        ecr.get_lifecycle_policy(repositoryName=name)


def test_a_policy_goes_with_its_repository(stage: Stage) -> None:
    ecr, name = stage.server.ecr, stage.name
    ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=SENT)
    ecr.delete_repository(repositoryName=name)
    ecr.create_repository(repositoryName=name)
    with pytest.raises(ecr.exceptions.LifecyclePolicyNotFoundException):
        ecr.get_lifecycle_policy(repositoryName=name)


def test_images_expire_and_the_policy_tells_when_it_last_ran(stage: Stage) -> None:
    ecr, name = stage.server.ecr, stage.name
    push_daily(stage, (plain("a"), "1"), (plain("b"), None), (plain("c"), "3"))
    ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=SENT)

    with stage.server.clock.stopped() as now:
        outcomes = list(lifecycle_runs.run(stage.server.context, Registry(ACCOUNT, REGION), name))

    assert [(outcome.tags, outcome.rule_priority) for outcome in outcomes] == [((), 7), (("1",), 7)]
    [left] = ecr.describe_images(repositoryName=name)["imageDetails"]
    assert left["imageTags"] == ["3"]
    evaluated = ecr.get_lifecycle_policy(repositoryName=name)["lastEvaluatedAt"]
    assert round(evaluated.timestamp() * 1000) == now
    assert stage.send("GET", "manifests/1").status == 404
    assert stage.send("GET", "manifests/3").status == 200


def test_a_preview_from_start_to_end(stage: Stage) -> None:
    ecr, name = stage.server.ecr, stage.name
    [first, *_] = push_daily(stage, (plain("a"), "1"), (plain("b"), "2"))
    told = {"registryId": ACCOUNT, "repositoryName": name, "lifecyclePolicyText": SENT}

    started = ecr.start_lifecycle_policy_preview(repositoryName=name, lifecyclePolicyText=SENT)
    assert body(started) == {**told, "status": "IN_PROGRESS"}
    assert get_preview(stage) == {**told, "status": "IN_PROGRESS", "previewResults": []}
    do_jobs(stage)

    assert get_preview(stage) == {
        **told,
        "status": "COMPLETE",
        "previewResults": [
            {
                "imageTags": ["1"],
                "imageDigest": str(plain("a").digest),
                "imagePushedAt": first,
                "action": {"type": "EXPIRE"},
                "appliedRulePriority": 7,
                "storageClass": "STANDARD",
            }
        ],
        "summary": {"expiringImageTotalCount": 1},
    }
    # Nothing has happened to the images.
    assert len(ecr.describe_images(repositoryName=name)["imageDetails"]) == 2


def test_a_preview_by_the_repositorys_own_policy(stage: Stage) -> None:
    stage.server.ecr.put_lifecycle_policy(repositoryName=stage.name, lifecyclePolicyText=SENT)
    results = preview(stage, None)
    assert results["lifecyclePolicyText"] == SHOWN
    assert results["previewResults"] == []
    assert results["summary"] == {"expiringImageTotalCount": 0}


def test_a_preview_shows_what_would_be_archived(stage: Stage) -> None:
    push_daily(stage, (plain("a"), None), (plain("b"), "2"))
    results = preview(stage, policy(rule(3, more_than=1, action="transition")))
    [result] = results["previewResults"]
    assert result["action"] == {"type": "TRANSITION", "targetStorageClass": "ARCHIVE"}
    assert "imageTags" not in result
    assert results["summary"] == {
        "expiringImageTotalCount": 0,
        "transitioningImageTotalCounts": [{"targetStorageClass": "ARCHIVE", "imageTotalCount": 1}],
    }


def test_a_preview_is_read_page_by_page_and_filtered(stage: Stage) -> None:
    images = [(plain(name), name if name in "bd" else None) for name in "abcde"]
    push_daily(stage, *images, (plain("youngest"), "z"))
    every = [str(image.digest) for image, _ in reversed(images)]
    assert digests(preview(stage)) == every

    paginator = stage.server.ecr.get_paginator("get_lifecycle_policy_preview")
    pages = list(paginator.paginate(repositoryName=stage.name, PaginationConfig={"PageSize": 2}))
    assert [len(page["previewResults"]) for page in pages] == [2, 2, 1]
    assert [digest for page in pages for digest in digests(dict(page))] == every
    assert {page["summary"]["expiringImageTotalCount"] for page in pages} == {5}

    tagged = [str(plain(name).digest) for name in "db"]
    assert digests(get_preview(stage, filter={"tagStatus": "TAGGED"})) == tagged
    untagged = [str(plain(name).digest) for name in "eca"]
    assert digests(get_preview(stage, filter={"tagStatus": "UNTAGGED"})) == untagged
    assert digests(get_preview(stage, filter={"tagStatus": "ANY"})) == every
    ids = [{"imageTag": "b"}, {"imageDigest": every[0]}, {"imageTag": "z"}, {"imageTag": "none"}]
    assert digests(get_preview(stage, imageIds=ids)) == [every[0], tagged[1]]

    token = get_preview(stage, maxResults=1)["nextToken"]
    with pytest.raises(stage.server.ecr.exceptions.InvalidParameterException):
        # A token goes on with the listing that it is from, and no other.
        get_preview(stage, nextToken=token, filter={"tagStatus": "TAGGED"})


def test_a_preview_expires_after_a_day(stage: Stage) -> None:
    push_daily(stage, (plain("a"), "1"), (plain("b"), "2"))
    registry = Registry(ACCOUNT, REGION)
    # A signature of tomorrow would be none today.
    with stage.server.clock.ahead(-DAY):
        lifecycle_previews.start(stage.server.context, registry, stage.name, SENT)
        do_jobs(stage)
    results = get_preview(stage)
    assert results["status"] == "EXPIRED"
    assert results["previewResults"] == []
    assert "summary" not in results


def test_the_waiter_of_boto3_waits_for_a_preview(stage: Stage) -> None:
    push_daily(stage, (plain("a"), "1"), (plain("b"), "2"))
    ecr, name = stage.server.ecr, stage.name
    ecr.start_lifecycle_policy_preview(repositoryName=name, lifecyclePolicyText=SENT)
    waiter = ecr.get_waiter("lifecycle_policy_preview_complete")
    asked = threading.Event()
    ecr.meta.events.register(
        "after-call.ecr.GetLifecyclePolicyPreview", lambda **_: asked.set(), unique_id=name
    )

    def work() -> None:
        asked.wait(60)
        do_jobs(stage)

    worker = threading.Thread(target=work)
    worker.start()
    waiter.wait(repositoryName=name, WaiterConfig={"Delay": 0, "MaxAttempts": 100_000})
    worker.join()
    ecr.meta.events.unregister("after-call.ecr.GetLifecyclePolicyPreview", unique_id=name)
    assert get_preview(stage)["status"] == "COMPLETE"


def test_previews_know_indexes_and_referrers(stage: Stage) -> None:
    child, subject = plain("child"), plain("subject")
    signature = artifact("signature", subject=subject)
    images: list[tuple[Image, str | None]] = [
        (oci_index([child]), "index"),
        (subject, None),
        (signature, None),
    ]
    with stage.server.clock.ahead(-3 * DAY):
        for image, tag in images:
            stage.push(image, *([tag] if tag else []))
    results = preview(stage, policy(rule(1, status="untagged", days=1)))
    # The index keeps its child; the signature goes with its subject.
    assert digests(results) == [str(subject.digest), str(signature.digest)]
