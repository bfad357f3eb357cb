from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.access.policy.documents import Grammar, parse
from longshore.registry import policies
from longshore.registry.policies import InvalidPolicy

# The example of ECR's API Reference, "SetRepositoryPolicy": as it is sent, and as it comes back.
SENT = (
    '{"Version":"2012-10-17","Statement":[{"Sid":"AllowPull","Effect":"Allow",'
    '"Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"],"Principal":"*"}]}'
)
SHOWN = """{
  "Version" : "2012-10-17",
  "Statement" : [ {
    "Sid" : "AllowPull",
    "Effect" : "Allow",
    "Principal" : "*",
    "Action" : [ "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer" ]
  } ]
}"""

EVERYTHING_SENT = """{
  "Statement": [
    {"Condition": {"NumericLessThan": {"aws:EpochTime": 1.50}, "Null": {"aws:username": [true]},
                   "StringLike": {"aws:UserAgent": "\\u00e9/\\"\\\\"}},
     "NotResource": "*", "NotAction": "ecr:PutImage", "NotPrincipal": {"AWS": ["000000000000"]},
     "Effect": "Deny", "Sid": "all of it, twice"},
    {"Effect": "Allow", "Action": ["ecr:*"], "Resource": "*", "Principal": {"AWS": "*"},
     "Condition": {}}
  ],
  "Id": "everything", "Version": "2008-10-17"
}"""
EVERYTHING_SHOWN = """{
  "Version" : "2008-10-17",
  "Id" : "everything",
  "Statement" : [ {
    "Sid" : "all of it, twice",
    "Effect" : "Deny",
    "NotPrincipal" : {
      "AWS" : [ "000000000000" ]
    },
    "NotAction" : "ecr:PutImage",
    "NotResource" : "*",
    "Condition" : {
      "NumericLessThan" : {
        "aws:EpochTime" : 1.50
      },
      "Null" : {
        "aws:username" : [ true ]
      },
      "StringLike" : {
        "aws:UserAgent" : "é/\\"\\\\"
      }
    }
  }, {
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "*"
    },
    "Action" : [ "ecr:*" ],
    "Resource" : "*",
    "Condition" : { }
  } ]
}"""


@pytest.mark.parametrize(
    ("sent", "shown"), [(SENT, SHOWN), (EVERYTHING_SENT, EVERYTHING_SHOWN)], ids=["pull", "all"]
)
def test_a_policy_is_shown_as_ecr_shows_it(sent: str, shown: str) -> None:
    document = policies.read(sent, Grammar.REPOSITORY)

    assert document.text == shown
    assert policies.read(shown, Grammar.REPOSITORY).text == shown
    assert parse(shown, Grammar.REPOSITORY).statements == document.policy.statements


def test_one_statement_may_stand_without_a_list() -> None:
    sent = '{"Statement": {"Action": "ecr:*", "Principal": "*", "Effect": "Allow"}}'

    assert policies.normalised(sent) == (
        '{\n  "Statement" : {\n    "Effect" : "Allow",\n    "Principal" : "*",\n'
        '    "Action" : "ecr:*"\n  }\n}'
    )


values = st.recursive(
    st.text() | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(condition=st.dictionaries(st.text(), values, max_size=3))
def test_a_policy_says_the_same_however_it_is_shown(condition) -> None:
    policy = {"Statement": [{"Condition": condition, "Effect": "Allow"}]}
    shown = policies.normalised(json.dumps(policy))

    assert json.loads(shown) == policy
    assert policies.normalised(shown) == shown


@pytest.mark.parametrize(
    ("grammar", "kind"), [(Grammar.REPOSITORY, "repository"), (Grammar.REGISTRY, "registry")]
)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "{}",
        '{"Statement": []}',
        SENT.replace("Principal", "Principle"),
        SENT.replace("ecr:BatchGetImage", "s3:GetObject"),
        SENT.replace('"Allow"', '"Permit"'),
        SENT + " " + SENT,
    ],
)
def test_what_is_no_policy_is_refused_in_one_sentence(
    grammar: Grammar, kind: str, text: str
) -> None:
    with pytest.raises(InvalidPolicy) as refusal:
        policies.read(text, grammar)

    assert refusal.value.message == (
        "Invalid parameter at 'PolicyText' failed to satisfy constraint: "
        f"'Invalid {kind} policy provided'"
    )
    assert refusal.value.members == {"reason": refusal.value.reason}
    assert refusal.value.reason


def test_a_registry_s_policy_names_its_resources() -> None:
    with pytest.raises(InvalidPolicy) as refusal:
        policies.read(SENT, Grammar.REGISTRY)

    assert "Resource" in refusal.value.reason
