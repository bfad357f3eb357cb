"""Operations on the registry itself, through boto3."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from longshore.clock import HOUR, SECOND, as_datetime
from tests.api.ecr.refusals import body

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.server import RunningServer

ACCOUNT = "000000000000"


def test_a_token_for_the_own_registry(server: RunningServer) -> None:
    with server.clock.stopped() as now:
        answer = body(server.ecr.get_authorization_token())

    [data] = answer.pop("authorizationData")
    assert answer == {}
    port = server.address.partition(":")[2]
    token = data.pop("authorizationToken")
    assert data == {
        "expiresAt": as_datetime(now // SECOND * SECOND + 12 * HOUR),
        "proxyEndpoint": f"http://{ACCOUNT}.dkr.ecr.us-east-1.localhost:{port}",
    }
    # The AWS CLI splits what it decodes at the one colon.
    user, password = base64.b64decode(token).decode().split(":")
    assert user == "AWS"
    assert len(password) > 100
    assert json.loads(base64.b64decode(password))["expiration"] == (now + 12 * HOUR) // 1000


def test_each_registry_asked_for_has_an_entry(server: RunningServer) -> None:
    ids = ["111111111111", ACCOUNT, "222222222222"]
    answer = server.ecr.get_authorization_token(registryIds=ids)

    endpoints = [data["proxyEndpoint"] for data in answer["authorizationData"]]
    port = server.address.partition(":")[2]
    assert endpoints == [f"http://{each}.dkr.ecr.us-east-1.localhost:{port}" for each in ids]


def test_no_two_tokens_are_alike(server: RunningServer) -> None:
    answers = [server.ecr.get_authorization_token() for _ in range(2)]
    tokens = {answer["authorizationData"][0]["authorizationToken"] for answer in answers}

    assert len(tokens) == 2


def test_a_registry_that_replicates_nothing(server: RunningServer) -> None:
    assert body(server.ecr.describe_registry()) == {
        "registryId": ACCOUNT,
        "replicationConfiguration": {"rules": []},
    }


SETTINGS: list[tuple[Any, str, list[str]]] = [
    ("BLOB_MOUNTING", "DISABLED", ["ENABLED", "DISABLED"]),
    ("BASIC_SCAN_TYPE_VERSION", "AWS_NATIVE", ["AWS_NATIVE"]),
    ("REGISTRY_POLICY_SCOPE", "V2", ["V1", "V2"]),
]


@pytest.mark.parametrize(("name", "unset", "values"), SETTINGS)
def test_account_settings(server: RunningServer, name: Any, unset: str, values: list[str]) -> None:
    ecr = server.ecr_in("ap-northeast-1")

    assert body(ecr.get_account_setting(name=name)) == {"name": name, "value": unset}
    for value in values:
        assert body(ecr.put_account_setting(name=name, value=value)) == {
            "name": name,
            "value": value,
        }
        assert body(ecr.get_account_setting(name=name)) == {"name": name, "value": value}


def test_a_setting_holds_for_its_registry_alone(server: RunningServer) -> None:
    here, there = server.ecr_in("sa-east-1"), server.ecr_in("af-south-1")

    here.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")

    assert there.get_account_setting(name="BLOB_MOUNTING")["value"] == "DISABLED"


def test_rates_are_limited_where_the_operator_says_so(
    new_server: Callable[..., RunningServer],
) -> None:
    limits = {"rates": {"DescribeRegistry": 2, "BatchGetImage": 1}}
    server = new_server(limits=limits)
    with server.clock.stopped():
        answers = [server.call("DescribeRegistry") for _ in range(3)]
        other = server.call("DescribeRegistry", region="eu-west-1")
        unlimited = [server.call("DescribeRepositories").status for _ in range(5)]
        pulls = [server.oci("GET", "/v2/no/such/manifests/1") for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 200, 400]
    assert answers[2].json() == {"__type": "ThrottlingException", "message": "Rate exceeded"}
    # Each registry, region and operation is counted by itself.
    assert other.status == 200
    assert unlimited == [200] * 5
    # A pull is a BatchGetImage on the other face.
    assert [answer.status for answer in pulls] == [404, 429]
    assert pulls[1].headers["retry-after"] == "1"
    assert pulls[1].json()["errors"] == [{"code": "TOOMANYREQUESTS", "message": "Rate exceeded"}]
