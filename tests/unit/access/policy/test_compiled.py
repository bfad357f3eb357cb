from __future__ import annotations

import json

import pytest

from longshore.access.policy.compiled import CompiledPolicies
from longshore.access.policy.documents import Grammar, MalformedPolicy


def text(action: str) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


LENGTH = len(text("ecr:1"))


def test_a_text_is_compiled_once_for_each_kind_of_policy() -> None:
    policies = CompiledPolicies(10 * LENGTH)
    found = policies.find(text("ecr:1"), Grammar.IDENTITY)
    assert found.actions() == {"ecr:1"}
    assert policies.find(text("ecr:1"), Grammar.IDENTITY) is found
    with pytest.raises(MalformedPolicy):
        policies.find(text("ecr:1"), Grammar.REGISTRY)
    assert policies.characters == LENGTH


def test_the_texts_together_are_never_too_long_and_the_last_ones_stay() -> None:
    policies = CompiledPolicies(3 * LENGTH)
    kept = policies.find(text("ecr:0"), Grammar.IDENTITY)
    for number in range(1, 10):
        last = policies.find(text(f"ecr:{number}"), Grammar.IDENTITY)
        assert policies.find(text("ecr:0"), Grammar.IDENTITY) is kept
        assert policies.find(text(f"ecr:{number}"), Grammar.IDENTITY) is last
        assert policies.characters == min(number + 1, 3) * LENGTH
    policies.find(" " * 3 * LENGTH + text("ecr:1"), Grammar.IDENTITY)
    assert policies.characters == 0
