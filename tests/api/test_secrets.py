"""No secret is ever logged: the watch over all other tests, and whether it is awake."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from tests.api.secrets import LogScan

if TYPE_CHECKING:
    from tests.api.stage import Stage
    from tests.support.server import RunningServer


@pytest.mark.parametrize(
    "line",
    [
        "the secret is s3cr3t, they say",
        "Authorization: Basic QVdTOmV5SndZWGxzYjJGa0lqb2c=",
        f"AWS4-HMAC-SHA256 Credential=..., Signature={'0' * 64}",
        f"GET /layers/{'a' * 40}",
    ],
)
def test_the_watch_sees_what_it_should(line: str) -> None:
    scan = LogScan()
    scan.emit(logging.makeLogRecord({"msg": "%s", "args": (line,)}))
    scan.emit(logging.makeLogRecord({"msg": "nothing to see here"}))

    assert len(scan.leaks(["s3cr3t"])) == 1


def test_the_watch_looks_into_what_was_raised() -> None:
    scan, error = LogScan(), ValueError("s3cr3t")
    details = (ValueError, error, None)
    scan.emit(logging.makeLogRecord({"msg": "failed", "exc_info": details}))

    assert len(scan.leaks(["s3cr3t"])) == 1


def test_each_request_is_logged_without_its_query_and_credentials(
    stage: Stage, log_scan: LogScan
) -> None:
    stage.send("GET", "tags/list?n=5&last=here")
    described = stage.server.ecr.describe_images(repositoryName=stage.name)
    request_id = described["ResponseMetadata"]["RequestId"]

    assert log_scan.await_line("longshore.access", f"GET /v2/{stage.name}/tags/list 405")
    assert log_scan.await_line("longshore.access", "POST / 200", request_id)
    assert not any("last=here" in line for line in log_scan.lines)


def test_what_iam_and_sts_give_to_one_client_is_for_nobody_else(
    plain_server: RunningServer, secrets: set[str], log_scan: LogScan
) -> None:
    iam, name = plain_server.iam, "holder-of-secrets"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    pair = key["AccessKeyId"], key["SecretAccessKey"]
    session = plain_server.client("sts", pair).get_session_token()["Credentials"]
    given = {pair[1], session["SecretAccessKey"], session["SessionToken"]}
    temporary = session["AccessKeyId"], session["SecretAccessKey"]
    for service in ("iam", "sts", "ecr"):
        client = plain_server.client(service, temporary, session["SessionToken"])
        operation = {"iam": "list_users", "sts": "get_caller_identity", "ecr": "describe_registry"}
        with suppress(ClientError):
            getattr(client, operation[service])()
    iam.delete_access_key(UserName=name, AccessKeyId=pair[0])
    with pytest.raises(ClientError):
        plain_server.client("sts", temporary, session["SessionToken"]).get_caller_identity()
    iam.delete_user(UserName=name)

    secrets |= given
    assert log_scan.await_line("longshore.access", "POST / 403")
    assert log_scan.leaks(given) == []
