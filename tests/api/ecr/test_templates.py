"""Repository creation templates, through boto3."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from longshore.setting_tables import LimitSettings
from tests.api.ecr.refusal_cases import ACCOUNT
from tests.api.ecr.refusals import body, refusal
from tests.api.people import OTHER_ACCOUNT, Person, allow, is_denied, policy

if TYPE_CHECKING:
    from tests.api.conftest import NewServer
    from tests.api.stage import Stage

ROLE = f"arn:aws:iam::{ACCOUNT}:role/service/creator"
SENT = policy({"Action": "ecr:BatchGetImage", "Principal": "*", "Effect": "Allow"})
SHOWN = """{
  "Version" : "2012-10-17",
  "Statement" : [ {
    "Effect" : "Allow",
    "Principal" : "*",
    "Action" : "ecr:BatchGetImage"
  } ]
}"""
LIFECYCLE = """{"rules": [{
    "action": {"type": "expire"},
    "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 1},
    "rulePriority": 1
}]}"""
TAGS = [{"Key": "team", "Value": "a"}, {"Key": "empty", "Value": ""}]
FILTERS = [{"filterType": "WILDCARD", "filter": "dev*"}]


def test_a_template_from_its_creation_to_its_end(stage: Stage) -> None:
    ecr: Any = stage.server.ecr
    with stage.server.clock.stopped():
        made = body(
            ecr.create_repository_creation_template(
                prefix=f"{stage.name}/prod",
                description="for production",
                encryptionConfiguration={"encryptionType": "AES256", "kmsKey": ""},
                resourceTags=TAGS,
                imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
                imageTagMutabilityExclusionFilters=FILTERS,
                repositoryPolicy=SENT,
                lifecyclePolicy=LIFECYCLE,
                appliedFor=["REPLICATION", "CREATE_ON_PUSH", "REPLICATION"],
                customRoleArn=ROLE,
            )
        )
        template = made["repositoryCreationTemplate"]
        created_at = template["createdAt"]
        assert made == {
            "registryId": ACCOUNT,
            "repositoryCreationTemplate": {
                "prefix": f"{stage.name}/prod",
                "description": "for production",
                "encryptionConfiguration": {"encryptionType": "AES256"},
                "resourceTags": TAGS,
                "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
                "imageTagMutabilityExclusionFilters": FILTERS,
                "repositoryPolicy": SHOWN,
                "lifecyclePolicy": LIFECYCLE,
                "appliedFor": ["REPLICATION", "CREATE_ON_PUSH"],
                "customRoleArn": ROLE,
                "createdAt": created_at,
                "updatedAt": created_at,
            },
        }
        plain = ecr.create_repository_creation_template(prefix=stage.name, appliedFor=[])
        assert plain["repositoryCreationTemplate"] == {
            "prefix": stage.name,
            "encryptionConfiguration": {"encryptionType": "AES256"},
            "resourceTags": [],
            "imageTagMutability": "MUTABLE",
            "appliedFor": [],
            "createdAt": created_at,
            "updatedAt": created_at,
        }
        with stage.server.clock.ahead(1_500):
            changed = ecr.update_repository_creation_template(
                prefix=f"{stage.name}/prod/",
                description="",
                resourceTags=[],
                imageTagMutability="MUTABLE",
                repositoryPolicy="",
                lifecyclePolicy="",
                customRoleArn="",
            )["repositoryCreationTemplate"]
        assert changed == {
            "prefix": f"{stage.name}/prod",
            "encryptionConfiguration": {"encryptionType": "AES256"},
            "resourceTags": [],
            "imageTagMutability": "MUTABLE",
            "appliedFor": ["REPLICATION", "CREATE_ON_PUSH"],
            "createdAt": created_at,
            "updatedAt": created_at + timedelta(seconds=1.5),
        }

    named = [stage.name, f"{stage.name}/prod", f"{stage.name}/none"]
    described = body(ecr.describe_repository_creation_templates(prefixes=named))
    assert described == {
        "registryId": ACCOUNT,
        "repositoryCreationTemplates": [plain["repositoryCreationTemplate"], changed],
    }
    for shown in described["repositoryCreationTemplates"]:
        gone = body(ecr.delete_repository_creation_template(prefix=shown["prefix"]))
        assert gone == {"registryId": ACCOUNT, "repositoryCreationTemplate": shown}
    assert body(ecr.describe_repository_creation_templates(prefixes=named)) == {
        "registryId": ACCOUNT,
        "repositoryCreationTemplates": [],
    }
    with pytest.raises(ecr.exceptions.TemplateNotFoundException):
        ecr.delete_repository_creation_template(prefix=stage.name)


def test_templates_come_in_pages(new_server: NewServer) -> None:
    ecr = new_server().ecr
    prefixes = ["ROOT", *(f"team-{number}" for number in range(4))]
    for prefix in prefixes:
        ecr.create_repository_creation_template(prefix=prefix, appliedFor=["CREATE_ON_PUSH"])
    paginator = ecr.get_paginator("describe_repository_creation_templates")
    pages = [
        [template["prefix"] for template in page["repositoryCreationTemplates"]]
        for page in paginator.paginate(PaginationConfig={"PageSize": 2})
    ]
    assert pages == [prefixes[:2], prefixes[2:4], prefixes[4:]]

    first = ecr.describe_repository_creation_templates(prefixes=prefixes[1:], maxResults=3)
    rest = ecr.describe_repository_creation_templates(
        prefixes=prefixes[1:], maxResults=3, nextToken=first["nextToken"]
    )
    assert [t["prefix"] for t in rest["repositoryCreationTemplates"]] == prefixes[4:]
    with pytest.raises(ecr.exceptions.InvalidParameterException):
        ecr.describe_repository_creation_templates(nextToken=first["nextToken"])


def test_there_are_so_many_templates_and_no_more(new_server: NewServer) -> None:
    limits = LimitSettings(creation_templates_per_registry=1)
    ecr = new_server(limits=limits).ecr
    ecr.create_repository_creation_template(prefix="a", appliedFor=[])

    with refusal(
        "LimitExceededException",
        f"The registry with id '{ACCOUNT}' already has 1 repository creation templates, the most "
        "it may have. Delete some or raise the limit (limits.creation_templates_per_registry).",
    ):
        ecr.create_repository_creation_template(prefix="b", appliedFor=[])


def test_templates_are_the_caller_s_own_registry_s(stage: Stage) -> None:
    guest = Person.invite(stage.server, OTHER_ACCOUNT)
    guest.may(allow("ecr:*"))
    request = {"prefix": stage.name, "appliedFor": ["CREATE_ON_PUSH"]}

    made = guest.call("CreateRepositoryCreationTemplate", request).json()
    assert made["registryId"] == OTHER_ACCOUNT
    described = stage.server.ecr.describe_repository_creation_templates(prefixes=[stage.name])
    assert described["repositoryCreationTemplates"] == []
    elsewhere = stage.server.ecr_in("eu-west-1")
    assert elsewhere.describe_repository_creation_templates()["repositoryCreationTemplates"] == []


def test_a_role_is_passed_to_ecr_alone(stage: Stage) -> None:
    person = Person.invite(stage.server)
    request = {"prefix": stage.name, "appliedFor": [], "customRoleArn": ROLE}
    for service, denied in (("ecs.amazonaws.com", True), ("ecr.amazonaws.com", False)):
        to = {"StringEquals": {"iam:PassedToService": service}}
        person.may(allow("ecr:*"), allow("iam:PassRole", ROLE, Condition=to))
        answer = person.call("CreateRepositoryCreationTemplate", request)
        assert is_denied(answer) is denied, answer.body
    stage.server.ecr.delete_repository_creation_template(prefix=stage.name)

    # It creates with its tags: who may create with some tags only may not go round by a template.
    only_blue = {"StringEquals": {"aws:RequestTag/color": "blue"}}
    person.may(
        allow("ecr:CreateRepositoryCreationTemplate"),
        allow("ecr:CreateRepository", Condition=only_blue),
    )
    for color, denied in (("red", True), ("blue", False)):
        tags = [{"Key": "color", "Value": color}]
        tagging = {"prefix": stage.name, "appliedFor": [], "resourceTags": tags}
        assert is_denied(person.call("CreateRepositoryCreationTemplate", tagging)) is denied


def test_policies_that_were_set_with_a_template_are_shown_like_any_other(stage: Stage) -> None:
    ecr = stage.server.ecr
    ecr.create_repository_creation_template(
        prefix=stage.name,
        appliedFor=["CREATE_ON_PUSH"],
        repositoryPolicy=SENT,
        lifecyclePolicy=LIFECYCLE,
    )
    name = f"{stage.name}/app"
    answer = stage.server.oci("POST", f"/v2/{name}/blobs/uploads/")
    assert answer.status == 202

    assert ecr.get_repository_policy(repositoryName=name)["policyText"] == SHOWN
    shown = ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]
    assert shown == (
        '{"rules":[{"rulePriority":1,"selection":{"tagStatus":"untagged",'
        '"countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}}]}'
    )
