from __future__ import annotations

import pytest

from longshore.access.policy.wildcards import Wild, arn_matcher, matcher, plain, tokens

REPOSITORY = "arn:aws:ecr:eu-west-1:123456789012:repository/team/app"


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("", [""], ["a"]),
        ("abc", ["abc"], ["ab", "abcd", "Abc", ""]),
        ("*", ["", "a", "a\nb", "*"], []),
        ("?", ["a", "?", "\n", "é"], ["", "ab"]),
        ("a*", ["a", "ab", "a*"], ["", "ba"]),
        ("*a", ["a", "ba"], ["ab"]),
        ("a*a", ["aa", "aba", "aaa"], ["a", "ab"]),
        ("*ab*", ["ab", "xabx", "aab"], ["a", "ba"]),
        ("a*b*c", ["abc", "axbxc", "abbcc", "abcbc"], ["ac", "acb"]),
        ("a?c", ["abc", "a?c"], ["ac", "abbc"]),
        ("?*", ["a", "ab"], [""]),
        ("*?*?*", ["ab", "abc"], ["a", ""]),
        ("a*?b*c", ["axbc", "axxbxc", "abbc"], ["abc"]),
        ("*a?b", ["axb", "aaxb", "axbaxb"], ["axbx", "ab"]),
        ("[a-z]*", ["[a-z]x"], ["ax"]),
    ],
)
def test_a_pattern_matches_the_whole_of_a_text(pattern, matching, other):
    matches = matcher(tokens(pattern))

    assert [text for text in matching if not matches(text)] == []
    assert [text for text in other if matches(text)] == []


def test_a_wildcard_that_is_meant_as_such_stands_for_itself():
    pattern = ("a*", Wild.ANY, "?")

    assert plain(("a*", "?")) == "a*?"
    assert plain(pattern) is None
    assert matcher(pattern)("a*b?")
    assert not matcher(pattern)("abc?")
    assert not matcher(pattern)("a*bc")


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        (REPOSITORY, True),
        ("arn:aws:ecr:eu-west-1:123456789012:repository/team/*", True),
        ("arn:aws:ecr:*:*:repository/*", True),
        ("arn:aws:ecr:eu-*-1:1234567890??:*/app", True),
        ("arn:*:*:*:*:*", True),
        ("arn:aws:ecr", True),  # what is missing is completed
        ("arn:aws:ecr:eu-west-1:123456789012", True),
        ("arn:aws:sqs", False),
        ("arn:aws:ecr:*:repository/*", False),  # no wildcard reaches over a colon
        ("arn:aws:ecr:*:repository/team/app", False),
        ("arn:aws:ecr:eu-west-1:123456789012:repository/team", False),
        ("arn:aws:ecr:eu-west-1:123456789012:Repository/team/app", False),
        ("arn:aws:ecr:eu-west-1*:repository/team/app", False),
    ],
)
def test_the_parts_of_an_arn_are_matched_each_by_itself(pattern, matches):
    assert arn_matcher(tokens(pattern))(REPOSITORY) is matches


def test_the_last_part_of_an_arn_may_hold_colons():
    matches = arn_matcher(tokens("arn:aws:logs:*:1:group:*:x"))

    assert matches("arn:aws:logs:eu:1:group:a:b:x")
    assert not matches("arn:aws:logs:eu:1:group:x")


def test_what_is_no_arn_matches_no_pattern_of_arns():
    assert not arn_matcher(tokens("arn:*:*:*:*:*"))("*")
    assert not arn_matcher(tokens("arn:aws:ecr"))("arn:aws:ecr")


@pytest.mark.parametrize("piece", ["a", "a?", "?a", "a?a", "?", "??"])
def test_a_pattern_made_to_be_slow_comes_to_an_end(piece):
    # Whoever tries every way to share the text among 200 wildcards is still at it.
    matches = matcher(tokens("*".join([piece] * 200) + "*b"))

    assert not matches("a" * 2_000)
    assert not matches("a" * 2_000 + "c")
    assert matches("a" * 2_000 + "b")
