from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.api.aws.model import ServiceModel
from longshore.audit.records import (
    ANONYMOUS,
    HIDDEN,
    LONGEST_TEXT,
    SECRET_MEMBERS,
    ApiCall,
    RepeatedCall,
)
from longshore.clock import DAY

REPOSITORY = "arn:aws:ecr:eu-west-1:111122223333:repository/demo/app"
CALL = ApiCall(
    service="ecr",
    operation="PutImage",
    region="eu-west-1",
    account="111122223333",
    identity={"type": "IAMUser", "userName": "anna"},
    source_ip="192.0.2.7",
    user_agent="docker/27",
    request_id="4f3c",
    at=1_700_000_000_999,
    only_reads=False,
    parameters={"repositoryName": "demo/app", "imageTag": None},
    resources=[REPOSITORY],
)


def told(call: ApiCall) -> dict[str, object]:
    line = call.as_line()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    record: dict[str, object] = json.loads(line)
    record.pop("eventID")
    return record


def test_a_record_has_the_members_of_cloudtrails() -> None:
    assert told(CALL) == {
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "userName": "anna"},
        "eventTime": "2023-11-14T22:13:20Z",
        "eventSource": "ecr.amazonaws.com",
        "eventName": "PutImage",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "docker/27",
        "requestParameters": {"repositoryName": "demo/app"},
        "responseElements": None,
        "requestID": "4f3c",
        "readOnly": False,
        "resources": [{"ARN": REPOSITORY, "accountId": "111122223333"}],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "111122223333",
        "eventCategory": "Management",
    }


def test_a_failure_is_told_with_its_code_and_its_sentence() -> None:
    record = told(replace(CALL, identity=ANONYMOUS, error_code="AccessDenied", error_message="No."))
    assert (record["errorCode"], record["errorMessage"]) == ("AccessDenied", "No.")
    assert record["userIdentity"] == {"type": "Unknown", "principalId": "ANONYMOUS_PRINCIPAL"}


def test_a_request_that_comes_again_is_told_of_at_its_own_time_under_ids_of_its_own() -> None:
    first = json.loads(CALL.as_line())
    again = json.loads(RepeatedCall(CALL.outline, CALL.at + DAY, "5a4d").as_line())
    assert first["eventID"] != again["eventID"]
    assert again["requestID"] == "5a4d"
    own = {name: first[name] for name in ("eventID", "requestID", "eventTime")}
    assert again["eventTime"] == told(replace(CALL, at=CALL.at + DAY))["eventTime"]
    assert {**again, **own} == first
    assert list(again) == list(first)


def test_what_else_there_is_to_tell_is_told() -> None:
    record = told(replace(CALL, additional={"explanation": ["why"]}))
    assert record["additionalEventData"] == {"explanation": ["why"]}


def test_no_two_records_have_one_id() -> None:
    ids = {json.loads(CALL.as_line())["eventID"] for _ in range(100)}
    assert len(ids) == 100


def test_bytes_are_counted_times_written_out_and_long_texts_cut() -> None:
    call = replace(
        CALL,
        parameters={
            "layerPartBlob": bytes(7),
            "since": datetime(2026, 1, 2, tzinfo=UTC),
            "imageManifest": "m" * (LONGEST_TEXT + 1),
            "imageIds": [{"imageTag": "1", "imageDigest": None}],
        },
    )
    assert told(call)["requestParameters"] == {
        "layerPartBlob": "(7 bytes)",
        "since": "2026-01-02T00:00:00+00:00",
        "imageManifest": "m" * LONGEST_TEXT + f"… ({LONGEST_TEXT + 1} characters)",
        "imageIds": [{"imageTag": "1"}],
    }


@pytest.mark.parametrize("service", ["ecr", "iam", "sts"])
def test_what_the_models_call_sensitive_is_hidden(service: str) -> None:
    shapes = ServiceModel.load(service).shapes
    sensitive = {
        member
        for shape in shapes.values()
        for member, name in shape.members.items()
        if shapes[name].is_sensitive
    }
    assert sensitive <= SECRET_MEMBERS


def test_secrets_are_hidden_however_deep_they_are() -> None:
    secret = {"Credentials": [{"SecretAccessKey": "s3cr3t", "AccessKeyId": "AKIA"}]}
    call = replace(CALL, parameters=secret, response=secret)
    assert b"s3cr3t" not in call.as_line()
    assert told(call)["responseElements"] == {
        "Credentials": [{"SecretAccessKey": HIDDEN, "AccessKeyId": "AKIA"}]
    }


@given(text=st.text() | st.sampled_from(["\ud800", "a\nb", "\u2028", "\0"]))
def test_whatever_a_client_says_stays_on_its_line(text: str) -> None:
    record = told(replace(CALL, user_agent=text, parameters={"name": text}))
    assert record["userAgent"] == text
    assert record["requestParameters"] == {"name": text}


def test_what_only_begins_like_an_arn_has_no_account() -> None:
    record = told(replace(CALL, resources=["arn:aaaa", REPOSITORY]))
    assert record["resources"] == [
        {"ARN": "arn:aaaa", "accountId": ""},
        {"ARN": REPOSITORY, "accountId": "111122223333"},
    ]


def test_nothing_that_a_client_says_makes_a_record_long() -> None:
    long = "x" * (LONGEST_TEXT + 1)
    cut = "x" * LONGEST_TEXT + f"… ({LONGEST_TEXT + 1} characters)"
    record = told(replace(CALL, user_agent=long, error_code="AccessDenied", error_message=long))
    assert (record["userAgent"], record["errorMessage"]) == (cut, cut)
