"""Constraints of the service model on the wire (their wordings are told apart in unit tests)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.ecr.refusals import REPOSITORY_PATTERN, check_refusal, constraint

if TYPE_CHECKING:
    from tests.support.server import RunningServer

MODES = "[IMMUTABLE, MUTABLE, MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION]"
NAME = {"repositoryName": "demo"}
NAME_PATTERN = f"must satisfy regular expression '{REPOSITORY_PATTERN}'"

# An operation, what it is asked, the member that is told of, and what is said of it.
CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("CreateRepository", {}, "repositoryName", "must not be null"),
    ("CreateRepository", {"repositoryName": None}, "repositoryName", "must not be null"),
    (
        "CreateRepository",
        {"repositoryName": "a"},
        "repositoryName",
        "must have length greater than or equal to 2",
    ),
    (
        "CreateRepository",
        {"repositoryName": "a" * 257},
        "repositoryName",
        "must have length less than or equal to 256",
    ),
    *(
        ("CreateRepository", {"repositoryName": name}, "repositoryName", NAME_PATTERN)
        for name in (
            "Demo", "demo/", "/demo", "a//b", "a___b", "a_-b", "_a", "a_", "-a", "a-", "a..b",
            "..", "../x", "a/../b", "a b", "a\nb", "demo\n", "éé", "a\\b", "%2e", "a:b", "a@b",
        )
    ),
    (
        "CreateRepository",
        {**NAME, "imageTagMutability": "SOMETIMES"},
        "imageTagMutability",
        f"Member must satisfy enum value set: {MODES}",
    ),
    ("PutImageTagMutability", NAME, "imageTagMutability", "Member must not be null"),
    (
        "PutImageTagMutability",
        {
            **NAME,
            "imageTagMutability": "MUTABLE_WITH_EXCLUSION",
            "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "a b"}],
        },
        "imageTagMutabilityExclusionFilters.1.member.filter",
        "Member must satisfy regular expression pattern: ^[0-9a-zA-Z._*-]{1,128}$",
    ),
    (
        "PutImageTagMutability",
        {
            **NAME,
            "imageTagMutability": "MUTABLE_WITH_EXCLUSION",
            "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "a"}] * 6,
        },
        "imageTagMutabilityExclusionFilters",
        "Member must have length less than or equal to 5",
    ),
    (
        "PutImageScanningConfiguration",
        NAME,
        "imageScanningConfiguration",
        "Member must not be null",
    ),
    (
        "CreateRepository",
        {**NAME, "tags": [{"Key": "a", "Value": "b"}, {"Key": "c"}]},
        "tags.2.member.value",
        "Member must not be null",
    ),
    (
        "CreateRepository",
        {**NAME, "encryptionConfiguration": {}},
        "encryptionConfiguration.encryptionType",
        "Member must not be null",
    ),
    ("TagResource", {"tags": []}, "resourceArn", "Member must not be null"),
    (
        "DescribeRepositories",
        {"repositoryNames": []},
        "repositoryNames",
        "Member must have length greater than or equal to 1",
    ),
    (
        "DescribeRepositories",
        {"repositoryNames": ["ab"] * 101},
        "repositoryNames",
        "Member must have length less than or equal to 100",
    ),
    ("DescribeRepositories", {"repositoryNames": ["Bad"]}, "repositoryName", NAME_PATTERN),
    ("DescribeRepositories", {"registryId": "1"}, "registryId",
     "must satisfy regular expression '[0-9]{12}'"),
    ("DescribeRepositories", {"registryId": "00000000000a"}, "registryId",
     "must satisfy regular expression '[0-9]{12}'"),
    (
        "BatchCheckLayerAvailability",
        {**NAME, "layerDigests": ["x" * 1001]},
        "layerDigests",
        ("Member must satisfy constraint: [Member must have length less than or equal to 1000, "
        "Member must have length greater than or equal to 0]"),
    ),
    (
        "UploadLayerPart",
        {**NAME, "uploadId": "x", "partFirstByte": 0, "partLastByte": 0, "layerPartBlob": "YQ=="},
        "uploadId",
        ("Member must satisfy regular expression pattern: "
        "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"),
    ),
    (
        "GetDownloadUrlForLayer",
        {**NAME, "layerDigest": "nonsense"},
        "layerDigest",
        "Member must satisfy regular expression pattern: [a-zA-Z0-9-_+.]+:[a-fA-F0-9]+",
    ),
    (
        "PutImage",
        {**NAME, "imageManifest": ""},
        "imageManifest",
        "Member must have length greater than or equal to 1",
    ),
    (
        "PutImage",
        {**NAME, "imageManifest": "x" * (4 * 1024 * 1024 + 1)},
        "imageManifest",
        "Member must have length less than or equal to 4194304",
    ),
    ("BatchGetImage", NAME, "imageIds", "Member must not be null"),
    (
        "ListImages",
        {**NAME, "filter": {"tagStatus": "SOME"}},
        "filter.tagStatus",
        "Member must satisfy enum value set: [TAGGED, UNTAGGED, ANY]",
    ),
    ("ListImageReferrers", NAME, "subjectId", "Member must not be null"),
    ("PutAccountSetting", {"name": "BLOB_MOUNTING"}, "value", "Member must not be null"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("operation", "request_", "member", "reason"), CASES, ids=lambda value: repr(value)[:50]
)
def test_constraints(
    plain_server: RunningServer, operation: str, request_: dict[str, Any], member: str, reason: str
) -> None:
    check_refusal(
        plain_server.call(operation, request_),
        "InvalidParameterException",
        constraint(member, reason),
    )
