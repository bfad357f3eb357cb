from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from longshore.access.policy.documents import Grammar
from longshore.errors import RegistryPolicyNotFound
from longshore.names import Registry
from longshore.registry import policies, registry_policies
from tests.support.pushing import ACCOUNT, REGISTRY
from tests.support.threads import at_once, outcome

if TYPE_CHECKING:
    from longshore.registry.context import Context
    from longshore.registry.policies import PolicyDocument


def allowing(action: str) -> PolicyDocument:
    statement = f'{{"Effect": "Allow", "Principal": "*", "Action": "{action}", "Resource": "*"}}'
    return policies.read(f'{{"Statement": [{statement}]}}', Grammar.REGISTRY)


PULL, PUSH = allowing("ecr:BatchGetImage"), allowing("ecr:PutImage")


def test_a_policy_is_put_replaced_and_deleted(context: Context) -> None:
    for document in (PULL, PUSH, PUSH):
        registry_policies.put(context, REGISTRY, document)
        assert registry_policies.get(context, REGISTRY).text == document.text

    assert registry_policies.remove(context, REGISTRY) == PUSH.text

    for ask in (registry_policies.get, registry_policies.remove):
        with pytest.raises(RegistryPolicyNotFound) as refusal:
            ask(context, REGISTRY)
        assert refusal.value.message == (
            f"Registry policy does not exist in the registry with id '{ACCOUNT}'"
        )


@pytest.mark.parametrize(
    "other", [Registry(ACCOUNT, "us-east-1"), Registry("999999999999", REGISTRY.region)]
)
def test_a_policy_is_one_registry_s(context: Context, other: Registry) -> None:
    registry_policies.put(context, REGISTRY, PULL)

    with pytest.raises(RegistryPolicyNotFound):
        registry_policies.get(context, other)
    registry_policies.put(context, other, PUSH)
    registry_policies.remove(context, other)
    assert registry_policies.get(context, REGISTRY).text == PULL.text


def test_a_policy_may_be_put_by_many_at_the_same_time(context: Context) -> None:
    put = partial(registry_policies.put, context, REGISTRY, PULL)

    assert at_once([outcome(put)] * 8) == ["done"] * 8
    assert registry_policies.get(context, REGISTRY).text == PULL.text
