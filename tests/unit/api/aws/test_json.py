"""botocore is the oracle: it writes what we parse, and reads what we serialize."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.api.aws.json import JsonService
from longshore.api.aws.wording import ECR
from longshore.errors import InvalidParameter, InvalidTagParameter, Serialization, ValidationFailed
from tests.unit.api.aws.values import EPOCH, values_of

OURS = JsonService.load("ecr", ECR)
THEIRS = ServiceModel(Loader().load_service_model("ecr", "service-2"), "ecr")
SERIALIZER = create_serializer("json")
PARSER = create_parser("json")

REFUSALS = (Serialization, InvalidParameter, ValidationFailed, InvalidTagParameter)


def body_of(operation: str, request: dict[str, Any]) -> bytes:
    body = SERIALIZER.serialize_to_request(request, THEIRS.operation_model(operation))["body"]
    return body if isinstance(body, bytes) else body.encode()


def read_back(operation: str, body: bytes) -> dict[str, Any]:
    response = {"status_code": 200, "headers": {}, "body": body}
    shape = THEIRS.operation_model(operation).output_shape
    assert shape is not None
    output: dict[str, Any] = PARSER.parse(response, shape)
    del output["ResponseMetadata"]
    return output


# --- The oracle -----------------------------------------------------------------------------------


def test_the_service_is_the_one_that_botocore_has():
    assert OURS.target_prefix == THEIRS.metadata["targetPrefix"]
    assert list(OURS.operations) == list(THEIRS.operation_names)
    for name, operation in OURS.operations.items():
        declared = {shape.name for shape in THEIRS.operation_model(name).error_shapes}
        assert (operation.name, operation.error_codes) == (name, declared)


@pytest.mark.parametrize("operation", OURS.operations)
@given(data=st.data())
@settings(deadline=None, max_examples=3)
def test_a_request_that_botocore_writes_is_read_as_it_was_meant(operation, data):
    request = data.draw(values_of(THEIRS.operation_model(operation).input_shape))
    assert OURS.operations[operation].parse(body_of(operation, request)) == request


@pytest.mark.parametrize("operation", OURS.operations)
@given(data=st.data())
@settings(deadline=None, max_examples=3)
def test_an_answer_is_read_by_botocore_as_it_was_meant(operation, data):
    output = data.draw(values_of(THEIRS.operation_model(operation).output_shape))
    assert read_back(operation, OURS.operations[operation].serialize(output)) == output


# --- What strangers send --------------------------------------------------------------------------

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=5), part, max_size=3)
    ),
    max_leaves=10,
)


@given(
    operation=st.sampled_from(list(OURS.operations)),
    body=st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()),
)
@settings(deadline=None, max_examples=100)
def test_any_bytes_are_read_or_refused(operation, body):
    with contextlib.suppress(*REFUSALS):
        OURS.operations[operation].parse(body)


@given(operation=st.sampled_from(list(OURS.operations)), data=st.data())
@settings(deadline=None, max_examples=100)
def test_a_request_with_one_member_turned_is_read_or_refused(operation, data):
    shape = THEIRS.operation_model(operation).input_shape
    request = json.loads(body_of(operation, data.draw(values_of(shape))))
    if shape.members:
        place = request
        name = data.draw(st.sampled_from(list(shape.members)))
        while isinstance(place.get(name), dict) and place[name] and data.draw(st.booleans()):
            place = place[name]
            name = data.draw(st.sampled_from(list(place)))
        inner = place.get(name)
        junk = data.draw(ANY_JSON)
        place[name] = [*inner, junk] if isinstance(inner, list) else junk
    with contextlib.suppress(*REFUSALS):
        OURS.operations[operation].parse(json.dumps(request).encode())


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="cut short"),
        pytest.param(b"nonsense", id="no JSON"),
        pytest.param(b"{} {}", id="two objects"),
        pytest.param(b" ", id="a blank"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(b'"{}"', id="a string"),
        pytest.param(b"{'a':1}", id="single quotes"),
        pytest.param(b'{"a":1,}', id="trailing comma"),
        pytest.param(b'{"a":NaN}', id="NaN"),
        pytest.param(b'{"a":Infinity}', id="Infinity"),
        pytest.param(b'{"a":-Infinity}', id="-Infinity"),
        pytest.param(b'{"a":1,"a":1}', id="a name twice"),
        pytest.param(b'{"x":[{"a":1,"b":2,"\\u0061":1}]}', id="a name twice, escaped, deep"),
        pytest.param(b'{"a":"\xff"}', id="no UTF-8"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', id="a surrogate in UTF-8"),
        pytest.param(b"\xef\xbb\xbf{}", id="a byte order mark"),
        pytest.param("{}".encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="too deep"),
        pytest.param(b"[" * 1_000_000, id="far too deep"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="objects too deep"),
        pytest.param(b'{"a":' + b"9" * 5_000 + b"}", id="a number of countless digits"),
        pytest.param(b'{"a":[' + b"[]," * 300_000 + b"[]]}", id="countless values"),
        pytest.param(b'{"a":"\x00"}', id="a bare control character"),
    ],
)
def test_a_body_that_is_not_a_fit_json_object_is_refused(body):
    with pytest.raises(Serialization):
        OURS.operations["DescribeRepositories"].parse(body)


PART = {
    "repositoryName": "team/app",
    "uploadId": "0a1b2c3d-0000-0000-0000-000000000000",
    "partFirstByte": 0,
    "partLastByte": 2,
    "layerPartBlob": "YWJj",
}


@pytest.mark.parametrize(
    ("operation", "member", "value", "message"),
    [
        ("CreateRepository", "repositoryName", 1, "'repositoryName' must be a string"),
        ("CreateRepository", "repositoryName", True, "'repositoryName' must be a string"),
        ("CreateRepository", "repositoryName", ["a"], "'repositoryName' must be a string"),
        ("CreateRepository", "repositoryName", {}, "'repositoryName' must be a string"),
        (
            "CreateRepository",
            "repositoryName",
            "\ud800",
            "'repositoryName' must be a string of whole characters",
        ),
        ("CreateRepository", "tags", {}, "'tags' must be a list"),
        ("CreateRepository", "tags", [{"Key": 1}], "'tags.1.member.Key' must be a string"),
        ("CreateRepository", "tags", [{}, []], "'tags.2.member' must be an object"),
        (
            "CreateRepository",
            "imageScanningConfiguration",
            [],
            "'imageScanningConfiguration' must be an object",
        ),
        (
            "CreateRepository",
            "imageScanningConfiguration",
            {"scanOnPush": "true"},
            "'imageScanningConfiguration.scanOnPush' must be true or false",
        ),
        (
            "CreateRepository",
            "imageScanningConfiguration",
            {"scanOnPush": 1},
            "'imageScanningConfiguration.scanOnPush' must be true or false",
        ),
        *(
            ("ListImages", "maxResults", value, "'maxResults' must be an integer of 32 bits")
            for value in (True, 1.0, 1e2, "1", 2**31, -(2**31) - 1, [1])
        ),
        *(
            (
                "UploadLayerPart",
                "partLastByte",
                value,
                "'partLastByte' must be an integer of 64 bits",
            )
            for value in (False, 2.0, "2", 2**63, -(2**63) - 1)
        ),
        *(
            (
                "UploadLayerPart",
                "layerPartBlob",
                value,
                "'layerPartBlob' must be a string of base64",
            )
            for value in (
                1,
                [97],
                "YWJ",
                "YWJj=",
                "YW Jj",
                "YWJj\n",
                "YW-_",
                "é",
                "=",
                "A",
                "YQ===",
                "YWJj====",
            )
        ),
    ],
)
def test_a_member_of_the_wrong_type_is_named(operation, member, value, message):
    body = json.dumps({**PART, member: value}).encode()
    with pytest.raises(Serialization) as caught:
        OURS.operations[operation].parse(body)
    assert str(caught.value) == message


@given(
    text=st.text("Aa+/=", max_size=12)
    | st.binary(max_size=9).map(base64.b64encode).map(bytes.decode)
)
@settings(deadline=None, max_examples=100)
def test_a_blob_is_base64_in_its_one_true_form(text):
    four, body = "[A-Za-z0-9+/]", json.dumps({**PART, "layerPartBlob": text}).encode()
    if re.fullmatch(f"({four}{{4}})*({four}{{2}}==|{four}{{3}}=)?", text):
        parsed = OURS.operations["UploadLayerPart"].parse(body)
        assert parsed["layerPartBlob"] == base64.b64decode(text)
    else:
        with pytest.raises(Serialization):
            OURS.operations["UploadLayerPart"].parse(body)


def test_a_wrong_type_is_told_before_a_broken_constraint():
    with pytest.raises(Serialization):
        OURS.operations["ListImages"].parse(b'{"repositoryName":"A","maxResults":"1"}')


@pytest.mark.parametrize(
    "body", [b"", b"{}", b" {\n} ", b'{"maxResults":null}', b'{"new":{"a":[]}}']
)
def test_an_empty_body_null_and_unknown_members_are_no_members(body):
    assert OURS.operations["DescribeRepositories"].parse(body) == {}


def test_a_body_may_come_in_a_buffer():
    assert OURS.operations["GetAccountSetting"].parse(bytearray(b'{"name":"x"}')) == {"name": "x"}


def test_the_largest_part_of_a_layer_is_read_whole():
    part = bytes(range(256)) * (20 * 1024 * 1024 // 256)
    body = json.dumps({**PART, "layerPartBlob": base64.b64encode(part).decode()}).encode()
    assert OURS.operations["UploadLayerPart"].parse(body)["layerPartBlob"] == part


# --- What we answer -------------------------------------------------------------------------------


def serialize(operation: str, output: dict[str, Any]) -> str:
    return OURS.operations[operation].serialize(output).decode()


def test_members_that_are_none_are_left_out():
    output = {"repositories": [{"repositoryName": "ab", "registryId": None}], "nextToken": None}
    assert serialize("DescribeRepositories", output) == '{"repositories":[{"repositoryName":"ab"}]}'


def test_an_empty_list_stays():
    assert (
        serialize("BatchGetImage", {"images": [], "failures": ()}) == '{"images":[],"failures":[]}'
    )


def test_an_operation_without_output_gives_an_empty_object():
    assert serialize("TagResource", {}) == "{}"


def test_text_is_written_in_utf_8():
    assert serialize("PutAccountSetting", {"value": 'é"\n'}) == '{"value":"é\\"\\n"}'


def pushed(moment: datetime) -> str:
    answer = serialize("DescribeImages", {"imageDetails": [{"imagePushedAt": moment}]})
    return answer.removeprefix('{"imageDetails":[{"imagePushedAt":').removesuffix("}]}")


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        (EPOCH, "0"),
        (datetime(2019, 7, 15, 20, 54, 16, tzinfo=UTC), "1563224056"),
        (datetime(2019, 7, 15, 20, 54, 16, 9_000, tzinfo=UTC), "1563224056.009"),
        (datetime(2019, 7, 15, 20, 54, 16, 100_999, tzinfo=UTC), "1563224056.1"),
        (datetime(2019, 7, 15, 22, 54, 16, tzinfo=timezone(timedelta(hours=2))), "1563224056"),
        (datetime(1970, 1, 1, 0, 0, 0, 1_000, tzinfo=UTC), "0.001"),
        (datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "253402300799.999"),
        (datetime(1, 1, 1, tzinfo=UTC), "-62135596800"),
    ],
)
def test_a_timestamp_is_a_plain_number_of_seconds(moment, number):
    assert pushed(moment) == number


@given(moment=st.datetimes(timezones=st.just(UTC)))
@settings(deadline=None)
def test_a_timestamp_is_exact_to_the_millisecond_and_has_no_exponent(moment):
    number = pushed(moment)
    assert re.fullmatch(r"-?\d+(\.\d{1,3})?", number)
    assert Decimal(number) * 1000 == (moment - EPOCH) // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("operation", "output"),
    [
        ("DescribeRepositories", {"repositores": []}),
        ("DescribeRepositories", {"repositores": None}),
        ("DescribeRepositories", {"repositories": [{"name": "ab"}]}),
        ("DescribeRepositories", {"repositories": [None]}),
        ("DescribeRepositories", {"repositories": {}}),
        ("DescribeRepositories", {"repositories": "ab"}),
        ("DescribeRepositories", {"nextToken": b"x"}),
        ("DescribeRepositories", {"nextToken": 1}),
        ("DescribeRepositories", []),
        ("DescribeImages", {"imageDetails": [{"imagePushedAt": 1563224056}]}),
        ("DescribeImages", {"imageDetails": [{"imagePushedAt": datetime(2019, 7, 15)}]}),  # noqa: DTZ001
        ("DescribeImages", {"imageDetails": [{"imageSizeInBytes": 1.5}]}),
        ("DescribeImages", {"imageDetails": [{"imageSizeInBytes": True}]}),
        ("PutImageScanningConfiguration", {"imageScanningConfiguration": {"scanOnPush": 1}}),
        ("TagResource", {"registryId": "123456789012"}),
    ],
)
def test_an_output_that_the_model_does_not_know_is_a_mistake(operation, output):
    with pytest.raises(TypeError):
        OURS.operations[operation].serialize(output)


def test_the_mistake_tells_where_it_is():
    output = {"repositories": [{"imageScanningConfiguration": {"scanOnPush": "yes"}}]}
    with pytest.raises(TypeError) as caught:
        OURS.operations["DescribeRepositories"].serialize(output)
    assert caught.value.__notes__ == [
        "in ImageScanningConfiguration.scanOnPush",
        "in Repository.imageScanningConfiguration",
        "in DescribeRepositoriesResponse.repositories",
    ]


def test_a_number_that_json_cannot_write_is_a_mistake():
    score = {"scoreDetails": {"cvss": {"score": float("nan")}}}
    with pytest.raises(ValueError, match="not JSON compliant"):
        OURS.operations["DescribeImageScanFindings"].serialize(
            {"imageScanFindings": {"enhancedFindings": [score]}}
        )
