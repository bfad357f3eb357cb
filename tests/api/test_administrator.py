"""Who may manage users doesn't become the administrator of the server by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3

from tests.api.people import Person, allow, policy
from tests.api.queries import refused
from tests.support.server import REGION

if TYPE_CHECKING:
    from types_boto3_iam import IAMClient

    from longshore.identity.access_keys import AccessKey
    from tests.support.server import RunningServer

ADMINISTRATOR = "administrator"


def iam_of(server: RunningServer, key: AccessKey) -> IAMClient:
    return boto3.client(
        "iam",
        endpoint_url=server.url,
        region_name=REGION,
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
    )


def test_only_the_administrator_changes_the_administrator(server: RunningServer) -> None:
    person = Person.invite(server)
    person.may(allow("iam:*"))
    theirs, own = iam_of(server, person.key), iam_of(server, server.administrator)

    assert theirs.get_user(UserName=ADMINISTRATOR)["User"]["UserName"] == ADMINISTRATOR
    for attempt in (
        lambda: theirs.create_access_key(UserName=ADMINISTRATOR),
        lambda: theirs.update_user(UserName=ADMINISTRATOR, NewUserName="x"),
        lambda: theirs.put_user_policy(UserName=ADMINISTRATOR, PolicyName="p", PolicyDocument="{}"),
        lambda: theirs.delete_user(UserName=ADMINISTRATOR),
    ):
        with refused("AccessDenied", ending="may change what the administrator may do"):
            attempt()

    for name in ("theirs", "common"):
        own.create_group(GroupName=name)
    own.add_user_to_group(GroupName="common", UserName=ADMINISTRATOR)
    arn = own.create_policy(PolicyName="common", PolicyDocument=policy(allow("ecr:*")))["Policy"][
        "Arn"
    ]
    own.attach_group_policy(GroupName="common", PolicyArn=arn)
    deny = policy({"Effect": "Deny", "Action": "*", "Resource": "*"})
    for attempt in (
        lambda: theirs.add_user_to_group(GroupName="theirs", UserName=ADMINISTRATOR),
        lambda: theirs.remove_user_from_group(GroupName="common", UserName=ADMINISTRATOR),
        lambda: theirs.put_group_policy(GroupName="common", PolicyName="p", PolicyDocument=deny),
        lambda: theirs.create_policy_version(PolicyArn=arn, PolicyDocument=deny, SetAsDefault=True),
    ):
        with refused("AccessDenied", ending="may change what the administrator may do"):
            attempt()
    theirs.put_group_policy(GroupName="theirs", PolicyName="p", PolicyDocument=deny)
    theirs.add_user_to_group(GroupName="theirs", UserName=person.name)

    made = own.create_access_key(UserName=ADMINISTRATOR)["AccessKey"]
    own.delete_access_key(UserName=ADMINISTRATOR, AccessKeyId=made["AccessKeyId"])


def test_who_may_not_see_a_user_learns_neither_its_path_nor_that_it_is_the_administrator(
    plain_server: RunningServer,
) -> None:
    person = Person.invite(plain_server)
    theirs = iam_of(plain_server, person.key)
    plain_server.iam.create_user(UserName="hidden", Path="/secret-project/")
    for name in ("hidden", "nobody", ADMINISTRATOR):
        with refused(
            "AccessDenied",
            f"User: {person.arn} is not authorized to perform: iam:DeleteUser on resource: "
            f"arn:aws:iam::{person.account}:user/{name} "
            "because no identity-based policy allows the iam:DeleteUser action",
        ):
            theirs.delete_user(UserName=name)
