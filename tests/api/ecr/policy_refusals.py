"""How operations on policies refuse."""

from __future__ import annotations

from tests.api.ecr.refusal_cases import ACCOUNT, NO_POLICY_AT_ALL, Refusal
from tests.api.ecr.refusals import constraint

LOCKED_OUT = constraint(
    "PolicyText",
    "The policy provided would prevent you from setting another policy in the future. "
    "Use force to apply it.",
)
INVALID = {
    operation: constraint("PolicyText", f"Invalid {kind} policy provided")
    for operation, kind in (
        ("SetRepositoryPolicy", "repository"),
        ("PutRegistryPolicy", "registry"),
    )
}

UNKNOWN_PRINCIPAL = constraint("PolicyText", "Principal not found")

POLICIES = [
    *(
        Refusal(
            operation,
            "RepositoryPolicyNotFound",
            "Repository policy does not exist for the repository with name '{name}' "
            f"in the registry with id '{ACCOUNT}'",
        )
        for operation in ("GetRepositoryPolicy", "DeleteRepositoryPolicy")
    ),
    *(
        Refusal(
            operation,
            "RegistryPolicyNotFound",
            f"Registry policy does not exist in the registry with id '{ACCOUNT}'",
        )
        for operation in ("GetRegistryPolicy", "DeleteRegistryPolicy")
    ),
    *(
        Refusal(
            operation,
            "InvalidParameter",
            constraint("PolicyText", "Cannot be null"),
            {"policyText": None},
            why="no policy",
        )
        for operation in INVALID
    ),
    *(
        Refusal(
            operation,
            "InvalidParameter",
            constraint("policyText", "Member must have length less than or equal to 10240"),
            {"policyText": "x" * 10_241},
            why="a long policy",
        )
        for operation in INVALID
    ),
    *(
        Refusal(
            operation,
            "InvalidParameter",
            sentence,
            {"policyText": NO_POLICY_AT_ALL},
            members={"reason": "Statement is missing"},
            why="no policy at all",
        )
        for operation, sentence in INVALID.items()
    ),
    *(
        Refusal(
            operation,
            "InvalidParameter",
            UNKNOWN_PRINCIPAL,
            {"policyText": "{of_a_stranger}"},
            members={"reason": f"There is no principal 'arn:aws:iam::{ACCOUNT}:user/nobody'"},
            why="no such principal",
        )
        for operation in INVALID
    ),
    Refusal(
        "SetRepositoryPolicy",
        "InvalidParameter",
        LOCKED_OUT,
        {"policyText": "{locking_out}"},
        why="nobody could set another",
    ),
]
