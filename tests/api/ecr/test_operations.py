"""The operations of the newest service model: each is built, or says plainly that it isn't."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from longshore.api.aws.model import ServiceModel
from longshore.api.ecr.operations import OPERATIONS
from tests.api.ecr.refusals import check_refusal

if TYPE_CHECKING:
    from longshore.api.aws.model import Shape
    from tests.support.server import RunningServer

MODEL = ServiceModel.load("ecr")
NOT_BUILT = sorted(MODEL.operations.keys() - OPERATIONS.keys())
DOCUMENTATION = Path(__file__).parents[3] / "docs" / "operations.md"

# What satisfies a pattern of the model, by the name of the shape.
SAMPLES = {
    "RepositoryName": "demo/app",
    "RegistryId": "000000000000",
    "ImageDigest": "sha256:" + "0" * 64,
    "Region": "us-east-1",
    "PullThroughCacheRuleRepositoryPrefix": "demo",
    "PullThroughCacheRuleRepositoryPrefixV2": "demo",
    "Prefix": "demo",
    "Url": "https://example.org",
    "SigningProfileArn": "arn:aws:signer:us-east-1:000000000000:/signing-profiles/a",
    "PrincipalArn": "arn:aws:iam::000000000000:role/a",
    "ScanningRepositoryFilterValue": "demo*",
    "SigningRepositoryFilterValue": "demo*",
    "RepositoryFilterValue": "demo",
    "LifecyclePolicyText": "x" * 100,
    "ReplicationBackfillId": "00000000-0000-0000-0000-000000000000",
}


LEAST = {"boolean": False, "timestamp": 0, "blob": "YQ==", "map": {}}


def sample(shape: Shape) -> Any:
    """Make the least value that a shape takes."""
    match shape.kind:
        case "structure":
            return {name: sample(MODEL.shapes[shape.members[name]]) for name in shape.required}
        case "list":
            return [sample(MODEL.shapes[str(shape.element)])] * (shape.minimum or 0)
        case "string":
            text = SAMPLES.get(shape.name, "x" * max(shape.minimum or 0, 1))
            return shape.enum[0] if shape.enum else text
        case kind:
            return LEAST.get(kind, shape.minimum or 0)


@pytest.mark.parametrize("operation", NOT_BUILT)
def test_an_operation_that_is_not_built_says_so(server: RunningServer, operation: str) -> None:
    taken = MODEL.operations[operation].input
    request = sample(MODEL.shapes[taken]) if taken else {}

    check_refusal(
        server.call(operation, request),
        "UnsupportedOperationException",
        f"{operation} is not built yet in Longshore. docs/operations.md lists what is.",
    )


def test_every_operation_of_the_table_is_one_of_the_model() -> None:
    assert OPERATIONS.keys() <= MODEL.operations.keys()
    assert len(OPERATIONS) == 42


def test_every_operation_of_the_model_is_in_the_documentation() -> None:
    documented = set(re.findall(r"\w+", DOCUMENTATION.read_text()))

    assert MODEL.operations.keys() - documented == set()
