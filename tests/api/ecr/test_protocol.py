"""AWS JSON 1.1 as it comes over the wire, with what no SDK would send."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.ecr.refusals import UUID, check_refusal
from tests.api.stage import Stage
from tests.support.server import TARGET
from tests.support.wire import head, wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.server import Answer, RunningServer

MIB = 1024 * 1024


def send(server: RunningServer, body: bytes, **headers: str) -> Answer:
    """Send a signed request with headers of the test's choice; `_` stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.send("POST", "/", server.signed(named, body), body)


def test_a_success_has_a_content_type_and_a_request_id(server: RunningServer) -> None:
    answer = server.call("DescribeRegistry")

    headers = dict(answer.headers)
    assert UUID.fullmatch(headers.pop("x-amzn-requestid"))
    assert headers == {
        "content-length": str(len(answer.body)),
        "content-type": "application/x-amz-json-1.1",
    }


def test_no_two_requests_have_one_id(server: RunningServer) -> None:
    ids = {server.call("DescribeRegistry").headers["x-amzn-requestid"] for _ in range(3)}

    assert len(ids) == 3


def test_times_are_numbers_of_at_most_three_places(stage: Stage) -> None:
    with stage.server.clock.stopped() as now:
        made = stage.server.call("CreateRepository", {"repositoryName": f"{stage.name}/made"})

    assert f'"createdAt":{now / 1000:.3f}'.rstrip("0").rstrip(".") in made.body.decode()
    assert made.json()["repository"]["createdAt"] == now / 1000


def test_members_without_a_value_are_left_out(stage: Stage) -> None:
    digest = "sha256:" + "0" * 64
    request = {"repositoryName": stage.name, "imageIds": [{"imageDigest": digest}]}

    assert stage.server.call("BatchGetImage", request).json() == {
        "images": [],
        "failures": [
            {
                "imageId": {"imageDigest": digest},
                "failureCode": "ImageNotFound",
                "failureReason": "Requested image not found",
            }
        ],
    }


def test_an_operation_without_output_answers_an_empty_object(stage: Stage) -> None:
    arn = f"arn:aws:ecr:us-east-1:000000000000:repository/{stage.name}"

    assert stage.server.call("UntagResource", {"resourceArn": arn, "tagKeys": ["a"]}).body == b"{}"


@pytest.mark.parametrize("body", [b"", b"{}", b" {} ", b'{"unknown": 1, "more": {"a": []}}'])
def test_bodies_that_ask_for_nothing(server: RunningServer, body: bytes) -> None:
    assert server.call("DescribeRegistry", body=body).status == 200


@pytest.mark.parametrize("value", [None, "absent"])
def test_null_is_as_good_as_nothing(server: RunningServer, value: Any) -> None:
    request = {} if value else {"repositoryNames": None, "maxResults": None, "nextToken": None}

    assert server.call("DescribeRepositories", request).status == 200


# --- X-Amz-Target ---------------------------------------------------------------------------------

TARGETS: list[dict[str, str]] = [
    {},
    {"X_Amz_Target": ""},
    {"X_Amz_Target": "DescribeRegistry"},
    {"X_Amz_Target": TARGET},
    {"X_Amz_Target": f"{TARGET}."},
    {"X_Amz_Target": f"{TARGET}.NoSuchOperation"},
    {"X_Amz_Target": f"{TARGET}.describeregistry"},
    {"X_Amz_Target": f"{TARGET}.DescribeRegistry.x"},
    {"X_Amz_Target": f"{TARGET} .DescribeRegistry"},
    {"X_Amz_Target": "AmazonEC2ContainerRegistry.DescribeRegistry"},
    {"X_Amz_Target": "AWSSecurityTokenServiceV20110615.GetCallerIdentity"},
    {"X_Amz_Target": f"{TARGET}.__init__"},
]


@pytest.mark.parametrize("headers", TARGETS, ids=lambda headers: headers.get("X_Amz_Target", "-"))
def test_a_target_that_names_no_operation(server: RunningServer, headers: dict[str, str]) -> None:
    check_refusal(
        send(server, b"{}", **headers),
        "UnknownOperationException",
        f"X-Amz-Target must be {TARGET}.<an operation of Amazon ECR>",
        status=404,
    )


# --- Bodies ---------------------------------------------------------------------------------------

UNREADABLE = "The body of the request can't be read as JSON: "
BODIES: list[tuple[bytes, str]] = [
    (b"x", UNREADABLE + "Expecting value: line 1 column 1 (char 0)"),
    (b"{", UNREADABLE + "Expecting property name enclosed in double quotes: line 1 column 2"),
    (b"{}{}", UNREADABLE + "Extra data: line 1 column 3 (char 2)"),
    (b"\xff", UNREADABLE + "'utf-8' codec can't decode byte 0xff in position 0"),
    (b"\xef\xbb\xbf{}", UNREADABLE),
    (b"{'a': 1}", UNREADABLE + "Expecting property name enclosed in double quotes"),
    (b'{"a": NaN}', UNREADABLE + "NaN is not a number of JSON"),
    (b'{"a": 1, "a": 2}', UNREADABLE + "an object has two members of one name"),
    (b"[" * 100_000, UNREADABLE),
    (b"[]", "The body of the request must be an object"),
    (b"null", "The body of the request must be an object"),
    (b'"text"', "The body of the request must be an object"),
    (b'{"repositoryNames": "a"}', "'repositoryNames' must be a list"),
    (b'{"repositoryNames": {}}', "'repositoryNames' must be a list"),
    (b'{"repositoryNames": [1]}', "'repositoryNames.1.member' must be a string"),
    (b'{"repositoryNames": ["ab", {}]}', "'repositoryNames.2.member' must be a string"),
    (b'{"maxResults": "1"}', "'maxResults' must be an integer of 32 bits"),
    (b'{"maxResults": 1.5}', "'maxResults' must be an integer of 32 bits"),
    (b'{"maxResults": true}', "'maxResults' must be an integer of 32 bits"),
    (b'{"maxResults": 4294967296}', "'maxResults' must be an integer of 32 bits"),
    (b'{"maxResults": 1e999}', "'maxResults' must be an integer of 32 bits"),
    (b'{"registryId": 12}', "'registryId' must be a string"),
    (b'{"registryId": "\\ud800"}', "'registryId' must be a string of whole characters"),
    (b'{"registryId": "\\u0000"}', "'registryId' must be a string without NUL characters"),
]


@pytest.mark.parametrize(("body", "message"), BODIES, ids=lambda value: repr(value)[:40])
def test_a_body_that_can_not_be_read(server: RunningServer, body: bytes, message: str) -> None:
    answer = server.call("DescribeRepositories", body=body)

    document = answer.json()
    assert document.keys() == {"__type", "message"}
    assert document["message"].startswith(message)
    check_refusal(answer, "SerializationException", document["message"])


def test_a_blob_that_is_no_base64(stage: Stage) -> None:
    request = {
        "repositoryName": stage.name,
        "uploadId": "00000000-0000-0000-0000-000000000000",
        "partFirstByte": 0,
        "partLastByte": 0,
    }
    for blob in ("YQ", "YQ=", "Y Q=", "YQ==\n", "é", "YQ=a", "===="):
        answer = stage.server.call("UploadLayerPart", {**request, "layerPartBlob": blob})
        check_refusal(
            answer, "SerializationException", "'layerPartBlob' must be a string of base64"
        )


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "GZIP", "aws-chunked"])
def test_an_encoded_body_is_refused(server: RunningServer, encoding: str) -> None:
    answer = send(
        server, b"{}", X_Amz_Target=f"{TARGET}.DescribeRegistry", Content_Encoding=encoding
    )

    check_refusal(
        answer,
        "MalformedHttpRequestException",
        "The body must be sent as it is, without a Content-Encoding.",
    )


def test_an_identity_encoding_is_none(server: RunningServer) -> None:
    answer = send(
        server, b"{}", X_Amz_Target=f"{TARGET}.DescribeRegistry", Content_Encoding="identity"
    )

    assert answer.status == 200


# Most requests are small; a part comes in base64, and a manifest with its quotes escaped.
LARGEST = {
    "DescribeRegistry": 256 * 1024,
    "PutImage": 2 * 4 * MIB + 256 * 1024,
    "UploadLayerPart": 20 * MIB * 4 // 3 + 256 * 1024,
}


@pytest.mark.parametrize(("operation", "largest"), LARGEST.items())
def test_a_body_larger_than_any_request_is_refused(
    server: RunningServer, operation: str, largest: int
) -> None:
    body = b" " * (largest + 1)
    for given in (body, [body]):
        headers = server.signed({"X-Amz-Target": f"{TARGET}.{operation}"}, body)
        check_refusal(
            server.send("POST", "/", headers, given),
            "RequestEntityTooLargeException",
            f"The body of this request may have at most {largest} bytes",
            status=413,
        )


def test_a_stranger_s_body_is_not_waited_for(server: RunningServer) -> None:
    target = {"X-Amz-Target": f"{TARGET}.UploadLayerPart"}
    stranger = server.signed(target, b"", key=("AKIAAAAAAAAAAAAAAAAA", "secret"))
    for headers, code in (
        (stranger, "UnrecognizedClientException"),
        ([("Host", server.address)], "MissingAuthenticationTokenException"),
        (server.signed({"X-Amz-Target": "none"}, b""), "UnknownOperationException"),
    ):
        with wire(server) as connection:
            framing = [("Content-Length", str(20 * MIB)), ("Expect", "100-continue")]
            connection.send(head("POST", "/", [*headers, *framing]))
            assert connection.read_answer().json()["__type"] == code


def test_a_part_larger_than_parts_may_be_is_told_of_in_ecrs_words(stage: Stage) -> None:
    ecr = stage.server.ecr
    upload = ecr.initiate_layer_upload(repositoryName=stage.name)["uploadId"]
    size = 20 * MIB + 1
    answer = stage.server.call(
        "UploadLayerPart",
        {
            "repositoryName": stage.name,
            "uploadId": upload,
            "partFirstByte": 0,
            "partLastByte": size - 1,
            "layerPartBlob": base64.b64encode(bytes(size)).decode(),
        },
    )

    assert answer.status == 400
    assert answer.json()["__type"] == "InvalidParameterException"
    assert answer.json()["message"] == (
        "Invalid parameter at 'layerPartBlob' failed to satisfy constraint: "
        "'Member must have length less than or equal to 20971520'"
    )


def test_a_body_in_pieces_is_read_whole(server: RunningServer) -> None:
    body = json.dumps({"maxResults": 1}).encode()
    headers = server.signed({"X-Amz-Target": f"{TARGET}.DescribeRepositories"}, body)

    answer = server.send("POST", "/", headers, [body[:5], body[5:]])

    assert answer.status == 200


# --- When the server itself fails -----------------------------------------------------------------


def test_a_failure_of_the_server_names_the_request_and_tells_nothing_else(
    new_server: Callable[..., RunningServer], caplog: pytest.LogCaptureFixture
) -> None:
    server = new_server()
    stage = Stage.build(server)
    digest = stage.push_blob(b"to be lost")
    for blob in (server.settings.data / "blobs").rglob("*"):
        if blob.is_file():
            blob.unlink()
    (server.settings.data / "blobs").chmod(0o700)

    answer = stage.send("GET", f"blobs/{digest}")
    assert answer.status == 500
    assert answer.json()["errors"] == [
        {
            "code": "UNKNOWN",
            "message": f"The bytes of layer '{digest}' are missing from the registry's storage. "
            "Ask its operator to restore them.",
        }
    ]

    for file in server.settings.data.glob("metadata.sqlite*"):
        file.write_bytes(b"no database any more")
    server.context.database.close()
    failed = server.call("DescribeRepositories")
    request_id = failed.headers["x-amzn-requestid"]
    check_refusal(
        failed,
        "ServerException",
        f"The server failed. Its log tells why, under the request id {request_id}.",
        status=500,
    )
    assert request_id in caplog.text
    failed = server.oci("GET", "/v2/_catalog")
    assert failed.status == 500
    assert failed.json()["errors"][0]["code"] == "UNKNOWN"
    assert failed.headers["docker-distribution-api-version"] == "registry/2.0"
    assert "sqlite" not in failed.body.decode().lower()
