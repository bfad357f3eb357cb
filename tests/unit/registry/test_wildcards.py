from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.registry.wildcards import matches


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("*", "", True),
        ("*", "anything", True),
        ("latest", "latest", True),
        ("latest", "latest1", False),
        ("latest", "", False),
        ("", "", True),
        ("", "a", False),
        ("v*", "v1.2", True),
        ("v*", "v", True),
        ("v*", "av", False),
        ("*-rc", "1-rc", True),
        ("*-rc", "1-rc2", False),
        ("*dev*", "my-dev-build", True),
        ("*dev*", "de", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("ab*bc", "abc", False),
        ("a*b*c", "a-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("**", "x", True),
        ("a**b", "ab", True),
        # Everything else stands for itself.
        ("v1.0", "v1x0", False),
        ("v1_0", "v1x0", False),
        ("[ab]", "a", False),
        ("a?", "ab", False),
        ("V*", "v1", False),
    ],
)
def test_a_star_is_any_number_of_characters_and_all_else_is_itself(
    pattern: str, text: str, *, expected: bool
) -> None:
    assert matches(pattern, text) is expected


@given(pattern=st.text("ab.*", max_size=8), text=st.text("ab.", max_size=12))
def test_wildcards_mean_what_the_regular_expression_means(pattern: str, text: str) -> None:
    expression = ".*".join(re.escape(piece) for piece in pattern.split("*"))
    assert matches(pattern, text) is (re.fullmatch(expression, text) is not None)


def test_no_pattern_takes_longer_than_its_length() -> None:
    # To a matcher that goes back and tries again, this is a matter of years.
    assert not matches("a*" * 64 + "b", "a" * 300)
