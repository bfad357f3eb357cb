"""What would be decided, through boto3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.people import ACCOUNT, OTHER_ACCOUNT, Person, allow, policy
from tests.api.queries import refused

if TYPE_CHECKING:
    from types_boto3_iam import IAMClient

    from tests.support.server import RunningServer

REPOSITORY = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/team/app"
PULL = policy(allow("ecr:BatchGetImage"))
MANY_LINES = """{
  "Version": "2012-10-17",
  "Statement": [
    {"Effect": "Deny", "Action": "ecr:*", "Resource": "*"},
    {
      "Effect": "Allow", "Action": "ecr:*", "Resource": "*"
    }
  ]
}"""


@pytest.fixture
def iam(plain_server: RunningServer) -> IAMClient:
    return plain_server.iam


@pytest.fixture
def person(plain_server: RunningServer) -> Person:
    return Person.invite(plain_server)


def decisions(answer: Any) -> list[str]:
    return [each["EvalDecision"] for each in answer["EvaluationResults"]]


def test_a_principal_s_policies_decide(iam: IAMClient, person: Person) -> None:
    person.may(
        allow("ecr:BatchGetImage", REPOSITORY),
        {"Effect": "Deny", "Action": "ecr:PutImage", "Resource": "*"},
    )
    answer = iam.simulate_principal_policy(
        PolicySourceArn=person.arn,
        ActionNames=["ecr:BatchGetImage", "ecr:PutImage", "ecr:ListImages"],
        ResourceArns=[REPOSITORY],
    )
    assert decisions(answer) == ["allowed", "explicitDeny", "implicitDeny"]
    result = answer["EvaluationResults"][0]
    assert result["EvalActionName"] == "ecr:BatchGetImage"
    assert result["EvalResourceName"] == REPOSITORY
    [statement] = result["MatchedStatements"]
    assert statement["SourcePolicyId"] == (f"the inline policy 'test' of the user '{person.name}'")

    more = iam.simulate_principal_policy(
        PolicySourceArn=person.arn,
        ActionNames=["ecr:ListImages"],
        PolicyInputList=[policy(allow("ecr:ListImages"))],
        PermissionsBoundaryPolicyInputList=[PULL],
    )
    assert decisions(more) == ["implicitDeny"]
    [bounded] = more["EvaluationResults"]
    assert bounded["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}


def test_every_action_meets_every_resource_page_by_page(iam: IAMClient) -> None:
    pages = list(
        iam.get_paginator("simulate_custom_policy").paginate(
            PolicyInputList=[policy(allow("ecr:*", REPOSITORY))],
            ActionNames=["ecr:PutImage", "ecr:ListImages"],
            ResourceArns=[REPOSITORY, REPOSITORY + "b"],
            PaginationConfig={"PageSize": 3},
        )
    )
    assert [len(page["EvaluationResults"]) for page in pages] == [3, 1]
    found = [
        (each["EvalActionName"], each.get("EvalResourceName"), each["EvalDecision"])
        for page in pages
        for each in page["EvaluationResults"]
    ]
    assert found == [
        (action, resource, decision)
        for action in ("ecr:PutImage", "ecr:ListImages")
        for resource, decision in ((REPOSITORY, "allowed"), (REPOSITORY + "b", "implicitDeny"))
    ]


def test_statements_are_pointed_at(iam: IAMClient) -> None:
    [result] = iam.simulate_custom_policy(
        PolicyInputList=[PULL, MANY_LINES], ActionNames=["ecr:BatchGetImage"]
    )["EvaluationResults"]
    assert result["EvalDecision"] == "explicitDeny"
    assert [
        (each["SourcePolicyId"], each["StartPosition"], each["EndPosition"])
        for each in result["MatchedStatements"]
    ] == [
        ("PolicyInputList.1", {"Line": 1, "Column": 41}, {"Line": 1, "Column": 108}),
        ("PolicyInputList.2", {"Line": 4, "Column": 5}, {"Line": 4, "Column": 59}),
        ("PolicyInputList.2", {"Line": 5, "Column": 5}, {"Line": 7, "Column": 6}),
    ]


def test_conditions_see_what_is_given_and_miss_what_is_not(iam: IAMClient) -> None:
    condition: Any = {"Condition": {"StringEquals": {"aws:ResourceTag/team": "a"}}}
    text = policy(allow("ecr:PutImage", **condition))
    for entries, decision, missing in (
        ([("aws:ResourceTag/Team", "a")], "allowed", []),
        ([("aws:ResourceTag/team", "b")], "implicitDeny", []),
        ([], "implicitDeny", ["aws:ResourceTag/team"]),
    ):
        [result] = iam.simulate_custom_policy(
            PolicyInputList=[text],
            ActionNames=["ecr:PutImage"],
            ContextEntries=[
                {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
                for key, value in entries
            ],
        )["EvaluationResults"]
        assert (result["EvalDecision"], result["MissingContextValues"]) == (decision, missing)


def test_a_resource_s_policy_counts(iam: IAMClient) -> None:
    caller = f"arn:aws:iam::{OTHER_ACCOUNT}:user/ann"
    theirs = policy(
        {"Effect": "Allow", "Principal": {"AWS": caller}, "Action": "ecr:BatchGetImage"}
    )
    asked: Any = {
        "ActionNames": ["ecr:BatchGetImage"],
        "ResourceArns": [REPOSITORY],
        "CallerArn": caller,
        "ResourcePolicy": theirs,
    }
    nothing = policy(allow("ecr:ListImages"))
    across = iam.simulate_custom_policy(PolicyInputList=[nothing], **asked)
    assert decisions(across) == ["implicitDeny"]
    both = iam.simulate_custom_policy(PolicyInputList=[PULL], **asked)
    assert decisions(both) == ["allowed"]
    same = iam.simulate_custom_policy(
        PolicyInputList=[nothing], ResourceOwner=f"arn:aws:iam::{OTHER_ACCOUNT}:root", **asked
    )
    assert decisions(same) == ["allowed"]


def test_what_makes_no_sense_is_refused(iam: IAMClient, person: Person) -> None:
    for action in ("PutImage", "ecr:Put*", "ecr:", ":PutImage", "ecr:Put Image"):
        with refused("InvalidInput", f"Invalid action: {action}"):
            iam.simulate_custom_policy(PolicyInputList=[PULL], ActionNames=[action])
    with refused("MalformedPolicyDocument"):
        iam.simulate_custom_policy(PolicyInputList=["{}"], ActionNames=["ecr:PutImage"])
    for member, value, message in (
        ("CallerArn", "ann", "Invalid caller ARN: ann"),
        ("ResourceOwner", "them", "Invalid resource owner: them"),
    ):
        given: Any = {member: value}
        with refused("InvalidInput", message):
            iam.simulate_custom_policy(
                PolicyInputList=[PULL], ActionNames=["ecr:PutImage"], **given
            )
    with refused("NoSuchEntity"):
        iam.simulate_principal_policy(
            PolicySourceArn=person.arn + "x", ActionNames=["ecr:PutImage"]
        )


def test_the_administrator_is_told_as_what_they_are(iam: IAMClient) -> None:
    administrator = f"arn:aws:iam::{ACCOUNT}:user/administrator"
    answer = iam.simulate_principal_policy(
        PolicySourceArn=administrator, ActionNames=["ecr:PutImage"]
    )
    assert decisions(answer) == ["allowed"]
    # A policy alone is nobody's, whoever asks about it.
    assert decisions(
        iam.simulate_custom_policy(PolicyInputList=[PULL], ActionNames=["ecr:PutImage"])
    ) == ["implicitDeny"]


def test_what_is_tried_may_be_as_large_as_what_is_set(iam: IAMClient) -> None:
    large = policy(*(allow(f"ecr:Action{number}") for number in range(150)))
    value = {
        "ContextKeyName": "aws:x",
        "ContextKeyType": "string",
        "ContextKeyValues": ["a" * 2_049],
    }
    with refused("LimitExceeded"):
        iam.simulate_custom_policy(PolicyInputList=[large], ActionNames=["ecr:PutImage"])
    with refused("InvalidInput", ending="It may have up to 2048 characters."):
        iam.simulate_custom_policy(
            PolicyInputList=[PULL],
            ActionNames=["ecr:PutImage"],
            ContextEntries=[value],  # type: ignore[list-item]
        )


def test_a_page_ends_where_many_statements_were_looked_at(iam: IAMClient) -> None:
    many = policy(*(allow(f"ecr:A{number}") for number in range(90)))
    actions = [f"ecr:A{number}" for number in range(60)]
    pages = list(
        iam.get_paginator("simulate_custom_policy").paginate(
            PolicyInputList=[many] * 5, ActionNames=actions, PaginationConfig={"PageSize": 100}
        )
    )
    assert [len(page["EvaluationResults"]) for page in pages] == [44, 16]
    assert all(
        len(each["MatchedStatements"]) == 5 for page in pages for each in page["EvaluationResults"]
    )
    assert [each["EvalActionName"] for page in pages for each in page["EvaluationResults"]] == (
        actions
    )
