"""Any policies come out as the naive evaluator says, and as their explanation says."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st

from longshore.access.policy.documents import Grammar, parse
from longshore.access.policy.evaluation import (
    Kind,
    Outcome,
    Policies,
    Request,
    Source,
    Subject,
    decide,
)
from longshore.access.policy.explanation import explain
from longshore.access.policy.operators import OPERATORS
from longshore.access.policy.wildcards import matcher, tokens
from tests.property import naive_policies

MINE, OTHER = "111111111111", "222222222222"
ROLE = f"arn:aws:iam::{MINE}:role/ci"
PROVIDER = f"arn:aws:iam::{MINE}:oidc-provider/tokens.example"
SUBJECTS = (
    Subject(Kind.USER, MINE, f"arn:aws:iam::{MINE}:user/a"),
    Subject(Kind.ROLE, MINE, f"arn:aws:sts::{MINE}:assumed-role/ci/a", role_arn=ROLE),
    Subject(Kind.ROOT, MINE, f"arn:aws:iam::{MINE}:root"),
    Subject(Kind.ROOT, MINE, f"arn:aws:iam::{MINE}:root", is_operator=True),
    Subject(Kind.SERVICE, "", "", service="ecr.amazonaws.com"),
    Subject(Kind.ANONYMOUS, "", ""),
    Subject(Kind.FEDERATED, MINE, PROVIDER),
)
AWS = ["*", MINE, OTHER, f"arn:aws:iam::{MINE}:root", ROLE, SUBJECTS[0].arn, SUBJECTS[1].arn]
ACTIONS = ["ecr:GetX", "ecr:PutX", "ecr:Put"]
ACTION_PATTERNS = ["*", "ecr:*", "ecr:get*", "ECR:GetX", "ecr:Put?", "ecr:*X", "ecr:Put"]
KEYS = ["aws:a", "aws:b", "aws:Tags"]
VARIABLES = ["${aws:a}", "${aws:B}", "${aws:tags}", "${aws:a, 'ab'}", "${*}", "${?}", "${$}"]

# The same few characters everywhere, so that things meet.
words = st.text("ab*", min_size=0, max_size=4)
patterns = st.lists(st.sampled_from(["a", "b", "*", "?", *VARIABLES]), max_size=4).map("".join)
moments = st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+0100", "1767225601", "0"])
numbers = st.sampled_from(["0", "1", "1.0", "+1", "-1", "1.5"])
addresses = st.sampled_from(["10.0.0.1", "10.0.0.2", "10.1.0.1", "192.0.2.1"])
arns = st.tuples(
    st.sampled_from(["eu", "us", "*", "?u"]),
    st.sampled_from([MINE, OTHER, "*", "11111111111?"]),
    patterns,
).map(lambda parts: f"arn:aws:ecr:{parts[0]}:{parts[1]}:repository/{parts[2]}")
resources = arns | st.sampled_from(["*", "*", "arn:aws:ecr", "arn:aws:ecr:eu", "arn:*:ecr:*:*:*"])
FAMILIES: dict[str, tuple[st.SearchStrategy[Any], st.SearchStrategy[str]]] = {
    "String": (patterns, words),
    "Arn": (arns, st.builds("arn:aws:ecr:eu:{}:repository/{}".format, st.just(MINE), words)),
    "Numeric": (numbers | st.integers(-1, 1), numbers),
    "Date": (moments, moments),
    "Bool": (st.sampled_from([True, "true", "False"]), st.sampled_from(["true", "FALSE"])),
    "Binary": (st.sampled_from(["QQ==", "QUI="]), st.sampled_from(["QQ==", "QUI="])),
    "Ip": (
        st.sampled_from(["10.0.0.1", "10.0.0.0/30", "10.0.0.0/8", "0.0.0.0/0", "10.0.0.9/31"]),
        addresses,
    ),
}


def family(operator: str) -> str:
    return next(name for name in FAMILIES if name in operator)


def one_or_more(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return values | st.lists(values, min_size=1, max_size=3)


@st.composite
def conditions(draw: st.DrawFn, kinds: dict[str, str]) -> dict[str, Any]:
    """Draw a condition block; each key has values of one kind in policies and in requests."""
    found: dict[str, Any] = {}
    for _ in range(draw(st.integers(0, 2))):
        key = draw(st.sampled_from(KEYS))
        if draw(st.integers(0, 9)) == 0:
            found.setdefault("Null", {})[key] = draw(st.sampled_from(["true", "false", True]))
            continue
        of_kind = [name for name in OPERATORS if family(name) == kinds[key]]
        operator = "".join(
            (
                draw(st.sampled_from(["", "", "ForAllValues:", "ForAnyValue:"])),
                draw(st.sampled_from(of_kind)),
                draw(st.sampled_from(["", "", "IfExists"])),
            )
        )
        values = draw(one_or_more(FAMILIES[kinds[key]][0]))
        found.setdefault(operator, {})[key] = values
    return found


@st.composite
def documents(draw: st.DrawFn, grammar: Grammar, kinds: dict[str, str]) -> str:
    statements = []
    for _ in range(draw(st.integers(1, 3))):
        statement: dict[str, Any] = {"Effect": draw(st.sampled_from([*["Allow"] * 5, "Deny"]))}
        action = draw(st.sampled_from([*["Action"] * 4, "NotAction"]))
        statement[action] = draw(one_or_more(st.sampled_from(ACTION_PATTERNS)))
        resource = draw(st.sampled_from([*["Resource"] * 4, "NotResource"]))
        if grammar is not Grammar.REPOSITORY or draw(st.booleans()):
            statement[resource] = draw(one_or_more(resources))
        if grammar is not Grammar.IDENTITY:
            element = draw(st.sampled_from([*["Principal"] * 4, "NotPrincipal"]))
            statement[element] = draw(principals())
        if draw(st.integers(0, 2)) == 0:
            statement["Condition"] = draw(conditions(kinds))
        statements.append(statement)
    single = len(statements) == 1 and draw(st.booleans())
    document: dict[str, Any] = {"Statement": statements[0] if single else statements}
    version = draw(st.sampled_from(["2012-10-17", "2012-10-17", "2008-10-17", None]))
    return json.dumps(document | ({"Version": version} if version else {}))


def principals() -> st.SearchStrategy[Any]:
    service = st.sampled_from(["ecr.amazonaws.com", "ecs.amazonaws.com"])
    named = st.fixed_dictionaries(
        {"AWS": one_or_more(st.sampled_from(AWS))},
        optional={"Service": one_or_more(service), "Federated": st.just(PROVIDER)},
    )
    return st.just("*") | named | named | st.fixed_dictionaries({"Service": service})


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    kinds = {key: draw(st.sampled_from(sorted(FAMILIES))) for key in KEYS}
    identity = documents(Grammar.IDENTITY, kinds)
    context = {}
    for key in KEYS:
        several = key == "aws:Tags"
        values = st.lists(FAMILIES[kinds[key]][1], max_size=3 if several else 1)
        if found := draw(values):
            context[key.lower()] = tuple(found)
    account = draw(st.sampled_from([MINE, MINE, OTHER]))
    resource = draw(words.map(lambda word: f"arn:aws:ecr:eu:{account}:repository/{word}"))
    return {
        "subject": draw(st.sampled_from(SUBJECTS[:2]) | st.sampled_from(SUBJECTS)),
        "identity": draw(st.lists(identity, max_size=2)),
        "boundary": draw(st.none() | st.none() | identity),
        "session": draw(st.none() | st.none() | st.lists(identity, max_size=2)),
        "resource": draw(st.lists(documents(Grammar.REPOSITORY, kinds), max_size=2)),
        "request": Request(
            draw(st.sampled_from(ACTIONS)),
            draw(st.sampled_from([*[resource] * 5, "*"])),
            account,
            context,
        ),
    }


def source(text: str, grammar: Grammar) -> Source:
    return Source("a policy", parse(text, grammar))


@given(cases())
def test_any_policies_come_out_as_the_naive_evaluator_says(case: dict[str, Any]) -> None:
    policies = Policies(
        tuple(source(text, Grammar.IDENTITY) for text in case["identity"]),
        case["boundary"] and source(case["boundary"], Grammar.IDENTITY),
        None
        if case["session"] is None
        else tuple(source(text, Grammar.IDENTITY) for text in case["session"]),
    )
    resource_policies = [source(text, Grammar.REPOSITORY) for text in case["resource"]]
    arguments = case["subject"], policies, resource_policies, case["request"]

    decision = decide(*arguments)

    event(decision.reason.name)
    assert decision.reason.outcome.value == naive_policies.decide(**case)

    explanation = explain(*arguments)
    assert explanation.decision == decision
    deciding = [look for look in explanation.looks if look.decided]
    assert bool(deciding) is (decision.statement is not None)
    assert all(look.matched for look in deciding)
    denials = [look for look in explanation.matched if look.statement.effect == "Deny"]
    assert bool(denials) is (decision.reason.outcome is Outcome.EXPLICIT_DENY)


@given(st.text("ab*?", max_size=8), st.text("ab*", max_size=10))
def test_wildcards_match_as_by_naive_recursion(pattern: str, text: str) -> None:
    expected = naive_policies._glob(naive_policies._signs(pattern), text)

    assert matcher(tokens(pattern))(text) is expected
