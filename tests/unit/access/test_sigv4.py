"""Botocore's signer and the published vectors are the oracles: what they sign is accepted."""

from __future__ import annotations

import hashlib
import json
import re
import string
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.access.signatures import RequestHead, Signature, read_signature
from longshore.access.sigv4 import SignatureVerifier
from longshore.clock import MINUTE, SECOND, Clock, Millis
from longshore.errors import (
    AuthenticationError,
    IncompleteSignature,
    InvalidSignature,
    MissingAuthenticationToken,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ACCESS_KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
WRONG_SIGNATURE = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method. "
    "Consult the service documentation for details."
)


@dataclass(frozen=True)
class Request:
    """A signed request, with what a server knows about its sender."""

    head: RequestHead
    body: bytes
    secret: str = SECRET
    region: str = "eu-west-1"
    service: str = "ecr"

    def header(self, name: bytes) -> bytes:
        return dict(self.head.headers)[name]

    def with_head(self, **changes: Any) -> Request:
        return replace(self, head=replace(self.head, **changes))

    def with_header(self, name: bytes, value: bytes) -> Request:
        """Return the request with the value of a header changed or, if need be, added."""
        kept = [header for header in self.head.headers if header[0] != name]
        return self.with_head(headers=[*kept, (name, value)])

    def without_header(self, name: bytes) -> Request:
        return self.with_head(headers=[header for header in self.head.headers if header[0] != name])

    def with_authorization(self, old: bytes, new: bytes) -> Request:
        """Return the request with a part of its `Authorization` replaced."""
        value = self.header(b"authorization")
        assert old in value
        return self.with_header(b"authorization", value.replace(old, new))


def at(timestamp: str) -> Clock:
    moment = datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return lambda: int(moment.timestamp()) * SECOND


def accept(request: Request, verifier: SignatureVerifier | None = None) -> Signature:
    """Take the three steps of a server, by default at the moment of the signature."""
    signature = read_signature(request.head)
    verifier = verifier or SignatureVerifier(at(signature.timestamp))
    verifier.check_scope(signature, region=request.region, service=request.service)
    body_sha256 = hashlib.sha256(request.body).hexdigest()
    verifier.verify(signature, request.head, body_sha256, request.secret)
    return signature


def sign(
    *,
    method: str = "POST",
    path: str = "/",
    query: str = "",
    headers: Sequence[tuple[str, str]] = (("Content-Type", "application/x-amz-json-1.1"),),
    body: bytes = b"{}",
    secret: str = SECRET,
    token: str | None = None,
    region: str = "eu-west-1",
    service: str = "ecr",
) -> Request:
    """Sign with botocore, at the machine's time, and return what goes over the wire."""
    url = f"https://api.ecr.example.com{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method, url, data=body)
    request.headers.add_header("Host", "api.ecr.example.com")
    for name, value in headers:
        request.headers.add_header(name, value)
    SigV4Auth(Credentials(ACCESS_KEY_ID, secret, token), service, region).add_auth(request)
    head = RequestHead(
        method,
        path.encode(),
        query.encode(),
        [(name.lower().encode(), value.encode()) for name, value in request.headers.items()],
    )
    return Request(head, body, secret, region, service)


# --- The published vectors ------------------------------------------------------------------------

VECTORS = json.loads(Path(__file__).with_name("sigv4_vectors.json").read_text(encoding="utf-8"))


def vector_request(vector: dict[str, Any]) -> Request:
    method, target = vector["request"].split(" ", 1)
    path, _, query = target.partition("?")
    headers = [
        ("host", "example.amazonaws.com"),
        ("x-amz-date", "20150830T123600Z"),
        *vector.get("headers", []),
    ]
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={';'.join(sorted({name for name, _ in headers}))}, "
        f"Signature={vector['signature']}"
    )
    headers.append(("authorization", authorization))
    wire = [(name.encode(), value.encode()) for name, value in headers]
    head = RequestHead(method, path.encode(), query.encode(), wire)
    body = vector.get("body", "").encode()
    return Request(head, body, SECRET, "us-east-1", "service")


def vectors(*, normalised: bool) -> list[Any]:
    return [
        pytest.param(vector_request(vector), id=vector["name"])
        for vector in VECTORS
        if vector.get("normalised", True) is normalised
    ]


VANILLA = vector_request(next(vector for vector in VECTORS if vector["name"] == "post-vanilla"))
VANILLA_NOW = at("20150830T123600Z")


@pytest.mark.parametrize("request_", vectors(normalised=True))
def test_a_published_signature_is_accepted(request_):
    signature = accept(request_)

    assert signature.access_key_id == ACCESS_KEY_ID
    assert signature.scope == "20150830/us-east-1/service/aws4_request"
    assert signature.timestamp == "20150830T123600Z"


@pytest.mark.parametrize("request_", vectors(normalised=False))
def test_a_signature_over_a_path_that_is_not_normalised_is_refused(request_):
    with pytest.raises(InvalidSignature, match=re.escape(WRONG_SIGNATURE)):
        accept(request_)


def test_the_token_that_was_signed_is_reported():
    vector = next(vector for vector in VECTORS if vector["name"] == "post-sts-header-before")

    assert accept(vector_request(vector)).security_token == vector["headers"][0][1]
    assert accept(VANILLA).security_token is None


# --- The law: what botocore signs is accepted, and nothing else -----------------------------------

# Botocore folds every blank of Unicode; a header on the wire has only ASCII's.
HEADER_TEXT = st.text(
    string.ascii_letters + string.digits + string.punctuation + " \tàé中", max_size=30
)
SEGMENTS = st.one_of(
    st.sampled_from(["", ".", "..", "%2e%2E", "%2F", "a%20b", "%C3%A9", "...", "v2"]),
    st.text(string.ascii_letters + string.digits + "-._~%!$&'()*+,;=:@é[]", max_size=8),
)
PATHS = st.lists(SEGMENTS, min_size=1, max_size=6).map(lambda segments: "/" + "/".join(segments))
QUERY_TEXT = st.text(string.ascii_letters + string.digits + "-._~%!$'()*+,;:@/?", max_size=6)
QUERIES = st.lists(
    st.one_of(QUERY_TEXT, st.tuples(QUERY_TEXT, QUERY_TEXT).map("=".join)), max_size=5
).map("&".join)
REPEATABLE = st.sampled_from(
    ["My-Header1", "My-Header2", "Accept", "amz-sdk-request", "user-agent"]
)
SINGLE = st.sampled_from(["X-Amz-Target", "X-Amz-Meta-A", "Content-Type", "X-Amzn-Trace-Id"])
HEADERS = st.tuples(
    st.lists(st.tuples(REPEATABLE, HEADER_TEXT), max_size=5),
    st.dictionaries(SINGLE, HEADER_TEXT).map(lambda headers: list(headers.items())),
).map(lambda both: both[0] + both[1])
SCOPE_TEXT = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=12)


@st.composite
def signed_requests(draw: st.DrawFn) -> Request:
    body = draw(st.binary(max_size=64))
    headers = draw(HEADERS)
    if draw(st.booleans()):
        headers.append(("X-Amz-Content-SHA256", hashlib.sha256(body).hexdigest()))
    return sign(
        method=draw(st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])),
        path=draw(PATHS),
        query=draw(QUERIES),
        headers=headers,
        body=body,
        secret=draw(st.text(string.ascii_letters + string.digits + "+/=é", min_size=1)),
        token=draw(st.none() | st.text(string.ascii_letters + string.digits + "+/=", min_size=1)),
        region=draw(SCOPE_TEXT),
        service=draw(SCOPE_TEXT),
    )


def another_digit(signature: bytes) -> bytes:
    return signature[:-1] + (b"0" if signature[-1:] != b"0" else b"1")


def alter_signed_header(request: Request, index: int) -> Request:
    names = read_signature(request.head).signed_headers
    name = names[index % len(names)].encode()
    position = [header for header, _ in request.head.headers].index(name)
    headers = list(request.head.headers)
    headers[position] = (name, headers[position][1] + b"x")
    return request.with_head(headers=headers)


def drop_signed_header(request: Request, index: int) -> Request:
    names = read_signature(request.head).signed_headers
    return request.without_header(names[index % len(names)].encode())


def unsign_header(request: Request, index: int) -> Request:
    names = read_signature(request.head).signed_headers
    fewer = [name for name in names if name != names[index % len(names)]]
    return request.with_authorization(";".join(names).encode(), ";".join(fewer).encode())


def alter_scope(element: int) -> Callable[[Request, int], Request]:
    def alter(request: Request, _: int) -> Request:
        signature = read_signature(request.head)
        elements = signature.scope.split("/")
        elements[element] += "x"
        return replace(
            # The server's own region and service move along: the signature itself must be wrong.
            request.with_authorization(signature.scope.encode(), "/".join(elements).encode()),
            region=elements[1],
            service=elements[2],
        )

    return alter


def alter_signature(request: Request, _: int) -> Request:
    signature = read_signature(request.head).signature.encode()
    return request.with_authorization(signature, another_digit(signature))


def alter_query(request: Request, _: int) -> Request:
    query = request.head.query
    return request.with_head(query=query + (b"&" if query else b"") + b"one=more")


MUTATIONS: dict[str, Callable[[Request, int], Request]] = {
    "method": lambda request, _: request.with_head(method=request.head.method + "X"),
    "path": lambda request, _: request.with_head(path=request.head.path + b"x"),
    "query": alter_query,
    "the value of a signed header": alter_signed_header,
    "a signed header, dropped": drop_signed_header,
    "a signed header, no longer named": unsign_header,
    "an unsigned x-amz header": lambda request, _: request.with_header(b"x-amz-more", b"1"),
    "body": lambda request, _: replace(request, body=request.body + b"x"),
    "secret": lambda request, _: replace(request, secret=request.secret + "x"),
    "date of the scope": alter_scope(0),
    "region of the scope": alter_scope(1),
    "service of the scope": alter_scope(2),
    "terminator of the scope": alter_scope(3),
    "signature": alter_signature,
}


@settings(deadline=None)
@given(signed_requests())
def test_what_botocore_signs_is_accepted(request_):
    accept(request_)


@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=MUTATIONS)
@settings(deadline=None)
@given(request_=signed_requests(), index=st.integers(min_value=0, max_value=20))
def test_a_request_that_was_changed_after_signing_is_refused(mutation, request_, index):
    mutant = mutation(request_, index)

    with pytest.raises((IncompleteSignature, InvalidSignature)):
        accept(mutant)


@settings(deadline=None)
@given(
    authorization=st.binary(max_size=200).map(b"AWS4-HMAC-SHA256 ".__add__) | st.binary(),
    date=st.binary(max_size=40) | st.from_regex(rb"\A[0-9]{8}T[0-9]{6}Z\Z"),
    query=st.binary(max_size=40),
)
def test_whatever_is_sent_is_refused_rather_than_failing(authorization, date, query):
    headers = [(b"host", b"h"), (b"x-amz-date", date), (b"authorization", authorization)]

    with pytest.raises(AuthenticationError):
        read_signature(RequestHead("POST", b"/", query, headers))


@settings(deadline=None)
@given(st.text(string.digits + string.ascii_letters + " ,:+-", max_size=40))
def test_whatever_date_is_sent_is_refused_or_read_in_its_one_form(date):
    request = VANILLA.without_header(b"x-amz-date").with_header(b"date", date.encode())
    request = request.with_authorization(b"host;x-amz-date", b"date;host")

    with pytest.raises((IncompleteSignature, InvalidSignature)):
        accept(request, SignatureVerifier(VANILLA_NOW))


# --- Headers that can't be read -------------------------------------------------------------------

MISSING = "Authorization header requires '{}' parameter. Authorization=AWS4-HMAC-SHA256 ..."
NO_PAIR = "Invalid key=value pair (missing equal-sign) in Authorization header."
NOT_PRINTABLE = "Authorization header must consist of printable ASCII."
NOT_SORTED = "The 'SignedHeaders' must be sorted, unique and in lower case."
FIVE_ELEMENTS = (
    "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term."
)
OTHER_DATE = (
    "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
    "'20150831' != '20150830', from '20150830T123600Z'."
)
OTHER_TERMINATOR = (
    "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'."
)


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic QVdTOnNlY3JldA==",
        "Bearer eyJhbGciOiJub25lIn0",
        "AWS AKIDEXAMPLE:c2lnbmF0dXJl",
        "aws4-hmac-sha256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request",
    ],
)
def test_an_authorization_of_another_kind_is_no_token(authorization):
    request = VANILLA.with_header(b"authorization", authorization.encode())

    with pytest.raises(MissingAuthenticationToken, match="Request is missing Authentication Token"):
        read_signature(request.head)


@pytest.mark.parametrize("algorithm", ["AWS4-HMAC-SHA512", "AWS4-ECDSA-P256-SHA256", "AWS4-"])
def test_another_algorithm_is_refused_by_name(algorithm):
    request = VANILLA.with_authorization(b"AWS4-HMAC-SHA256", algorithm.encode())

    with pytest.raises(IncompleteSignature) as refusal:
        read_signature(request.head)

    assert refusal.value.message == f"Unsupported AWS 'algorithm': '{algorithm}'."


@pytest.mark.parametrize(
    ("part", "replacement", "error", "sentence"),
    [
        ("Credential=", "Other=", IncompleteSignature, MISSING.format("Credential")),
        ("Signature=", "Other=", IncompleteSignature, MISSING.format("Signature")),
        ("Signature=", "Signature= Other=", IncompleteSignature, MISSING.format("Signature")),
        ("SignedHeaders=", "Other=", IncompleteSignature, MISSING.format("SignedHeaders")),
        ("Signature=", "Signature", IncompleteSignature, NO_PAIR),
        ("Credential=", "Credential= ", IncompleteSignature, NO_PAIR),
        ("AKID", "AKID ", IncompleteSignature, NO_PAIR),
        (
            "Credential=",
            "Signature=0, Credential=",
            IncompleteSignature,
            "Authorization header has the same parameter twice.",
        ),
        ("AKID", "AKIÐ", IncompleteSignature, NOT_PRINTABLE),
        ("AKID", "AKI\0", IncompleteSignature, NOT_PRINTABLE),
        ("host;x-amz-date", "x-amz-date;host", IncompleteSignature, NOT_SORTED),
        ("host;x-amz-date", "host;host;x-amz-date", IncompleteSignature, NOT_SORTED),
        ("host;x-amz-date", "Host;X-Amz-Date", IncompleteSignature, NOT_SORTED),
        ("host;x-amz-date", "host;;x-amz-date", IncompleteSignature, NOT_SORTED),
        ("host;x-amz-date", ";host;x-amz-date", IncompleteSignature, NOT_SORTED),
        ("host;x-amz-date", "host;x-amz-date;", IncompleteSignature, NOT_SORTED),
        ("host;x-amz-date", ";", IncompleteSignature, NOT_SORTED),
        ("AKIDEXAMPLE/", "", IncompleteSignature, FIVE_ELEMENTS),
        ("AKIDEXAMPLE", "", IncompleteSignature, FIVE_ELEMENTS),
        ("AKIDEXAMPLE", "SECRET/KEY", IncompleteSignature, FIVE_ELEMENTS),
        ("us-east-1", "", IncompleteSignature, FIVE_ELEMENTS),
        ("/aws4_request", "", IncompleteSignature, FIVE_ELEMENTS),
        ("/aws4_request", "/aws4_request/", IncompleteSignature, FIVE_ELEMENTS),
        ("aws4_request", "aws5_request", InvalidSignature, OTHER_TERMINATOR),
        ("20150830", "20150831", InvalidSignature, OTHER_DATE),
    ],
)
def test_a_malformed_authorization_is_refused_with_its_sentence(part, replacement, error, sentence):
    request = VANILLA.with_authorization(part.encode(), replacement.encode())

    with pytest.raises(error) as refusal:
        read_signature(request.head)

    assert refusal.value.message == sentence


def test_a_request_without_authorization_is_missing_its_token():
    with pytest.raises(MissingAuthenticationToken):
        read_signature(VANILLA.without_header(b"authorization").head)


def test_everything_that_is_missing_is_named_at_once_and_nothing_that_was_sent():
    request = VANILLA.without_header(b"x-amz-date")
    request = request.with_header(b"authorization", b"AWS4-HMAC-SHA256 Signatur=c0ffee")

    with pytest.raises(IncompleteSignature) as refusal:
        read_signature(request.head)

    assert refusal.value.message == (
        "Authorization header requires 'Credential' parameter. "
        "Authorization header requires 'Signature' parameter. "
        "Authorization header requires 'SignedHeaders' parameter. "
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
        "Authorization=AWS4-HMAC-SHA256 ..."
    )


@pytest.mark.parametrize("separator", [b", ", b",", b" ", b" ,  "])
def test_commas_and_blanks_both_separate_the_parameters(separator):
    accept(VANILLA.with_authorization(b", ", separator))


def test_what_proves_the_sender_is_not_shown():
    request = sign(token="c2Vzc2lvbg")
    signature = read_signature(request.head)

    shown = repr(request.head) + repr(signature)

    assert signature.access_key_id in shown
    assert signature.signature not in shown
    assert "c2Vzc2lvbg" not in shown


# --- What a signature must cover ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signed", "unsigned"),
    [
        (b"x-amz-date", ["Host"]),
        (b"host", ["X-Amz-Date"]),
        (b"content-type", ["Host", "X-Amz-Date"]),
    ],
)
def test_host_and_date_must_be_signed(signed, unsigned):
    request = VANILLA.with_header(b"content-type", b"text/plain")
    request = request.with_authorization(
        b"SignedHeaders=host;x-amz-date", b"SignedHeaders=" + signed
    )

    with pytest.raises(InvalidSignature) as refusal:
        read_signature(request.head)

    assert refusal.value.message == " ".join(
        f"'{name}' must be a 'SignedHeader' in the AWS Authorization." for name in unsigned
    )


@pytest.mark.parametrize(
    "name", [b"x-amz-security-token", b"x-amz-target", b"x-amz-content-sha256", b"x-amz-anything"]
)
def test_every_x_amz_header_must_be_signed(name):
    with pytest.raises(InvalidSignature) as refusal:
        accept(VANILLA.with_header(name, b"value"))

    title = name.decode().title()
    assert refusal.value.message == f"'{title}' must be a 'SignedHeader' in the AWS Authorization."


@pytest.mark.parametrize("name", [b"user-agent", b"x-amzn-trace-id", b"x-forwarded-for", b"date"])
def test_other_headers_may_come_along_unsigned(name):
    accept(VANILLA.with_header(name, b"value"))


def test_a_signed_header_must_be_there():
    request = VANILLA.with_authorization(b"host;x-amz-date", b"accept;host;x-amz-date")

    with pytest.raises(InvalidSignature) as refusal:
        read_signature(request.head)

    assert refusal.value.message == "The 'SignedHeader' 'Accept' is not in the request."


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "host",
        "x-amz-date",
        "date",
        "x-amz-security-token",
        "x-amz-target",
        "x-amz-content-sha256",
        "content-type",
        "content-length",
    ],
)
def test_a_header_that_means_one_thing_is_refused_twice(name):
    once = (
        VANILLA
        if name in {"authorization", "host", "x-amz-date"}
        else VANILLA.with_header(name.encode(), b"1")
    )
    headers = [*once.head.headers, (name.encode(), b"1")]

    with pytest.raises(IncompleteSignature) as refusal:
        read_signature(once.with_head(headers=headers).head)

    assert refusal.value.message == f"The header '{name.title()}' may be sent only once."


# --- Presigned requests ---------------------------------------------------------------------------


def test_a_presigned_request_is_refused_as_such():
    request = AWSRequest("GET", "https://api.ecr.example.com/")
    SigV4QueryAuth(Credentials(ACCESS_KEY_ID, SECRET), "ecr", "eu-west-1").add_auth(request)
    query = request.url.partition("?")[2].encode()

    with pytest.raises(IncompleteSignature) as refusal:
        read_signature(RequestHead("GET", b"/", query, [(b"host", b"api.ecr.example.com")]))

    assert refusal.value.message == (
        "Presigned requests are not supported: sign with the 'Authorization' header."
    )


@pytest.mark.parametrize(
    "query", [b"X-Amz-Signature=0", b"a=b&x-amz-credential=c", b"X-Amz-Algorithm"]
)
def test_signatures_in_query_and_header_are_not_weighed_against_each_other(query):
    with pytest.raises(IncompleteSignature, match="Presigned requests are not supported"):
        read_signature(VANILLA.with_head(query=query).head)


# --- The body -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "declared",
    [
        "UNSIGNED-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    ],
)
def test_a_body_that_is_not_signed_is_refused_before_it_is_read(declared):
    request = sign(headers=[("X-Amz-Content-SHA256", declared)])

    with pytest.raises(InvalidSignature) as refusal:
        read_signature(request.head)

    assert refusal.value.message == (
        f"The body must be signed: '{declared}' as 'x-amz-content-sha256' is not supported."
    )


@pytest.mark.parametrize(
    "declared",
    [EMPTY_SHA256, "", "unsigned-payload", hashlib.sha256(b"{}").hexdigest().upper()],
)
def test_a_declared_hash_that_is_not_the_bodys_is_refused(declared):
    request = sign(headers=[("X-Amz-Content-SHA256", declared)], body=b"{}")

    with pytest.raises(InvalidSignature) as refusal:
        accept(request)

    assert refusal.value.message == (
        "The provided 'x-amz-content-sha256' header does not match what was computed."
    )


# --- Time -----------------------------------------------------------------------------------------

NOW = "20190912T010335Z"


def signed_at(timestamp: str) -> Signature:
    headers = [
        (b"host", b"h"),
        (b"x-amz-date", timestamp.encode()),
        (
            b"authorization",
            f"AWS4-HMAC-SHA256 Credential=A/{timestamp[:8]}/r/s/aws4_request, "
            f"SignedHeaders=host;x-amz-date, Signature=0".encode(),
        ),
    ]
    return read_signature(RequestHead("GET", b"/", b"", headers))


def message_at(clock: Clock, timestamp: str, skew: Millis = 15 * MINUTE) -> str:
    """Return how a signature that is wrong anyway is refused."""
    head = RequestHead("GET", b"/", b"", [(b"host", b"h"), (b"x-amz-date", timestamp.encode())])
    with pytest.raises(InvalidSignature) as refusal:
        SignatureVerifier(clock, skew).verify(signed_at(timestamp), head, EMPTY_SHA256, SECRET)
    return refusal.value.message


EXPIRED = "Signature expired: {} is now earlier than 20190912T004835Z (20190912T010335Z - 15 min.)"
NOT_YET_CURRENT = (
    "Signature not yet current: {} is still later than 20190912T011835Z "
    "(20190912T010335Z + 15 min.)"
)


@pytest.mark.parametrize(
    ("timestamp", "sentence"),
    [
        ("00010101T000000Z", EXPIRED),
        ("20190911T174538Z", EXPIRED),
        ("20190912T004834Z", EXPIRED),
        ("20190912T004835Z", WRONG_SIGNATURE),
        ("20190912T010335Z", WRONG_SIGNATURE),
        ("20190912T011835Z", WRONG_SIGNATURE),
        ("20190912T011836Z", NOT_YET_CURRENT),
        ("99991231T235959Z", NOT_YET_CURRENT),
    ],
)
@pytest.mark.parametrize("fraction", [0, 999])
def test_a_signature_holds_fifteen_minutes_either_way_to_the_second(timestamp, sentence, fraction):
    clock = at(NOW)

    assert message_at(lambda: clock() + fraction, timestamp) == sentence.format(timestamp)


def test_the_window_can_be_another():
    assert message_at(at(NOW), "20190912T010205Z", 90 * SECOND) == WRONG_SIGNATURE
    assert message_at(at(NOW), "20190912T010204Z", 90 * SECOND) == (
        "Signature expired: 20190912T010204Z is now earlier than 20190912T010205Z "
        "(20190912T010335Z - 1.5 min.)"
    )


@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        "201",
        "2015-08-30T12:36:00Z",
        "20150830T123600",
        "20150830T123600z",
        "20150830 123600Z",
        "20150830T12360\u0660Z",
        "20151330T123600Z",
        "20150830T126000Z",
        "00000830T123600Z",
        "2015W357T123600Z",
        "+0150830T123600Z",
        "Sun, 99 Aug 2015 12:36:00 GMT",
    ],
)
def test_a_date_in_another_form_is_refused(timestamp):
    with pytest.raises(IncompleteSignature, match="Date must be in ISO-8601 'basic format'"):
        read_signature(VANILLA.with_header(b"x-amz-date", timestamp.encode()).head)


def test_botocores_date_header_is_read_in_place_of_x_amz_date():
    request = sign(headers=[("Date", "to be set by the signer")])

    signature = accept(request)

    assert "date" in signature.signed_headers
    assert "x-amz-date" not in signature.signed_headers


@pytest.mark.parametrize(
    "date",
    [
        "Sun, 30 Aug 2015 12:36:00 GMT",
        "Sun, 30 Aug 2015 12:36:00 -0000",
        "Sun, 30 Aug 2015 14:36:00 +0200",
        "20150830T123600Z",
    ],
)
def test_a_date_header_tells_the_moment_in_any_of_its_forms(date):
    request = VANILLA.without_header(b"x-amz-date").with_header(b"date", date.encode())
    request = request.with_authorization(b"host;x-amz-date", b"date;host")

    assert read_signature(request.head).timestamp == "20150830T123600Z"


def test_x_amz_date_goes_before_date():
    request = VANILLA.with_header(b"date", b"Mon, 31 Aug 2015 12:36:00 GMT")

    assert accept(request).timestamp == "20150830T123600Z"


# --- Scope ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("region", ["us-east-1", lambda region: region.startswith("us-")])
def test_a_scope_of_this_region_and_service_is_right(region):
    signature = read_signature(VANILLA.head)

    SignatureVerifier.check_scope(signature, region=region, service="service")


OTHER_REGION = "Credential should be scoped to a valid region, not 'us-east-1'."
OTHER_SERVICE = "Credential should be scoped to correct service: 'ecr'."


@pytest.mark.parametrize(
    ("region", "service", "sentence"),
    [
        ("eu-west-1", "service", OTHER_REGION),
        (lambda region: region.startswith("eu-"), "service", OTHER_REGION),
        ("us-east-1", "ecr", OTHER_SERVICE),
        ("eu-west-1", "ecr", f"{OTHER_REGION} {OTHER_SERVICE}"),
    ],
)
def test_a_scope_of_elsewhere_is_refused_with_its_sentence(region, service, sentence):
    signature = read_signature(VANILLA.head)

    with pytest.raises(InvalidSignature) as refusal:
        SignatureVerifier.check_scope(signature, region=region, service=service)

    assert refusal.value.message == sentence


# --- Signing keys ---------------------------------------------------------------------------------


def test_a_key_that_was_remembered_does_not_outlive_its_secret():
    verifier = SignatureVerifier(VANILLA_NOW)
    accept(VANILLA, verifier)
    accept(VANILLA, verifier)

    with pytest.raises(InvalidSignature):
        accept(replace(VANILLA, secret="rotated"), verifier)


def test_one_secret_has_a_key_for_each_scope():
    requests = [
        sign(region=region, service=service)
        for region in ("eu-west-1", "us-east-1")
        for service in ("ecr", "sts")
    ]
    verifier = SignatureVerifier(at(read_signature(requests[0].head).timestamp))

    for request in [*requests, *requests]:
        accept(request, verifier)


@pytest.mark.parametrize("cached_keys", [0, 1, 2])
def test_more_secrets_than_are_remembered_still_verify(cached_keys):
    requests = [sign(secret=f"secret {number}") for number in range(4)]
    clock = at(read_signature(requests[0].head).timestamp)
    verifier = SignatureVerifier(clock, cached_keys=cached_keys)

    for request in [*requests, *reversed(requests)]:
        accept(request, verifier)

    assert len(verifier._keys._keys) == cached_keys


def test_the_key_that_was_used_last_is_the_last_to_be_forgotten():
    first, second, third = (sign(secret=f"secret {number}") for number in range(3))
    clock = at(read_signature(first.head).timestamp)
    verifier = SignatureVerifier(clock, cached_keys=2)

    for request in (first, second, first, third):
        accept(request, verifier)

    labels = [
        verifier._keys.label(request.secret, read_signature(request.head).scope)
        for request in (first, second, third)
    ]
    assert [verifier._keys.find(label) is not None for label in labels] == [True, False, True]


def test_a_request_that_is_refused_leaves_no_key_behind():
    verifier = SignatureVerifier(VANILLA_NOW)

    with pytest.raises(InvalidSignature):
        accept(replace(VANILLA, secret="guessed"), verifier)

    assert not verifier._keys._keys
