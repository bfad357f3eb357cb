from __future__ import annotations

import pytest

from longshore.access.policy.malformed import MalformedPolicy
from longshore.access.policy.templates import Template, any_of
from longshore.access.policy.wildcards import matcher, plain

CONTEXT = {
    "aws:username": ("ann",),
    "aws:principaltag/team": ("red",),
    "aws:principaltag/star": ("*",),
    "aws:principaltag/nothing": ("",),
    "aws:tagkeys": ("a", "b"),
    "token.actions.example:sub": ("repo:x",),
}


def resolved(text, **options):
    template = Template.parse(text, **{"wildcards": False, "variables": True, **options})
    tokens = template.resolve(CONTEXT)
    return None if tokens is None else plain(tokens)


def matches(text, value, *, unresolved=False, variables=True):
    template = Template.parse(text, wildcards=True, variables=variables)
    return any_of([template], matcher, unresolved=unresolved)(value, CONTEXT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("x", "x"),
        ("${aws:username}", "ann"),
        ("a/${aws:username}/${aws:PrincipalTag/team}", "a/ann/red"),
        ("${AWS:UserName}", "ann"),
        ("${ aws:username }", "ann"),
        ("${token.actions.example:sub}", "repo:x"),
        ("${aws:nobody}", None),
        ("${aws:nobody, 'all'}", "all"),
        ("${aws:nobody,'all of us'}", "all of us"),
        ("${aws:nobody, ''}", ""),
        ("${aws:username, 'all'}", "ann"),
        ("${aws:PrincipalTag/nothing, 'all'}", ""),
        ("${aws:TagKeys}", None),
        ("${aws:TagKeys, 'all'}", None),
        ("${*}${?}${$}{aws:username}", "*?${aws:username}"),
        ("$aws:username}", "$aws:username}"),
        ("{}", "{}"),
    ],
)
def test_variables_stand_for_values_of_the_request(text, expected):
    assert resolved(text) == expected


def test_before_2012_there_were_no_variables():
    assert resolved("${aws:username}", variables=False) == "${aws:username}"
    assert matches("${aws:*", "${aws:username}", variables=False)
    assert resolved("${", variables=False) == "${"


@pytest.mark.parametrize(
    "text",
    [
        *("${", "a${aws:username", "${}", "${ }", "${username}", "${**}", "${aws:}", "${:x}"),
        *("${aws:x, default}", "${aws:x, 'a}", "${aws:x, 'a' b}", "${aws:${aws:username}}"),
        *("${aws:username}${", "${aws:x*}y${aws:*}"),
    ],
)
def test_a_variable_that_is_none_is_refused(text):
    with pytest.raises(MalformedPolicy):
        Template.parse(text, wildcards=True, variables=True)


def test_a_value_is_put_in_as_it_is():
    assert matches("a/${aws:username}/*", "a/ann/x")
    assert not matches("a/${aws:username}/*", "a/bob/x")
    assert matches("${aws:PrincipalTag/star}/*", "*/x")
    assert not matches("${aws:PrincipalTag/star}/*", "a/x")
    assert matches("${*}?", "*a")
    assert not matches("${*}?", "aa")
    assert not matches("${?}", "a")


def test_a_text_without_a_value_matches_as_the_caller_says():
    assert not matches("${aws:nobody}*", "x")
    assert not matches("${aws:nobody}*", "")
    assert matches("${aws:nobody}*", "x", unresolved=True)


def test_one_of_several_texts_is_enough():
    texts = ["a", "b*", "${aws:username}", "${aws:nobody}"]
    templates = [Template.parse(text, wildcards=True, variables=True) for text in texts]
    test = any_of(templates, matcher, unresolved=False)

    assert [value for value in ("a", "b", "bc", "ann") if not test(value, CONTEXT)] == []
    assert [value for value in ("", "ab", "c", "${aws:username}") if test(value, CONTEXT)] == []
