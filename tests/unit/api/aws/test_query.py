"""botocore is the oracle: it writes what we parse, and reads what we serialize."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.api.aws.model import ServiceModel as OurModel
from longshore.api.aws.query import QueryService
from longshore.api.aws.query_reader import QueryReader, read_form
from longshore.api.aws.wording import GENERIC
from longshore.api.aws.xml_writer import XmlWriter, element
from longshore.errors import Serialization, ValidationFailed
from tests.unit.api.aws.values import EPOCH, values_of

SERVICES = ("iam", "sts")
OURS = {name: QueryService.load(name, GENERIC, OurModel.load(name).operations) for name in SERVICES}
THEIRS = {
    name: ServiceModel(Loader().load_service_model(name, "service-2"), name) for name in SERVICES
}
SERIALIZER = create_serializer("query", include_validation=False)
PARSER = create_parser("query")

MOMENTS = st.integers(0, 4_000_000_000).map(lambda seconds: EPOCH + timedelta(seconds=seconds))
# What XML can hold.
CHARACTERS = st.characters(
    exclude_categories=["Cs", "Cc"], include_characters="\t\n\r", exclude_characters="\ufffe\uffff"
)

OPERATIONS = st.sampled_from([(name, one) for name in SERVICES for one in OURS[name].operations])


def form_of(service: ServiceModel, operation: str, request: dict[str, Any]) -> bytes:
    body = SERIALIZER.serialize_to_request(request, service.operation_model(operation))["body"]
    return urlencode(body).encode()


def read_back(document: bytes, shape: Any) -> dict[str, Any]:
    response = {"status_code": 200, "headers": {}, "body": document}
    output: dict[str, Any] = PARSER.parse(response, shape)
    assert output.pop("ResponseMetadata")["RequestId"] == "the-id"
    return output


def without_empty_structures(value: Any) -> Any:
    """Leave out what the protocol has no words for."""
    match value:
        case dict():
            parts = {name: without_empty_structures(part) for name, part in value.items()}
            return {name: part for name, part in parts.items() if part != {}}
        case list():
            kept = [without_empty_structures(part) for part in value]
            return [part for part in kept if part != {}] or (value and {})
        case _:
            return value


# --- The oracle -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SERVICES)
def test_the_service_is_the_one_that_botocore_has(name):
    ours, theirs = OURS[name], THEIRS[name]
    assert ours.version == theirs.metadata["apiVersion"]
    assert ours.namespace == theirs.metadata["xmlNamespace"]
    assert ours.known == set(theirs.operation_names)
    assert ours.error_statuses.keys() <= {shape.error_code for shape in theirs.error_shapes}
    assert set(ours.error_statuses.values()) <= {400, 403, 404, 409, 410, 500}


@given(which=OPERATIONS, data=st.data())
@settings(max_examples=150)
def test_a_request_that_botocore_writes_is_read_as_it_was_meant(which, data):
    name, operation = which
    shape = THEIRS[name].operation_model(operation).input_shape
    request = data.draw(values_of(shape, MOMENTS, CHARACTERS)) if shape else {}
    body = form_of(THEIRS[name], operation, request)
    kept = without_empty_structures(request)
    if kept == request:
        assert OURS[name].operations[operation].parse(body) == request
    else:
        # What is required may have been left out with the rest.
        with contextlib.suppress(ValidationFailed):
            assert OURS[name].operations[operation].parse(body) == kept


@given(which=OPERATIONS, data=st.data())
@settings(max_examples=150)
def test_an_answer_is_read_by_botocore_as_it_was_meant(which, data):
    name, operation = which
    shape = THEIRS[name].operation_model(operation).output_shape
    output = data.draw(values_of(shape, MOMENTS, CHARACTERS)) if shape else {}
    result = OURS[name].operations[operation].serialize(output)
    assert read_back(OURS[name].answer(operation, result, "the-id"), shape) == output


@pytest.mark.parametrize(("is_senders", "kind"), [(True, "Sender"), (False, "Receiver")])
def test_a_refusal_is_read_by_botocore_as_it_was_meant(is_senders, kind):
    body = OURS["iam"].refusal(
        "NoSuchEntity", "no <user> & no \x01\ud800", "the-id", is_senders=is_senders
    )
    parsed = PARSER.parse({"status_code": 404, "headers": {}, "body": body}, None)
    assert parsed["Error"] == {
        "Type": kind,
        "Code": "NoSuchEntity",
        "Message": "no <user> & no \ufffd\ufffd",
    }
    assert parsed["ResponseMetadata"]["RequestId"] == "the-id"


# --- What the models of IAM and STS don't use, and others' do -------------------------------------

OTHER = {
    "metadata": {"protocol": "query", "apiVersion": "1", "serviceId": "other"},
    "operations": {
        "Do": {
            "name": "Do",
            "http": {"method": "POST", "requestUri": "/"},
            "input": {"shape": "All"},
            "output": {"shape": "All", "resultWrapper": "DoResult"},
        }
    },
    "shapes": {
        "All": {
            "type": "structure",
            "members": {
                "Named": {"shape": "Text", "locationName": "Other"},
                "Flat": {"shape": "FlatList"},
                "FlatNamed": {"shape": "FlatNamedList"},
                "ListNamed": {"shape": "NamedList", "locationName": "Names"},
                "Map": {"shape": "Map"},
                "MapNamed": {"shape": "NamedMap"},
                "FlatMap": {"shape": "FlatMap"},
                "Moment": {"shape": "Moment"},
                "Bytes": {"shape": "Bytes"},
                "Number": {"shape": "Number"},
                "Count": {"shape": "Count"},
            },
        },
        "Text": {"type": "string"},
        "Moment": {"type": "timestamp"},
        "Bytes": {"type": "blob"},
        "Number": {"type": "double"},
        "Count": {"type": "long"},
        "FlatList": {"type": "list", "member": {"shape": "Text"}, "flattened": True},
        "FlatNamedList": {
            "type": "list",
            "member": {"shape": "Text", "locationName": "One"},
            "flattened": True,
        },
        "NamedList": {"type": "list", "member": {"shape": "Text", "locationName": "Name"}},
        "Map": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Text"}},
        "NamedMap": {
            "type": "map",
            "key": {"shape": "Text", "locationName": "Name"},
            "value": {"shape": "Text", "locationName": "Number"},
        },
        "FlatMap": {
            "type": "map",
            "key": {"shape": "Text"},
            "value": {"shape": "Text"},
            "flattened": True,
        },
    },
}


@given(data=st.data())
@settings(max_examples=100)
def test_names_on_the_wire_and_flattened_parts_are_those_of_botocore(data):
    theirs = ServiceModel(OTHER, "other")
    ours = OurModel.read(OTHER)
    shape = theirs.shape_for("All")
    value = data.draw(values_of(shape, MOMENTS, CHARACTERS))

    form = read_form(form_of(theirs, "Do", value))
    read = QueryReader(ours.shapes).compile("All")
    assert without_empty_flat_parts(read(form)) == without_empty_flat_parts(
        without_empty_structures(value)
    )

    out: list[str] = []
    XmlWriter(ours.shapes).compile("All")("DoResult", value, out)
    metadata = f"<ResponseMetadata>{element('RequestId', 'the-id')}</ResponseMetadata>"
    body = f"<DoResponse>{''.join(out)}{metadata}</DoResponse>".encode()
    back = read_back(body, theirs.operation_model("Do").output_shape)
    assert without_empty_flat_parts(back) == without_empty_flat_parts(value)


def without_empty_flat_parts(value: dict[str, Any]) -> dict[str, Any]:
    """Leave out what nothing stands for on the wire."""
    return {name: part for name, part in value.items() if part or not name.startswith("Flat")}


# --- What strangers send --------------------------------------------------------------------------

IAM = OURS["iam"].operations
NAMES = st.lists(
    st.sampled_from(["Tags", "member", "1", "01", "0", "-1", "Key", "UserName", "", "é", "entry"]),
    min_size=1,
    max_size=20,
).map(".".join)


@given(
    which=OPERATIONS,
    body=st.binary()
    | st.lists(st.tuples(NAMES, st.text(max_size=5)), max_size=8).map(
        lambda pairs: urlencode(pairs, errors="surrogatepass").encode()
    ),
)
@settings(max_examples=300)
def test_any_bytes_are_read_or_refused(which, body):
    name, operation = which
    with contextlib.suppress(Serialization, ValidationFailed):
        OURS[name].operations[operation].parse(body)


TAGGED = {"UserName": "ann", "Tags.member.1.Key": "a", "Tags.member.1.Value": "b"}
CONTRADICTION = "The parameter '{}' contradicts another one, or is too deep"
NUMBERED = "'Tags' must be a list: its members are numbered from 1"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"UserName=a&UserName=a", CONTRADICTION.format("UserName")),
        (b"UserName=a&User%4eame=b", CONTRADICTION.format("UserName")),
        (b"Tags=&Tags.member.1.Key=a", CONTRADICTION.format("Tags.member.1.Key")),
        (b"Tags.member.1.Key=a&Tags=", CONTRADICTION.format("Tags")),
        (b"Tags.member.1=a&Tags.member.1.Key=a", CONTRADICTION.format("Tags.member.1.Key")),
        (b"." * 1000 + b"=a", CONTRADICTION.format("." * 100)),
        (b"UserName.a" + b".b" * 30 + b"=a", CONTRADICTION.format("UserName.a" + ".b" * 30)),
        (b"UserName=\xff", "The parameters of the request must be in UTF-8"),
        (b"UserName=%ff", "The parameters of the request must be in UTF-8"),
        (b"UserName=%ed%a0%80", "The parameters of the request must be in UTF-8"),
        (b"a=&" * 10_001, "The request may have at most 10000 parameters"),
        (b"Tags.member.0.Key=a", NUMBERED),
        (b"Tags.member.-1.Key=a", NUMBERED),
        (b"Tags.member.01.Key=a", NUMBERED),
        (b"Tags.member.1e3.Key=a", NUMBERED),
        (b"Tags.member.%D9%A1.Key=a", NUMBERED),
        (b"Tags.member." + b"9" * 5000 + b".Key=a", NUMBERED),
        (b"Tags.member.x=a", NUMBERED),
        (b"Tags.member=a", NUMBERED),
        (b"Tags=a", NUMBERED),
        (
            b"Tags.entry.1.Key=a",
            "'Tags' must be a list: its members are called member.1, member.2 and so on",
        ),
        (
            b"Tags.member.1.Key=a&Tags.1.Key=b",
            "'Tags' must be a list: its members are called member.1, member.2 and so on",
        ),
        (b"Tags.member.1=a", "'Tags.1.member' must be a structure"),
        (b"UserName.member.1=a", "'UserName' must be a single value"),
        (b"UserName=a%00", "'UserName' must be a text of characters that XML can hold"),
        (b"UserName=a%1b", "'UserName' must be a text of characters that XML can hold"),
        (b"UserName=%ef%bf%bf", "'UserName' must be a text of characters that XML can hold"),
        (
            b"Tags.member.2.Value=%01",
            "'Tags.2.member.Value' must be a text of characters that XML can hold",
        ),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_form_that_can_be_read_in_two_ways_or_in_none_is_refused(body, message):
    with pytest.raises(Serialization) as caught:
        IAM["TagUser"].parse(body)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("operation", "member", "text", "message"),
    [
        *(
            ("ListUsers", "MaxItems", text, "'MaxItems' must be an integer of 32 bits")
            for text in ("", "1.0", "1e2", "0x1", "+1", " 1", "1_0", "²", "2147483648", "9" * 5000)
        ),
        *(
            ("CreatePolicyVersion", "SetAsDefault", text, "'SetAsDefault' must be true or false")
            for text in ("", "1", "yes", "True", "TRUE", "false ")
        ),
    ],
)
def test_a_member_of_the_wrong_type_is_named(operation, member, text, message):
    with pytest.raises(Serialization) as caught:
        IAM[operation].parse(urlencode({member: text}).encode())
    assert str(caught.value) == message


def test_the_members_of_a_list_are_in_the_order_of_their_numbers_and_gaps_are_none():
    form = {
        **TAGGED,
        "Tags.member.999999999.Key": "z",
        "Tags.member.999999999.Value": "",
        "Tags.member.10.Key": "k",
        "Tags.member.10.Value": "",
        "Tags.member.2.Key": "c",
        "Tags.member.2.Value": "",
    }
    parsed = IAM["TagUser"].parse(urlencode(form).encode())
    assert [tag["Key"] for tag in parsed["Tags"]] == ["a", "c", "k", "z"]


@pytest.mark.parametrize(
    "body", [b"", b"&", b"&&Unknown=1&", b"Action=ListUsers&Version=2010-05-08&New.member.1.X=2"]
)
def test_unknown_parameters_are_no_members(body):
    assert IAM["ListUsers"].parse(body) == {}


def test_a_plus_is_a_blank_and_percent_codes_are_undone():
    parsed = IAM["CreateRole"].parse(
        b"RoleName=a%2Bb&AssumeRolePolicyDocument=%7B+%22a%22%3a%22%C3%A9%22%20%7D"
    )
    assert parsed == {"RoleName": "a+b", "AssumeRolePolicyDocument": '{ "a":"é" }'}


def test_what_is_wrong_with_a_secret_does_not_repeat_it():
    body = b"RoleArn=arn:aws:iam::000000000000:role/a&RoleSessionName=ab&WebIdentityToken=abc"
    with pytest.raises(ValidationFailed) as caught:
        OURS["sts"].operations["AssumeRoleWithWebIdentity"].parse(body)
    assert str(caught.value) == (
        "1 validation error detected: Value at 'webIdentityToken' failed to satisfy constraint: "
        "Member must have length greater than or equal to 4"
    )


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (
            {},
            (
                "1 validation error detected: Value null at 'userName' failed to satisfy "
                "constraint: Member must not be null"
            ),
        ),
        (
            {"UserName": "a b"},
            (
                "1 validation error detected: Value 'a b' at 'userName' failed to satisfy "
                "constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]+"
            ),
        ),
        (
            {"UserName": "a", "Tags.member.1.Key": "", "Tags.member.1.Value": "\u2603"},
            (
                "3 validation errors detected: Value '' at 'tags.1.member.key' failed to satisfy "
                "constraint: Member must have length greater than or equal to 1; "
                "Value '' at 'tags.1.member.key' failed to satisfy constraint: Member must "
                "satisfy regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+; "
                "Value '\u2603' at 'tags.1.member.value' failed to satisfy constraint: Member "
                "must satisfy regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*"
            ),
        ),
    ],
)
def test_a_broken_constraint_is_told_in_the_words_that_services_share(form, message):
    with pytest.raises(ValidationFailed) as caught:
        IAM["CreateUser"].parse(urlencode(form).encode())
    assert str(caught.value) == message


# --- What we answer -------------------------------------------------------------------------------

KEY = {"UserName": "a", "AccessKeyId": "AKIA" + "A" * 16, "Status": "Active"}


def test_members_that_are_none_are_left_out_and_empty_lists_stay():
    assert IAM["ListUsers"].serialize({"Users": (), "Marker": None}) == (
        b"<ListUsersResult><Users></Users></ListUsersResult>"
    )


def test_an_answer_has_the_form_that_aws_documents():
    document = OURS["iam"].answer("DeleteUser", IAM["DeleteUser"].serialize({}), "the-id")
    assert document == (
        b'<DeleteUserResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
        b"<ResponseMetadata><RequestId>the-id</RequestId></ResponseMetadata></DeleteUserResponse>"
    )


LISTED = THEIRS["iam"].operation_model("ListUsers").output_shape


@given(text=st.text())
def test_any_text_makes_a_document_that_can_be_read(text):
    result = IAM["ListUsers"].serialize({"Users": [], "Marker": text})
    read_back(OURS["iam"].answer("ListUsers", result, "the-id"), LISTED)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (EPOCH, "1970-01-01T00:00:00Z"),
        (datetime(2019, 7, 15, 20, 54, 16, 999_999, tzinfo=UTC), "2019-07-15T20:54:16Z"),
        (
            datetime(2019, 7, 15, 22, 54, 16, tzinfo=timezone(timedelta(hours=2))),
            "2019-07-15T20:54:16Z",
        ),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "9999-12-31T23:59:59Z"),
    ],
)
def test_a_timestamp_is_in_utc_and_cut_to_the_second(moment, text):
    answer = IAM["ListAccessKeys"].serialize({"AccessKeyMetadata": [{"CreateDate": moment}]})
    assert f"<CreateDate>{text}</CreateDate>" in answer.decode()


@pytest.mark.parametrize(
    ("operation", "output"),
    [
        ("CreateAccessKey", {"AccesKey": KEY}),
        ("CreateAccessKey", {"AccessKey": {**KEY, "Secret": "a"}}),
        ("CreateAccessKey", {"AccessKey": {**KEY, "UserName": 1}}),
        ("CreateAccessKey", {"AccessKey": {**KEY, "CreateDate": 1}}),
        ("CreateAccessKey", {"AccessKey": [KEY]}),
        ("ListUsers", {"Users": "ab"}),
        ("ListUsers", {"Users": [None]}),
        ("ListUsers", {"IsTruncated": "true"}),
        ("ListUsers", {"IsTruncated": 1}),
        ("GetAccountSummary", {"SummaryMap": {"Users": True}}),
        ("GetAccountSummary", {"SummaryMap": [1]}),
        ("DeleteUser", {"UserName": "a"}),
    ],
)
def test_an_output_that_the_model_does_not_know_is_a_mistake(operation, output):
    with pytest.raises(TypeError):
        IAM[operation].serialize(output)


def test_the_mistake_tells_where_it_is():
    with pytest.raises(TypeError) as caught:
        IAM["ListUsers"].serialize({"Users": [{"UserName": 1}]})
    assert caught.value.__notes__ == ["in User.UserName", "in ListUsersResponse.Users"]


def test_only_the_operations_asked_for_are_compiled():
    service = QueryService.load("sts", GENERIC, ["GetCallerIdentity"])
    assert list(service.operations) == ["GetCallerIdentity"]
    assert "AssumeRole" in service.known
    with pytest.raises(KeyError):
        QueryService.load("sts", GENERIC, ["NoSuchOperation"])
