"""Policies through boto3: inline, managed, their versions, and who has them."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from longshore.identity.kinds import Kind
from tests.api.people import ACCOUNT, allow, policy
from tests.api.queries import refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_iam import IAMClient

    from tests.support.server import RunningServer

PULL = policy(allow("ecr:BatchGetImage", "arn:aws:ecr:*:*:repository/é/*"))
PUSH = policy(allow("ecr:PutImage"))
TRUST = policy({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"})
LONG = [allow("ecr:PutImage", f"arn:aws:ecr:*:*:repository/{'x' * 200}")] * 100
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"

_NUMBERS: Iterator[int] = itertools.count(1)


@pytest.fixture
def iam(plain_server: RunningServer) -> IAMClient:
    return plain_server.iam


@pytest.fixture
def name(iam: IAMClient) -> str:
    """The name of a user, a group and a role that no other test uses."""
    name = f"holder-{next(_NUMBERS)}"
    iam.create_user(UserName=name)
    iam.create_group(GroupName=name)
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    return name


@pytest.fixture(params=list(Kind), ids=lambda kind: kind.value)
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


def test_inline_policies(iam: IAMClient, name: str, kind: Kind) -> None:
    word, holder = kind.value, {f"{kind.title}Name": name}
    put, get = getattr(iam, f"put_{word}_policy"), getattr(iam, f"get_{word}_policy")
    put(**holder, PolicyName="pull", PolicyDocument=PULL)
    put(**holder, PolicyName="push", PolicyDocument=PUSH)
    found = get(**holder, PolicyName="pull")
    del found["ResponseMetadata"]
    assert found == {**holder, "PolicyName": "pull", "PolicyDocument": json.loads(PULL)}
    put(**holder, PolicyName="pull", PolicyDocument=PUSH)
    assert get(**holder, PolicyName="pull")["PolicyDocument"] == json.loads(PUSH)

    pages = iam.get_paginator(f"list_{word}_policies").paginate(  # type: ignore[call-overload] # one of three
        **holder, PaginationConfig={"PageSize": 1}
    )
    assert [page["PolicyNames"] for page in pages] == [["pull"], ["push"]]
    with refused("MalformedPolicyDocument"):
        put(**holder, PolicyName="pull", PolicyDocument='{"Statement": {}}')
    with refused("LimitExceeded"):
        put(**holder, PolicyName="long", PolicyDocument=policy(*LONG))
    delete = getattr(iam, f"delete_{word}_policy")
    delete(**holder, PolicyName="pull")
    with refused("NoSuchEntity", f"The {word} policy with name pull cannot be found."):
        delete(**holder, PolicyName="pull")
    with refused("NoSuchEntity", f"The {word} policy with name pull cannot be found."):
        get(**holder, PolicyName="pull")


def test_attached_policies(iam: IAMClient, name: str, kind: Kind) -> None:
    word, holder = kind.value, {f"{kind.title}Name": name}
    own = iam.create_policy(PolicyName=name, PolicyDocument=PULL, Path="/team/")["Policy"]["Arn"]
    attach = getattr(iam, f"attach_{word}_policy")
    for arn in (own, READ_ONLY, own):
        attach(**holder, PolicyArn=arn)
    listed = getattr(iam, f"list_attached_{word}_policies")
    assert listed(**holder)["AttachedPolicies"] == [
        {"PolicyName": "ReadOnlyAccess", "PolicyArn": READ_ONLY},
        {"PolicyName": name, "PolicyArn": own},
    ]
    assert listed(**holder, PathPrefix="/team/")["AttachedPolicies"] == [
        {"PolicyName": name, "PolicyArn": own}
    ]
    entities = iam.list_entities_for_policy(PolicyArn=own)
    entity = {f"{kind.title}Name", f"{kind.title}Id"}
    assert {member: [set(each) for each in entities[member]] for member in _ENTITIES} == {  # type: ignore[literal-required] # one of three
        member: [entity] if member == f"Policy{kind.title}s" else [] for member in _ENTITIES
    }
    assert iam.get_policy(PolicyArn=own)["Policy"]["AttachmentCount"] == 1
    with refused("DeleteConflict", "Cannot delete a policy attached to entities."):
        iam.delete_policy(PolicyArn=own)
    detach = getattr(iam, f"detach_{word}_policy")
    detach(**holder, PolicyArn=own)
    with refused("NoSuchEntity", f"Policy {own} was not found."):
        detach(**holder, PolicyArn=own)
    with refused("NoSuchEntity"):
        attach(**holder, PolicyArn=own + "x")
    with refused("InvalidInput", "ARN nonsense-and-more-than-twenty is not valid."):
        attach(**holder, PolicyArn="nonsense-and-more-than-twenty")
    iam.delete_policy(PolicyArn=own)


_ENTITIES = ("PolicyUsers", "PolicyGroups", "PolicyRoles")


def test_whom_a_policy_bounds_and_who_has_it(iam: IAMClient, name: str) -> None:
    arn = iam.create_policy(PolicyName=name, PolicyDocument=PULL)["Policy"]["Arn"]
    iam.attach_user_policy(UserName=name, PolicyArn=arn)
    iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=arn)

    def found(**filters: Any) -> tuple[int, int]:
        entities = iam.list_entities_for_policy(PolicyArn=arn, **filters)
        return len(entities["PolicyUsers"]), len(entities["PolicyRoles"])

    assert found() == (1, 1)
    assert found(PolicyUsageFilter="PermissionsPolicy") == (1, 0)
    assert found(PolicyUsageFilter="PermissionsBoundary") == (0, 1)
    assert found(EntityFilter="User") == (1, 0)
    assert found(EntityFilter="LocalManagedPolicy") == (0, 0)
    assert found(PathPrefix="/elsewhere/") == (0, 0)
    first = iam.list_entities_for_policy(PolicyArn=arn, MaxItems=1)
    second = iam.list_entities_for_policy(PolicyArn=arn, MaxItems=1, Marker=first["Marker"])
    assert (first["IsTruncated"], second["IsTruncated"]) == (True, False)
    counted = iam.get_policy(PolicyArn=arn)["Policy"]
    assert (counted["AttachmentCount"], counted["PermissionsBoundaryUsageCount"]) == (1, 1)


def test_a_managed_policy_and_its_versions(iam: IAMClient, name: str) -> None:
    made = iam.create_policy(
        PolicyName=name,
        Path="/team/",
        PolicyDocument=PULL,
        Description="of a test",
        Tags=[{"Key": "team", "Value": "a"}],
    )["Policy"]
    arn = made["Arn"]
    assert arn == f"arn:aws:iam::{ACCOUNT}:policy/team/{name}"
    assert (made["DefaultVersionId"], made["IsAttachable"]) == ("v1", True)
    assert iam.get_policy(PolicyArn=arn)["Policy"] == made
    with refused("EntityAlreadyExists"):
        iam.create_policy(PolicyName=name, PolicyDocument=PULL)

    second = iam.create_policy_version(PolicyArn=arn, PolicyDocument=PUSH)["PolicyVersion"]
    assert (second["VersionId"], second["IsDefaultVersion"]) == ("v2", False)
    whole = iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]
    assert whole["Document"] == json.loads(PUSH)
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")
    third = iam.create_policy_version(PolicyArn=arn, PolicyDocument=PULL, SetAsDefault=True)
    assert third["PolicyVersion"]["IsDefaultVersion"]
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert {each["VersionId"]: each["IsDefaultVersion"] for each in versions} == {
        "v1": False,
        "v2": False,
        "v3": True,
    }
    with refused("DeleteConflict"):
        iam.delete_policy_version(PolicyArn=arn, VersionId="v3")
    with refused("DeleteConflict"):
        iam.delete_policy(PolicyArn=arn)

    iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "stage", "Value": "1"}])
    iam.untag_policy(PolicyArn=arn, TagKeys=["team"])
    assert iam.list_policy_tags(PolicyArn=arn)["Tags"] == [{"Key": "stage", "Value": "1"}]
    for version in ("v1", "v2"):
        iam.delete_policy_version(PolicyArn=arn, VersionId=version)
    iam.delete_policy(PolicyArn=arn)
    with refused("NoSuchEntity", f"Policy {arn} was not found."):
        iam.get_policy(PolicyArn=arn)


def test_listings_of_policies(iam: IAMClient, name: str) -> None:
    path = f"/{name}/"
    for number in range(3):
        iam.create_policy(PolicyName=f"{name}-{number}", Path=path, PolicyDocument=PULL)
    iam.attach_user_policy(UserName=name, PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy{path}{name}-1")
    iam.put_user_permissions_boundary(
        UserName=name, PermissionsBoundary=f"arn:aws:iam::{ACCOUNT}:policy{path}{name}-2"
    )

    def names(**filters: Any) -> list[str]:
        pages = iam.get_paginator("list_policies").paginate(
            PaginationConfig={"PageSize": 2}, **filters
        )
        return [each["PolicyName"] for page in pages for each in page["Policies"]]

    assert names(PathPrefix=path) == [f"{name}-{number}" for number in range(3)]
    assert names(PathPrefix=path, OnlyAttached=True) == [f"{name}-1"]
    assert names(PathPrefix=path, PolicyUsageFilter="PermissionsBoundary") == [f"{name}-2"]
    assert names(PathPrefix=path, Scope="AWS") == []
    assert "ReadOnlyAccess" in names(Scope="AWS")
    assert set(names(Scope="AWS")) < set(names())


def test_a_policy_of_aws_s_own_is_there_and_stays_as_it_is(iam: IAMClient) -> None:
    found = iam.get_policy(PolicyArn=READ_ONLY)["Policy"]
    assert found["PolicyName"] == "ReadOnlyAccess"
    version = iam.get_policy_version(PolicyArn=READ_ONLY, VersionId=found["DefaultVersionId"])[
        "PolicyVersion"
    ]
    assert version["Document"]
    with refused("NoSuchEntity"):
        iam.delete_policy(PolicyArn=READ_ONLY)
