"""The managed policies that AWS gives to every account, as far as a registry has use for them.

Each grants here what it grants there, of the services that Longshore has.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from longshore.identity.errors import NoSuchEntity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from longshore.clock import Millis

_PREFIX = "arn:aws:iam::aws:policy"
# IAM tells a date for everything: 2025-01-01.
CREATED_AT: Final[Millis] = 1_735_689_600_000


@dataclass(frozen=True, slots=True)
class AwsManagedPolicy:
    """A managed policy of AWS's; it can be had by everybody and changed by nobody."""

    name: str
    description: str
    document: str
    path: str = "/"

    @property
    def arn(self) -> str:
        """The policy's ARN."""
        return f"{_PREFIX}{self.path}{self.name}"

    @property
    def id(self) -> str:
        """The policy's unique id, the same on every server."""
        return "ANPA" + base64.b32encode(hashlib.sha256(self.name.encode()).digest()).decode()[:17]


def is_one(arn: str) -> bool:
    """Tell whether an ARN names a policy that is here."""
    return arn in _POLICIES


def find(arn: str) -> AwsManagedPolicy:
    """Return the policy with this ARN.

    Raises:
        NoSuchEntity: there is none.
    """
    try:
        return _POLICIES[arn]
    except KeyError:
        raise NoSuchEntity.policy(arn) from None


def _policy(name: str, description: str, actions: Sequence[str] | str) -> AwsManagedPolicy:
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return AwsManagedPolicy(name, description, json.dumps(document, indent=4))


_PULL = [
    "ecr:GetAuthorizationToken",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
]
_READ = [
    *_PULL,
    "ecr:BatchCheckLayerAvailability",
    "ecr:DescribeImages",
    "ecr:DescribeImageScanFindings",
    "ecr:DescribeRepositories",
    "ecr:GetLifecyclePolicy",
    "ecr:GetLifecyclePolicyPreview",
    "ecr:GetRepositoryPolicy",
    "ecr:ListImages",
    "ecr:ListTagsForResource",
]
_PUSH = [
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
]

_POLICIES: Final[Mapping[str, AwsManagedPolicy]] = {
    policy.arn: policy
    for policy in (
        _policy("AdministratorAccess", "Everything.", "*"),
        _policy(
            "ReadOnlyAccess",
            "Reads everything, images included, and changes nothing.",
            [
                *("ecr:BatchCheck*", "ecr:BatchGet*", "ecr:Describe*", "ecr:Get*", "ecr:List*"),
                *("iam:Generate*", "iam:Get*", "iam:List*", "iam:Simulate*"),
                *("sts:GetAccessKeyInfo", "sts:GetCallerIdentity", "sts:GetSessionToken"),
            ],
        ),
        _policy("IAMFullAccess", "Manages identities and their policies.", "iam:*"),
        _policy(
            "IAMReadOnlyAccess",
            "Reads identities and their policies.",
            [
                "iam:GenerateCredentialReport",
                "iam:GenerateServiceLastAccessedDetails",
                "iam:Get*",
                "iam:List*",
                "iam:SimulateCustomPolicy",
                "iam:SimulatePrincipalPolicy",
            ],
        ),
        _policy(
            "AmazonEC2ContainerRegistryFullAccess",
            "Does everything with repositories, images and the registry.",
            "ecr:*",
        ),
        _policy(
            "AmazonEC2ContainerRegistryPowerUser",
            "Pulls, pushes and looks at everything, and neither makes nor deletes anything else.",
            [*_READ, *_PUSH],
        ),
        _policy(
            "AmazonEC2ContainerRegistryReadOnly",
            "Pulls and looks at repositories, images, findings, tags and policies.",
            _READ,
        ),
        _policy(
            "AmazonEC2ContainerRegistryPullOnly",
            "Pulls, also through the cache.",
            [*_PULL, "ecr:BatchImportUpstreamImage"],
        ),
    )
}
ARNS: Final[Sequence[str]] = tuple(_POLICIES)
ADMINISTRATOR_ACCESS: Final = f"{_PREFIX}/AdministratorAccess"
