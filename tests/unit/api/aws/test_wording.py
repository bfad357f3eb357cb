"""The sentences of ECR, as they were seen in its answers."""

from __future__ import annotations

import json

import pytest

from longshore.api.aws.json import JsonService
from longshore.api.aws.model import OperationModel
from longshore.api.aws.wording import ECR, GENERIC, validation_failed
from longshore.errors import InvalidParameter, InvalidTagParameter, ValidationFailed

NAME_PATTERN = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
NAME_RULE = f"must satisfy regular expression '{NAME_PATTERN}'"
PREFIX_RULE = (
    "Member must satisfy regular expression pattern: "
    r"^([a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*/?|ROOT)$"
)
ARN = "arn:aws:ecr:eu-west-1:123456789012:repository/team/app"
NAMED = {"repositoryName": "team/app"}
IMAGE = {"imageTag": "v1"}
TEMPLATE = {"prefix": "team", "appliedFor": ["REPLICATION"]}
PART = {"uploadId": "0a1b2c3d-0000-0000-0000-000000000000", "partFirstByte": 0, "partLastByte": 0}


def refusal(service: JsonService, operation: str, request: object) -> Exception:
    with pytest.raises((InvalidParameter, InvalidTagParameter, ValidationFailed)) as caught:
        service.operations[operation].parse(json.dumps(request).encode())
    return caught.value


@pytest.mark.parametrize(
    ("operation", "request_", "path", "reason"),
    [
        # A repository's name.
        ("CreateRepository", {}, "repositoryName", "must not be null"),
        ("CreateRepository", {"repositoryName": None}, "repositoryName", "must not be null"),
        *(
            ("CreateRepository", {"repositoryName": name}, "repositoryName", NAME_RULE)
            for name in ("Bad_Name!", "Team/App", "a___b", "a_-b", "_a", "a_", "a//b", "team/app\n")
        ),
        (
            "CreateRepository",
            {"repositoryName": "a"},
            "repositoryName",
            "must have length greater than or equal to 2",
        ),
        (
            "CreateRepository",
            {"repositoryName": ""},
            "repositoryName",
            "must have length greater than or equal to 2",
        ),
        (
            "CreateRepository",
            {"repositoryName": "a" * 257},
            "repositoryName",
            "must have length less than or equal to 256",
        ),
        ("DescribeRepositories", {"repositoryNames": ["ok", "Bad"]}, "repositoryName", NAME_RULE),
        (
            "DescribeRepositories",
            {"registryId": "1234"},
            "registryId",
            "must satisfy regular expression '[0-9]{12}'",
        ),
        # Other members that are required.
        ("PutImageTagMutability", NAMED, "imageTagMutability", "Member must not be null"),
        ("PutImage", NAMED, "imageManifest", "Member must not be null"),
        ("BatchGetImage", NAMED, "imageIds", "Member must not be null"),
        ("PutLifecyclePolicy", NAMED, "lifecyclePolicyText", "Member must not be null"),
        ("SetRepositoryPolicy", NAMED, "PolicyText", "Cannot be null"),
        ("PutRegistryPolicy", {}, "PolicyText", "Cannot be null"),
        # Enums.
        (
            "PutImageTagMutability",
            {**NAMED, "imageTagMutability": "mutable"},
            "imageTagMutability",
            (
                "Member must satisfy enum value set: "
                "[IMMUTABLE, MUTABLE, MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION]"
            ),
        ),
        (
            "CreateRepositoryCreationTemplate",
            {**TEMPLATE, "appliedFor": ["PUSH"]},
            "appliedFor",
            (
                "Member must satisfy constraint: [Member must satisfy enum value set: "
                "[REPLICATION, PULL_THROUGH_CACHE, CREATE_ON_PUSH]]"
            ),
        ),
        # Lengths, values and patterns.
        (
            "BatchGetImage",
            {**NAMED, "imageIds": [IMAGE] * 101},
            "imageIds",
            "Member must have length less than or equal to 100",
        ),
        (
            "BatchGetImage",
            {**NAMED, "imageIds": []},
            "imageIds",
            "Member must have length greater than or equal to 1",
        ),
        (
            "PutLifecyclePolicy",
            {**NAMED, "lifecyclePolicyText": ""},
            "lifecyclePolicyText",
            "Member must have length greater than or equal to 100",
        ),
        (
            "ListImages",
            {**NAMED, "maxResults": 10000},
            "maxResults",
            "Member must have value less than or equal to 1000",
        ),
        (
            "ListImages",
            {**NAMED, "maxResults": 0},
            "maxResults",
            "Member must have value greater than or equal to 1",
        ),
        (
            "PutImage",
            {**NAMED, "imageManifest": "{}", "imageTag": "a" * 301},
            "imageTag",
            "Member must have length less than or equal to 300",
        ),
        (
            "CreatePullThroughCacheRule",
            {"ecrRepositoryPrefix": "No", "upstreamRegistryUrl": "quay.io"},
            "ecrRepositoryPrefix",
            PREFIX_RULE,
        ),
        (
            "UploadLayerPart",
            {**NAMED, **PART, "layerPartBlob": "AAAA" * (20 * 1024 * 1024 // 3 + 1)},
            "layerPartBlob",
            "Member must have length less than or equal to 20971520",
        ),
        # Members of lists.
        (
            "TagResource",
            {"resourceArn": ARN, "tags": [{"Key": "a", "Value": ""}, {"Value": "b"}]},
            "tags.2.member.key",
            "Member must not be null",
        ),
        (
            "TagResource",
            {"resourceArn": ARN, "tags": [{"Key": "a"}]},
            "tags.1.member.value",
            "Member must not be null",
        ),
        (
            "GetAuthorizationToken",
            {"registryIds": ["123456789012", "12345678901"]},
            "registryIds",
            (
                "Member must satisfy constraint: "
                "[Member must satisfy regular expression pattern: [0-9]{12}]"
            ),
        ),
        (
            "BatchGetImage",
            {**NAMED, "imageIds": [IMAGE, None]},
            "imageIds.2.member",
            "Member must not be null",
        ),
        (
            "UntagResource",
            {"resourceArn": ARN, "tagKeys": [None]},
            "tagKeys",
            "Member must satisfy constraint: [Member must not be null]",
        ),
        (
            "PutReplicationConfiguration",
            {"replicationConfiguration": {"rules": [{"destinations": [{"region": "eu-west-1"}]}]}},
            "replicationConfiguration.rules.1.member.destinations.1.member.registryId",
            "Member must not be null",
        ),
        # An operation that doesn't declare the error of tags.
        (
            "CreateRepositoryCreationTemplate",
            {**TEMPLATE, "resourceTags": [{"Key": "", "Value": ""}]},
            "resourceTags.1.member.key",
            "Member must have length greater than or equal to 1",
        ),
    ],
)
def test_ecr_words_a_broken_constraint(ecr, operation, request_, path, reason):
    error = refusal(ecr, operation, request_)
    assert type(error) is InvalidParameter
    assert str(error) == f"Invalid parameter at '{path}' failed to satisfy constraint: '{reason}'"


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("TagResource", {"resourceArn": ARN, "tags": [{"Key": "", "Value": "x"}]}),
        ("TagResource", {"resourceArn": ARN, "tags": [{"Key": "k" * 129, "Value": "x"}]}),
        ("TagResource", {"resourceArn": ARN, "tags": [{"Key": "k", "Value": "v" * 257}]}),
        ("CreateRepository", {**NAMED, "tags": [{"Key": "", "Value": "x"}]}),
        ("UntagResource", {"resourceArn": ARN, "tagKeys": ["a", ""]}),
    ],
)
def test_a_tag_of_a_wrong_length_is_an_invalid_tag_parameter(ecr, operation, request_):
    error = refusal(ecr, operation, request_)
    assert type(error) is InvalidTagParameter
    assert str(error) == "Tag parameters are invalid"


def test_of_many_broken_constraints_ecr_tells_the_first_in_the_order_of_the_model(ecr):
    request = {"imageTag": "", "imageManifest": "", "repositoryName": "A", "registryId": "1"}
    assert "'registryId'" in str(refusal(ecr, "PutImage", request))


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        (
            "BatchGetImage",
            {**NAMED, "imageIds": [{"imageDigest": "nonsense", "imageTag": "+"}, {}]},
        ),
        ("BatchDeleteImage", {**NAMED, "imageIds": [{"imageDigest": ""}]}),
        ("BatchCheckLayerAvailability", {**NAMED, "layerDigests": ["", "nonsense"]}),
        ("PutImage", {**NAMED, "imageManifest": "{}", "imageTag": "a" * 300}),
        ("TagResource", {"resourceArn": "nonsense", "tags": []}),
        ("TagResource", {"resourceArn": ARN, "tags": [{"Key": "k" * 128, "Value": ""}]}),
        ("GetAccountSetting", {"name": "NO_SUCH_SETTING"}),
        ("SetRepositoryPolicy", {**NAMED, "policyText": ""}),
    ],
)
def test_what_the_rules_judge_themselves_passes(ecr, operation, request_):
    assert ecr.operations[operation].parse(json.dumps(request_).encode()) == request_


@pytest.fixture(scope="module")
def service() -> JsonService:
    return JsonService.load("ecr", GENERIC)


@pytest.mark.parametrize(
    ("operation", "request_", "message"),
    [
        (
            "CreateRepository",
            {},
            (
                "1 validation error detected: Value null at 'repositoryName' "
                "failed to satisfy constraint: Member must not be null"
            ),
        ),
        (
            "ListImages",
            {"repositoryName": "A", "maxResults": 0},
            (
                "3 validation errors detected: Value 'A' at 'repositoryName' failed to satisfy "
                "constraint: Member must have length greater than or equal to 2; "
                "Value 'A' at 'repositoryName' failed to satisfy constraint: "
                f"Member must satisfy regular expression pattern: {NAME_PATTERN}; "
                "Value '0' at 'maxResults' failed to satisfy constraint: "
                "Member must have value greater than or equal to 1"
            ),
        ),
        (
            "GetAuthorizationToken",
            {"registryIds": ["1", "2"]},
            (
                "1 validation error detected: Value '[1, 2]' at 'registryIds' failed to satisfy "
                "constraint: Member must satisfy constraint: "
                "[Member must satisfy regular expression pattern: [0-9]{12}]"
            ),
        ),
        (
            "BatchGetImage",
            {**NAMED, "imageIds": [IMAGE] * 101},
            (
                "1 validation error detected: Value at 'imageIds' failed to satisfy "
                "constraint: Member must have length less than or equal to 100"
            ),
        ),
        (
            "PutLifecyclePolicy",
            {**NAMED, "lifecyclePolicyText": "x" * 30721},
            (
                "1 validation error detected: Value at 'lifecyclePolicyText' failed to satisfy "
                "constraint: Member must have length less than or equal to 30720"
            ),
        ),
    ],
)
def test_most_services_word_all_the_broken_constraints(service, operation, request_, message):
    error = refusal(service, operation, request_)
    assert type(error) is ValidationFailed
    assert str(error) == message


def test_ecr_uses_the_words_of_most_services_where_it_declares_only_their_error():
    newer = OperationModel("New", None, None, frozenset({"ValidationException"}))
    assert ECR.wording(newer) is validation_failed
