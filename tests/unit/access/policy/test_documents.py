from __future__ import annotations

import json

import pytest

from longshore.access.policy.documents import Grammar, MalformedPolicy, parse

ACCOUNT = "123456789012"
USER = f"arn:aws:iam::{ACCOUNT}:user/dev/ann"
ARN = f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/app"

SOUND = {
    Grammar.IDENTITY: {"Effect": "Allow", "Action": "ecr:*", "Resource": "*"},
    Grammar.REPOSITORY: {"Effect": "Allow", "Principal": "*", "Action": "ecr:PutImage"},
    Grammar.REGISTRY: {
        "Effect": "Allow",
        "Principal": {"AWS": ACCOUNT},
        "Action": "ecr:ReplicateImage",
        "Resource": ARN,
    },
    Grammar.TRUST: {
        "Effect": "Allow",
        "Principal": {"Federated": "accounts.google.com"},
        "Action": "sts:AssumeRoleWithWebIdentity",
    },
}


def statement(grammar=Grammar.IDENTITY, /, *without, **changes):
    sound = {**SOUND[grammar], **changes}
    return {name: value for name, value in sound.items() if name not in without}


def document(*statements, **members):
    return json.dumps({"Version": "2012-10-17", "Statement": statements, **members})


def refusal(text, grammar=Grammar.IDENTITY):
    with pytest.raises(MalformedPolicy) as refused:
        parse(text, grammar)
    return str(refused.value)


@pytest.mark.parametrize("grammar", Grammar)
def test_a_policy_of_each_kind_is_read(grammar):
    text = document(SOUND[grammar], Id="a policy")
    policy = parse(text, grammar)

    assert policy.text == text
    assert policy.grammar is grammar
    assert policy.version == "2012-10-17"
    assert policy.actions() == {SOUND[grammar]["Action"]}


def test_single_values_stand_for_lists():
    principals = {"AWS": USER, "Service": "ecr.amazonaws.com"}
    single = statement(Grammar.REGISTRY, Principal=principals, Condition={"Bool": {"a:b": True}})
    lists = {
        **statement(Grammar.REGISTRY),
        "Principal": {name: [value] for name, value in principals.items()},
        "Action": [single["Action"]],
        "Resource": [single["Resource"]],
        "Condition": {"Bool": {"a:b": ["true"]}},
    }

    [one] = parse(json.dumps({"Statement": single}), Grammar.REGISTRY).statements
    [other] = parse(json.dumps({"Statement": [lists]}), Grammar.REGISTRY).statements

    assert one == other


def test_values_of_conditions_may_be_numbers_and_booleans():
    condition = {"StringEquals": {"a:b": [5, -1, 2.5, 1e3, 1e-7, True, False, "x"]}}
    policy = parse(document(statement(Condition=condition)), Grammar.IDENTITY)

    [[read]] = [each.conditions for each in policy.statements]
    assert read.values == ("5", "-1", "2.5", "1000.0", "0.0000001", "true", "false", "x")


def test_what_a_policy_names_is_told():
    policy = parse(
        document(
            statement(Grammar.REPOSITORY, Principal={"AWS": ["*", USER], "Service": "a.b"}),
            statement(
                Grammar.REPOSITORY,
                "Action",
                Principal={"AWS": ACCOUNT},
                NotAction=["ecr:Get*", "ecr:PutImage"],
                NotResource=[ARN + "/${aws:username}"],
                Condition={
                    "StringLike": {"aws:PrincipalTag/a": "${ecr:ResourceTag/b, 'x'}"},
                    "Null": {"aws:SourceIp": "true"},
                },
            ),
        ),
        Grammar.REPOSITORY,
    )

    assert policy.principals() == {USER, ACCOUNT}
    assert policy.actions() == {"ecr:PutImage", "ecr:Get*"}
    assert policy.keys() == {
        *("aws:PrincipalTag/a", "ecr:ResourceTag/b", "aws:SourceIp", "aws:username"),
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the document isn't JSON"),
        ("[]", "the document isn't an object"),
        ("null", "the document isn't an object"),
        ('{"Statement": [], "Statement": []}', "'Statement' stands twice"),
        ('{"Statement": {"Effect": "Allow", "Effect": "Deny"}}', "'Effect' stands twice"),
        ("{}", "Statement is missing"),
        ('{"Statement": []}', "Statement is empty"),
        ('{"Statement": null}', "Statement isn't an object"),
        ('{"Statement": "x"}', "Statement isn't an object"),
        ('{"Statement": [[]]}', "Statement[0] isn't an object"),
        ('{"Statement": {}}', "Statement has no Effect"),
        ("[" * 5000, "nests deeper"),
        ('{"Statement": {"Sid": "\ud800"}}', "isn't UTF-8"),
        (document(statement(), Version="2012-10-18"), "Version is neither"),
        (document(statement(), Version=None), "Version isn't a string"),
        (document(statement(), Id=1), "Id isn't a string"),
        (document(statement(), version="2012-10-17"), "the policy has 'version'"),
        (document(statement(), Comment="x"), "the policy has 'Comment'"),
        (document(statement(), statement(Comment="x")), "Statement[1] has 'Comment'"),
        (document(statement(effect="Deny")), "Statement[0] has 'effect'"),
        (document(statement(Sid=1)), "Statement[0].Sid isn't a string"),
        (document(statement(Sid=None)), "Statement[0].Sid isn't a string"),
        (document(statement(Sid="a b")), "'a b' has more than letters and digits"),
        (document(statement(Sid="a"), statement(Sid="a")), "'a' stands for 2 statements"),
        (document(statement(Effect="allow")), "Statement[0].Effect is neither"),
        (document(statement(Effect=["Allow"])), "Statement[0].Effect isn't a string"),
        (document(statement(Effect=None)), "Statement[0].Effect isn't a string"),
        (document(statement(Grammar.IDENTITY, "Action")), "has neither Action nor NotAction"),
        (document(statement(NotAction="ecr:*")), "has both Action and NotAction"),
        (document(statement(Action=[])), "Statement[0].Action is empty"),
        (document(statement(Action=None)), "Statement[0].Action isn't a string"),
        (document(statement(Action=["ecr:*", 1])), "Statement[0].Action[1] isn't a string"),
        (document(statement(Action="")), "'' isn't an action"),
        (document(statement(Action="ecr")), "'ecr' isn't an action"),
        (document(statement(Action="*:*")), "'*:*' isn't an action"),
        (document(statement(Action="e*:PutImage")), "'e*:PutImage' isn't an action"),
        (document(statement(Action="ecr:Put Image")), "'ecr:Put Image' isn't an action"),
        (document(statement(Action="ecr:${aws:x}")), "isn't an action"),
        (document(statement(Action="ecr:PutImage\n")), "isn't an action"),
        (document(statement(Grammar.IDENTITY, "Resource")), "has neither Resource nor NotResource"),
        (document(statement(NotResource="*")), "has both Resource and NotResource"),
        (document(statement(Resource=[])), "Statement[0].Resource is empty"),
        (document(statement(Resource="")), "is neither an ARN"),
        (document(statement(Resource="app")), "'app' is neither an ARN"),
        (document(statement(Resource="**")), "'**' is neither an ARN"),
        (document(statement(Resource="${aws:x}")), "is neither an ARN"),
        (document(statement(Resource="arn:aws::*:*:x")), "it names no service"),
        (document(statement(Resource="arn:aws:ecr:*:12345:repository/a")), "'12345' is no account"),
        (document(statement(Resource="arn:aws:ecr:*:repository/a")), "is no account"),
        (document(statement(Resource="arn:aws:ecr:*:repository/*")), "is no account"),
        (document(statement(Resource=ARN + "/${aws:username")), "isn't closed"),
        (document(statement(Principal="*")), "has Principal, which a policy of this kind can't"),
        (document(statement(NotPrincipal="*")), "has NotPrincipal, which"),
        (document(statement(Condition=[])), "Statement[0].Condition isn't an object"),
        (document(statement(Condition=None)), "Statement[0].Condition isn't an object"),
        (document(statement(Condition={"Bool": []})), "Statement[0].Condition.Bool isn't an obj"),
        (document(statement(Condition={"Boole": {"a:b": "x"}})), "'Boole' isn't a condition op"),
        (document(statement(Condition={"Bool": {"b": "true"}})), "'b' isn't a condition key"),
        (document(statement(Condition={"Bool": {"a:b": []}})), "Condition.Bool.a:b is empty"),
        (document(statement(Condition={"Bool": {"a:b": None}})), "Condition.Bool.a:b isn't a str"),
        (document(statement(Condition={"Bool": {"a:b": {}}})), "Condition.Bool.a:b isn't a str"),
        (
            document(statement(Condition={"NumericEquals": {"a:b": "x"}})),
            "Statement[0].Condition.NumericEquals.a:b: 'x' isn't a number",
        ),
        (
            document(statement(Condition={"StringLike": {"a:b": "x", "A:B": "y"}})),
            "Condition.StringLike.A:B stands twice",
        ),
        (document(statement()).replace('"*"', "1e999"), "isn't a string"),
    ],
)
def test_a_policy_of_an_identity_is_refused(text, reason):
    assert reason in refusal(text)


@pytest.mark.parametrize(
    ("grammar", "element", "reason"),
    [
        (grammar, element, reason)
        for grammar in (Grammar.REPOSITORY, Grammar.REGISTRY, Grammar.TRUST)
        for element, reason in [
            (statement(grammar, "Principal"), "has neither Principal nor NotPrincipal"),
            (statement(grammar, NotPrincipal="*"), "has both Principal and NotPrincipal"),
            (statement(grammar, Principal=USER), "Principal is neither an object"),
            (statement(grammar, Principal=["*"]), "Principal isn't an object"),
            (statement(grammar, Principal={}), "Principal names nobody"),
            (statement(grammar, Principal={"AWS": []}), "Principal.AWS is empty"),
            (statement(grammar, Principal={"AWS": [1]}), "Principal.AWS[0] isn't a string"),
            (statement(grammar, Principal={"aws": "*"}), "Principal has 'aws'"),
            (statement(grammar, Principal={"CanonicalUser": "x"}), "has 'CanonicalUser'"),
            *(
                (statement(grammar, Principal={"AWS": text}), "isn't an AWS principal")
                for text in (
                    *("", "12345678901", "ann", "arn:aws:iam::123456789012:*"),
                    *(f"arn:aws:iam::{ACCOUNT}:user/*", f"arn:aws:iam::{ACCOUNT}:user/a*"),
                    *(f"arn:aws:iam::{ACCOUNT}:user/", f"arn:aws:iam::{ACCOUNT}:group/a"),
                    *("arn:aws:iam:::user/a", f"arn:aws:iam:eu:{ACCOUNT}:user/a"),
                    *(f"arn:aws:sts::{ACCOUNT}:assumed-role/a", f"arn:aws:iam::{ACCOUNT}:Root"),
                    *(f"arn:aws:sts::{ACCOUNT}:assumed-role/a/b/c", f"{USER}\n", "**", "AIDAX"),
                )
            ),
            *(
                (statement(grammar, Principal={"Service": text}), "isn't the name of a service")
                for text in ("", "*", "ecr", "ecr.*.com", "ECR.amazonaws.com")
            ),
            *(
                (statement(grammar, Principal={"Federated": text}), "isn't an identity provider")
                for text in ("", "*", "google", f"arn:aws:iam::{ACCOUNT}:user/a")
            ),
            (statement(grammar, Action="s3:GetObject"), "isn't an action of"),
        ]
    ],
)
def test_a_policy_of_a_resource_is_refused(grammar, element, reason):
    assert reason in refusal(document(element), grammar)


@pytest.mark.parametrize(
    ("grammar", "element", "reason"),
    [
        (Grammar.REGISTRY, statement(Grammar.REGISTRY, "Resource"), "has neither Resource"),
        (Grammar.TRUST, statement(Grammar.TRUST, Resource="*"), "has Resource, which"),
        (Grammar.TRUST, statement(Grammar.TRUST, NotResource="*"), "has NotResource, which"),
        (Grammar.TRUST, statement(Grammar.TRUST, Sid="a b"), "letters and digits"),
    ],
)
def test_what_one_kind_may_say_another_may_not(grammar, element, reason):
    assert reason in refusal(document(element), grammar)


def test_sids_of_a_repository_policy_are_free():
    named = statement(Grammar.REPOSITORY, Sid="Allow: everybody, everything")

    assert len(parse(document(named, named), Grammar.REPOSITORY).statements) == 2


@pytest.mark.parametrize(
    "resource",
    [
        *("*", "arn:aws:ecr", "arn:*", "arn:aws:iam::aws:policy/X", "arn:aws:s3:::bucket/*"),
        *("arn:aws:ecr:*:*:repository/*", "arn:aws:ecr:eu:12345678901?:repository/a", ARN),
        *("arn:aws:ecr:${aws:RequestedRegion}:${aws:PrincipalAccount}:repository/${a:b}",),
        *("arn:${aws:x, 'a:b:c'}:x", "arn:aws:ecr:*:${aws:PrincipalAccount}:*"),
    ],
)
def test_a_resource_is_accepted(resource):
    parse(document(statement(Resource=resource)), Grammar.IDENTITY)


@pytest.mark.parametrize(
    "principal",
    [
        *("123456789012", USER, f"arn:aws-cn:iam::{ACCOUNT}:root", "*"),
        *(f"arn:aws:iam::{ACCOUNT}:user/ann", f"arn:aws:iam::{ACCOUNT}:role/a/b/c+=,.@-_"),
        *(f"arn:aws:sts::{ACCOUNT}:assumed-role/a/i-1", f"arn:aws:sts::{ACCOUNT}:federated-user/a"),
    ],
)
def test_a_principal_is_accepted(principal):
    element = statement(Grammar.REPOSITORY, Principal={"AWS": [principal, USER]})

    parse(document(element), Grammar.REPOSITORY)


def test_the_statements_about_an_action_are_found():
    elements = [
        statement(Sid="1", Action="ecr:PutImage"),
        statement(Sid="2", Action=["ECR:putimage", "ecr:GetX"], Effect="Deny"),
        statement(Sid="3", Action="ecr:Put*"),
        statement(Grammar.IDENTITY, "Action", Sid="4", NotAction=["ecr:Get*"], Effect="Deny"),
        statement(Sid="5", Action="*"),
        statement(Grammar.IDENTITY, "Action", Sid="6", NotAction="ecr:PutImage"),
        statement(Sid="7", Action=["ecr:PutImage", "s3:*"]),
    ]
    policy = parse(document(*elements), Grammar.IDENTITY)

    def sids(action):
        return ["".join(each.sid or "" for each in half) for half in policy.about(action)]

    assert sids("ecr:PutImage") == ["24", "1357"]
    assert sids("Ecr:PUTIMAGE") == ["24", "1357"]
    assert sids("ecr:GetX") == ["2", "56"]
    assert sids("s3:GetObject") == ["4", "567"]
    assert sids("ecr:PutImage") == ["24", "1357"]


def test_any_number_of_actions_can_be_asked_about():
    policy = parse(document(SOUND[Grammar.IDENTITY]), Grammar.IDENTITY)

    for number in range(2_000):
        assert len(policy.about(f"ecr:A{number}").allowing) == 1
    assert len(policy._found) <= 512


def test_of_thousands_of_statements_few_are_looked_at():
    elements = [statement(Action=f"ecr:A{number}") for number in range(5_000)]
    policy = parse(document(*elements, statement(Action="ecr:A1*")), Grammar.IDENTITY)

    assert [each.number for each in policy.about("ecr:A4999").allowing] == [5_000]
    assert [each.number for each in policy.about("ecr:A1234").allowing] == [1_235, 5_001]
