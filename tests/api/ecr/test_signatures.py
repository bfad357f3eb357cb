"""Signatures of requests to the ECR face: what a request must prove, and how each fault is told."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from longshore.clock import MINUTE, SECOND, as_datetime
from longshore.metadata import schema
from tests.api.ecr.refusals import check_refusal
from tests.support.identities import key_of_new_user
from tests.support.server import TARGET

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.server import Answer, RunningServer

    Headers = dict[str, str]

BODY = b"{}"
UNKNOWN_CLIENT = (
    "UnrecognizedClientException",
    "The security token included in the request is invalid.",
)
MISSING = ("MissingAuthenticationTokenException", "Request is missing Authentication Token")
WRONG = (
    "InvalidSignatureException",
    (
        "The request signature we calculated does not match the signature you provided. "
        "Check your AWS Secret Access Key and signing method. "
        "Consult the service documentation for details."
    ),
)


def signed(server: RunningServer, **more: str) -> Headers:
    headers = {"X-Amz-Target": f"{TARGET}.DescribeRegistry", **more}
    return dict(server.signed(headers, BODY))


def send(server: RunningServer, headers: Headers, body: bytes = BODY, path: str = "/") -> Answer:
    return server.send("POST", path, list(headers.items()), body)


def test_what_botocore_signs_is_accepted(server: RunningServer) -> None:
    assert send(server, signed(server)).status == 200


def changed(pattern: str, replacement: str) -> Callable[[Headers], Headers]:
    """Change the Authorization header."""

    def change(headers: Headers) -> Headers:
        authorization, count = re.subn(pattern, replacement, headers["Authorization"])
        assert count == 1
        return headers | {"Authorization": authorization}

    return change


def without(name: str) -> Callable[[Headers], Headers]:
    return lambda headers: {key: value for key, value in headers.items() if key != name}


def with_header(name: str, value: str) -> Callable[[Headers], Headers]:
    return lambda headers: headers | {name: value}


def incomplete(*sentences: str) -> tuple[str, str]:
    return (
        "IncompleteSignatureException",
        " ".join([*sentences, "Authorization=AWS4-HMAC-SHA256 ..."]),
    )


# What is done to a good request, and what comes of it.
FAULTS: dict[str, tuple[Callable[[Headers], Headers], tuple[str, str]]] = {
    "no Authorization": (without("Authorization"), MISSING),
    "an empty Authorization": (with_header("Authorization", ""), MISSING),
    "Basic credentials": (with_header("Authorization", "Basic QVdTOng="), MISSING),
    "an older algorithm": (
        changed("AWS4-HMAC-SHA256", "AWS3-HTTPS"),
        MISSING,
    ),
    "an unknown algorithm": (
        changed("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        (
            "IncompleteSignatureException",
            "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'.",
        ),
    ),
    "no credential": (
        changed("Credential=[^,]+, ", ""),
        incomplete("Authorization header requires 'Credential' parameter."),
    ),
    "no signed headers": (
        changed("SignedHeaders=[^,]+, ", ""),
        incomplete("Authorization header requires 'SignedHeaders' parameter."),
    ),
    "no signature": (
        changed(", Signature=.*", ""),
        incomplete("Authorization header requires 'Signature' parameter."),
    ),
    "no date": (
        lambda headers: without("X-Amz-Date")(changed(";x-amz-date", "")(headers)),
        incomplete(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        ),
    ),
    "a credential of too few parts": (
        changed("/aws4_request", ""),
        (
            "IncompleteSignatureException",
            (
                "Credential must have exactly 5 slash-delimited elements, "
                "e.g. keyid/date/region/service/term."
            ),
        ),
    ),
    "a part without an equals sign": (
        changed("Signature=", "Signature "),
        (
            "IncompleteSignatureException",
            "Invalid key=value pair (missing equal-sign) in Authorization header.",
        ),
    ),
    "another terminator": (
        changed("aws4_request", "aws5_request"),
        (
            "InvalidSignatureException",
            (
                "Credential should be scoped with a valid terminator: 'aws4_request', "
                "not 'aws5_request'."
            ),
        ),
    ),
    "another signature": (changed("Signature=.{64}", "Signature=" + "0" * 64), WRONG),
    "a signature cut short": (changed("Signature=(.{63}).", r"Signature=\1"), WRONG),
    "a signature in upper case": (
        lambda headers: changed(
            "Signature=.*", "Signature=" + headers["Authorization"][-64:].upper() + "Z"
        )(headers),
        WRONG,
    ),
    "another target than was signed": (
        with_header("X-Amz-Target", f"{TARGET}.DescribeRepositories"),
        WRONG,
    ),
    "another host than was signed": (with_header("Host", "other.example.org"), WRONG),
    "a header that isn't signed": (
        with_header("X-Amz-Unsigned", "1"),
        (
            "InvalidSignatureException",
            "'X-Amz-Unsigned' must be a 'SignedHeader' in the AWS Authorization.",
        ),
    ),
    "a host that isn't signed": (
        changed("SignedHeaders=host;", "SignedHeaders="),
        (
            "InvalidSignatureException",
            "'Host' must be a 'SignedHeader' in the AWS Authorization.",
        ),
    ),
    "a signed header that isn't there": (
        changed("SignedHeaders=host;", "SignedHeaders=absent;host;"),
        (
            "InvalidSignatureException",
            "The 'SignedHeader' 'Absent' is not in the request.",
        ),
    ),
    "an unknown key": (
        changed("Credential=AKIA[A-Z2-7]{16}", "Credential=AKIAAAAAAAAAAAAAAAAA"),
        UNKNOWN_CLIENT,
    ),
    "a key that is no key": (changed("Credential=[A-Z2-7]+", "Credential=a'b"), UNKNOWN_CLIENT),
    "another service": (
        changed("/ecr/", "/ecr-public/"),
        (
            "InvalidSignatureException",
            "Credential should be scoped to correct service: 'ecr'.",
        ),
    ),
    "no region": (
        changed("/us-east-1/", "/nowhere/"),
        (
            "InvalidSignatureException",
            "Credential should be scoped to a valid region, not 'nowhere'.",
        ),
    ),
    "neither region nor service": (
        changed("/us-east-1/ecr/", "/nowhere/s3/"),
        (
            "InvalidSignatureException",
            (
                "Credential should be scoped to a valid region, not 'nowhere'. "
                "Credential should be scoped to correct service: 'ecr'."
            ),
        ),
    ),
    "another region than was signed": (changed("/us-east-1/", "/eu-west-1/"), WRONG),
}


@pytest.mark.parametrize(("change", "expected"), FAULTS.values(), ids=FAULTS.keys())
def test_faults(
    server: RunningServer, change: Callable[[Headers], Headers], expected: tuple[str, str]
) -> None:
    check_refusal(send(server, change(signed(server))), *expected)


def test_another_body_than_was_signed(server: RunningServer) -> None:
    check_refusal(send(server, signed(server), b'{"a":1}'), *WRONG)


def test_another_query_than_was_signed(server: RunningServer) -> None:
    check_refusal(send(server, signed(server), path="/?a=b"), *WRONG)


def test_the_body_s_hash_must_be_the_body_s(server: RunningServer) -> None:
    for claimed in ("0" * 64, "x"):
        headers = signed(server, **{"X-Amz-Content-SHA256": claimed})
        check_refusal(
            send(server, headers),
            "InvalidSignatureException",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )
    for claimed in ("UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"):
        headers = signed(server, **{"X-Amz-Content-SHA256": claimed})
        check_refusal(
            send(server, headers),
            "InvalidSignatureException",
            f"The body must be signed: '{claimed}' as 'x-amz-content-sha256' is not supported.",
        )


def test_a_header_sent_twice_is_refused(server: RunningServer) -> None:
    headers = list(signed(server).items())
    for name, value in (("X-Amz-Target", f"{TARGET}.DeleteRepository"), ("X-Amz-Date", "x")):
        answer = server.send("POST", "/", [*headers, (name, value)], BODY)
        check_refusal(
            answer, "IncompleteSignatureException", f"The header '{name}' may be sent only once."
        )


def test_a_presigned_url_is_refused(server: RunningServer) -> None:
    answer = send(server, {}, path="/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0")

    check_refusal(
        answer,
        "IncompleteSignatureException",
        "Presigned requests are not supported: sign with the 'Authorization' header.",
    )


def test_a_wrong_secret(server: RunningServer) -> None:
    answer = server.call("DescribeRegistry", key=(server.administrator.id, "wrong"))

    check_refusal(answer, *WRONG)


def test_a_security_token_belongs_to_no_key(server: RunningServer) -> None:
    check_refusal(server.call("DescribeRegistry", security_token="a token"), *UNKNOWN_CLIENT)


def test_a_key_that_was_switched_off(server: RunningServer) -> None:
    context, key = server.context, key_of_new_user(server.context)
    assert server.call("DescribeRegistry", key=(key.id, key.secret)).status == 200

    table = schema.access_keys
    with context.database.write() as tx:
        tx.execute(update(table).where(table.c.id == key.id).values(active=False))

    check_refusal(server.call("DescribeRegistry", key=(key.id, key.secret)), *UNKNOWN_CLIENT)


def test_a_signature_lasts_fifteen_minutes_either_way(server: RunningServer) -> None:
    headers = signed(server)

    for ahead in (0, 14 * MINUTE, -14 * MINUTE):
        with server.clock.ahead(ahead):
            assert send(server, headers).status == 200
    with server.clock.stopped() as now, server.clock.ahead(16 * MINUTE):
        late = as_datetime((now + 16 * MINUTE) // SECOND * SECOND)
        check_refusal(
            send(server, headers),
            "InvalidSignatureException",
            f"Signature expired: {headers['X-Amz-Date']} is now earlier than "
            f"{late - timedelta(minutes=15):%Y%m%dT%H%M%SZ} ({late:%Y%m%dT%H%M%SZ} - 15 min.)",
        )
    with server.clock.stopped() as now, server.clock.ahead(-16 * MINUTE):
        early = as_datetime((now - 16 * MINUTE) // SECOND * SECOND)
        check_refusal(
            send(server, headers),
            "InvalidSignatureException",
            f"Signature not yet current: {headers['X-Amz-Date']} is still later than "
            f"{early + timedelta(minutes=15):%Y%m%dT%H%M%SZ} ({early:%Y%m%dT%H%M%SZ} + 15 min.)",
        )


def test_who_the_caller_is_comes_before_what_they_ask(server: RunningServer) -> None:
    """An unsigned request learns nothing of operations, bodies or repositories."""
    for body in (BODY, b"no json", b'{"repositoryName": "no/such"}'):
        for target in (f"{TARGET}.DescribeImages", f"{TARGET}.NoSuch", ""):
            answer = server.send("POST", "/", [("X-Amz-Target", target)], body)
            check_refusal(answer, *MISSING)


def test_a_registry_token_is_no_signature(server: RunningServer) -> None:
    check_refusal(server.oci("POST", "/", body=BODY), *MISSING)
