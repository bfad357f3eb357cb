"""Policies of repositories and of registries, through boto3."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.ecr.policy_refusals import LOCKED_OUT, UNKNOWN_PRINCIPAL
from tests.api.ecr.refusal_cases import ACCOUNT
from tests.api.ecr.refusals import body, refusal
from tests.api.people import OTHER_ACCOUNT, Person, allow, is_denied, policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.stage import Stage
    from tests.support.server import RunningServer

SENT = (
    '{"Statement":[{"Action":["ecr:BatchGetImage"],"Principal":{"AWS":"111122223333"},'
    '"Effect":"Allow","Sid":"pull, please"}],"Version":"2012-10-17"}'
)
SHOWN = """{
  "Version" : "2012-10-17",
  "Statement" : [ {
    "Sid" : "pull, please",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "111122223333"
    },
    "Action" : [ "ecr:BatchGetImage" ]
  } ]
}"""
SENT_FOR_REGISTRY = SENT.replace('"Effect"', '"Resource":"*","Effect"')
SHOWN_FOR_REGISTRY = SHOWN.replace(
    '"Action" : [ "ecr:BatchGetImage" ]',
    '"Action" : [ "ecr:BatchGetImage" ],\n    "Resource" : "*"',
)
LOCKING_OUT = {"Effect": "Deny", "Principal": "*", "Action": "ecr:SetRepositoryPolicy"}


def test_the_policy_of_a_repository(stage: Stage) -> None:
    ecr, name = stage.server.ecr, stage.name
    shown = {"registryId": ACCOUNT, "repositoryName": name, "policyText": SHOWN}

    assert body(ecr.set_repository_policy(repositoryName=name, policyText=SENT)) == shown
    assert body(ecr.get_repository_policy(repositoryName=name)) == shown
    assert body(ecr.set_repository_policy(repositoryName=name, policyText=SHOWN)) == shown
    assert body(ecr.delete_repository_policy(repositoryName=name)) == shown
    with pytest.raises(ecr.exceptions.RepositoryPolicyNotFoundException):
        ecr.get_repository_policy(repositoryName=name)


@pytest.fixture
def _no_registry_policy(server: RunningServer) -> Iterator[None]:
    yield
    server.ecr.delete_registry_policy()


@pytest.mark.usefixtures("_no_registry_policy")
def test_the_policy_of_a_registry(server: RunningServer) -> None:
    ecr = server.ecr
    shown = {"registryId": ACCOUNT, "policyText": SHOWN_FOR_REGISTRY}

    for _ in range(2):
        assert body(ecr.put_registry_policy(policyText=SENT_FOR_REGISTRY)) == shown
        assert body(ecr.get_registry_policy()) == shown
    assert body(ecr.delete_registry_policy()) == shown
    with pytest.raises(ecr.exceptions.RegistryPolicyNotFoundException):
        ecr.delete_registry_policy()
    ecr.put_registry_policy(policyText=SENT_FOR_REGISTRY)


def test_a_policy_names_principals_that_exist(stage: Stage) -> None:
    """A user that is there, a role that isn't yet: Terraform waits on exactly this sentence."""
    person = Person.invite(stage.server, OTHER_ACCOUNT)
    ecr, name = stage.server.ecr, stage.name

    def naming(*arns: str) -> str:
        principal = {"AWS": [*arns, OTHER_ACCOUNT, f"arn:aws:iam::{OTHER_ACCOUNT}:root"]}
        return policy({"Effect": "Allow", "Principal": principal, "Action": "ecr:*"})

    ecr.set_repository_policy(repositoryName=name, policyText=naming(person.arn))
    for absent in (f"{person.arn}x", person.arn.replace("user/", "role/")):
        with refusal("InvalidParameterException", UNKNOWN_PRINCIPAL):
            ecr.set_repository_policy(repositoryName=name, policyText=naming(person.arn, absent))
    kept = json.loads(ecr.get_repository_policy(repositoryName=name)["policyText"])
    assert kept == json.loads(naming(person.arn))


def test_a_policy_shows_who_is_gone(stage: Stage) -> None:
    """By the unique id, as ECR does; Terraform sets the policy again for it."""
    guest = Person.invite(stage.server, OTHER_ACCOUNT)
    ecr, name, iam = stage.server.ecr, stage.name, guest.client("iam")
    guest.may({"Effect": "Allow", "Action": "iam:*", "Resource": "*"})
    role = iam.create_role(
        RoleName=guest.name,
        AssumeRolePolicyDocument=policy(
            {"Effect": "Allow", "Principal": {"AWS": guest.arn}, "Action": "sts:AssumeRole"}
        ),
    )["Role"]
    text = policy({"Effect": "Allow", "Principal": {"AWS": role["Arn"]}, "Action": "ecr:*"})
    ecr.set_repository_policy(repositoryName=name, policyText=text)
    template = ecr.create_repository_creation_template(
        prefix=name, appliedFor=["CREATE_ON_PUSH"], repositoryPolicy=text
    )["repositoryCreationTemplate"]
    set_before = ecr.get_repository_policy(repositoryName=name)["policyText"]
    assert template["repositoryPolicy"] == set_before

    iam.delete_role(RoleName=guest.name)

    shown = set_before.replace(role["Arn"], role["RoleId"])
    assert ecr.get_repository_policy(repositoryName=name)["policyText"] == shown
    [template] = ecr.describe_repository_creation_templates(prefixes=[name])[
        "repositoryCreationTemplates"
    ]
    assert template["repositoryPolicy"] == shown


# --- Being locked out -----------------------------------------------------------------------------


def test_nobody_locks_themselves_out_without_force(stage: Stage) -> None:
    ecr, name = stage.server.ecr, stage.name
    text = policy(LOCKING_OUT)
    with refusal("InvalidParameterException", LOCKED_OUT):
        ecr.set_repository_policy(repositoryName=name, policyText=text)

    ecr.set_repository_policy(repositoryName=name, policyText=text, force=True)

    with pytest.raises(ecr.exceptions.ClientError, match="explicit deny in a resource-based"):
        ecr.set_repository_policy(repositoryName=name, policyText=SENT, force=True)
    ecr.delete_repository_policy(repositoryName=name)
    ecr.set_repository_policy(repositoryName=name, policyText=SENT)


@pytest.mark.parametrize(
    ("described", "changes", "locks_out"),
    [
        ("somebody else is denied", {"Principal": {"AWS": OTHER_ACCOUNT}}, False),
        ("something else is denied", {"Action": "ecr:PutImage"}, False),
        ("everything is denied", {"Action": "ecr:*"}, True),
        ("the account is denied", {"Principal": {"AWS": ACCOUNT}}, True),
        (
            "where the caller isn't",
            {"Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}},
            False,
        ),
        (
            "where the caller is",
            {"Condition": {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}},
            True,
        ),
    ],
)
def test_who_is_locked_out(
    stage: Stage,
    described: str,
    changes: dict[str, Any],
    locks_out: bool,
) -> None:
    request = {"repositoryName": stage.name, "policyText": policy(LOCKING_OUT | changes)}
    answer = stage.server.call("SetRepositoryPolicy", request)

    assert (answer.status == 400) is locks_out, (described, answer.body)
    if locks_out:
        assert answer.json()["message"] == LOCKED_OUT


def test_a_guest_locks_itself_out_by_a_policy_without_it(stage: Stage) -> None:
    guest = Person.invite(stage.server, OTHER_ACCOUNT)
    guest.may(allow("ecr:*"))
    welcome = policy({"Effect": "Allow", "Principal": {"AWS": guest.arn}, "Action": "ecr:*"})
    stage.server.ecr.set_repository_policy(repositoryName=stage.name, policyText=welcome)
    request = {"registryId": ACCOUNT, "repositoryName": stage.name, "policyText": SENT}

    assert guest.call("SetRepositoryPolicy", request).json()["message"] == LOCKED_OUT
    assert guest.call("SetRepositoryPolicy", request | {"policyText": welcome}).status == 200
    assert guest.call("SetRepositoryPolicy", request | {"force": True}).status == 200
    assert is_denied(guest.call("SetRepositoryPolicy", request))


# --- Their effect ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("_no_registry_policy")
def test_a_registry_policy_opens_every_repository(stage: Stage) -> None:
    guest = Person.invite(stage.server, OTHER_ACCOUNT)
    guest.may(allow("ecr:*"))
    request = {"registryId": ACCOUNT, "repositoryName": stage.name}
    ecr = stage.server.ecr
    statement = {"Effect": "Allow", "Principal": {"AWS": OTHER_ACCOUNT}, "Action": "ecr:*"}
    ecr.put_registry_policy(policyText=policy(statement | {"Resource": "*"}))

    assert guest.call("ListImages", request).status == 200
    new = request | {"repositoryName": f"{stage.name}/by-guest"}
    assert guest.call("CreateRepository", new).status == 200

    ecr.put_account_setting(name="REGISTRY_POLICY_SCOPE", value="V1")
    try:
        assert is_denied(guest.call("ListImages", request))
        new = request | {"repositoryName": f"{stage.name}/by-guest-too"}
        assert guest.call("CreateRepository", new).status == 200
    finally:
        ecr.put_account_setting(name="REGISTRY_POLICY_SCOPE", value="V2")


def test_an_action_that_no_operation_needs_has_no_effect(stage: Stage) -> None:
    guest = Person.invite(stage.server, OTHER_ACCOUNT)
    guest.may(allow("ecr:*"))
    ecr, name = stage.server.ecr, stage.name
    request = {"registryId": ACCOUNT, "repositoryName": name}
    statement = {"Effect": "Allow", "Principal": {"AWS": OTHER_ACCOUNT}, "Action": "ecr:Foo"}

    ecr.set_repository_policy(repositoryName=name, policyText=policy(statement))
    assert '"ecr:Foo"' in ecr.get_repository_policy(repositoryName=name)["policyText"]
    assert is_denied(guest.call("ListImages", request))

    everything = statement | {"Action": "ecr:*"}
    denied = statement | {"Effect": "Deny"}
    ecr.set_repository_policy(repositoryName=name, policyText=policy(everything, denied))
    assert guest.call("ListImages", request).status == 200

    nothing_left_out = {k: v for k, v in denied.items() if k != "Action"} | {"NotAction": "ecr:Foo"}
    ecr.set_repository_policy(repositoryName=name, policyText=policy(everything, nothing_left_out))
    assert is_denied(guest.call("ListImages", request))


def test_addresses_are_those_of_clients(stage: Stage) -> None:
    person = Person.invite(stage.server)
    for block, status in (("127.0.0.0/8", 200), ("198.51.100.0/24", 400)):
        person.may(allow("ecr:*", Condition={"IpAddress": {"aws:SourceIp": block}}))
        answer = person.call("ListImages", {"repositoryName": stage.name})
        assert answer.status == status, answer.body
        header = ("X-Forwarded-For", "198.51.100.7")
        forwarded = person.oci("GET", f"/v2/{stage.name}/tags/list", [header])
        assert forwarded.status == {200: 200, 400: 403}[status]
