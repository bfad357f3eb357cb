from __future__ import annotations

import pytest

from longshore.access.policy.conditions import compile_condition
from longshore.access.policy.malformed import MalformedPolicy
from longshore.access.policy.operators import OPERATORS

KEY = "aws:Thing"

# operator, what the policy asks for, and what of a request's values it takes and what not
SINGLE = [
    ("StringEquals", ["a", "b"], ["a", "b"], ["A", "", "ab", "c"]),
    ("StringEquals", ["a*"], ["a*"], ["ab"]),
    ("StringEquals", [""], [""], ["a"]),
    ("StringNotEquals", ["a", "b"], ["A", "c"], ["a", "b"]),
    ("StringEqualsIgnoreCase", ["Straße", "B"], ["STRASSE", "b"], ["a"]),
    ("StringNotEqualsIgnoreCase", ["A"], ["b"], ["a", "A"]),
    ("StringLike", ["a*", "?b"], ["a", "abc", "xb"], ["Abc", "b", "xxb"]),
    ("StringNotLike", ["a*", "?b"], ["Abc", "b"], ["abc", "xb"]),
    ("NumericEquals", ["5", "7.50"], ["5", "5.0", "+5", "7.5"], ["5.1", "x", "", "5e0", "0x5"]),
    ("NumericNotEquals", ["5"], ["6", "x"], ["5", "5.00"]),
    ("NumericLessThan", ["5"], ["4.9", "-10"], ["5", "6", "x"]),
    ("NumericLessThanEquals", ["5"], ["5.0", "1"], ["5.01"]),
    ("NumericGreaterThan", ["5"], ["5.0000000000000000001"], ["5", "4", "NaN", "inf"]),
    ("NumericGreaterThanEquals", ["5"], ["5", "9"], ["4.99"]),
    (
        "DateEquals",
        ["2026-01-01T00:00:00Z"],
        ["2026-01-01", "2026-01-01T01:00:00+01:00", "1767225600", "1767225600.0"],
        ["2026-01-01T00:00:01Z", "now", ""],
    ),
    ("DateEquals", ["1767225600"], ["2026-01-01T00:00:00Z"], ["1767225601"]),
    ("DateNotEquals", ["2026-01-01"], ["2026-01-02", "x"], ["2026-01-01T00:00:00.000Z"]),
    ("DateLessThan", ["2026-01-01"], ["2025-12-31T23:59:59.999999Z"], ["2026-01-01", "x"]),
    ("DateLessThanEquals", ["2026-01-01"], ["2026-01-01"], ["2026-01-01T00:00:00.000001Z"]),
    ("DateGreaterThan", ["2026-01-01"], ["9999-12-31T23:59:59-14:00"], ["2026-01-01"]),
    ("DateGreaterThanEquals", ["2026-01-01"], ["2026-01-01", "1767225600"], ["2025-12-31"]),
    ("Bool", ["true"], ["true", "True", "TRUE"], ["false", "", "1", "yes"]),
    ("Bool", ["False"], ["false"], ["true", "x"]),
    ("BinaryEquals", ["QmluYXJ5"], ["QmluYXJ5"], ["QmluYXJ6", "Binary", "*"]),
    (
        "IpAddress",
        ["203.0.113.0/24", "2001:db8::/32", "10.1.2.3"],
        ["203.0.113.0", "203.0.113.255", "::ffff:203.0.113.7", "2001:db8:1::1%eth0", "10.1.2.3"],
        [
            *("203.0.114.0", "2001:db9::1", "10.1.2.4", "x", "", "203.0.113.0/32", "3405803783"),
            *("203.0.113.1\n", "203.0.113.1%0", "203.0.113.01", "203.0.113", "203.0.113.1\0"),
        ],
    ),
    ("IpAddress", ["203.0.113.9/24"], ["203.0.113.1"], ["203.0.112.1"]),
    ("IpAddress", ["0.0.0.0/0"], ["1.2.3.4"], ["::1"]),
    ("NotIpAddress", ["203.0.113.0/24", "::/0"], ["1.2.3.4", "x"], ["203.0.113.7", "::1"]),
    *(
        (operator, ["arn:aws:iam::*:role/a?/*"], taken, refused)
        for operators, taken, refused in (
            (
                ("ArnEquals", "ArnLike"),
                ["arn:aws:iam::1:role/ab/", "arn:aws:iam::2:role/ab/c:d"],
                ["arn:aws:iam::1:x:role/ab/c", "arn:aws:iam:::user/ab/c", "x", "*"],
            ),
            (
                ("ArnNotEquals", "ArnNotLike"),
                ["arn:aws:iam::1:role/a/c", "x"],
                ["arn:aws:iam::1:role/ab/c"],
            ),
        )
        for operator in operators
    ),
]
NEGATED = {
    *("StringNotEquals", "StringNotEqualsIgnoreCase", "StringNotLike", "NumericNotEquals"),
    *("DateNotEquals", "NotIpAddress", "ArnNotEquals", "ArnNotLike"),
}
A_VALUE = {
    **dict.fromkeys(OPERATORS, "1"),
    "Bool": "true",
    "BinaryEquals": "QQ==",
    "IpAddress": "::1",
    "NotIpAddress": "::1",
    **dict.fromkeys((name for name in OPERATORS if name.startswith("Arn")), "arn:*:*:*:*:*"),
}


def holds(operator, asked, values, *, variables=True, cautious=True, others=None):
    condition = compile_condition(operator, KEY, asked, variables=variables, cautious=cautious)
    context = {} if values is None else {KEY.lower(): tuple(values)}
    return condition.holds({**context, **(others or {})})


@pytest.mark.parametrize(("operator", "asked", "taken", "refused"), SINGLE)
def test_an_operator_compares_one_value(operator, asked, taken, refused):
    assert [value for value in taken if not holds(operator, asked, [value])] == []
    assert [value for value in refused if holds(operator, asked, [value])] == []


def test_the_table_has_every_operator():
    assert {row[0] for row in SINGLE} == set(OPERATORS)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("values", [None, []])
def test_without_a_value_a_negated_operator_holds_and_others_do_not(operator, values):
    asked = [A_VALUE[operator]]

    assert holds(operator, asked, values) is (operator in NEGATED)
    assert holds(f"{operator}IfExists", asked, values)
    assert holds(f"ForAllValues:{operator}", asked, values)
    assert holds(f"ForAllValues:{operator}IfExists", asked, values)
    assert not holds(f"ForAnyValue:{operator}", asked, values)
    assert holds(f"ForAnyValue:{operator}IfExists", asked, values)


@pytest.mark.parametrize(("operator", "asked", "taken", "refused"), SINGLE)
def test_if_exists_changes_nothing_where_there_is_a_value(operator, asked, taken, refused):
    assert all(holds(f"{operator}IfExists", asked, [value]) for value in taken)
    assert not any(holds(f"{operator}IfExists", asked, [value]) for value in refused)


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        ("ForAllValues:StringEquals", ["a"], True),
        ("ForAllValues:StringEquals", ["a", "b"], True),
        ("ForAllValues:StringEquals", ["a", "c"], False),
        ("ForAnyValue:StringEquals", ["a", "c"], True),
        ("ForAnyValue:StringEquals", ["c", "d"], False),
        ("StringEquals", ["a", "c"], True),
        ("StringEquals", ["c", "d"], False),
        ("ForAllValues:StringNotEquals", ["c", "d"], True),
        ("ForAllValues:StringNotEquals", ["a", "c"], False),
        ("ForAnyValue:StringNotEquals", ["a", "c"], True),
        ("ForAnyValue:StringNotEquals", ["a", "b"], False),
        ("StringNotEquals", ["a", "c"], False),
        ("StringNotEquals", ["c", "d"], True),
    ],
)
def test_several_values_are_held_against_several(operator, values, expected):
    assert holds(operator, ["a", "b"], values) is expected


@pytest.mark.parametrize(
    ("asked", "values", "expected"),
    [
        (["true"], None, True),
        (["true"], ["x"], False),
        (["false"], None, False),
        (["False"], ["x"], True),
        (["false"], [""], True),
        (["true", "false"], None, True),
        (["true", "false"], ["x"], True),
    ],
)
def test_null_asks_whether_a_key_is_absent(asked, values, expected):
    assert holds("Null", asked, values) is expected


def test_names_of_keys_are_the_same_in_either_case():
    condition = compile_condition(
        "StringEquals", "AWS:principaltag/TEAM", ["x"], variables=True, cautious=True
    )

    assert condition.holds({"aws:principaltag/team": ("x",)})
    assert condition.keys == {"AWS:principaltag/TEAM"}


@pytest.mark.parametrize(
    "operator",
    [
        *("stringEquals", "StringEqual", "", "IfExists", "NullIfExists", "ForAnyValue:Null"),
        *("ForSomeValues:StringEquals", "ForAnyValue:", "ForAnyValue:ForAnyValue:StringEquals"),
        *(
            "StringEqualsIfExistsIfExists",
            ":StringEquals",
            ":Null",
            "StringEquals ",
            "ForAllValues:StringEquals:",
        ),
    ],
)
def test_an_operator_that_is_none_is_refused(operator):
    with pytest.raises(MalformedPolicy, match="isn't a condition operator"):
        holds(operator, ["true"], None)


@pytest.mark.parametrize(
    "key", ["", "aws", ":x", "aws:", "aws: ", "aws :x", "a*:x", "${aws:x}:y", "aws:x\n", "a:" * 300]
)
def test_a_key_that_is_none_is_refused(key):
    with pytest.raises(MalformedPolicy, match="isn't a condition key"):
        compile_condition("StringEquals", key, ["x"], variables=True, cautious=True)


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        *(("NumericEquals", value) for value in ("", "x", "1e5", "NaN", "1_000", "٣", "1" * 101)),
        *(("DateLessThan", value) for value in ("", "tomorrow", "2026-13-01", "2026-01-01T25:00Z")),
        *(("Bool", value) for value in ("", "yes", "1", "null")),
        *(("Null", value) for value in ("", "null")),
        *(("BinaryEquals", value) for value in ("x", "QQ=", "Q Q=", "é")),
        *(("IpAddress", value) for value in ("", "x", "1.2.3", "1.2.3.4/33", "::/129", "*", "1")),
        ("IpAddress", "1.2.3.4/255.255.255.0"),
        *(("ArnLike", value) for value in ("", "*", "arn:aws:iam::123", "x:y", "arn:aws:iam")),
        *((operator, "${aws:x}") for operator in ("NumericEquals", "Bool", "IpAddress", "Null")),
    ],
)
def test_a_value_that_is_none_of_its_kind_is_refused(operator, value):
    with pytest.raises(MalformedPolicy):
        holds(operator, [value], None)
