"""How operations on creation templates and on pull time exclusions refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.api.ecr.policy_refusals import UNKNOWN_PRINCIPAL
from tests.api.ecr.refusal_cases import ACCOUNT, NO_POLICY_AT_ALL, Refusal
from tests.api.ecr.refusals import constraint

if TYPE_CHECKING:
    from tests.api.ecr.refusal_cases import Names
    from tests.api.stage import Stage

PREFIX = (
    r"Member must satisfy regular expression pattern: "
    r"^([a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*/?|ROOT)$"
)
SCENARIOS = "[REPLICATION, PULL_THROUGH_CACHE, CREATE_ON_PUSH]"
PRINCIPAL = (
    r"Member must satisfy regular expression pattern: "
    r"^arn:aws(-[a-z]+)*:iam::[0-9]{{12}}:(role|user)/[\w+=,.@-]+(/[\w+=,.@-]+)*$"
)
POLICY = constraint("PolicyText", "Invalid repository policy provided")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/scanner"

MAKING = ("CreateRepositoryCreationTemplate", "UpdateRepositoryCreationTemplate")
NAMING = (*MAKING, "DeleteRepositoryCreationTemplate")
EXCLUDING = ("RegisterPullTimeUpdateExclusion", "DeregisterPullTimeUpdateExclusion")
LISTING = ("DescribeRepositoryCreationTemplates", "ListPullTimeUpdateExclusions")


def template(stage: Stage) -> Names:
    stage.server.ecr.create_repository_creation_template(
        prefix=stage.name, appliedFor=["CREATE_ON_PUSH"]
    )
    return {}


def exclusion(stage: Stage) -> Names:
    arn = f"{ROLE}-{stage.name.replace('/', '-')}"
    stage.server.ecr.register_pull_time_update_exclusion(principalArn=arn)
    return {"excluded": arn}


def making(
    code: str, message: str, why: str = "", members: dict[str, Any] | None = None, **request: Any
) -> list[Refusal]:
    """Return the same refusal of both operations that say what a template is."""
    return [
        Refusal(
            operation,
            code,
            message,
            {"prefix": "{name}", "appliedFor": ["CREATE_ON_PUSH"], **request},
            template if operation.startswith("Update") else None,
            members or {},
            why,
        )
        for operation in MAKING
    ]


TEMPLATES = [
    Refusal(
        "CreateRepositoryCreationTemplate",
        "TemplateAlreadyExists",
        "The repository creation template with the prefix '{name}/' already exists in the "
        f"registry with id '{ACCOUNT}'",
        {"prefix": "{name}/", "appliedFor": ["REPLICATION"]},
        template,
    ),
    *(
        Refusal(
            operation,
            "TemplateNotFound",
            "The repository creation template with the prefix 'no/such' does not exist in the "
            f"registry with id '{ACCOUNT}'",
            {"prefix": "no/such"},
        )
        for operation in NAMING[1:]
    ),
    *(
        Refusal(operation, "InvalidParameter", constraint("prefix", sentence), request, why=why)
        for operation in NAMING
        for request, sentence, why in (
            ({"prefix": "Prod", "appliedFor": []}, PREFIX, "bad prefix"),
            ({"prefix": "/", "appliedFor": []}, PREFIX, "no prefix but a slash"),
            ({"prefix": "a//", "appliedFor": []}, PREFIX, "two slashes"),
            ({"appliedFor": []}, "Member must not be null", "no prefix"),
        )
    ),
    Refusal(
        "CreateRepositoryCreationTemplate",
        "InvalidParameter",
        constraint("appliedFor", "Member must not be null"),
        {"prefix": "{name}"},
        why="for nothing",
    ),
    *making(
        "InvalidParameter",
        constraint(
            "appliedFor",
            f"Member must satisfy constraint: [Member must satisfy enum value set: {SCENARIOS}]",
        ),
        "for what isn't",
        appliedFor=["CREATE_ON_PULL"],
    ),
    *making(
        "InvalidParameter",
        constraint("description", "Member must have length less than or equal to 256"),
        "a long description",
        description="x" * 257,
    ),
    *making(
        "InvalidParameter",
        POLICY,
        "no policy",
        {"reason": "Statement is missing"},
        repositoryPolicy=NO_POLICY_AT_ALL,
    ),
    *making(
        "InvalidParameter",
        UNKNOWN_PRINCIPAL,
        "a policy for nobody",
        {"reason": f"There is no principal 'arn:aws:iam::{ACCOUNT}:user/nobody'"},
        repositoryPolicy="{of_a_stranger}",
    ),
    *making(
        "InvalidParameter",
        constraint(
            "imageTagMutabilityExclusionFilters",
            "ImageTagMutabilityExclusionFilters are not allowed when imageTagMutability is set "
            "to MUTABLE",
        ),
        "exclusions of nothing",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "a"}],
    ),
    *making(
        "InvalidParameter",
        constraint(
            "imageTagMutabilityExclusionFilters",
            "ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as "
            "IMMUTABLE_WITH_EXCLUSION",
        ),
        "no exclusions",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
    ),
    *making(
        "InvalidParameter",
        constraint(
            "resourceTags", "Tag parameters are invalid: keys that begin with 'aws:' are reserved"
        ),
        "a reserved key",
        resourceTags=[{"Key": "aws:x", "Value": ""}],
    ),
    *making(
        "InvalidParameter",
        constraint("resourceTags", "A repository may have at most 50 tags; this would make it 51"),
        "too many tags",
        resourceTags=[{"Key": str(number), "Value": ""} for number in range(51)],
    ),
    *making(
        "InvalidParameter",
        constraint(
            "resourceTags.1.member.key", "Member must have length greater than or equal to 1"
        ),
        "an empty key",
        resourceTags=[{"Key": "", "Value": ""}],
    ),
    *making(
        "InvalidParameter",
        "Invalid encryption configuration: Encryption key should not be set for AES256 encryption.",
        "a key without KMS",
        encryptionConfiguration={
            "encryptionType": "AES256",
            "kmsKey": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/a",
        },
    ),
    *making(
        "UnsupportedOperation",
        "Encryption with KMS is not built yet in Longshore. Use AES256 and encrypt the volume that "
        "holds the data directory.",
        "KMS",
        encryptionConfiguration={"encryptionType": "KMS"},
    ),
    *making(
        "InvalidParameter",
        constraint("customRoleArn", "Invalid ARN"),
        "a role without a form",
        customRoleArn="creator",
    ),
    *making(
        "InvalidParameter",
        constraint("customRoleArn", "The role must be in the same account as the registry"),
        "a role of others",
        customRoleArn="arn:aws:iam::999999999999:role/creator",
    ),
    *making(
        "InvalidParameter",
        constraint(
            "LifecyclePolicyText",
            "Lifecycle policy validation failure: array is too short: must have at least 1 "
            "elements but instance has 0 elements\n",
        ),
        "a lifecycle policy that isn't one",
        lifecyclePolicy='{{"rules": []}}',
    ),
]

PULL_TIMES = [
    Refusal(
        "RegisterPullTimeUpdateExclusion",
        "ExclusionAlreadyExists",
        "The pull time update exclusion for the principal with ARN '{excluded}' already exists in "
        f"the registry with id '{ACCOUNT}'",
        {"principalArn": "{excluded}"},
        exclusion,
    ),
    Refusal(
        "DeregisterPullTimeUpdateExclusion",
        "ExclusionNotFound",
        f"The pull time update exclusion for the principal with ARN '{ROLE}' does not exist in "
        f"the registry with id '{ACCOUNT}'",
        {"principalArn": ROLE},
    ),
    *(
        Refusal(
            operation,
            "InvalidParameter",
            constraint("principalArn", sentence),
            {"principalArn": arn},
            why=why,
        )
        for operation in EXCLUDING
        for arn, sentence, why in (
            (None, "Member must not be null", "nobody"),
            (f"arn:aws:sts::{ACCOUNT}:assumed-role/scanner/x", PRINCIPAL, "a session"),
            (f"arn:aws:iam::{ACCOUNT}:root", PRINCIPAL, "root"),
            (
                ROLE + "x" * 200,
                "Member must have length less than or equal to 200",
                "a long name",
            ),
        )
    ),
    *(
        Refusal(
            operation, "InvalidParameter", constraint(member, sentence), {member: value}, why=member
        )
        for operation in LISTING
        for member, value, sentence in (
            ("nextToken", "x", "The token is not one that this listing returned"),
            ("maxResults", 1_001, "Member must have value less than or equal to 1000"),
        )
    ),
]
