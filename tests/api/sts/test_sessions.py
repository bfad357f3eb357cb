"""Who somebody is, and credentials that last a while, through boto3."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from longshore.clock import HOUR, SECOND
from tests.api.people import ACCOUNT, OTHER_ACCOUNT, Person, allow, policy
from tests.api.queries import error_of, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import RunningServer

_NUMBERS: Iterator[int] = itertools.count(1)


@pytest.fixture
def person(plain_server: RunningServer) -> Person:
    return Person.invite(plain_server)


def make_role(server: RunningServer, *trusted: str, **statement: Any) -> str:
    """Create a role that may list repositories, and return its name."""
    name = f"role-{next(_NUMBERS)}"
    server.iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=policy(
            {
                "Effect": "Allow",
                "Principal": {"AWS": list(trusted)},
                "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
                **statement,
            }
        ),
    )
    server.iam.put_role_policy(
        RoleName=name,
        PolicyName="list",
        PolicyDocument=policy(allow("ecr:DescribeRepositories"), allow("ecr:DescribeRegistry")),
    )
    return name


def role_arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def client_of(server: RunningServer, service: str, credentials: Any) -> Any:
    pair = credentials["AccessKeyId"], credentials["SecretAccessKey"]
    return server.client(service, pair, credentials["SessionToken"])


def identity(client: Any) -> dict[str, str]:
    answer: dict[str, str] = client.get_caller_identity()
    return {key: answer[key] for key in ("UserId", "Account", "Arn")}


def test_a_user_hears_who_they_are(person: Person) -> None:
    user_id = person.server.iam.get_user(UserName=person.name)["User"]["UserId"]
    expected = {"UserId": user_id, "Account": ACCOUNT, "Arn": person.arn}
    # Even if a policy denies it, as AWS has it.
    person.may({"Effect": "Deny", "Action": "*", "Resource": "*"})
    client = person.client("sts")
    assert identity(client) == expected
    assert identity(client) == expected


def test_a_role_is_assumed_and_does_what_the_role_may(person: Person) -> None:
    server = person.server
    name = make_role(server, person.arn)
    with server.clock.stopped() as now:
        assumed = person.client("sts").assume_role(
            RoleArn=role_arn(name), RoleSessionName="ci", DurationSeconds=900
        )
    credentials = assumed["Credentials"]
    assert credentials["AccessKeyId"].startswith("ASIA")
    assert credentials["Expiration"] == datetime.fromtimestamp(now // SECOND, UTC) + timedelta(
        seconds=900
    )
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/ci"
    role_id = server.iam.get_role(RoleName=name)["Role"]["RoleId"]
    assert assumed["AssumedRoleUser"] == {"AssumedRoleId": f"{role_id}:ci", "Arn": session}

    sts = client_of(server, "sts", credentials)
    assert identity(sts) == {"UserId": f"{role_id}:ci", "Account": ACCOUNT, "Arn": session}
    ecr = client_of(server, "ecr", credentials)
    ecr.describe_repositories()
    with refused(
        "AccessDeniedException",
        f"User: {session} is not authorized to perform: ecr:CreateRepository on resource: "
        f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/xy because no identity-based policy allows "
        "the ecr:CreateRepository action",
    ):
        ecr.create_repository(repositoryName="xy")
    with refused("ValidationError", "Must specify userName when calling with non-User credentials"):
        client_of(server, "iam", credentials).get_user()

    with server.clock.ahead(by=HOUR):
        over = "The security token included in the request is expired"
        with refused("ExpiredToken", over):
            sts.get_caller_identity()
        with refused("ExpiredTokenException", over):
            ecr.describe_repositories()
    server.iam.delete_role_policy(RoleName=name, PolicyName="list")
    with refused("AccessDeniedException"):
        ecr.describe_repositories()
    server.iam.delete_role(RoleName=name)
    with refused("InvalidClientTokenId"):
        sts.get_caller_identity()


def test_a_session_policy_narrows(person: Person) -> None:
    server = person.server
    name = make_role(server, person.arn)
    credentials = person.client("sts").assume_role(
        RoleArn=role_arn(name),
        RoleSessionName="ci",
        Policy=policy(allow("ecr:DescribeRegistry"), allow("ecr:CreateRepository")),
        Tags=[{"Key": "team", "Value": "a"}],
        SourceIdentity="ann",
    )["Credentials"]
    ecr = client_of(server, "ecr", credentials)
    ecr.describe_registry()
    with refused(
        "AccessDeniedException",
        ending="no session policy allows the ecr:DescribeRepositories action",
    ):
        ecr.describe_repositories()
    with refused(
        "AccessDeniedException",
        ending="no identity-based policy allows the ecr:CreateRepository action",
    ):
        ecr.create_repository(repositoryName="xy")


def test_only_whom_a_role_trusts_may_assume_it(person: Person) -> None:
    server, stranger = person.server, Person.invite(person.server, OTHER_ACCOUNT)
    name = make_role(
        server,
        person.arn,
        stranger.arn,
        Condition={"StringEquals": {"sts:ExternalId": "our-secret"}},
    )
    wish: Any = {"RoleArn": role_arn(name), "RoleSessionName": "ci"}
    agreed = {**wish, "ExternalId": "our-secret"}
    for other in (Person.invite(server), person):
        with refused("AccessDenied", ending="allows the sts:AssumeRole action"):
            other.client("sts").assume_role(**wish)
    person.may(allow("sts:AssumeRole"))
    person.client("sts").assume_role(**agreed)
    # From another account it takes both sides.
    with refused("AccessDenied"):
        stranger.client("sts").assume_role(**agreed)
    stranger.may(allow("sts:AssumeRole", role_arn(name)))
    session = stranger.client("sts").assume_role(**agreed)["Credentials"]
    assert identity(client_of(server, "sts", session))["Account"] == ACCOUNT

    # Who may not learn whether there is such a role doesn't.
    for arn in (role_arn(name), role_arn("absent")):
        with refused("AccessDenied"):
            Person.invite(server).client("sts").assume_role(
                RoleArn=arn, RoleSessionName="ci", ExternalId="our-secret"
            )


def test_a_long_term_key_is_exchanged_for_one_that_lasts_a_while(person: Person) -> None:
    server = person.server
    person.may(allow("ecr:DescribeRegistry"), allow("iam:GetUser"))
    credentials = person.client("sts").get_session_token(DurationSeconds=900)["Credentials"]
    sts = client_of(server, "sts", credentials)
    assert identity(sts)["Arn"] == person.arn
    client_of(server, "ecr", credentials).describe_registry()
    with refused("AccessDenied"):
        client_of(server, "iam", credentials).get_user(UserName=person.name)
    with refused("AccessDenied", "Cannot call GetSessionToken with session credentials"):
        sts.get_session_token()
    with server.clock.ahead(by=HOUR), refused("ExpiredToken"):
        sts.get_caller_identity()


def test_tokens_and_keys_belong_together(person: Person) -> None:
    server = person.server
    first = person.client("sts").get_session_token()["Credentials"]
    second = person.client("sts").get_session_token()["Credentials"]
    pair = first["AccessKeyId"], first["SecretAccessKey"]
    invalid = "The security token included in the request is invalid."
    for key, token in (
        (pair, second["SessionToken"]),
        (pair, None),
        (pair, first["SessionToken"][:-1]),
        (pair, first["SessionToken"] + "A"),
        ((person.key.id, person.key.secret), first["SessionToken"]),
        ((pair[0], pair[1]), "é".encode().decode("latin-1")),
    ):
        with refused("InvalidClientTokenId", invalid):
            server.client("sts", key, token).get_caller_identity()
        with refused("UnrecognizedClientException", invalid):
            server.client("ecr", key, token).describe_registry()
    assert identity(client_of(server, "sts", first))["Arn"] == person.arn


def test_a_key_names_its_account(person: Person, plain_server: RunningServer) -> None:
    stranger = Person.invite(plain_server, OTHER_ACCOUNT)
    for key, account in ((person.key, ACCOUNT), (stranger.key, OTHER_ACCOUNT)):
        found = plain_server.sts.get_access_key_info(AccessKeyId=key.id)
        assert found["Account"] == account
    with refused("AccessDenied"):
        person.client("sts").get_access_key_info(AccessKeyId=stranger.key.id)
    with refused("NoSuchEntity"):
        plain_server.sts.get_access_key_info(AccessKeyId="AKIA" + "A" * 16)


def test_a_policy_without_an_arn_does_not_leave_a_session_wide(person: Person) -> None:
    wish = {"RoleArn": role_arn(make_role(person.server, person.arn)), "RoleSessionName": "ci"}
    answer = person.query("sts", "AssumeRole", wish | {"PolicyArns.member.1.Arn": "misspelt"})
    assert answer.status == 400
    assert error_of(answer)["Message"] == "Each of PolicyArns must have an arn."
