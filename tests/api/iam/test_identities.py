"""Users, groups and roles through boto3: what is made is told, found, changed and gone."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from longshore.clock import MINUTE, SECOND, as_datetime
from longshore.identity import access_keys
from tests.api.people import ACCOUNT, allow, policy
from tests.api.queries import refused
from tests.support.server import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from types_boto3_iam import IAMClient

    from tests.api.conftest import NewServer
    from tests.support.server import RunningServer

IAM = f"arn:aws:iam::{ACCOUNT}:"
TAGS: list[Any] = [{"Key": "team", "Value": "a"}, {"Key": "Stage", "Value": ""}]
NEVER_USED = {"ServiceName": "N/A", "Region": "N/A"}
BOUNDARY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}],
}
TRUST_TEXT = policy(*TRUST["Statement"])  # type: ignore[arg-type] # a list of statements

_NUMBERS: Iterator[int] = itertools.count(1)


@pytest.fixture
def iam(server: RunningServer) -> IAMClient:
    return server.iam


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"thing-{next(_NUMBERS)}"


@pytest.fixture
def database_kind() -> str:
    """What the rules do is tested with them; here it is what the API makes of it."""
    return "sqlite"


def plain(described: Any) -> dict[str, Any]:
    """Leave out what is new each time, once it was seen to be what it should be."""
    rest = dict(described)
    created: datetime = rest.pop("CreateDate")
    assert abs((created - datetime.now(UTC)).total_seconds()) < 3600
    [identifier] = [key for key in rest if key.endswith("Id")]
    assert rest.pop(identifier).startswith({"U": "AIDA", "G": "AGPA", "R": "AROA"}[identifier[0]])
    return rest


def test_a_user_from_beginning_to_end(iam: IAMClient, name: str) -> None:
    user = {
        "Path": "/team/",
        "UserName": name,
        "Arn": f"{IAM}user/team/{name}",
        "PermissionsBoundary": {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": BOUNDARY,
        },
        "Tags": TAGS,
    }
    made = iam.create_user(UserName=name, Path="/team/", PermissionsBoundary=BOUNDARY, Tags=TAGS)[
        "User"
    ]
    assert plain(made) == user
    assert iam.get_user(UserName=name)["User"] == made
    with refused("EntityAlreadyExists", f"User with name {name.upper()} already exists."):
        iam.create_user(UserName=name.upper())

    [listed] = iam.list_users(PathPrefix="/team/")["Users"]
    assert plain(listed) == {key: user[key] for key in ("Path", "UserName", "Arn")}

    iam.tag_user(UserName=name, Tags=[{"Key": "team", "Value": "b"}])
    iam.untag_user(UserName=name, TagKeys=["Stage"])
    tags = iam.list_user_tags(UserName=name)
    assert (tags["Tags"], tags["IsTruncated"]) == ([{"Key": "team", "Value": "b"}], False)

    iam.delete_user_permissions_boundary(UserName=name)
    assert "PermissionsBoundary" not in iam.get_user(UserName=name)["User"]
    iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=BOUNDARY)

    iam.update_user(UserName=name, NewUserName=f"{name}-b", NewPath="/")
    renamed = iam.get_user(UserName=f"{name}-b")["User"]
    assert (renamed["Arn"], renamed["UserId"]) == (f"{IAM}user/{name}-b", made["UserId"])
    iam.delete_user(UserName=f"{name}-b")
    with refused("NoSuchEntity", f"The user with name {name}-b cannot be found."):
        iam.get_user(UserName=f"{name}-b")


def test_when_a_key_was_used_last(server: RunningServer, iam: IAMClient, name: str) -> None:
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    pair = key["AccessKeyId"], key["SecretAccessKey"]

    def last_used() -> Any:
        told = iam.get_access_key_last_used(AccessKeyId=pair[0])
        assert told["UserName"] == name
        return told["AccessKeyLastUsed"]

    assert last_used() == NEVER_USED
    # Whoever has no more than the id of a key doesn't use it.
    assert server.query("sts", "GetCallerIdentity", key=(pair[0], "wrong")).status == 403
    assert last_used() == NEVER_USED

    # At once, and each time anew; and whether it is allowed or not.
    for minutes, (service, ask) in enumerate(
        (
            ("sts", lambda: server.query("sts", "GetCallerIdentity", key=pair).status == 200),
            ("iam", lambda: server.query("iam", "ListUsers", key=pair).status == 403),
            ("ecr", lambda: server.call("DescribeRepositories", {}, key=pair).status == 400),
        ),
        start=1,
    ):
        with server.clock.ahead(minutes * MINUTE), server.clock.stopped() as now:
            assert ask()
        assert last_used() == {
            "LastUsedDate": as_datetime(now // SECOND * SECOND),
            "ServiceName": service,
            "Region": "us-east-1",
        }

    # Its sessions are somebody else.
    with server.clock.ahead(5 * MINUTE):
        session = server.client("sts", pair).get_session_token()["Credentials"]
    used = last_used()
    assert used["ServiceName"] == "sts"
    with server.clock.ahead(10 * MINUTE):
        temporary = session["AccessKeyId"], session["SecretAccessKey"]
        server.client("sts", temporary, session["SessionToken"]).get_caller_identity()
    assert last_used() == used
    with refused("AccessDenied", ending=f"on resource: access key {temporary[0]}"):
        iam.get_access_key_last_used(AccessKeyId=temporary[0])


def test_who_asks_when_their_own_key_was_used_last_has_just_used_it(
    server: RunningServer, iam: IAMClient
) -> None:
    with server.clock.stopped() as now:
        told = iam.get_access_key_last_used(AccessKeyId=server.administrator.id)
    assert told["UserName"] == "administrator"
    assert told["AccessKeyLastUsed"] == {
        "LastUsedDate": as_datetime(now // SECOND * SECOND),
        "ServiceName": "iam",
        "Region": "us-east-1",
    }


def test_the_key_of_root_has_its_use_and_no_user(server: RunningServer, iam: IAMClient) -> None:
    key, _ = access_keys.create(server.context, ACCOUNT, None)
    told = iam.get_access_key_last_used(AccessKeyId=key.id)
    assert (told["UserName"], told["AccessKeyLastUsed"]) == ("", NEVER_USED)
    assert server.query("iam", "ListUsers", key=(key.id, key.secret)).status == 200
    told = iam.get_access_key_last_used(AccessKeyId=key.id)
    assert (told["UserName"], told["AccessKeyLastUsed"]["ServiceName"]) == ("", "iam")
    access_keys.remove(server.context, ACCOUNT, None, key.id)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_use_is_known_to_other_processes_once_it_is_written_and_after_the_end(
    new_server: NewServer, request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    settings = {}
    if kind == "postgresql":
        settings["database_url"] = request.getfixturevalue("postgres").create_database()
    with running_server(tmp_path, **settings) as one:
        other = new_server(data=tmp_path, **settings)
        key, _ = access_keys.create(one.context, ACCOUNT, None)

        def last_used() -> Any:
            return other.iam.get_access_key_last_used(AccessKeyId=key.id)["AccessKeyLastUsed"]

        def use(region: str, minutes: int) -> None:
            with one.clock.ahead(minutes * MINUTE):
                one.client("ecr", (key.id, key.secret), region=region).describe_repositories()

        use("eu-west-1", 1)
        assert last_used() == NEVER_USED
        one.context.key_uses.write(one.context)
        assert last_used()["Region"] == "eu-west-1"
        use("eu-west-2", 2)
        assert last_used()["Region"] == "eu-west-1"
    assert last_used()["Region"] == "eu-west-2"


def test_the_keys_of_a_user(iam: IAMClient, server: RunningServer, name: str) -> None:
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    pair = key["AccessKeyId"], key["SecretAccessKey"]
    assert (key["UserName"], key["Status"], len(pair[1])) == (name, "Active", 40)
    second = iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
    with refused("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2"):
        iam.create_access_key(UserName=name)

    listed = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
    assert {each["AccessKeyId"] for each in listed} == {pair[0], second}
    assert all("SecretAccessKey" not in each for each in listed)

    def is_good() -> bool:
        return server.query("sts", "GetCallerIdentity", key=pair).status == 200

    assert is_good()
    iam.update_access_key(UserName=name, AccessKeyId=pair[0], Status="Inactive")
    assert not is_good()
    iam.update_access_key(UserName=name, AccessKeyId=pair[0], Status="Active")
    assert is_good()
    with refused("InvalidInput"):
        iam.update_access_key(UserName=name, AccessKeyId=pair[0], Status="Expired")
    with refused("DeleteConflict", "Cannot delete entity, must delete access keys first."):
        iam.delete_user(UserName=name)
    for each in (pair[0], second):
        iam.delete_access_key(UserName=name, AccessKeyId=each)
    assert not is_good()
    with refused("NoSuchEntity", f"The Access Key with id {second} cannot be found."):
        iam.delete_access_key(UserName=name, AccessKeyId=second)
    iam.delete_user(UserName=name)


def test_a_group_and_its_members(iam: IAMClient, name: str) -> None:
    group = {"Path": "/", "GroupName": name, "Arn": f"{IAM}group/{name}"}
    assert plain(iam.create_group(GroupName=name)["Group"]) == group
    for member in ("a", "b"):
        iam.create_user(UserName=f"{name}-{member}")
        iam.add_user_to_group(GroupName=name, UserName=f"{name}-{member}")
    found = iam.get_group(GroupName=name)
    assert plain(found["Group"]) == group
    assert [user["UserName"] for user in found["Users"]] == [f"{name}-a", f"{name}-b"]
    [of_user] = iam.list_groups_for_user(UserName=f"{name}-a")["Groups"]
    assert plain(of_user) == group
    assert group in [plain(each) for each in iam.list_groups()["Groups"]]

    with refused("DeleteConflict"):
        iam.delete_group(GroupName=name)
    for member in ("a", "b"):
        iam.remove_user_from_group(GroupName=name, UserName=f"{name}-{member}")
    iam.update_group(GroupName=name, NewGroupName=f"{name}-c", NewPath="/x/")
    assert iam.get_group(GroupName=f"{name}-c")["Users"] == []
    iam.delete_group(GroupName=f"{name}-c")
    with refused("NoSuchEntity", f"The group with name {name} cannot be found."):
        iam.get_group(GroupName=name)


def test_a_role_from_beginning_to_end(iam: IAMClient, name: str) -> None:
    role = {
        "Path": "/team/",
        "RoleName": name,
        "Arn": f"{IAM}role/team/{name}",
        "AssumeRolePolicyDocument": TRUST,
        "Description": "of a test",
        "MaxSessionDuration": 7200,
        "PermissionsBoundary": {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": BOUNDARY,
        },
        "Tags": TAGS,
    }
    made = iam.create_role(
        RoleName=name,
        Path="/team/",
        AssumeRolePolicyDocument=TRUST_TEXT,
        Description="of a test",
        MaxSessionDuration=7200,
        PermissionsBoundary=BOUNDARY,
        Tags=TAGS,
    )["Role"]
    assert plain(made) == role
    assert iam.get_role(RoleName=name)["Role"] == {**made, "RoleLastUsed": {}}
    [listed] = iam.list_roles(PathPrefix="/team/")["Roles"]
    assert plain(listed) == {
        key: value for key, value in role.items() if key not in {"PermissionsBoundary", "Tags"}
    }

    iam.update_role(RoleName=name, Description="", MaxSessionDuration=3600)
    described = iam.update_role_description(RoleName=name, Description="again")["Role"]
    assert (described["Description"], described["MaxSessionDuration"]) == ("again", 3600)
    other = policy({"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"})
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=other)
    document: Any = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    assert document["Statement"][0]["Effect"] == "Deny"
    with refused("MalformedPolicyDocument"):
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=policy(allow("ecr:*")))

    iam.tag_role(RoleName=name, Tags=[{"Key": "new", "Value": "1"}])
    iam.untag_role(RoleName=name, TagKeys=["team"])
    tags = {tag["Key"]: tag["Value"] for tag in iam.list_role_tags(RoleName=name)["Tags"]}
    assert tags == {"Stage": "", "new": "1"}
    profiles = iam.list_instance_profiles_for_role(RoleName=name)
    assert (profiles["InstanceProfiles"], profiles["IsTruncated"]) == ([], False)
    iam.delete_role(RoleName=name)
    with refused("NoSuchEntity", f"The role with name {name} cannot be found."):
        iam.get_role(RoleName=name)


def test_listings_go_on_from_page_to_page(iam: IAMClient, name: str) -> None:
    path = f"/{name}/"
    for number in range(5):
        iam.create_user(UserName=f"{name}-{number}", Path=path)
        iam.create_role(RoleName=f"{name}-{number}", Path=path, AssumeRolePolicyDocument=TRUST_TEXT)
        iam.create_group(GroupName=f"{name}-{number}", Path=path)
        iam.add_user_to_group(GroupName=f"{name}-0", UserName=f"{name}-{number}")
    sizes = {"PaginationConfig": {"PageSize": 2}}
    for paginator, member, key, filters in (
        ("list_users", "Users", "UserName", {"PathPrefix": path}),
        ("list_roles", "Roles", "RoleName", {"PathPrefix": path}),
        ("list_groups", "Groups", "GroupName", {"PathPrefix": path}),
        ("get_group", "Users", "UserName", {"GroupName": f"{name}-0"}),
    ):
        pages = list(iam.get_paginator(paginator).paginate(**filters, **sizes))  # type: ignore[call-overload] # one of several
        assert [len(page[member]) for page in pages] == [2, 2, 1]
        names = [each[key] for page in pages for each in page[member]]
        assert names == [f"{name}-{number}" for number in range(5)]


def test_a_marker_is_good_for_its_listing_alone(iam: IAMClient, name: str) -> None:
    for number in range(2):
        iam.create_user(UserName=f"{name}-{number}", Path=f"/{name}/")
    marker = iam.list_users(PathPrefix=f"/{name}/", MaxItems=1)["Marker"]
    message = "Invalid Marker: it is not one that this listing returned"
    cases: list[tuple[Any, dict[str, str]]] = [
        (iam.list_users, {"PathPrefix": "/"}),
        (iam.list_groups, {"PathPrefix": f"/{name}/"}),
    ]
    for listing, members in cases:
        with refused("ValidationError", message):
            listing(Marker=marker, **members)
    with refused("ValidationError", message):
        iam.list_users(PathPrefix=f"/{name}/", Marker=marker + "A")


def test_what_nobody_has_here_is_told_as_it_is(iam: IAMClient, name: str) -> None:
    iam.create_user(UserName=name)
    of_user: dict[str, str] = {
        "list_mfa_devices": "MFADevices",
        "list_ssh_public_keys": "SSHPublicKeys",
        "list_signing_certificates": "Certificates",
        "list_service_specific_credentials": "ServiceSpecificCredentials",
    }
    for operation, member in of_user.items():
        assert getattr(iam, operation)(UserName=name)[member] == []
        with refused("NoSuchEntity", f"The user with name {name}-b cannot be found."):
            getattr(iam, operation)(UserName=f"{name}-b")
    assert iam.list_account_aliases()["AccountAliases"] == []
    assert iam.list_virtual_mfa_devices()["VirtualMFADevices"] == []
    assert iam.list_instance_profiles()["InstanceProfiles"] == []
    with refused("NoSuchEntity", f"Login Profile for User {name} cannot be found."):
        iam.get_login_profile(UserName=name)
    with refused("NoSuchEntity"):
        iam.delete_login_profile(UserName=name)
    with refused("NoSuchEntity"):
        iam.get_account_password_policy()


def test_the_summary_counts(iam: IAMClient, name: str) -> None:
    before = iam.get_account_summary()["SummaryMap"]
    iam.create_user(UserName=name)
    iam.create_policy(PolicyName=name, PolicyDocument=policy(allow("ecr:*")))
    after = iam.get_account_summary()["SummaryMap"]
    assert {key: after[key] - before[key] for key in after if after[key] != before[key]} == {
        "Users": 1,
        "Policies": 1,
    }
    assert (after["UsersQuota"], after["AttachedPoliciesPerRoleQuota"]) == (5000, 10)


def test_the_administrator_stays(iam: IAMClient) -> None:
    with refused("UnmodifiableEntity"):
        iam.delete_user(UserName="administrator")


def test_a_role_shows_whom_it_trusted_before(iam: IAMClient, name: str) -> None:
    """By the unique id, as IAM does; Terraform sets the trust policy again for it."""
    user = iam.create_user(UserName=name)["User"]
    trusted = {"Effect": "Allow", "Principal": {"AWS": user["Arn"]}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trusted))
    iam.delete_user(UserName=name)
    iam.create_user(UserName=name)

    shown: Any = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    assert shown["Statement"] == [{**trusted, "Principal": {"AWS": user["UserId"]}}]
    [listed] = [role for role in iam.list_roles()["Roles"] if role["RoleName"] == name]
    assert listed["AssumeRolePolicyDocument"] == shown

    iam.update_assume_role_policy(RoleName=name, PolicyDocument=policy(trusted))
    again: Any = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    assert again["Statement"] == [trusted]
