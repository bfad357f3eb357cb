"""Every operation of IAM needs its permission, and no other.

What each needs stands here once more, as the Service Authorization Reference has it, so that a
mistake in the tables of the API doesn't go unnoticed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from longshore.api.iam.operations import OPERATIONS
from longshore.identity import access_keys, boundaries, groups, managed_policies, users
from longshore.identity.kinds import Kind
from tests.api.people import ACCOUNT, OTHER_ACCOUNT, Person, allow, policy
from tests.api.queries import error_of

if TYPE_CHECKING:
    from tests.support.server import Answer, RunningServer

Permission = tuple[str, str]
Case = tuple[str, dict[str, str], list[Permission]]

IAM = f"arn:aws:iam::{ACCOUNT}:"
ALLOWS_NOTHING = policy({"Effect": "Deny", "Action": "*", "Resource": "*"})
TRUSTS_ROOT = policy({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"})
# Whose resource is the user that a key belongs to, so that there is none where there is no key.
OF_KEY = "GetAccessKeyLastUsed"
TAG = {"Tags.member.1.Key": "team", "Tags.member.1.Value": "a"}


def on(resource: str, *operations: str, **members: str) -> list[Case]:
    return [(operation, members, [(f"iam:{operation}", resource)]) for operation in operations]


USER, GROUP, ROLE, POLICY = (f"{IAM}{kind}/absent" for kind in ("user", "group", "role", "policy"))
PROVIDER = f"{IAM}oidc-provider/absent.example"
DOCUMENT = {"PolicyName": "absent", "PolicyDocument": ALLOWS_NOTHING}

CASES: list[Case] = [
    *on(
        USER,
        *("GetUser", "DeleteUser", "ListUserTags", "CreateAccessKey", "ListAccessKeys"),
        *("ListGroupsForUser", "GetLoginProfile", "DeleteLoginProfile", "ListMFADevices"),
        *("ListSSHPublicKeys", "ListServiceSpecificCredentials", "ListSigningCertificates"),
        *("ListUserPolicies", "ListAttachedUserPolicies", "DeleteUserPermissionsBoundary"),
        UserName="absent",
    ),
    *on(USER, "UpdateAccessKey", UserName="absent", AccessKeyId="A" * 16, Status="Inactive"),
    *on(USER, "DeleteAccessKey", UserName="absent", AccessKeyId="A" * 16),
    *on(USER, "UpdateUser", UserName="absent", NewPath="/"),
    (
        "UpdateUser",
        {"UserName": "absent", "NewUserName": "b", "NewPath": "/x/"},
        [
            ("iam:UpdateUser", USER),
            ("iam:UpdateUser", f"{IAM}user/x/b"),
        ],
    ),
    *on(USER, "TagUser", UserName="absent", **TAG),
    *on(USER, "UntagUser", UserName="absent", **{"TagKeys.member.1": "team"}),
    *on(USER, "PutUserPolicy", UserName="absent", **DOCUMENT),
    *on(USER, "GetUserPolicy", "DeleteUserPolicy", UserName="absent", PolicyName="absent"),
    *on(USER, "AttachUserPolicy", "DetachUserPolicy", UserName="absent", PolicyArn=POLICY),
    *on(USER, "PutUserPermissionsBoundary", UserName="absent", PermissionsBoundary=POLICY),
    *on(
        GROUP,
        *("GetGroup", "DeleteGroup", "ListGroupPolicies", "ListAttachedGroupPolicies"),
        GroupName="absent",
    ),
    *on(GROUP, "AddUserToGroup", "RemoveUserFromGroup", GroupName="absent", UserName="absent"),
    (
        "UpdateGroup",
        {"GroupName": "absent", "NewGroupName": "b"},
        [
            ("iam:UpdateGroup", GROUP),
            ("iam:UpdateGroup", f"{IAM}group/b"),
        ],
    ),
    *on(GROUP, "PutGroupPolicy", GroupName="absent", **DOCUMENT),
    *on(GROUP, "GetGroupPolicy", "DeleteGroupPolicy", GroupName="absent", PolicyName="absent"),
    *on(GROUP, "AttachGroupPolicy", "DetachGroupPolicy", GroupName="absent", PolicyArn=POLICY),
    *on(
        ROLE,
        *("GetRole", "DeleteRole", "UpdateRole", "ListRoleTags", "ListInstanceProfilesForRole"),
        *("ListRolePolicies", "ListAttachedRolePolicies", "DeleteRolePermissionsBoundary"),
        RoleName="absent",
    ),
    *on(ROLE, "UpdateRoleDescription", RoleName="absent", Description="x"),
    *on(ROLE, "UpdateAssumeRolePolicy", RoleName="absent", PolicyDocument=TRUSTS_ROOT),
    *on(ROLE, "TagRole", RoleName="absent", **TAG),
    *on(ROLE, "UntagRole", RoleName="absent", **{"TagKeys.member.1": "team"}),
    *on(ROLE, "PutRolePolicy", RoleName="absent", **DOCUMENT),
    *on(ROLE, "GetRolePolicy", "DeleteRolePolicy", RoleName="absent", PolicyName="absent"),
    *on(ROLE, "AttachRolePolicy", "DetachRolePolicy", RoleName="absent", PolicyArn=POLICY),
    *on(ROLE, "PutRolePermissionsBoundary", RoleName="absent", PermissionsBoundary=POLICY),
    *on(
        POLICY,
        *("GetPolicy", "DeletePolicy", "ListPolicyVersions", "ListPolicyTags"),
        "ListEntitiesForPolicy",
        PolicyArn=POLICY,
    ),
    *on(
        POLICY,
        *("GetPolicyVersion", "SetDefaultPolicyVersion", "DeletePolicyVersion"),
        PolicyArn=POLICY,
        VersionId="v2",
    ),
    *on(POLICY, "CreatePolicyVersion", PolicyArn=POLICY, PolicyDocument=ALLOWS_NOTHING),
    *on(POLICY, "TagPolicy", PolicyArn=POLICY, **TAG),
    *on(POLICY, "UntagPolicy", PolicyArn=POLICY, **{"TagKeys.member.1": "team"}),
    # a policy of AWS's own is in every account
    *on("arn:aws:iam::aws:policy/absent", "GetPolicy", PolicyArn="arn:aws:iam::aws:policy/absent"),
    *on(f"{IAM}user/x/made", "CreateUser", UserName="made", Path="/x/"),
    (
        "CreateUser",
        {"UserName": "tagged", **TAG},
        [
            ("iam:CreateUser", f"{IAM}user/tagged"),
            ("iam:TagUser", f"{IAM}user/tagged"),
        ],
    ),
    *on(f"{IAM}group/x/made", "CreateGroup", GroupName="made", Path="/x/"),
    *on(f"{IAM}role/made", "CreateRole", RoleName="made", AssumeRolePolicyDocument=TRUSTS_ROOT),
    *on(f"{IAM}policy/absent", "CreatePolicy", **DOCUMENT),
    (
        "CreatePolicy",
        {**DOCUMENT, "Path": "/x/", **TAG},
        [
            ("iam:CreatePolicy", f"{IAM}policy/x/absent"),
            ("iam:TagPolicy", f"{IAM}policy/x/absent"),
        ],
    ),
    *on(f"{IAM}user/", "ListUsers"),
    *on(f"{IAM}user/x/", "ListUsers", PathPrefix="/x/"),
    *on(f"{IAM}group/", "ListGroups"),
    *on(f"{IAM}role/", "ListRoles"),
    *on(f"{IAM}policy/", "ListPolicies"),
    *on(
        PROVIDER,
        *("GetOpenIDConnectProvider", "DeleteOpenIDConnectProvider"),
        "ListOpenIDConnectProviderTags",
        OpenIDConnectProviderArn=PROVIDER,
    ),
    *on(
        PROVIDER,
        *("AddClientIDToOpenIDConnectProvider", "RemoveClientIDFromOpenIDConnectProvider"),
        OpenIDConnectProviderArn=PROVIDER,
        ClientID="ci",
    ),
    *on(
        PROVIDER,
        "UpdateOpenIDConnectProviderThumbprint",
        OpenIDConnectProviderArn=PROVIDER,
        **{"ThumbprintList.member.1": "0" * 40},
    ),
    *on(PROVIDER, "TagOpenIDConnectProvider", OpenIDConnectProviderArn=PROVIDER, **TAG),
    *on(
        PROVIDER,
        "UntagOpenIDConnectProvider",
        OpenIDConnectProviderArn=PROVIDER,
        **{"TagKeys.member.1": "team"},
    ),
    *on(f"{IAM}oidc-provider/ci.example", "CreateOpenIDConnectProvider", Url="https://ci.example"),
    (
        "CreateOpenIDConnectProvider",
        {"Url": "https://ci.example/a", **TAG},
        [
            ("iam:CreateOpenIDConnectProvider", f"{IAM}oidc-provider/ci.example/a"),
            ("iam:TagOpenIDConnectProvider", f"{IAM}oidc-provider/ci.example/a"),
        ],
    ),
    *on(
        "*",
        *("GetAccountSummary", "GetAccountPasswordPolicy", "ListAccountAliases"),
        *("ListVirtualMFADevices", "ListInstanceProfiles", "ListOpenIDConnectProviders"),
    ),
    *on(
        "*",
        "SimulateCustomPolicy",
        **{"ActionNames.member.1": "ecr:PutImage", "PolicyInputList.member.1": ALLOWS_NOTHING},
    ),
    *on(
        USER,
        "SimulatePrincipalPolicy",
        **{"ActionNames.member.1": "ecr:PutImage", "PolicySourceArn": USER},
    ),
]


def is_denied(answer: Answer) -> bool:
    return answer.status == 403 and error_of(answer)["Code"] == "AccessDenied"


@pytest.fixture
def person(plain_server: RunningServer) -> Person:
    return Person.invite(plain_server)


def test_every_operation_has_its_case() -> None:
    assert {operation for operation, _, _ in CASES} | {OF_KEY} == OPERATIONS.keys()


@pytest.mark.parametrize(
    ("operation", "members", "permissions"),
    [case for case in CASES if case[0] in OPERATIONS],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_operation_needs_its_permission_and_no_other(
    person: Person, operation: str, members: dict[str, str], permissions: list[Permission]
) -> None:
    others = allow("iam:*", f"{IAM}*", Condition={"Null": {"aws:PrincipalArn": "true"}})
    for missing, (action, resource) in enumerate(permissions):
        rest = [allow(*each) for number, each in enumerate(permissions) if number != missing]
        person.may(others, *rest)
        answer = person.query("iam", operation, members)
        assert is_denied(answer)
        assert error_of(answer)["Message"] == (
            f"User: {person.arn} is not authorized to perform: {action} on resource: {resource} "
            f"because no identity-based policy allows the {action} action"
        )

    person.may(*(allow(*permission) for permission in permissions))
    assert not is_denied(person.query("iam", operation, members))


def test_when_a_key_was_used_is_for_those_to_know_who_may_ask_of_its_user(
    person: Person,
) -> None:
    context = person.server.context
    users.create(context, ACCOUNT, f"{person.name}-b", path="/team/")
    theirs, _ = access_keys.create(context, ACCOUNT, f"{person.name}-b")
    stranger = Person.invite(person.server, OTHER_ACCOUNT)
    root, _ = access_keys.create(context, ACCOUNT, None)

    def ask(key_id: str) -> Answer:
        return person.query("iam", OF_KEY, {"AccessKeyId": key_id})

    others = allow("iam:*", f"{IAM}*", Condition={"Null": {"aws:PrincipalArn": "true"}})
    person.may(others, allow("iam:ListAccessKeys"))
    # Nobody learns whose a key is, or whether it is there, who may not know.
    for key_id in (person.key.id, theirs.id, root.id, stranger.key.id, "A" * 20):
        assert is_denied(answer := ask(key_id))
        assert error_of(answer)["Message"] == (
            f"User: {person.arn} is not authorized to perform: iam:{OF_KEY} on resource: "
            f"access key {key_id} because no identity-based policy allows the iam:{OF_KEY} action"
        )

    person.may(allow(f"iam:{OF_KEY}", person.arn))
    assert ask(person.key.id).status == 200
    assert is_denied(ask(theirs.id))
    person.may(allow(f"iam:{OF_KEY}", f"{IAM}user/team/*"))
    assert is_denied(ask(person.key.id))
    assert ask(theirs.id).status == 200
    person.may(allow(f"iam:{OF_KEY}", f"{IAM}root"))
    assert ask(root.id).status == 200
    access_keys.remove(context, ACCOUNT, None, root.id)
    person.may(allow("*"))
    for key_id in (stranger.key.id, root.id, "A" * 20):
        assert is_denied(ask(key_id))


def test_who_names_nobody_means_themselves(person: Person) -> None:
    person.may(allow("iam:*", person.arn))
    for operation in ("GetUser", "ListAccessKeys", "CreateAccessKey", "ListMFADevices"):
        assert person.query("iam", operation).status == 200, operation
    deleted = person.query("iam", "DeleteAccessKey", {"AccessKeyId": person.key.id})
    assert deleted.status == 200
    assert error_of(person.query("iam", "GetUser"))["Code"] == "InvalidClientTokenId"


def test_what_exists_is_asked_for_with_its_path(person: Person) -> None:
    context = person.server.context
    users.create(context, ACCOUNT, f"{person.name}-b", path="/team/")
    groups.create(context, ACCOUNT, person.name, path="/team/")
    person.may(allow("iam:*", f"{IAM}*/team/*"))

    assert person.query("iam", "GetUser", {"UserName": f"{person.name}-b"}).status == 200
    assert person.query("iam", "GetGroup", {"GroupName": person.name}).status == 200
    assert is_denied(person.query("iam", "GetUser"))


def test_nobody_gets_a_name_that_they_may_not_give(person: Person) -> None:
    users.create(person.server.context, ACCOUNT, f"{person.name}-b", path="/team/")
    person.may(allow("iam:UpdateUser", f"{IAM}user/team/*"))

    renamed = {"UserName": f"{person.name}-b", "NewUserName": "administrator", "NewPath": "/"}
    assert is_denied(person.query("iam", "UpdateUser", renamed))
    renamed = {"UserName": f"{person.name}-b", "NewUserName": f"{person.name}-c"}
    assert person.query("iam", "UpdateUser", renamed).status == 200


def test_another_account_is_out_of_reach(plain_server: RunningServer) -> None:
    stranger = Person.invite(plain_server, OTHER_ACCOUNT)
    stranger.may(allow("*"))

    arn = f"{IAM}policy/theirs"
    assert is_denied(stranger.query("iam", "GetPolicy", {"PolicyArn": arn}))
    found = stranger.query("iam", "GetUser", {"UserName": "administrator"})
    assert error_of(found)["Code"] == "NoSuchEntity"


def condition(operator: str, key: str, value: Any) -> dict[str, Any]:
    return {"Condition": {operator: {key: value}}}


def test_conditions_see_tags_boundaries_and_policies(person: Person) -> None:
    context, other = person.server.context, f"{person.name}-b"
    users.create(context, ACCOUNT, other, tags=[("Team", "a")])
    boundary = managed_policies.create(context, ACCOUNT, other, ALLOWS_NOTHING).arn
    named = {"UserName": other}

    def may(operation: str, members: dict[str, str], *of: Any) -> bool:
        person.may(allow("iam:*", "*", **condition(*of)))
        return not is_denied(person.query("iam", operation, {**named, **members}))

    assert may("GetUser", {}, "StringEquals", "aws:ResourceTag/team", "a")
    assert may("GetUser", {}, "StringEquals", "iam:ResourceTag/Team", "a")
    assert not may("GetUser", {}, "StringEquals", "aws:ResourceTag/team", "b")
    assert may("TagUser", TAG, "StringEquals", "aws:RequestTag/team", "a")
    assert may("TagUser", TAG, "ForAllValues:StringEquals", "aws:TagKeys", ["team"])
    assert not may("TagUser", TAG, "ForAnyValue:StringEquals", "aws:TagKeys", ["stage"])
    attached = {"PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}
    assert may(
        "AttachUserPolicy", attached, "ArnLike", "iam:PolicyARN", "arn:aws:iam::aws:policy/*"
    )
    assert not may("AttachUserPolicy", attached, "ArnLike", "iam:PolicyARN", f"{IAM}policy/*")

    bounded = ("StringEquals", "iam:PermissionsBoundary", boundary)
    assert not may("PutUserPolicy", DOCUMENT, *bounded)
    assert may("PutUserPermissionsBoundary", {"PermissionsBoundary": boundary}, *bounded)
    boundaries.put(context, ACCOUNT, Kind.USER, other, boundary)
    assert may("PutUserPolicy", DOCUMENT, *bounded)


def test_answers_kept_in_memory_are_kept_from_those_who_may_not(person: Person) -> None:
    person.may(allow("iam:ListUsers"))
    assert person.query("iam", "ListUsers").status == 200
    assert person.query("iam", "ListUsers").status == 200
    person.may(allow("iam:GetUser"))
    assert is_denied(person.query("iam", "ListUsers"))


def test_a_policy_is_in_force_at_once(person: Person) -> None:
    groups.create(person.server.context, ACCOUNT, person.name)
    groups.add(person.server.context, ACCOUNT, person.name, person.name)
    named = {"UserName": person.name}
    assert is_denied(person.query("iam", "GetUser", named))
    person.server.iam.put_group_policy(
        GroupName=person.name, PolicyName="p", PolicyDocument=policy(allow("iam:GetUser"))
    )
    assert person.query("iam", "GetUser", named).status == 200
    person.server.iam.delete_group_policy(GroupName=person.name, PolicyName="p")
    assert is_denied(person.query("iam", "GetUser", named))


def test_the_administrator_may_do_everything_that_nothing_denies(
    plain_server: RunningServer,
) -> None:
    arn = f"{IAM}user/administrator"
    assert plain_server.iam.get_user()["User"]["Arn"] == arn
    assert not is_denied(plain_server.query("iam", "GetRole", {"RoleName": "absent"}))


def test_what_two_people_ask_of_themselves_are_two_questions(plain_server: RunningServer) -> None:
    # The requests are the same to the letter, and memory keeps what they need.
    one, another, denied = (Person.invite(plain_server) for _ in range(3))
    for each in (one, another):
        each.may(allow("iam:ListAccessKeys", f"{IAM}user/${{aws:username}}"))
    denied.may(allow("iam:ListAccessKeys", one.arn))

    for _ in range(2):
        assert one.query("iam", "ListAccessKeys").status == 200
        assert another.query("iam", "ListAccessKeys").status == 200
        assert is_denied(denied.query("iam", "ListAccessKeys"))
