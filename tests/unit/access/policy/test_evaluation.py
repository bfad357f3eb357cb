from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import pytest

from longshore.access.policy.documents import Grammar, parse
from longshore.access.policy.evaluation import (
    Kind,
    Outcome,
    Policies,
    Reason,
    Request,
    Source,
    Subject,
    decide,
)

MINE, OTHER = "111111111111", "222222222222"
ACTION = "ecr:PutImage"
ROLE = f"arn:aws:iam::{MINE}:role/ci"
PROVIDER = f"arn:aws:iam::{MINE}:oidc-provider/tokens.example"

ROOT = Subject(Kind.ROOT, MINE, f"arn:aws:iam::{MINE}:root")
USER = Subject(Kind.USER, MINE, f"arn:aws:iam::{MINE}:user/ann")
SESSION = Subject(Kind.ROLE, MINE, f"arn:aws:sts::{MINE}:assumed-role/ci/run", role_arn=ROLE)
OPERATOR = replace(ROOT, is_operator=True)
SERVICE = Subject(Kind.SERVICE, "", "", service="ecr.amazonaws.com")
FEDERATED = Subject(Kind.FEDERATED, MINE, PROVIDER)
NOBODY = Subject(Kind.ANONYMOUS, "", "")


def request(account=MINE, action=ACTION):
    return Request(action, f"arn:aws:ecr:eu-west-1:{account}:repository/app", account, {})


@cache
def source(grammar, effect, principal=None):
    """Return a policy that allows or denies the action, or speaks of another one ("none")."""
    statement = {
        "Effect": "Deny" if effect == "deny" else "Allow",
        "Action": "ecr:DeleteRepository" if effect == "none" else ACTION,
    }
    if grammar is not Grammar.TRUST:
        statement["Resource"] = "*"
    else:
        statement["Action"] = "sts:TagSession" if effect == "none" else "sts:AssumeRole"
    if principal is not None:
        statement["Principal"] = json.loads(principal)
    return Source(f"{grammar.name} {effect}", parse(json.dumps({"Statement": statement}), grammar))


def identity(effect):
    return source(Grammar.IDENTITY, effect)


def repository(effect, principal='"*"'):
    return source(Grammar.REPOSITORY, effect, principal)


def aws(arn):
    return json.dumps({"AWS": arn})


# --- Every combination ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One combination: what each policy says of the request; None where there is no such policy."""

    subject: Subject
    called: str
    identity: str
    repository: str
    registry: str | None
    account: str
    boundary: str | None
    session: str | None


EFFECTS = ("allow", "deny", "none")
LIMITS = (None, *EFFECTS)
# How the policies of the resource may call each: as itself, by its role or account, or as anybody.
CALLED = {
    USER: {"itself": aws(USER.arn), "account": aws(MINE), "anybody": '"*"'},
    SESSION: {
        "itself": aws(SESSION.arn),
        "role": aws(ROLE),
        "account": aws(MINE),
        "anybody": '"*"',
    },
}


def cases():
    for subject, names in CALLED.items():
        for combination in product(names, EFFECTS, EFFECTS, LIMITS, (MINE, OTHER), LIMITS, LIMITS):
            yield Case(subject, *combination)


def outcome(case):
    """State what AWS documents for a case.

    The registry policy is there where its scope is V2, or the action one of those that it always
    decides on: whoever asks for a decision hands it over then, and not otherwise.
    """
    said = {case.identity, case.repository, case.registry, case.boundary, case.session}
    if "deny" in said:
        return "explicitDeny"
    ceilings = {
        name
        for name, says in (("boundary", case.boundary), ("session", case.session))
        if says == "none"
    }
    by_own = case.identity == "allow" and not ceilings
    by_other = "allow" in {case.repository, case.registry}
    if case.account == OTHER:
        return "allowed" if by_own and by_other else "implicitDeny"
    # In one account the resource may grant alone, unless it only trusts the account; and what the
    # grant names decides which ceilings are over it.
    over_it = {
        ("itself", Kind.ROLE): set(),
        ("itself", Kind.USER): {"session"},
        ("role", Kind.ROLE): {"boundary", "session"},
        ("anybody", case.subject.kind): {"boundary", "session"},
    }.get((case.called, case.subject.kind))
    by_resource = by_other and over_it is not None and not ceilings & over_it
    return "allowed" if by_own or by_resource else "implicitDeny"


def decided(case):
    named = CALLED[case.subject][case.called]
    policies = Policies(
        (identity(case.identity),),
        None if case.boundary is None else identity(case.boundary),
        None if case.session is None else (identity(case.session),),
    )
    resource_policies = [repository(case.repository, named)]
    if case.registry is not None:
        resource_policies.append(source(Grammar.REGISTRY, case.registry, named))
    return decide(case.subject, policies, resource_policies, request(case.account))


def test_every_combination_comes_out_as_aws_documents():
    wrong = [
        (case, found)
        for case in cases()
        if (found := decided(case).reason.outcome.value) != outcome(case)
    ]

    assert wrong == []


def test_the_reason_of_every_combination_names_what_stands_in_the_way():
    for case in cases():
        decision = decided(case)
        says = {
            Reason.DENIED_BY_IDENTITY: case.identity == "deny",
            Reason.DENIED_BY_BOUNDARY: case.boundary == "deny",
            Reason.DENIED_BY_SESSION: case.session == "deny",
            Reason.DENIED_BY_RESOURCE: "deny" in {case.repository, case.registry},
            Reason.NO_IDENTITY: case.identity == "none",
            Reason.NO_RESOURCE: "allow" not in {case.repository, case.registry},
            Reason.NO_BOUNDARY: case.boundary == "none",
            Reason.NO_SESSION: case.session == "none",
            Reason.ALLOWED_BY_IDENTITY: case.identity == "allow",
            Reason.ALLOWED_BY_RESOURCE: "allow" in {case.repository, case.registry},
        }
        assert says[decision.reason], (case, decision.reason)
        implicit = decision.reason.outcome is Outcome.IMPLICIT_DENY
        assert (decision.source is None) is implicit
        assert (decision.statement is None) is implicit


# --- Those who aren't users or roles --------------------------------------------------------------


@pytest.mark.parametrize("account", [MINE, OTHER])
def test_the_root_user_may_do_everything_in_its_account(account):
    decision = decide(ROOT, Policies(), [], request(account))

    assert decision.reason is (Reason.ALLOWED_AS_ROOT if account == MINE else Reason.NO_RESOURCE)


def test_the_root_user_of_another_account_needs_the_consent_of_the_resource():
    assert decide(ROOT, Policies(), [repository("allow", aws(MINE))], request(OTHER)).allowed
    assert not decide(ROOT, Policies(), [repository("allow", aws(OTHER))], request(OTHER)).allowed
    assert not decide(ROOT, Policies(), [repository("deny")], request()).allowed


@pytest.mark.parametrize("account", [MINE, OTHER])
@pytest.mark.parametrize("effect", ["allow", "none", None])
def test_the_operator_needs_nobodys_consent(account, effect):
    policies = [repository(effect)] if effect else []

    assert decide(OPERATOR, Policies(), policies, request(account)).allowed


@pytest.mark.parametrize("account", [MINE, OTHER])
def test_the_operator_is_bound_by_explicit_denies_and_by_its_session(account):
    asked = request(account)
    allow, deny, none = (identity(effect) for effect in EFFECTS)

    assert not decide(OPERATOR, Policies(), [repository("deny")], asked).allowed
    assert not decide(OPERATOR, Policies((deny,)), [], asked).allowed
    assert not decide(OPERATOR, Policies(session=(none,)), [], asked).allowed
    assert not decide(OPERATOR, Policies(session=(allow, deny)), [], asked).allowed
    assert not decide(OPERATOR, Policies(boundary=none), [], asked).allowed
    assert decide(OPERATOR, Policies(session=(none, allow)), [], asked).allowed


def test_a_session_without_any_policy_that_allows_may_do_nothing():
    allow, _, none = (identity(effect) for effect in EFFECTS)

    assert decide(USER, Policies((allow,), session=()), [], request()).reason is Reason.NO_SESSION
    assert decide(USER, Policies((allow,), session=(none, allow)), [], request()).allowed


@pytest.mark.parametrize(
    ("subject", "principal", "allowed"),
    [
        (NOBODY, '"*"', True),
        (NOBODY, aws("*"), True),
        (NOBODY, aws(MINE), False),
        (NOBODY, aws(USER.arn), False),
        (SERVICE, '{"Service": "ecr.amazonaws.com"}', True),
        (SERVICE, '{"Service": "ecs.amazonaws.com"}', False),
        (SERVICE, '"*"', True),
        (SERVICE, aws(MINE), False),
        (FEDERATED, json.dumps({"Federated": PROVIDER}), True),
        (FEDERATED, '{"Federated": "tokens.example"}', False),
        (FEDERATED, '"*"', False),
        (FEDERATED, aws(MINE), False),
    ],
)
@pytest.mark.parametrize("account", [MINE, OTHER])
def test_who_has_no_policies_is_allowed_by_the_resource_alone(subject, principal, allowed, account):
    policies = Policies((identity("allow"),))  # which nobody would hand over
    resource_policies = [repository("allow", principal)]

    assert decide(subject, policies, resource_policies, request(account)).allowed is allowed
    assert not decide(subject, policies, [], request(account)).allowed
    assert not decide(
        subject, policies, [*resource_policies, repository("deny")], request(account)
    ).allowed


# --- Trust policies -------------------------------------------------------------------------------


def assume(subject, effect, principal, identity_effect, account=MINE):
    """Decide on `sts:AssumeRole` of a role with a trust policy."""
    action = "sts:AssumeRole"
    document = {"Effect": identity_effect.title(), "Action": action, "Resource": "*"}
    own = (
        [document]
        if identity_effect != "none"
        else [{**document, "Effect": "Allow", "Action": "sts:TagSession"}]
    )
    policy = parse(json.dumps({"Statement": own}), Grammar.IDENTITY)
    return decide(
        subject,
        Policies((Source("own", policy),)),
        [source(Grammar.TRUST, effect, principal)],
        Request(action, f"arn:aws:iam::{account}:role/ci", account, {}),
    )


@pytest.mark.parametrize(
    ("principal", "effect", "identity_effect", "account", "reason"),
    [
        (aws(USER.arn), "allow", "none", MINE, Reason.ALLOWED_BY_RESOURCE),
        (aws(USER.arn), "allow", "none", OTHER, Reason.NO_IDENTITY),
        (aws(USER.arn), "allow", "allow", OTHER, Reason.ALLOWED_BY_RESOURCE),
        (aws(MINE), "allow", "none", MINE, Reason.NO_IDENTITY),
        (aws(MINE), "allow", "allow", MINE, Reason.ALLOWED_BY_RESOURCE),
        (aws(MINE), "allow", "allow", OTHER, Reason.ALLOWED_BY_RESOURCE),
        ('"*"', "allow", "none", MINE, Reason.ALLOWED_BY_RESOURCE),
        (aws(OTHER), "allow", "allow", MINE, Reason.NO_TRUST),
        (aws(USER.arn), "none", "allow", MINE, Reason.NO_TRUST),
        (aws(USER.arn), "none", "allow", OTHER, Reason.NO_TRUST),
        (aws(USER.arn), "deny", "allow", MINE, Reason.DENIED_BY_TRUST),
        (aws(USER.arn), "allow", "deny", MINE, Reason.DENIED_BY_IDENTITY),
    ],
)
def test_a_role_has_to_trust_who_assumes_it(principal, effect, identity_effect, account, reason):
    assert assume(USER, effect, principal, identity_effect, account).reason is reason


def test_a_provider_is_trusted_by_its_name():
    principal = json.dumps({"Federated": PROVIDER})

    assert assume(FEDERATED, "allow", principal, "none").allowed
    assert assume(FEDERATED, "allow", '"*"', "none").reason is Reason.NO_TRUST
    assert assume(OPERATOR, "allow", principal, "none").allowed


# --- Resources, and variables ---------------------------------------------------------------------


def allows(*statements, resource="arn:aws:ecr:eu-west-1:111111111111:repository/ann/x", **context):
    policy = parse(json.dumps({"Version": "2012-10-17", "Statement": statements}), Grammar.IDENTITY)
    values = {"aws:username": ("ann",), **{key.replace("_", ":"): v for key, v in context.items()}}
    asked = Request(ACTION, resource, MINE, values)
    return decide(USER, Policies((Source("own", policy),)), [], asked).allowed


ALLOW = {"Effect": "Allow", "Action": "ecr:Put*"}
DENY = {"Effect": "Deny", "Action": "ecr:Put*"}
EVERYTHING = {**ALLOW, "Resource": "*"}


@pytest.mark.parametrize(
    ("element", "values", "allowed"),
    [
        ("Resource", ["*"], True),
        ("Resource", ["arn:aws:ecr"], True),
        ("Resource", ["arn:aws:ecr:eu-west-1:111111111111"], True),
        ("Resource", ["arn:aws:ecr:${aws:PrincipalAccount, 'eu-west-1'}"], True),
        ("Resource", ["arn:aws:ecr:us-east-1"], False),
        ("Resource", ["arn:aws:ecr:*:*:repository/ann/*"], True),
        ("Resource", ["arn:aws:ecr:*:*:repository/${aws:username}/*"], True),
        ("Resource", ["arn:aws:ecr:*:*:repository/${aws:nobody}/*"], False),
        ("Resource", ["arn:aws:ecr:*:*:repository/${aws:nobody, 'ann'}/*"], True),
        ("Resource", ["arn:aws:ecr:*:*:repository/bob/*"], False),
        ("NotResource", ["arn:aws:ecr:*:*:repository/bob/*"], True),
        ("NotResource", ["arn:aws:ecr:*:*:repository/ann/*"], False),
        ("NotResource", ["*"], False),
        # What can't be told may be what is left out.
        ("NotResource", ["arn:aws:ecr:*:*:repository/${aws:nobody}/*"], False),
    ],
)
def test_an_allowing_statement_is_about_its_resources(element, values, allowed):
    assert allows({**ALLOW, element: values}) is allowed


@pytest.mark.parametrize(
    ("element", "values", "allowed"),
    [
        ("Resource", ["arn:aws:ecr:*:*:repository/ann/*"], False),
        ("Resource", ["arn:aws:ecr:*:*:repository/${aws:nobody}/*"], True),
        ("NotResource", ["arn:aws:ecr:*:*:repository/ann/*"], True),
        ("NotResource", ["arn:aws:ecr:*:*:repository/bob/*"], False),
        ("NotResource", ["arn:aws:ecr:*:*:repository/${aws:nobody}/*"], False),
    ],
)
def test_a_denying_statement_is_about_its_resources(element, values, allowed):
    assert allows(EVERYTHING, {**DENY, element: values}) is allowed


def test_an_action_without_a_resource_matches_everything_alone():
    assert allows(EVERYTHING, resource="*")
    assert not allows({**ALLOW, "Resource": "arn:*"}, resource="*")
    assert not allows({**ALLOW, "Resource": "arn:aws:ecr:*:*:*"}, resource="*")


@pytest.mark.parametrize("operator", ["StringNotEquals", "StringNotLike", "ArnNotLike"])
def test_a_negation_of_what_has_no_value_allows_nothing_and_denies(operator):
    value = "arn:aws:iam::1:user/${aws:nobody}"
    condition = {"Condition": {operator: {"aws:PrincipalArn": value}}}
    context = {"aws_principalarn": ("arn:aws:iam::1:user/ann",)}

    assert not allows({**EVERYTHING, **condition}, **context)
    assert not allows(EVERYTHING, {**DENY, "Resource": "*", **condition}, **context)


def test_every_condition_of_a_statement_has_to_hold():
    condition = {
        "StringEquals": {"a:x": "1", "a:y": ["1", "2"]},
        "Bool": {"a:z": "true"},
    }
    statement = {**EVERYTHING, "Condition": condition}
    values = {"a_x": ("1",), "a_y": ("2",), "a_z": ("true",)}

    assert allows(statement, **values)
    assert not any(allows(statement, **{**values, key: ("0",)}) for key in values)
    assert allows({**EVERYTHING, "Condition": {}})


# --- Sentences ------------------------------------------------------------------------------------

ALLOWING, DENYING, SILENT = (identity(effect) for effect in EFFECTS)
RESOURCE_DENIES = [repository("deny")]


@pytest.mark.parametrize(
    ("subject", "policies", "resource_policies", "account", "reason"),
    [
        (USER, Policies(), [], MINE, "because no identity-based policy allows the {} action"),
        (
            *(SESSION, Policies((ALLOWING,)), [], OTHER),
            "because no resource-based policy allows the {} action",
        ),
        (
            *(USER, Policies((ALLOWING,), SILENT), [], MINE),
            "because no permissions boundary allows the {} action",
        ),
        (
            *(USER, Policies((ALLOWING,), ALLOWING, (SILENT,)), [], MINE),
            "because no session policy allows the {} action",
        ),
        (
            *(USER, Policies((ALLOWING, DENYING)), [], MINE),
            "with an explicit deny in an identity-based policy",
        ),
        (
            *(USER, Policies((ALLOWING,)), RESOURCE_DENIES, MINE),
            "with an explicit deny in a resource-based policy",
        ),
        (
            *(USER, Policies((ALLOWING,), DENYING), [], MINE),
            "with an explicit deny in a permissions boundary",
        ),
        (
            *(USER, Policies((ALLOWING,), None, (DENYING,)), [], MINE),
            "with an explicit deny in a session policy",
        ),
        (NOBODY, Policies(), [], MINE, "because no resource-based policy allows the {} action"),
        (SERVICE, Policies(), [], MINE, "because no resource-based policy allows the {} action"),
    ],
)
def test_a_refusal_has_the_sentence_of_aws(subject, policies, resource_policies, account, reason):
    asked = request(account)
    names = {USER: USER.arn, SESSION: SESSION.arn, NOBODY: "anonymous"}

    assert decide(subject, policies, resource_policies, asked).sentence(subject, asked) == (
        f"User: {names.get(subject, 'ecr.amazonaws.com')} is not authorized to perform: {ACTION} "
        f"on resource: arn:aws:ecr:eu-west-1:{account}:repository/app {reason.format(ACTION)}"
    )


def test_what_is_asked_for_is_never_taken_for_a_part_of_the_sentence():
    asked = request(action="ecr:{action}{0}")
    sentence = decide(USER, Policies(), [], asked).sentence(USER, asked)

    assert sentence.endswith("allows the ecr:{action}{0} action")
