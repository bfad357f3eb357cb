from __future__ import annotations

from dataclasses import replace

import pytest

from longshore.access.policy.principals import Grant, Principals
from longshore.access.policy.subjects import Kind, Subject

MINE, OTHER = "111111111111", "222222222222"
ROLE = f"arn:aws:iam::{MINE}:role/ci"
SESSION = f"arn:aws:sts::{MINE}:assumed-role/ci/run"
USER = f"arn:aws:iam::{MINE}:user/ann"
ROOT = f"arn:aws:iam::{MINE}:root"
PROVIDER = f"arn:aws:iam::{MINE}:oidc-provider/tokens.example"

SUBJECTS = {
    "root": Subject(Kind.ROOT, MINE, ROOT),
    "user": Subject(Kind.USER, MINE, USER),
    "session": Subject(Kind.ROLE, MINE, SESSION, role_arn=ROLE),
    "federated": Subject(Kind.FEDERATED, MINE, PROVIDER),
    "service": Subject(Kind.SERVICE, "", "", service="ecr.amazonaws.com"),
    "nobody": Subject(Kind.ANONYMOUS, "", ""),
}
EVERYBODY = set(SUBJECTS)
DIRECT, LIMITED, DELEGATED = Grant.DIRECT, Grant.LIMITED, Grant.DELEGATED


def principals(negated=False, **kinds):
    return Principals.parse(kinds, negated=negated)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (
            {"AWS": ["*"]},
            dict.fromkeys(["root", "user", "session", "service", "nobody"], LIMITED),
        ),
        ({"AWS": [MINE]}, {"root": DIRECT, "user": DELEGATED, "session": DELEGATED}),
        ({"AWS": [ROOT]}, {"root": DIRECT, "user": DELEGATED, "session": DELEGATED}),
        ({"AWS": [OTHER, f"arn:aws:iam::{OTHER}:user/ann"]}, {}),
        ({"AWS": [USER]}, {"user": DIRECT}),
        ({"AWS": [USER + "a", USER[:-1], USER.replace("ann", "Ann")]}, {}),
        ({"AWS": [ROLE]}, {"session": LIMITED}),
        ({"AWS": [SESSION]}, {"session": DIRECT}),
        ({"AWS": [ROLE, SESSION]}, {"session": DIRECT}),
        ({"Service": ["ecr.amazonaws.com"]}, {"service": DIRECT}),
        ({"Service": ["ecs.amazonaws.com"]}, {}),
        ({"Federated": [PROVIDER]}, {"federated": DIRECT}),
        ({"Federated": ["tokens.example"]}, {}),
    ],
)
def test_a_statement_that_allows_reaches(kinds, expected):
    named = principals(**kinds)
    reached = {name: named.grant(subject) for name, subject in SUBJECTS.items()}

    assert {name: grant for name, grant in reached.items() if grant} == expected


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ({"AWS": ["*"]}, EVERYBODY),
        ({"AWS": [MINE]}, {"root", "user", "session", "federated"}),
        ({"AWS": [OTHER]}, set()),
        ({"AWS": [USER]}, {"user"}),
        ({"AWS": [ROLE]}, {"session"}),
        ({"AWS": [SESSION]}, {"session"}),
        ({"Service": ["ecr.amazonaws.com"]}, {"service"}),
        ({"Federated": [PROVIDER]}, {"federated"}),
    ],
)
def test_a_statement_that_denies_reaches(kinds, expected):
    named = principals(**kinds)

    assert {name for name, each in SUBJECTS.items() if named.denies(each)} == expected


@pytest.mark.parametrize(
    ("kinds", "left_out"),
    [
        ({"AWS": ["*"]}, EVERYBODY),
        ({"AWS": [MINE]}, {"root"}),
        ({"AWS": [USER]}, set()),
        ({"AWS": [USER, ROOT]}, {"root", "user"}),
        ({"AWS": [USER, OTHER]}, set()),
        ({"AWS": [ROLE, MINE]}, {"root"}),
        ({"AWS": [SESSION, MINE]}, {"root"}),
        ({"AWS": [SESSION, ROLE]}, set()),
        ({"AWS": [SESSION, ROLE, MINE]}, {"root", "session"}),
        ({"Service": ["ecr.amazonaws.com"]}, {"service"}),
        ({"Federated": [PROVIDER]}, {"federated"}),
    ],
)
def test_a_denial_leaves_out_only_who_is_named_in_full(kinds, left_out):
    named = principals(negated=True, **kinds)

    assert {name for name, each in SUBJECTS.items() if not named.denies(each)} == left_out


@pytest.mark.parametrize(
    ("kinds", "reached"),
    [
        ({"AWS": ["*"]}, set()),
        ({"AWS": [MINE]}, set()),
        ({"AWS": [USER]}, {"root", "session"}),
        ({"AWS": [ROLE]}, {"root", "user"}),
        ({"AWS": [SESSION]}, {"root", "user"}),
        ({"AWS": [OTHER]}, {"root", "user", "session"}),
    ],
)
def test_all_but_some_are_reached_in_accounts_only(kinds, reached):
    named = principals(negated=True, **kinds)
    grants = {name: named.grant(subject) for name, subject in SUBJECTS.items()}

    assert {name for name, grant in grants.items() if grant} == reached
    assert set(grants.values()) <= {Grant.NONE, Grant.LIMITED}


def test_who_has_the_arn_of_somebody_else_is_not_meant():
    """Under every form of naming: who was bound is reached as before, another one isn't named."""
    bindings = {USER: "AIDA1", ROLE: "AROA1", SESSION: "AROA1"}
    for arn, name in ((USER, "user"), (ROLE, "session"), (SESSION, "session")):
        subject = SUBJECTS[name]
        bound = replace(subject, unique_id=bindings[arn])
        another = replace(subject, unique_id="AXXA2")
        named = principals(AWS=[arn])
        left_out = principals(negated=True, AWS=[MINE, USER, ROLE, SESSION])

        assert named.grant(bound, bindings) is named.grant(subject) is not Grant.NONE
        assert named.grant(another, bindings) is Grant.NONE
        assert (named.denies(bound, bindings), named.denies(another, bindings)) == (True, False)
        assert not left_out.denies(bound, bindings)
        assert left_out.denies(another, bindings)
        # One that was bound to nobody is about whoever has the ARN.
        assert named.grant(another) is named.grant(subject)
        assert named.denies(another, {OTHER: "AIDA1"})
