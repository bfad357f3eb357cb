"""The events of ECR, in the JSON of EventBridge ("Amazon ECR events and EventBridge", ECR's guide).

Members that an event of ECR leaves out where it has nothing to say are left out here.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from longshore.clock import SECOND, as_datetime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from longshore.clock import Millis
    from longshore.names import Registry

ECR: Final = "aws.ecr"
INSPECTOR: Final = "aws.inspector2"

IMAGE_ACTION: Final = "ECR Image Action"
REFERRER_ACTION: Final = "ECR Referrer Action"
PULL_THROUGH_CACHE_ACTION: Final = "ECR Pull Through Cache Action"
IMAGE_SCAN: Final = "ECR Image Scan"
SCAN_RESOURCE_CHANGE: Final = "ECR Scan Resource Change"
REPLICATION_ACTION: Final = "ECR Replication Action"
INSPECTOR_SCAN: Final = "Inspector2 Scan"
INSPECTOR_FINDING: Final = "Inspector2 Finding"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        detail_type: what kind of thing.
        registry: where.
        at: when.
        detail: what exactly, as EventBridge has it.
        resources: the ARNs that it is about, where ECR tells them.
        source: which service tells of it.
        id: nobody else's; receivers know by it what they have had before.
    """

    detail_type: str
    registry: Registry
    at: Millis
    detail: Mapping[str, Any]
    resources: tuple[str, ...] = ()
    source: str = ECR
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def as_json(self) -> str:
        """Return the event as EventBridge delivers it."""
        return json.dumps(
            {
                "version": "0",
                "id": self.id,
                "detail-type": self.detail_type,
                "source": self.source,
                "account": self.registry.account,
                # EventBridge tells whole seconds.
                "time": as_datetime(self.at // SECOND * SECOND).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "region": self.registry.region,
                "resources": list(self.resources),
                "detail": dict(self.detail),
            },
            separators=(",", ":"),
        )


def image_pushed(
    registry: Registry, at: Millis, repository: str, digest: str, tag: str | None
) -> Event:
    """Say that an image was pushed, under one tag or none."""
    return _image_action(registry, at, repository, digest, tag, action="PUSH")


def image_deleted(
    registry: Registry, at: Millis, repository: str, digest: str, tag: str | None
) -> Event:
    """Say that a tag was deleted, with its image where it was the last, or an untagged image."""
    return _image_action(registry, at, repository, digest, tag, action="DELETE")


def storage_class_updated(
    registry: Registry,
    at: Millis,
    repository: str,
    digest: str,
    target: str,
    *,
    manifest_media_type: str,
    artifact_media_type: str | None,
    last_activated_at: Millis | None = None,
    is_referrer: bool = False,
) -> Event:
    """Say that an image, or one that refers to it, is in another storage class.

    Args:
        registry: where.
        at: when.
        repository: its repository's name.
        digest: its digest.
        target: ARCHIVE or STANDARD.
        manifest_media_type: what its manifest is.
        artifact_media_type: what its configuration is, where it has one.
        last_activated_at: when it was restored, where it was.
        is_referrer: whether it followed the image that it refers to.
    """
    detail = {
        "action-type": "UPDATE_STORAGE_CLASS",
        "target-storage-class": target,
        "image-digest": digest,
        "repository-name": repository,
        "result": "SUCCESS",
        "manifest-media-type": manifest_media_type,
        "artifact-media-type": artifact_media_type,
        "last-activated-at": None if last_activated_at is None else _precise(last_activated_at),
    }
    return Event(REFERRER_ACTION if is_referrer else IMAGE_ACTION, registry, at, _without(detail))


def pulled_through(
    registry: Registry,
    at: Millis,
    repository: str,
    *,
    prefix: str,
    upstream: str,
    digest: str | None,
    tag: str | None,
    failure: str | None = None,
) -> Event:
    """Say that an image was brought from an upstream registry, or why it couldn't be."""
    detail = {
        "rule-version": "1",
        "sync-status": "SUCCESS" if failure is None else "FAILED",
        "ecr-repository-prefix": prefix,
        "repository-name": repository,
        "upstream-registry-url": upstream,
        "image-tag": tag,
        "image-digest": digest,
        "reason": failure,
    }
    return Event(
        PULL_THROUGH_CACHE_ACTION,
        registry,
        at,
        _without(detail),
        (registry.repository_arn(repository),),
    )


def image_scanned(
    registry: Registry,
    at: Millis,
    repository: str,
    digest: str,
    tags: Sequence[str],
    *,
    status: str,
    counts: Mapping[str, int],
) -> Event:
    """Say how a basic scan ended: COMPLETE, with findings by severity, or FAILED."""
    detail = {
        "scan-status": status,
        "repository-name": repository,
        "finding-severity-counts": {name: count for name, count in counts.items() if count},
        "image-digest": digest,
        "image-tags": list(tags),
    }
    return Event(IMAGE_SCAN, registry, at, detail, (registry.repository_arn(repository),))


def scan_frequency_changed(
    registry: Registry, at: Millis, frequencies: Mapping[str, tuple[str, str]]
) -> Event:
    """Say that repositories are scanned at other times: by name, how often before and now."""
    repositories = [
        {
            "repository-name": name,
            "repository-arn": registry.repository_arn(name),
            "scan-frequency": now,
            "previous-scan-frequency": before,
        }
        for name, (before, now) in frequencies.items()
    ]
    detail = {
        "action-type": "SCAN_FREQUENCY_CHANGE",
        "repositories": repositories,
        "resource-type": "REPOSITORY",
        "scan-type": "ENHANCED",
    }
    return Event(SCAN_RESOURCE_CHANGE, registry, at, detail)


def image_replicated(
    registry: Registry,
    at: Millis,
    repository: str,
    digest: str,
    tag: str | None,
    *,
    source: Registry,
    result: str = "SUCCESS",
) -> Event:
    """Say that an image came from another registry; told where it came to."""
    detail = {
        "result": result,
        "repository-name": repository,
        "image-digest": digest,
        "source-account": source.account,
        "action-type": "REPLICATE",
        "source-region": source.region,
        "image-tag": tag,
    }
    resources = (registry.repository_arn(repository),)
    return Event(REPLICATION_ACTION, registry, at, _without(detail), resources)


def enhanced_scan_completed(
    registry: Registry,
    at: Millis,
    repository: str,
    digest: str,
    tags: Sequence[str],
    *,
    counts: Mapping[str, int],
) -> Event:
    """Say, as Inspector, that an image was scanned for the first time."""
    detail = {
        "scan-status": "INITIAL_SCAN_COMPLETE",
        "repository-name": registry.repository_arn(repository),
        "finding-severity-counts": {**counts, "TOTAL": sum(counts.values())},
        "image-digest": digest,
        "image-tags": list(tags),
    }
    resources = (registry.repository_arn(repository),)
    return Event(INSPECTOR_SCAN, registry, at, detail, resources, INSPECTOR)


def found(
    registry: Registry, at: Millis, finding: Mapping[str, Any], resources: Sequence[str]
) -> Event:
    """Say, as Inspector, that something was found, in the words of its API."""
    return Event(INSPECTOR_FINDING, registry, at, finding, tuple(resources), INSPECTOR)


def _image_action(
    registry: Registry, at: Millis, repository: str, digest: str, tag: str | None, *, action: str
) -> Event:
    detail = {
        "result": "SUCCESS",
        "repository-name": repository,
        "image-digest": digest,
        "action-type": action,
        "image-tag": tag,
    }
    return Event(IMAGE_ACTION, registry, at, _without(detail))


def _without(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in detail.items() if value is not None}


def _precise(at: Millis) -> str:
    """Write a moment with as many digits of its milliseconds as it has."""
    fraction = f".{at % SECOND:03d}".rstrip("0").rstrip(".")
    return as_datetime(at // SECOND * SECOND).strftime(f"%Y-%m-%dT%H:%M:%S{fraction}Z")
