from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from longshore.access.policy.documents import Grammar
from longshore.errors import RepositoryNotFound, RepositoryPolicyNotFound
from longshore.registry import policies, repositories, repository_policies
from tests.support.pushing import ACCOUNT, REGISTRY, REPOSITORY, create_repository
from tests.support.threads import at_once, outcome

if TYPE_CHECKING:
    from longshore.registry.context import Context
    from longshore.registry.policies import PolicyDocument

NO_POLICY = (
    f"Repository policy does not exist for the repository with name '{REPOSITORY}' "
    f"in the registry with id '{ACCOUNT}'"
)


def allowing(action: str) -> PolicyDocument:
    statement = f'{{"Effect": "Allow", "Principal": "*", "Action": "{action}"}}'
    return policies.read(f'{{"Statement": [{statement}]}}', Grammar.REPOSITORY)


PULL, PUSH = allowing("ecr:BatchGetImage"), allowing("ecr:PutImage")


@pytest.mark.usefixtures("repository")
def test_a_policy_is_set_replaced_and_deleted(context: Context) -> None:
    for document in (PULL, PUSH, PUSH):
        repository_policies.put(context, REGISTRY, REPOSITORY, document)
        assert repository_policies.get(context, REGISTRY, REPOSITORY).text == document.text

    assert repository_policies.remove(context, REGISTRY, REPOSITORY) == PUSH.text

    for ask in (repository_policies.get, repository_policies.remove):
        with pytest.raises(RepositoryPolicyNotFound) as refusal:
            ask(context, REGISTRY, REPOSITORY)
        assert refusal.value.message == NO_POLICY


@pytest.mark.usefixtures("repository")
def test_a_policy_is_one_repository_s(context: Context) -> None:
    other = create_repository(context, "demo/other").name
    repository_policies.put(context, REGISTRY, REPOSITORY, PULL)

    with pytest.raises(RepositoryPolicyNotFound):
        repository_policies.get(context, REGISTRY, other)
    repository_policies.put(context, REGISTRY, other, PUSH)
    repository_policies.remove(context, REGISTRY, other)
    assert repository_policies.get(context, REGISTRY, REPOSITORY).text == PULL.text


def test_a_repository_has_to_be_there(context: Context) -> None:
    for act in (
        partial(repository_policies.put, document=PULL),
        repository_policies.get,
        repository_policies.remove,
    ):
        with pytest.raises(RepositoryNotFound):
            act(context, REGISTRY, REPOSITORY)


@pytest.mark.usefixtures("repository")
def test_a_policy_goes_with_its_repository(context: Context) -> None:
    repository_policies.put(context, REGISTRY, REPOSITORY, PULL)
    repositories.remove(context, REGISTRY, REPOSITORY, force=False)
    create_repository(context)

    with pytest.raises(RepositoryPolicyNotFound):
        repository_policies.get(context, REGISTRY, REPOSITORY)


@pytest.mark.usefixtures("repository")
def test_a_policy_may_be_put_by_many_at_the_same_time(context: Context) -> None:
    put = partial(repository_policies.put, context, REGISTRY, REPOSITORY, PULL)

    assert at_once([outcome(put)] * 8) == ["done"] * 8
    assert repository_policies.get(context, REGISTRY, REPOSITORY).text == PULL.text
