from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from longshore.events import shapes
from longshore.names import Registry

if TYPE_CHECKING:
    from longshore.events.shapes import Event

HERE = Registry("123456789012", "us-west-2")
ELSEWHERE = Registry("210987654321", "eu-west-1")
# 2019-11-16T01:54:34.740Z
AT = 1_573_869_274_740
NAME = "my-repository"
ARN = "arn:aws:ecr:us-west-2:123456789012:repository/my-repository"
DIGEST = "sha256:7f5b2640fe6fb4f46592dfd3410c4a79dac4f89e4782432e0378abcd12345678"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"

# Each with detail-type, source, resources and detail, as ECR's guide shows them.
CASES: list[tuple[Event, str, str, list[str], dict[str, Any]]] = [
    (
        shapes.image_pushed(HERE, AT, NAME, DIGEST, "latest"),
        "ECR Image Action",
        "aws.ecr",
        [],
        {
            "result": "SUCCESS",
            "repository-name": NAME,
            "image-digest": DIGEST,
            "action-type": "PUSH",
            "image-tag": "latest",
        },
    ),
    (
        shapes.image_deleted(HERE, AT, NAME, DIGEST, None),
        "ECR Image Action",
        "aws.ecr",
        [],
        {
            "result": "SUCCESS",
            "repository-name": NAME,
            "image-digest": DIGEST,
            "action-type": "DELETE",
        },
    ),
    (
        shapes.storage_class_updated(
            *(HERE, AT, NAME, DIGEST, "STANDARD"),
            manifest_media_type=MANIFEST,
            artifact_media_type=CONFIG,
            last_activated_at=AT,
        ),
        "ECR Image Action",
        "aws.ecr",
        [],
        {
            "action-type": "UPDATE_STORAGE_CLASS",
            "target-storage-class": "STANDARD",
            "image-digest": DIGEST,
            "repository-name": NAME,
            "result": "SUCCESS",
            "manifest-media-type": MANIFEST,
            "artifact-media-type": CONFIG,
            "last-activated-at": "2019-11-16T01:54:34.74Z",
        },
    ),
    (
        shapes.storage_class_updated(
            *(HERE, AT, NAME, DIGEST, "ARCHIVE"),
            manifest_media_type=MANIFEST,
            artifact_media_type=None,
            is_referrer=True,
        ),
        "ECR Referrer Action",
        "aws.ecr",
        [],
        {
            "action-type": "UPDATE_STORAGE_CLASS",
            "target-storage-class": "ARCHIVE",
            "image-digest": DIGEST,
            "repository-name": NAME,
            "result": "SUCCESS",
            "manifest-media-type": MANIFEST,
        },
    ),
    (
        shapes.pulled_through(
            *(HERE, AT, NAME), prefix="docker-hub", upstream="docker.io", digest=DIGEST, tag="1"
        ),
        "ECR Pull Through Cache Action",
        "aws.ecr",
        [ARN],
        {
            "rule-version": "1",
            "sync-status": "SUCCESS",
            "ecr-repository-prefix": "docker-hub",
            "repository-name": NAME,
            "upstream-registry-url": "docker.io",
            "image-tag": "1",
            "image-digest": DIGEST,
        },
    ),
    (
        shapes.pulled_through(
            *(HERE, AT, NAME),
            prefix="docker-hub",
            upstream="docker.io",
            digest=None,
            tag="1",
            failure="it is down",
        ),
        "ECR Pull Through Cache Action",
        "aws.ecr",
        [ARN],
        {
            "rule-version": "1",
            "sync-status": "FAILED",
            "ecr-repository-prefix": "docker-hub",
            "repository-name": NAME,
            "upstream-registry-url": "docker.io",
            "image-tag": "1",
            "reason": "it is down",
        },
    ),
    (
        shapes.image_scanned(
            *(HERE, AT, NAME, DIGEST, []), status="COMPLETE", counts={"CRITICAL": 10, "LOW": 0}
        ),
        "ECR Image Scan",
        "aws.ecr",
        [ARN],
        {
            "scan-status": "COMPLETE",
            "repository-name": NAME,
            "finding-severity-counts": {"CRITICAL": 10},
            "image-digest": DIGEST,
            "image-tags": [],
        },
    ),
    (
        shapes.scan_frequency_changed(HERE, AT, {NAME: ("MANUAL", "CONTINUOUS_SCAN")}),
        "ECR Scan Resource Change",
        "aws.ecr",
        [],
        {
            "action-type": "SCAN_FREQUENCY_CHANGE",
            "repositories": [
                {
                    "repository-name": NAME,
                    "repository-arn": ARN,
                    "scan-frequency": "CONTINUOUS_SCAN",
                    "previous-scan-frequency": "MANUAL",
                }
            ],
            "resource-type": "REPOSITORY",
            "scan-type": "ENHANCED",
        },
    ),
    (
        shapes.image_replicated(HERE, AT, NAME, DIGEST, "1", source=ELSEWHERE),
        "ECR Replication Action",
        "aws.ecr",
        [ARN],
        {
            "result": "SUCCESS",
            "repository-name": NAME,
            "image-digest": DIGEST,
            "source-account": "210987654321",
            "action-type": "REPLICATE",
            "source-region": "eu-west-1",
            "image-tag": "1",
        },
    ),
    (
        shapes.enhanced_scan_completed(
            *(HERE, AT, NAME, DIGEST, ["1"]), counts={"HIGH": 2, "LOW": 3}
        ),
        "Inspector2 Scan",
        "aws.inspector2",
        [ARN],
        {
            "scan-status": "INITIAL_SCAN_COMPLETE",
            "repository-name": ARN,
            "finding-severity-counts": {"HIGH": 2, "LOW": 3, "TOTAL": 5},
            "image-digest": DIGEST,
            "image-tags": ["1"],
        },
    ),
    (
        shapes.found(HERE, AT, {"severity": "HIGH"}, [DIGEST]),
        "Inspector2 Finding",
        "aws.inspector2",
        [DIGEST],
        {"severity": "HIGH"},
    ),
]


@pytest.mark.parametrize(("event", "detail_type", "source", "resources", "detail"), CASES)
def test_an_event_is_what_eventbridge_delivers(
    event: Event, detail_type: str, source: str, resources: list[str], detail: dict[str, Any]
) -> None:
    document = json.loads(event.as_json())
    assert document == {
        "version": "0",
        "id": str(uuid.UUID(event.id)),
        "detail-type": detail_type,
        "source": source,
        "account": "123456789012",
        "time": "2019-11-16T01:54:34Z",
        "region": "us-west-2",
        "resources": resources,
        "detail": detail,
    }
    # People compare what they see: the order is that of the guide.
    assert list(document["detail"]) == list(detail)
    assert "\n" not in event.as_json()


def test_no_two_events_have_one_id() -> None:
    first, second = (shapes.image_pushed(HERE, AT, NAME, DIGEST, None) for _ in range(2))
    assert first.id != second.id
    assert first == replace(second, id=first.id)
