from __future__ import annotations

import re

from longshore.access.policy.compiled import compiled
from longshore.access.policy.documents import Grammar
from longshore.access.policy.evaluation import Policies, Source, decide
from longshore.access.policy.subjects import Kind, Request, Subject
from longshore.api.aws.model import ServiceModel
from longshore.identity import aws_managed_policies

READING = re.compile("(BatchCheck|BatchGet|Describe|Get|List)")


def allowed(name: str, actions: set[str]) -> set[str]:
    policy = aws_managed_policies.find(f"arn:aws:iam::aws:policy/{name}")
    policies = Policies(identity=(Source(name, compiled(policy.document, Grammar.IDENTITY)),))
    somebody = Subject(Kind.USER, "1", "arn")
    return {
        action
        for action in actions
        if decide(somebody, policies, [], Request(action, "*", "1", {})).allowed
    }


def test_each_grants_what_its_name_says() -> None:
    operations = {f"ecr:{name}" for name in ServiceModel.load("ecr").operations}
    ecr = operations | {"ecr:BatchImportUpstreamImage", "ecr:ReplicateImage"}
    iam = {"iam:GetUser", "iam:ListRoles", "iam:CreateUser", "iam:PassRole"}
    both = ecr | iam
    pull = {"ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}
    push = {
        *("ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload"),
        "ecr:PutImage",
    }
    read = allowed("AmazonEC2ContainerRegistryReadOnly", both)

    assert allowed("AdministratorAccess", both) == both
    assert allowed("IAMFullAccess", both) == iam
    assert allowed("IAMReadOnlyAccess", both) == {"iam:GetUser", "iam:ListRoles"}
    assert allowed("AmazonEC2ContainerRegistryFullAccess", both) == ecr
    assert allowed("AmazonEC2ContainerRegistryPullOnly", both) == pull | {
        "ecr:BatchImportUpstreamImage"
    }
    assert pull | {"ecr:BatchCheckLayerAvailability", "ecr:ListImages"} < read
    assert not read & push
    assert allowed("AmazonEC2ContainerRegistryPowerUser", both) == read | push
    reading = {action for action in ecr if READING.match(action.partition(":")[2])}
    assert allowed("ReadOnlyAccess", both) == reading | {"iam:GetUser", "iam:ListRoles"}
    assert read <= reading


def test_each_has_an_arn_and_an_id_of_its_own() -> None:
    policies = [aws_managed_policies.find(arn) for arn in aws_managed_policies.ARNS]
    assert [policy.arn for policy in policies] == list(aws_managed_policies.ARNS)
    assert len({policy.id for policy in policies}) == len(policies) == 8
    for policy in policies:
        assert re.fullmatch(r"ANPA[A-Z2-7]{17}", policy.id)
