"""What the audit trail tells of requests on both faces."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from longshore.identity import robot_tokens
from tests.api.people import allow, policy
from tests.api.stage import Stage
from tests.support.images import oci_image
from tests.support.server import REGION

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.api.conftest import NewServer
    from tests.support.server import RunningServer

ACCOUNT = "000000000000"
REPOSITORY = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/demo/app"
IMAGE = oci_image("one")


class Trail:
    """The records that a server has written, read on from where the last look ended."""

    def __init__(self, server: RunningServer) -> None:
        self._file = server.settings.data / "audit.json"
        self._seen = 0

    def new(self) -> list[dict[str, Any]]:
        lines = self._file.read_bytes().splitlines() if self._file.exists() else []
        new, self._seen = lines[self._seen :], len(lines)
        return [json.loads(line) for line in new]

    def one(self) -> dict[str, Any]:
        [record] = self.new()
        return record


@pytest.fixture
def server(new_server: NewServer) -> RunningServer:
    return new_server()


@pytest.fixture
def trail(server: RunningServer) -> Trail:
    server.ecr.create_repository(repositoryName="demo/app")
    trail = Trail(server)
    trail.new()
    return trail


def client(server: RunningServer, service: str, **credentials: str) -> Any:
    key = {
        "aws_access_key_id": server.administrator.id,
        "aws_secret_access_key": server.administrator.secret,
    }
    return boto3.client(
        service,  # type: ignore[call-overload] # its name comes from the test
        endpoint_url=server.url,
        region_name=REGION,
        **(credentials or key),
    )


def test_a_call_of_the_ecr_api_leaves_one_record(server: RunningServer, trail: Trail) -> None:
    answer = server.ecr.describe_images(repositoryName="demo/app")
    record = trail.one()
    record.pop("eventID")
    record.pop("eventTime")
    assert "Boto3" in record.pop("userAgent")
    principal = record["userIdentity"].pop("principalId")
    assert principal.startswith("AIDA")
    assert record == {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "arn": f"arn:aws:iam::{ACCOUNT}:user/administrator",
            "accountId": ACCOUNT,
            "accessKeyId": server.administrator.id,
            "userName": "administrator",
        },
        "eventSource": "ecr.amazonaws.com",
        "eventName": "DescribeImages",
        "awsRegion": REGION,
        "sourceIPAddress": "127.0.0.1",
        "requestParameters": {"repositoryName": "demo/app"},
        "responseElements": None,
        "requestID": answer["ResponseMetadata"]["RequestId"],
        "readOnly": True,
        "resources": [{"ARN": REPOSITORY, "accountId": ACCOUNT}],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }


def test_what_is_answered_from_memory_is_told_as_well(server: RunningServer, trail: Trail) -> None:
    for _ in range(3):
        server.ecr.describe_images(repositoryName="demo/app")
    assert [record["eventName"] for record in trail.new()] == ["DescribeImages"] * 3


def test_a_change_is_told_with_its_answer(server: RunningServer, trail: Trail) -> None:
    server.ecr.create_repository(repositoryName="demo/other")
    record = trail.one()
    assert record["readOnly"] is False
    repository = record["responseElements"]["repository"]
    assert repository["repositoryName"] == "demo/other"
    assert repository["createdAt"].startswith("20")


def test_a_refusal_is_told_with_its_code_and_its_sentence(
    server: RunningServer, trail: Trail
) -> None:
    with pytest.raises(ClientError) as refusal:
        server.ecr.delete_repository(repositoryName="no/such")
    record = trail.one()
    assert record["errorCode"] == "RepositoryNotFoundException"
    assert record["errorMessage"] == refusal.value.response["Error"]["Message"]
    assert record["responseElements"] is None


def test_who_can_not_prove_who_they_are_is_unknown(server: RunningServer, trail: Trail) -> None:
    wrong = client(server, "ecr", aws_access_key_id="AKIANOBODY", aws_secret_access_key="x")
    with pytest.raises(ClientError):
        wrong.describe_repositories()
    record = trail.one()
    assert record["userIdentity"] == {
        "type": "Unknown",
        "principalId": "ANONYMOUS_PRINCIPAL",
        "accessKeyId": "AKIANOBODY",
    }
    assert record["errorCode"] == "UnrecognizedClientException"
    assert record["requestParameters"] is None


def test_secrets_do_not_reach_the_trail(server: RunningServer, trail: Trail) -> None:
    token = server.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    iam, sts = client(server, "iam"), client(server, "sts")
    iam.create_user(UserName="robot")
    secret = iam.create_access_key(UserName="robot")["AccessKey"]["SecretAccessKey"]
    session = sts.get_session_token()["Credentials"]
    server.send("GET", "/v2/", [("Authorization", f"Basic {token}")])
    records = trail.new()
    assert [record["eventName"] for record in records] == [
        "GetAuthorizationToken",
        "CreateUser",
        "CreateAccessKey",
        "GetSessionToken",
        "CheckCredentials",
    ]
    assert [record["eventSource"].partition(".")[0] for record in records] == [
        *("ecr", "iam", "iam", "sts", "ecr")
    ]
    text = json.dumps(records)
    secrets = (token, secret, session["SecretAccessKey"], session["SessionToken"])
    assert not [each for each in secrets if each in text]


def test_the_session_of_a_role_is_told_with_its_role(server: RunningServer, trail: Trail) -> None:
    iam, sts = client(server, "iam"), client(server, "sts")
    trust = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"AWS": ACCOUNT},
            "Action": "sts:AssumeRole",
        },
    }
    role = iam.create_role(RoleName="puller", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    assumed = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="night")
    keys = assumed["Credentials"]
    trail.new()
    client(
        server,
        "sts",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    ).get_caller_identity()
    identity = trail.one()["userIdentity"]
    assert identity["type"] == "AssumedRole"
    assert identity["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/puller/night"
    assert identity["principalId"] == f"{role['RoleId']}:night"
    assert identity["accessKeyId"] == keys["AccessKeyId"]
    assert identity["sessionContext"]["sessionIssuer"] == {
        "type": "Role",
        "principalId": role["RoleId"],
        "arn": role["Arn"],
        "accountId": ACCOUNT,
        "userName": "puller",
    }


def upload(server: RunningServer, content: bytes, digest: str) -> None:
    started = server.oci("POST", "/v2/demo/app/blobs/uploads/")
    path = started.headers["location"].removeprefix(server.url)
    server.oci("PATCH", path, body=content)
    server.oci("PUT", f"{path}?digest={digest}")


def test_the_registry_face_is_told_under_the_operations_that_it_stands_for(
    server: RunningServer, trail: Trail
) -> None:
    for blob in IMAGE.blobs:
        upload(server, blob.content, str(blob.digest))
    manifest = [("Content-Type", IMAGE.media_type)]
    server.oci("PUT", "/v2/demo/app/manifests/1", manifest, IMAGE.content)
    pushed = trail.new()
    each = ["InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload"]
    assert [record["eventName"] for record in pushed] == [*each * len(IMAGE.blobs), "PutImage"]
    assert not any(record["readOnly"] for record in pushed)
    assert pushed[1]["requestParameters"].keys() == {"registryId", "repositoryName", "uploadId"}
    assert pushed[2]["requestParameters"]["digest"] == str(IMAGE.blobs[0].digest)
    assert pushed[-1]["requestParameters"] == {
        "registryId": ACCOUNT,
        "repositoryName": "demo/app",
        "imageTag": "1",
    }
    layer = IMAGE.blobs[0].digest
    for method, path, name, parameter in [
        ("GET", "", "CheckCredentials", {}),
        ("GET", "demo/app/manifests/1", "BatchGetImage", {"imageTag": "1"}),
        ("HEAD", "demo/app/manifests/1", "BatchGetImage", {"imageTag": "1"}),
        ("GET", f"demo/app/blobs/{layer}", "GetDownloadUrlForLayer", {"layerDigest": str(layer)}),
        (
            "HEAD",
            f"demo/app/blobs/{layer}",
            "BatchCheckLayerAvailability",
            {"layerDigest": str(layer)},
        ),
        ("GET", "demo/app/tags/list", "ListImages", {}),
        ("GET", "_catalog", "DescribeRepositories", {}),
        (
            "GET",
            f"demo/app/referrers/{IMAGE.digest}?artifactType=a",
            "ListImageReferrers",
            {"subjectDigest": str(IMAGE.digest), "artifactType": "a"},
        ),
    ]:
        server.oci(method, f"/v2/{path}")
        record = trail.one()
        assert (record["eventName"], record["readOnly"]) == (name, True)
        named = {"repositoryName": "demo/app"} if path.startswith("demo") else {}
        assert record["requestParameters"] == {"registryId": ACCOUNT, **named, **parameter}
        assert record["userIdentity"]["userName"] == "administrator"
    server.oci("DELETE", f"/v2/demo/app/manifests/{IMAGE.digest}")
    record = trail.one()
    assert record["eventName"] == "BatchDeleteImage"
    assert record["requestParameters"]["imageDigest"] == str(IMAGE.digest)
    assert record["resources"] == [{"ARN": REPOSITORY, "accountId": ACCOUNT}]


def test_a_mount_has_a_name_of_its_own(server: RunningServer, trail: Trail) -> None:
    server.ecr.create_repository(repositoryName="demo/target")
    server.ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    for blob in IMAGE.blobs:
        upload(server, blob.content, str(blob.digest))
    manifest = [("Content-Type", IMAGE.media_type)]
    server.oci("PUT", "/v2/demo/app/manifests/1", manifest, IMAGE.content)
    trail.new()
    for digest, status, name in [
        (str(IMAGE.blobs[0].digest), 201, "MountLayer"),
        ("sha256:" + "0" * 64, 202, "InitiateLayerUpload"),
    ]:
        path = f"/v2/demo/target/blobs/uploads/?mount={digest}&from=demo/app"
        assert server.oci("POST", path).status == status
        record = trail.one()
        assert record["eventName"] == name
        assert record["requestParameters"]["from"] == "demo/app"


REFUSED: list[tuple[str, Callable[[RunningServer], object], str, str, str]] = [
    ("nobody", lambda it: it.send("GET", "/v2/"), "Unknown", "CheckCredentials", "Unrecognized"),
    (
        "no route",
        lambda it: it.oci("GET", "/v2/no/such/route"),
        "Unknown",
        "Unknown",
        "NOT_FOUND",
    ),
    (
        "no repository",
        lambda it: it.oci("GET", "/v2/no/such/manifests/1"),
        "IAMUser",
        "BatchGetImage",
        "RepositoryNotFoundException",
    ),
    (
        "a query that can't be",
        lambda it: it.oci("GET", "/v2/demo/app/tags/list?n=%00"),
        "IAMUser",
        "ListImages",
        "BadRequestException",
    ),
]


@pytest.mark.parametrize(
    ("send", "told"), [(case[1], case[2:]) for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_refusal_on_the_registry_face_is_told(
    server: RunningServer,
    trail: Trail,
    send: Callable[[RunningServer], object],
    told: tuple[str, str, str],
) -> None:
    who, name, code = told
    send(server)
    record = trail.one()
    assert (record["userIdentity"]["type"], record["eventName"]) == (who, name)
    assert record["errorCode"].startswith(code)
    assert record["errorMessage"]


def test_a_failure_of_the_server_is_told(
    server: RunningServer, trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LookupError("something inside")

    monkeypatch.setattr("longshore.registry.images.get_by_tag", fail)
    assert server.oci("GET", "/v2/demo/app/manifests/1").status == 500
    record = trail.one()
    assert record["errorCode"] == "ServerException"
    assert "something inside" not in json.dumps(record)


def test_a_refusal_is_explained_where_details_are_asked_for(
    server: RunningServer, trail: Trail
) -> None:
    iam = client(server, "iam")
    iam.create_user(UserName="anna")
    keys = iam.create_access_key(UserName="anna")["AccessKey"]
    trail.new()
    anna = client(
        server,
        "ecr",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
    )
    with pytest.raises(ClientError):
        anna.describe_images(repositoryName="demo/app")
    record = trail.one()
    assert record["errorCode"] == "AccessDeniedException"
    explanation = record["additionalEventData"]["explanation"]
    assert explanation["decision"] == "implicitDeny"
    assert explanation["sentence"] == record["errorMessage"]


def test_the_trail_can_be_turned_off(new_server: NewServer) -> None:
    server = new_server(audit=False)
    server.ecr.describe_repositories()
    assert not (server.settings.data / "audit.json").exists()


def test_what_is_no_arn_is_refused_and_told_as_it_was_sent(
    server: RunningServer, trail: Trail
) -> None:
    with pytest.raises(ClientError) as refusal:
        server.iam.get_policy(PolicyArn="arn:" + "a" * 20)
    assert refusal.value.response["Error"]["Code"] == "InvalidInput"
    record = trail.one()
    assert record["errorCode"] == "InvalidInput"
    assert record["resources"] == [{"ARN": "arn:" + "a" * 20, "accountId": ""}]


def test_a_robot_token_is_named(server: RunningServer, trail: Trail) -> None:
    token, password = robot_tokens.create(
        server.context, ACCOUNT, "administrator", policy(allow("ecr:*"))
    )
    basic = base64.b64encode(f"AWS:{password}".encode()).decode()
    assert server.send("GET", "/v2/", [("Authorization", f"Basic {basic}")]).status == 200
    identity = trail.one()["userIdentity"]
    assert (identity["userName"], identity["credentialId"]) == ("administrator", token.id)


def test_a_download_is_told_without_its_ticket(server: RunningServer, trail: Trail) -> None:
    Stage(server, "demo/app").push(IMAGE)
    digest = str(IMAGE.blobs[1].digest)
    url = server.ecr.get_download_url_for_layer(repositoryName="demo/app", layerDigest=digest)[
        "downloadUrl"
    ]
    trail.new()
    assert server.send("GET", url.removeprefix(server.url)).status == 200
    record = trail.one()
    assert record["eventName"] == "DownloadLayer"
    assert record["userIdentity"] == {"type": "Unknown", "principalId": "ANONYMOUS_PRINCIPAL"}
    assert record["requestParameters"] == {
        "registryId": ACCOUNT,
        "repositoryName": "demo/app",
        "layerDigest": digest,
    }
    assert [each["ARN"] for each in record["resources"]] == [REPOSITORY]

    assert server.send("GET", "/layers/no-ticket").status == 403
    record = trail.one()
    assert (record["errorCode"], record["requestParameters"]) == ("AccessDeniedException", None)
    assert "no-ticket" not in json.dumps(record)
