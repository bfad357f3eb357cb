"""Requests to the APIs of IAM and STS as no SDK sends them, and how each is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from longshore.clock import MINUTE
from tests.api.people import Person
from tests.api.queries import check_query_refusal, error_of
from tests.support.server import FORM, TARGET, VERSIONS
from tests.support.wire import head, wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.server import Answer, RunningServer

    Headers = dict[str, str]

WHO = urlencode({"Action": "GetCallerIdentity", "Version": VERSIONS["sts"]}).encode()
INVALID_TOKEN = "The security token included in the request is invalid."
DOES_NOT_MATCH = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method. "
    "Consult the service documentation for details."
)
MISSING = ("MissingAuthenticationToken", "Request is missing Authentication Token", 403)


@pytest.fixture
def server(plain_server: RunningServer) -> RunningServer:
    return plain_server


def signed(server: RunningServer, body: bytes = WHO, **changes: Any) -> Headers:
    return dict(server.signed({"Content-Type": FORM}, body, **{"service": "sts", **changes}))


def send(server: RunningServer, headers: Headers, body: bytes = WHO, path: str = "/") -> Answer:
    return server.send("POST", path, list(headers.items()), body)


def test_the_form_of_an_answer(server: RunningServer) -> None:
    answer = send(server, signed(server))

    request_id = answer.headers["x-amzn-requestid"]
    assert (answer.status, answer.headers["content-type"]) == (200, "text/xml")
    text = answer.body.decode()
    assert re.fullmatch(
        r'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        r"<GetCallerIdentityResult><UserId>AIDA[A-Z2-7]{17}</UserId><Account>0{12}</Account>"
        r"<Arn>arn:aws:iam::0{12}:user/administrator</Arn></GetCallerIdentityResult>"
        rf"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
        r"</GetCallerIdentityResponse>",
        text,
    )
    again = send(server, signed(server))
    assert again.headers["x-amzn-requestid"] != request_id
    assert again.headers["x-amzn-requestid"] in again.body.decode()


# --- Which operation is meant ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "The request has no parameter Action that names an operation"),
        ({"Action.a": "ListUsers"}, "The request has no parameter Action that names an operation"),
        (
            {"Action": "ListUsers"},
            "Could not find operation ListUsers for version NO_VERSION_SPECIFIED",
        ),
        (
            {"Action": "ListUsers", "Version": "2011-06-15"},
            "Could not find operation ListUsers for version 2011-06-15",
        ),
        (
            {"Action": "listusers", "Version": "2010-05-08"},
            "Could not find operation listusers for version 2010-05-08",
        ),
        (
            {"Action": "GetCallerIdentity", "Version": "2010-05-08"},
            "Could not find operation GetCallerIdentity for version 2010-05-08",
        ),
        (
            {"Action": "__init__", "Version": "2010-05-08"},
            "Could not find operation __init__ for version 2010-05-08",
        ),
        (
            {"Action": "<a>&\x01" + "x" * 200, "Version": "1" * 50},
            f"Could not find operation <a>&\ufffd{'x' * 95} for version {'1' * 20}",
        ),
    ],
)
def test_an_operation_that_there_is_not(
    server: RunningServer, members: dict[str, str], message: str
) -> None:
    answer = server.query("iam", "", body=urlencode(members).encode())
    check_query_refusal(answer, "InvalidAction", message, status=400)


@pytest.mark.parametrize("service", ["iam", "sts"])
def test_an_operation_that_is_not_built_says_so(server: RunningServer, service: str) -> None:
    operation = {"iam": "GenerateCredentialReport", "sts": "GetFederationToken"}[service]
    check_query_refusal(
        server.query(service, operation, {"Name": "a"}),
        "UnsupportedOperation",
        f"{operation} is not built yet in Longshore. docs/operations.md lists what is.",
        status=400,
    )


def test_a_target_counts_before_a_form(server: RunningServer) -> None:
    headers = {"Content-Type": FORM, "X-Amz-Target": f"{TARGET}.DescribeRegistry"}
    answer = server.send("POST", "/", server.signed(headers, b"{}"), b"{}")
    assert answer.json()["registryId"] == "000000000000"
    answer = server.send("POST", "/", server.signed(headers, WHO, service="sts"), WHO)
    assert answer.json()["__type"] == "InvalidSignatureException"


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/json", "x" + FORM])
def test_what_is_no_form_is_no_query(server: RunningServer, content_type: str | None) -> None:
    given = {} if content_type is None else {"Content-Type": content_type}
    headers = server.signed(given, WHO, service="ecr")
    answer = server.send("POST", "/", headers, WHO)
    assert (answer.status, answer.json()["__type"]) == (404, "UnknownOperationException")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "Application/X-WWW-Form-Urlencoded",
        "application/x-www-form-urlencoded;charset=UTF-8",
        "application/x-www-form-urlencoded ; boundary=x",
    ],
)
def test_a_form_is_one_however_it_is_written(server: RunningServer, content_type: str) -> None:
    headers = server.signed({"Content-Type": content_type}, WHO, service="sts")
    assert server.send("POST", "/", headers, WHO).status == 200


def test_parameters_in_the_url_are_refused(server: RunningServer) -> None:
    # Signed or not; in the canonical request of these, the query is empty.
    for query in ("Action=GetCallerIdentity", "a"):
        check_query_refusal(
            send(server, signed(server), path=f"/?{query}"),
            "MalformedHttpRequest",
            "Parameters must be sent in the body, not in the URL.",
            status=400,
        )


# --- Who sends it ---------------------------------------------------------------------------------


def changed(pattern: str, replacement: str) -> Callable[[Headers], Headers]:
    def change(headers: Headers) -> Headers:
        authorization, count = re.subn(pattern, replacement, headers["Authorization"])
        assert count == 1
        return headers | {"Authorization": authorization}

    return change


def without(name: str) -> Callable[[Headers], Headers]:
    return lambda headers: {key: value for key, value in headers.items() if key != name}


FAULTS: dict[str, tuple[Callable[[Headers], Headers], tuple[str, str, int]]] = {
    "no Authorization": (without("Authorization"), MISSING),
    "an empty Authorization": (lambda headers: headers | {"Authorization": ""}, MISSING),
    "Basic credentials": (lambda headers: headers | {"Authorization": "Basic QVdTOng="}, MISSING),
    "another signature": (
        changed("Signature=.{64}", "Signature=" + "0" * 64),
        ("SignatureDoesNotMatch", DOES_NOT_MATCH, 403),
    ),
    "no credential": (
        changed("Credential=[^,]+, ", ""),
        (
            "IncompleteSignature",
            (
                "Authorization header requires 'Credential' parameter. "
                "Authorization=AWS4-HMAC-SHA256 ..."
            ),
            400,
        ),
    ),
    "an unknown key": (
        changed("Credential=[^/]+", "Credential=AKIAAAAAAAAAAAAAAAAA"),
        ("InvalidClientTokenId", INVALID_TOKEN, 403),
    ),
    "another service": (
        changed("/sts/", "/s3/"),
        (
            "SignatureDoesNotMatch",
            "Credential should be scoped to correct service: 'sts'.",
            403,
        ),
    ),
    "the service of the other face": (
        changed("/sts/", "/ecr/"),
        (
            "SignatureDoesNotMatch",
            "Credential should be scoped to correct service: 'sts'.",
            403,
        ),
    ),
    "no region": (
        changed("/us-east-1/sts/", "/no region/sts/".replace(" ", "_")),
        (
            "SignatureDoesNotMatch",
            "Credential should be scoped to a valid region, not 'no_region'.",
            403,
        ),
    ),
    "a session token that is not signed": (
        lambda headers: headers | {"X-Amz-Security-Token": "x"},
        (
            "SignatureDoesNotMatch",
            "'X-Amz-Security-Token' must be a 'SignedHeader' in the AWS Authorization.",
            403,
        ),
    ),
    "a body that is encoded": (
        lambda headers: headers | {"Content-Encoding": "gzip"},
        (
            "MalformedHttpRequest",
            "The body must be sent as it is, without a Content-Encoding.",
            400,
        ),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_in_the_words_of_iam(server: RunningServer, fault: str) -> None:
    change, (code, message, status) = FAULTS[fault]
    check_query_refusal(send(server, change(signed(server))), code, message, status=status)


def test_a_request_of_iam_is_not_one_of_sts(server: RunningServer) -> None:
    """What was signed for one service is of no use with the other."""
    body = urlencode({"Action": "ListUsers", "Version": VERSIONS["iam"]}).encode()
    answer = send(server, signed(server, body), body)
    check_query_refusal(
        answer,
        "InvalidAction",
        "Could not find operation ListUsers for version 2010-05-08",
        status=400,
    )
    headers = changed("/sts/", "/iam/")(signed(server, body))
    check_query_refusal(
        send(server, headers, body), "SignatureDoesNotMatch", DOES_NOT_MATCH, status=403
    )


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1"])
def test_iam_takes_any_region(server: RunningServer, region: str) -> None:
    assert server.query("iam", "GetUser", region=region).status == 200


def test_sts_takes_the_region_of_its_host(plain_server: RunningServer) -> None:
    domain = f"localhost:{plain_server.address.rpartition(':')[2]}"
    host = f"sts.eu-west-1.{domain}"
    answer = plain_server.query("sts", "GetCallerIdentity", host=host, region="eu-west-1")
    assert answer.status == 200
    check_query_refusal(
        plain_server.query("sts", "GetCallerIdentity", host=host),
        "SignatureDoesNotMatch",
        "Credential should be scoped to a valid region, not 'us-east-1'.",
        status=403,
    )


@pytest.mark.parametrize("name", ["Authorization", "X-Amz-Date", "Content-Type", "Host"])
def test_a_header_that_comes_twice(server: RunningServer, name: str) -> None:
    headers = list(signed(server).items())
    twice = [*headers, *((key, value) for key, value in headers if key == name)]
    answer = server.send("POST", "/", twice, WHO)
    assert answer.status in {400, 403}
    assert error_of(answer)["Code"] in {"IncompleteSignature", "MalformedHttpRequest"}


def test_a_request_that_is_sent_again_is_good_for_a_quarter_of_an_hour(
    server: RunningServer,
) -> None:
    headers = signed(server)
    assert [send(server, headers).status for _ in range(2)] == [200, 200]
    with server.clock.ahead(by=16 * MINUTE):
        answer = send(server, headers)
    error = error_of(answer)
    assert (answer.status, error["Code"]) == (403, "SignatureDoesNotMatch")
    assert error["Message"].startswith("Signature expired: ")


def test_a_body_that_is_not_the_signed_one(server: RunningServer) -> None:
    body = urlencode({"Action": "GetSessionToken", "Version": VERSIONS["sts"]}).encode()
    check_query_refusal(
        send(server, signed(server), body), "SignatureDoesNotMatch", DOES_NOT_MATCH, status=403
    )


# --- Bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            b"&Action=ListUsers",
            "The parameter 'Action' contradicts another one, or is too deep",
        ),
        (
            b"&Version=2010-05-08",
            "The parameter 'Version' contradicts another one, or is too deep",
        ),
        (
            b"&Tags.member.99999999999.Key=a",
            "'Tags' must be a list: its members are numbered from 1",
        ),
        (
            b"&UserName" + b".a" * 10_000 + b"=a",
            f"The parameter 'UserName{'.a' * 46}' contradicts another one, or is too deep",
        ),
        (b"&UserName=%ff", "The parameters of the request must be in UTF-8"),
        (b"&UserName=a%00", "'UserName' must be a text of characters that XML can hold"),
        (b"&a=" * 10_001, "The request may have at most 10000 parameters"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_body_that_can_not_be_read(server: RunningServer, more: bytes, message: str) -> None:
    body = b"Action=TagUser&Version=2010-05-08" + more
    check_query_refusal(server.query("iam", "", body=body), "MalformedInput", message, status=400)


def test_a_huge_number_makes_a_list_of_one(server: RunningServer) -> None:
    tag = {"Tags.member.99999999.Key": "a", "Tags.member.99999999.Value": ""}
    check_query_refusal(
        server.query("iam", "TagUser", {"UserName": "absent", **tag}),
        "NoSuchEntity",
        "The user with name absent cannot be found.",
        status=404,
    )


def test_a_broken_constraint_is_told_before_permissions(server: RunningServer) -> None:
    check_query_refusal(
        server.query("iam", "GetUser", {"UserName": "a b"}),
        "ValidationError",
        "1 validation error detected: Value 'a b' at 'userName' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: [\w+=,.@-]+",
        status=400,
    )


def test_a_body_larger_than_any_request_is_refused(server: RunningServer) -> None:
    largest = 256 * 1024
    body = b"Action=" + b" " * largest
    for given in (body, [body]):
        answer = server.send("POST", "/", list(signed(server, body).items()), given)
        check_query_refusal(
            answer,
            "RequestEntityTooLarge",
            f"The body of this request may have at most {largest} bytes",
            status=413,
        )


def test_a_stranger_s_body_is_not_waited_for(server: RunningServer) -> None:
    for headers, code in (
        (signed(server, key=("AKIAAAAAAAAAAAAAAAAA", "secret")), "InvalidClientTokenId"),
        ({"Host": server.address, "Content-Type": FORM}, "RequestEntityTooLarge"),
    ):
        with wire(server) as connection:
            framing = [("Content-Length", str(65 * 1024)), ("Expect", "100-continue")]
            connection.send(head("POST", "/", [*headers.items(), *framing]))
            assert error_of(connection.read_answer())["Code"] == code


def test_text_of_all_kinds_comes_back_as_it_was(server: RunningServer) -> None:
    text = "é <\"&'> \t\r\n x"
    server.iam.create_role(
        RoleName="texts",
        Description=text,
        AssumeRolePolicyDocument='{"Version":"2012-10-17","Statement":{"Effect":"Deny",'
        '"Principal":"*","Action":"sts:AssumeRole"}}',
    )
    assert server.iam.get_role(RoleName="texts")["Role"]["Description"] == text
    server.iam.delete_role(RoleName="texts")


# --- When the server itself fails -----------------------------------------------------------------


def test_a_failure_of_the_server_names_the_request_and_tells_nothing_else(
    new_server: Callable[..., RunningServer], caplog: pytest.LogCaptureFixture
) -> None:
    server = new_server()
    for file in server.settings.data.glob("metadata.sqlite*"):
        file.write_bytes(b"no database any more")
    server.context.database.close()
    answer = server.query("iam", "ListUsers")
    request_id = answer.headers["x-amzn-requestid"]
    check_query_refusal(
        answer,
        "InternalFailure",
        f"The server failed. Its log tells why, under the request id {request_id}.",
        status=500,
    )
    assert request_id in caplog.text


def test_too_many_requests_are_refused(new_server: Callable[..., RunningServer]) -> None:
    server = new_server(limits={"rates": {"ListUsers": 1}})
    with server.clock.stopped():
        assert server.query("iam", "ListUsers").status == 200
        check_query_refusal(
            server.query("iam", "ListUsers"), "Throttling", "Rate exceeded", status=400
        )
        assert server.query("iam", "ListGroups").status == 200


def test_who_may_not_uses_up_nothing(new_server: Callable[..., RunningServer]) -> None:
    server = new_server(limits={"rates": {"ListUsers": 1}})
    stranger = Person.invite(server)
    with server.clock.stopped():
        for _ in range(3):
            assert stranger.query("iam", "ListUsers").status == 403
        assert server.query("iam", "ListUsers").status == 200
