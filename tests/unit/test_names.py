from __future__ import annotations

import hashlib
import re

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.names import (
    Digest,
    Registry,
    is_account,
    is_region,
    is_repository_name,
    is_tag,
    parse_repository_arn,
)

REPOSITORY_NAMES = [
    "ab",
    "0a",
    "demo",
    "demo/app",
    "a/b",
    "a--b",
    "a---b",
    "a__b",
    "a_b",
    "a.b",
    "a-b",
    "team/blobs/uploads",
    "manifests/tags",
    "blobs",
    "a" * 256,
    "a/" * 127 + "ab",
]
NOT_REPOSITORY_NAMES = [
    "",
    "a",
    "a" * 257,
    "Demo",
    "demo/App",
    "a___b",
    "a_-b",
    "_a",
    "a_",
    "-a",
    "a-",
    ".a",
    "a.",
    "a..b",
    "a//b",
    "/ab",
    "ab/",
    "../etc",
    "demo/..",
    "demo/./app",
    "demo%2fapp",
    "demo\\app",
    "demo app",
    "demo\n",
    "demo\0",
    "dëmo",
    "demo/\u0430pp",
    "demo:latest",
    "demo@sha256",
    "٣٣",
]
HOSTILE = ["", " ", "\n", "\0", "../x", "a\n", "ab\n", "\ud800", "%00", "a" * 5000, "'; --"]


@pytest.fixture(scope="module")
def pattern_of_the_service() -> str:
    model = botocore.session.get_session().get_service_model("ecr")
    pattern = model.shape_for("RepositoryName").metadata["pattern"]
    assert isinstance(pattern, str)
    return pattern


@pytest.mark.parametrize("name", REPOSITORY_NAMES)
def test_a_repository_name_of_ecr_is_one(name: str) -> None:
    assert is_repository_name(name)


@pytest.mark.parametrize("name", NOT_REPOSITORY_NAMES)
def test_anything_else_is_no_repository_name(name: str) -> None:
    assert not is_repository_name(name)


@given(name=st.text("ab0._-/A ", max_size=12) | st.text(max_size=12))
def test_repository_names_are_those_of_the_service_model(
    name: str, pattern_of_the_service: str
) -> None:
    expected = 2 <= len(name) <= 256 and re.fullmatch(pattern_of_the_service, name) is not None
    assert is_repository_name(name) is expected


@pytest.mark.parametrize(
    "tag", ["a", "1", "_", "latest", "v1.2.3", "A_b-c.D", "a" * 128, "a..b", "sha256-abc.sig"]
)
def test_a_tag_of_the_distribution_spec_is_one(tag: str) -> None:
    assert is_tag(tag, 128)


@pytest.mark.parametrize("tag", ["", ".a", "-a", "a/b", "a:b", "a b", "a\n", "a\0", "ä", "a" * 129])
def test_anything_else_is_no_tag(tag: str) -> None:
    assert not is_tag(tag, 128)


def test_how_long_a_tag_may_be_is_for_the_caller_to_say() -> None:
    assert is_tag("a" * 300, 300)
    assert not is_tag("a" * 301, 300)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("000000000000", True),
        ("123456789012", True),
        ("12345678901", False),
        ("1234567890123", False),
        ("12345678901a", False),
        ("123456789012\n", False),
        ("١٢٣٤٥٦٧٨٩٠١٢", False),
        ("", False),
    ],
)
def test_an_account_is_twelve_digits(text: str, *, expected: bool) -> None:
    assert is_account(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("eu-west-1", True),
        ("us-gov-east-1", True),
        ("us-iso-b-1", True),
        ("local-1", True),
        ("local", False),
        ("EU-WEST-1", False),
        ("-eu-west", False),
        ("eu--west", False),
        ("eu-west-", False),
        ("eu_west-1", False),
        ("eu-west-1\n", False),
        ("a" * 30 + "-1", True),
        ("a" * 31 + "-1", False),
        ("", False),
    ],
)
def test_a_region_has_the_form_of_one(text: str, *, expected: bool) -> None:
    assert is_region(text) is expected


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@given(content=st.binary())
def test_a_digest_is_the_hash_of_the_content_and_reads_back(algorithm: str, content: bytes) -> None:
    digest = Digest.of(content, algorithm)
    assert str(digest) == f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
    assert Digest.parse(str(digest)) == digest


def test_a_digest_is_by_sha256_unless_asked_otherwise() -> None:
    assert Digest.of(b"").algorithm == "sha256"


@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE,
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "A" * 64,
        "SHA256:" + "0" * 64,
        "sha256:" + "0" * 128,
        "sha512:" + "0" * 64,
        "sha384:" + "0" * 96,
        "md5:" + "0" * 32,
        "0" * 64,
        "sha256:" + "0" * 64 + "\n",
        "sha256:" + "0" * 62 + "/.",
        "sha256:" + "\u0660" * 64,
    ],
)
def test_anything_else_is_no_digest(text: str) -> None:
    with pytest.raises(ValueError, match="not a digest"):
        Digest.parse(text)


def test_the_refusal_of_a_digest_does_not_repeat_a_long_text() -> None:
    with pytest.raises(ValueError, match="not a digest") as refusal:
        Digest.parse("x" * 10_000)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")],
)
def test_an_arn_names_partition_region_account_and_repository(region: str, partition: str) -> None:
    registry = Registry("123456789012", region)
    arn = registry.repository_arn("demo/app")
    assert arn == f"arn:{partition}:ecr:{region}:123456789012:repository/demo/app"
    assert parse_repository_arn(arn) == (registry, "demo/app")


@pytest.mark.parametrize(
    "arn",
    [
        *HOSTILE,
        "demo/app",
        "arn:aws:ecr:eu-west-1:123456789012:repository/",
        "arn:aws:ecr:eu-west-1:123456789012:repository/Demo",
        "arn:aws:ecr:eu-west-1:123456789012:repository/../app",
        "arn:aws:ecr:eu-west-1:123456789012:repository/demo\n",
        "arn:aws:ecr:eu-west-1:123456789012:demo",
        "arn:aws:ecr:eu-west-1:12345:repository/demo",
        "arn:aws:ecr::123456789012:repository/demo",
        "arn:aws:s3:eu-west-1:123456789012:repository/demo",
        "arn:aws:ecr-public:eu-west-1:123456789012:repository/demo",
        "arn:aws-cn:ecr:eu-west-1:123456789012:repository/demo",
        "arn:aws:ecr:cn-north-1:123456789012:repository/demo",
        "aws:ecr:eu-west-1:123456789012:repository/demo",
    ],
)
def test_anything_else_is_no_arn_of_a_repository(arn: str) -> None:
    with pytest.raises(ValueError, match="not the"):
        parse_repository_arn(arn)
