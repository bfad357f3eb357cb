"""Who may manage users doesn't become the administrator of the server by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.api.people import Person, allow
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
        with pytest.raises(ClientError) as refusal:
            attempt()
        assert refusal.value.response["Error"]["Code"] == "AccessDenied"

    made = own.create_access_key(UserName=ADMINISTRATOR)["AccessKey"]
    own.delete_access_key(UserName=ADMINISTRATOR, AccessKeyId=made["AccessKeyId"])
