"""Every error that the service model declares for an operation, from a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.api.aws.model import ServiceModel
from longshore.api.ecr.operations import OPERATIONS
from tests.api.ecr.image_refusals import IMAGES
from tests.api.ecr.layer_refusals import LAYERS
from tests.api.ecr.lifecycle_refusals import LIFECYCLE
from tests.api.ecr.policy_refusals import POLICIES
from tests.api.ecr.refusal_cases import (
    ACCOUNT,
    IMAGE,
    INDEX,
    OTHER,
    POLICIES_BY_NAME,
    Refusal,
    arn_of,
    filled,
)
from tests.api.ecr.refusals import check_refusal, constraint
from tests.api.ecr.repository_refusals import IN_A_REPOSITORY, ON_A_RESOURCE, PAGING, REPOSITORIES
from tests.api.ecr.template_refusals import EXCLUDING, LISTING, NAMING, PULL_TIMES, TEMPLATES
from tests.support.images import oci_image

if TYPE_CHECKING:
    from tests.api.stage import Stage

# What the model declares, and Longshore never answers.
NEVER = {
    "ServerException": "every operation declares it; it is tested where the server does fail",
    "KmsException": "there is no KMS yet",
    "UnableToGetUpstreamLayerException": "there is no pull through cache yet",
    "UnableToGetUpstreamImageException": "there is no pull through cache yet",
    "UnableToListUpstreamImageReferrersException": "there is no pull through cache yet",
}
NEVER_HERE = {
    ("PutImageScanningConfiguration", "ValidationException"): "InvalidParameterException says it",
    ("ListImageReferrers", "ValidationException"): "InvalidParameterException says it",
    ("DescribeRegistry", "ValidationException"): "it takes no parameters",
    ("DescribeRegistry", "InvalidParameterException"): "it takes no parameters",
    ("GetAccountSetting", "ValidationException"): "InvalidParameterException says it",
    ("PutAccountSetting", "ValidationException"): "InvalidParameterException says it",
    ("PutAccountSetting", "LimitExceededException"): "nothing limits it",
    ("PutRegistryPolicy", "ValidationException"): "InvalidParameterException says it",
    ("GetRegistryPolicy", "ValidationException"): "it takes no parameters",
    ("GetRegistryPolicy", "InvalidParameterException"): "it takes no parameters",
    ("DeleteRegistryPolicy", "ValidationException"): "it takes no parameters",
    ("DeleteRegistryPolicy", "InvalidParameterException"): "it takes no parameters",
    ("BatchGetImage", "LimitExceededException"): "nothing limits it",
    **{
        (operation, "ValidationException"): "InvalidParameterException says it"
        for operation in (
            "PutLifecyclePolicy",
            "GetLifecyclePolicy",
            "DeleteLifecyclePolicy",
            "StartLifecyclePolicyPreview",
            "GetLifecyclePolicyPreview",
        )
    },
    ("UpdateImageStorageClass", "ValidationException"): "InvalidParameterException says it",
    ("UntagResource", "TooManyTagsException"): "fewer tags are never too many",
    **{
        (operation, "ValidationException"): "InvalidParameterException says it"
        for operation in (*NAMING, *EXCLUDING, *LISTING)
    },
    ("DeregisterPullTimeUpdateExclusion", "LimitExceededException"): "nothing limits it",
    ("ListPullTimeUpdateExclusions", "LimitExceededException"): "nothing limits it",
}


REGISTRY = [
    Refusal(
        "GetAuthorizationToken",
        "InvalidParameter",
        constraint("registryIds", "Member must have length less than or equal to 10"),
        {"registryIds": [ACCOUNT] * 11},
    ),
    Refusal(
        "GetAccountSetting",
        "InvalidParameter",
        constraint(
            "name",
            "Member must satisfy enum value set: "
            "[BLOB_MOUNTING, BASIC_SCAN_TYPE_VERSION, REGISTRY_POLICY_SCOPE]",
        ),
        {"name": "NO_SUCH"},
    ),
    Refusal(
        "PutAccountSetting",
        "InvalidParameter",
        constraint("value", "Member must satisfy enum value set: [DISABLED, ENABLED]"),
        {"name": "BLOB_MOUNTING", "value": "PERHAPS"},
    ),
    Refusal(
        "PutAccountSetting",
        "InvalidParameter",
        constraint("value", "Member must satisfy enum value set: [V2, V1]"),
        {"name": "REGISTRY_POLICY_SCOPE", "value": "V3"},
    ),
]

REFUSALS = [
    *IN_A_REPOSITORY,
    *ON_A_RESOURCE,
    *PAGING,
    *REPOSITORIES,
    *LAYERS,
    *IMAGES,
    *LIFECYCLE,
    *POLICIES,
    *TEMPLATES,
    *PULL_TIMES,
    *REGISTRY,
]


@pytest.mark.parametrize("case", REFUSALS, ids=str)
def test_refusals(case: Refusal, stage: Stage) -> None:
    names = {
        "name": stage.name,
        "arn": arn_of(stage.name),
        "image": IMAGE.content.decode(),
        "other": OTHER.content.decode(),
        "index": INDEX.content.decode(),
        **POLICIES_BY_NAME,
        "layerless": oci_image("layerless", layers=[]).content.decode(),
        **(case.setup(stage) if case.setup else {}),
    }
    request = {"repositoryName": "{name}", **case.request}

    answer = stage.server.call(case.operation, filled(request, names))

    check_refusal(
        answer,
        f"{case.code}Exception",
        case.message.format_map(names),
        **filled(case.members, names),
    )


# --- Those that need a server of their own --------------------------------------------------------

LIMITED = {
    (operation, "LimitExceededException")
    for operation in (
        "CreateRepository",
        "UploadLayerPart",
        "PutImage",
        "CreateRepositoryCreationTemplate",
        "RegisterPullTimeUpdateExclusion",
    )
}


def declared() -> set[tuple[str, str]]:
    model = ServiceModel.load("ecr")
    return {(name, code) for name in OPERATIONS for code in model.operations[name].error_codes}


def test_every_declared_error_is_in_the_table() -> None:
    tested = {(case.operation, f"{case.code}Exception") for case in REFUSALS} | LIMITED
    untested = {pair for pair in declared() - tested if pair[1] not in NEVER}

    assert untested == NEVER_HERE.keys()


def test_only_declared_errors_are_in_the_table() -> None:
    tested = {(case.operation, f"{case.code}Exception") for case in REFUSALS} | LIMITED

    undeclared = {code for _, code in tested - declared()}
    # What isn't built yet is no error of ECR's.
    assert undeclared == {"UnsupportedOperationException"}
