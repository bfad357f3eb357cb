"""How operations on repositories refuse, and all operations that name a repository."""

from __future__ import annotations

from typing import Any

from tests.api.ecr.refusal_cases import (
    ACCOUNT,
    BAD_NAME,
    IMAGE,
    NO_REPOSITORY,
    TAKES,
    Refusal,
    arn_of,
    fifty_tags,
    image_tagged_1,
)
from tests.api.ecr.refusals import constraint

IN_A_REPOSITORY = [
    refusal
    for operation, request in TAKES.items()
    for refusal in (
        Refusal(
            operation,
            "RepositoryNotFound",
            NO_REPOSITORY,
            {**request, "repositoryName": "no/such"},
        ),
        Refusal(
            operation,
            "InvalidParameter",
            BAD_NAME,
            {**request, "repositoryName": "Not/A/Name"},
            why="bad name",
        ),
        Refusal(
            operation,
            "InvalidParameter",
            constraint("repositoryName", "must not be null"),
            {**request, "repositoryName": None},
            why="no name",
        ),
        Refusal(
            operation,
            "InvalidParameter",
            constraint("registryId", "must satisfy regular expression '[0-9]{{12}}'"),
            {**request, "registryId": "12"},
            why="bad registry",
        ),
    )
]
TAKES_OF_A_RESOURCE: dict[str, dict[str, Any]] = {
    "TagResource": {"tags": [{"Key": "a", "Value": "b"}]},
    "UntagResource": {"tagKeys": ["a"]},
    "ListTagsForResource": {},
}
ON_A_RESOURCE = [
    refusal
    for operation, request in TAKES_OF_A_RESOURCE.items()
    for refusal in (
        Refusal(
            operation,
            "RepositoryNotFound",
            NO_REPOSITORY,
            {**request, "resourceArn": arn_of("no/such")},
        ),
        *(
            Refusal(
                operation,
                "InvalidParameter",
                constraint("resourceArn", "Invalid ARN"),
                {**request, "resourceArn": arn},
                why=arn[:60],
            )
            for arn in (
                "repository",
                "arn:aws:s3:::bucket",
                f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/",
                f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/Not A Name",
                "arn:aws:ecr:us-east-1:12:repository/demo",
                f"arn:aws:ecr:us-east-1:{ACCOUNT}:registry/demo",
                f"arn:aws-cn:ecr:us-east-1:{ACCOUNT}:repository/demo",
                f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/demo",
            )
        ),
    )
]

BY_NAME: dict[str, dict[str, Any]] = {
    "DescribeRepositories": {"repositoryNames": ["demo"]},
    "DescribeImages": {"imageIds": [{"imageTag": "1"}]},
}
PAGING = [
    refusal
    for operation, names in BY_NAME.items()
    for member, value in {"maxResults": 5, "nextToken": "x"}.items()
    for refusal in (
        Refusal(
            operation,
            "InvalidParameter",
            constraint(member, f"{member} cannot be used together with {next(iter(names))}"),
            {**names, member: value},
            why=f"{member} with names",
        ),
    )
] + [
    refusal
    for operation in ("DescribeRepositories", "DescribeImages", "ListImages", "ListImageReferrers")
    for refusal in (
        Refusal(
            operation,
            "InvalidParameter",
            constraint("nextToken", "The token is not one that this listing returned"),
            {**TAKES.get(operation, {}), "nextToken": "x"},
            why="bad token",
        ),
        Refusal(
            operation,
            "InvalidParameter",
            constraint("maxResults", "Member must have value greater than or equal to 1"),
            {**TAKES.get(operation, {}), "maxResults": 0},
            why="no results",
        ),
        Refusal(
            operation,
            "InvalidParameter",
            constraint(
                "maxResults",
                "Member must have value less than or equal to "
                + ("50" if operation == "ListImageReferrers" else "1000"),
            ),
            {**TAKES.get(operation, {}), "maxResults": 1001},
            why="too many results",
        ),
    )
]

NOT_ALLOWED = (
    "ImageTagMutabilityExclusionFilters are not allowed when imageTagMutability is set to {}"
)
NOT_NULL = "ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as {}"

REPOSITORIES = [
    Refusal(
        "CreateRepository",
        "RepositoryAlreadyExists",
        f"The repository with name '{{name}}' already exists in the registry with id '{ACCOUNT}'",
    ),
    Refusal(
        "CreateRepository",
        "RepositoryAlreadyExists",
        f"The repository with name '{{name}}' already exists in the registry with id '{ACCOUNT}'",
        {"imageTagMutability": "IMMUTABLE"},
        why="with other settings",
    ),
    Refusal(
        "CreateRepository",
        "InvalidParameter",
        BAD_NAME,
        {"repositoryName": "UPPER"},
    ),
    Refusal(
        "CreateRepository",
        "InvalidParameter",
        "Invalid encryption configuration: Encryption key should not be set for AES256 encryption.",
        {
            "repositoryName": "a/new/one",
            "encryptionConfiguration": {"encryptionType": "AES256", "kmsKey": "alias/a"},
        },
        why="key without KMS",
    ),
    Refusal(
        "CreateRepository",
        "InvalidTagParameter",
        "Tag parameters are invalid",
        {"repositoryName": "a/new/one", "tags": [{"Key": "", "Value": "x"}]},
    ),
    Refusal(
        "CreateRepository",
        "InvalidTagParameter",
        "Tag parameters are invalid: keys that begin with 'aws:' are reserved",
        {"repositoryName": "a/new/one", "tags": [{"Key": "aws:x", "Value": "x"}]},
        why="reserved key",
    ),
    Refusal(
        "CreateRepository",
        "TooManyTags",
        "A repository may have at most 50 tags; this would make it 51",
        {
            "repositoryName": "a/new/one",
            "tags": [{"Key": str(number), "Value": "x"} for number in range(51)],
        },
    ),
    *(
        Refusal(
            "CreateRepository",
            "UnsupportedOperation",
            f"Encryption with {kind} is not built yet in Longshore. Use AES256 and encrypt the "
            "volume that holds the data directory.",
            {"repositoryName": "a/new/one", "encryptionConfiguration": {"encryptionType": kind}},
            why=kind,
        )
        for kind in ("KMS", "KMS_DSSE")
    ),
    *(
        Refusal(
            operation,
            "InvalidParameter",
            constraint("imageTagMutabilityExclusionFilters", sentence.format(mode)),
            {
                "repositoryName": name,
                "imageTagMutability": mode,
                "imageTagMutabilityExclusionFilters": filters,
            },
            why=mode,
        )
        for operation, name in (
            ("CreateRepository", "a/new/one"),
            ("PutImageTagMutability", "{name}"),
        )
        for mode, filters, sentence in (
            (
                "MUTABLE",
                [{"filterType": "WILDCARD", "filter": "v*"}],
                NOT_ALLOWED,
            ),
            (
                "IMMUTABLE",
                [{"filterType": "WILDCARD", "filter": "v*"}],
                NOT_ALLOWED,
            ),
            (
                "IMMUTABLE_WITH_EXCLUSION",
                None,
                NOT_NULL,
            ),
            (
                "MUTABLE_WITH_EXCLUSION",
                None,
                NOT_NULL,
            ),
        )
    ),
    Refusal(
        "DescribeRepositories",
        "RepositoryNotFound",
        NO_REPOSITORY,
        {"repositoryNames": ["{name}", "no/such"]},
    ),
    Refusal(
        "DescribeRepositories",
        "InvalidParameter",
        BAD_NAME,
        {"repositoryNames": ["Not/A/Name"]},
    ),
    Refusal(
        "DeleteRepository",
        "RepositoryNotEmpty",
        f"The repository with name '{{name}}' in registry with id '{ACCOUNT}' cannot be deleted "
        "because it still contains images",
        setup=image_tagged_1,
    ),
    Refusal(
        "DeleteRepository",
        "RepositoryNotEmpty",
        f"The repository with name '{{name}}' in registry with id '{ACCOUNT}' cannot be deleted "
        "because it still contains images",
        {"force": False},
        lambda stage: {"digest": stage.push(IMAGE)},
        why="with an untagged image",
    ),
    Refusal(
        "TagResource",
        "InvalidTagParameter",
        "Tag parameters are invalid",
        {"resourceArn": "{arn}", "tags": [{"Key": "k" * 129, "Value": "x"}]},
    ),
    Refusal(
        "TagResource",
        "InvalidTagParameter",
        "Tag parameters are invalid: keys that begin with 'aws:' are reserved",
        {"resourceArn": "{arn}", "tags": [{"Key": "AWS:x", "Value": "x"}]},
        why="reserved key",
    ),
    Refusal(
        "TagResource",
        "InvalidParameter",
        constraint("tags.2.member.key", "Member must not be null"),
        {"resourceArn": "{arn}", "tags": [{"Key": "a", "Value": "x"}, {"Value": "x"}]},
        why="no key",
    ),
    Refusal(
        "TagResource",
        "TooManyTags",
        "A repository may have at most 50 tags; this would make it 51",
        {"resourceArn": "{arn}", "tags": [{"Key": "one more", "Value": "x"}]},
        fifty_tags,
    ),
    Refusal(
        "UntagResource",
        "InvalidTagParameter",
        "Tag parameters are invalid",
        {"resourceArn": "{arn}", "tagKeys": [""]},
    ),
]
