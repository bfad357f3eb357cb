"""What the page on policies says of the language, against the language."""

from __future__ import annotations

import re

from longshore.access.policy.documents import Grammar, parse
from longshore.access.policy.operators import OPERATORS
from tests.docs import pages

PAGE = pages.read("docs/policies.md")


def test_the_table_of_operators_has_every_one() -> None:
    rows = re.findall(r"^\| (`[^|]+`) \|", pages.section(PAGE, "Condition operators"), re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]

    assert sorted(named) == sorted([*OPERATORS, "Null"])


def test_the_policy_that_is_shown_can_be_used() -> None:
    [shown] = pages.blocks(PAGE, "json")

    assert len(parse(shown, Grammar.IDENTITY).statements) == 2
