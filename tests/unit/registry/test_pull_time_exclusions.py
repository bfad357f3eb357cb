from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from longshore.errors import ExclusionAlreadyExists, ExclusionNotFound, LimitExceeded
from longshore.names import Registry
from longshore.registry import pull_time_exclusions
from longshore.registry.limits import Limits
from tests.support.pushing import ACCOUNT, REGISTRY
from tests.support.threads import at_once, outcome

if TYPE_CHECKING:
    from longshore.registry.context import Context
    from tests.support.clock import FakeClock

ROLE, USER = (f"arn:aws:iam::{ACCOUNT}:{path}" for path in ("role/scanner", "user/path/bot"))


def listed(context: Context, registry: Registry = REGISTRY) -> tuple[str, ...]:
    return pull_time_exclusions.list_all(context, registry, None, 100).items


def test_principals_are_excluded_until_they_are_not(context: Context, clock: FakeClock) -> None:
    for arn in (USER, ROLE):
        assert pull_time_exclusions.register(context, REGISTRY, arn) == clock()
    with pytest.raises(ExclusionAlreadyExists) as again:
        pull_time_exclusions.register(context, REGISTRY, ROLE)
    assert again.value.message == (
        f"The pull time update exclusion for the principal with ARN '{ROLE}' already exists in "
        f"the registry with id '{ACCOUNT}'"
    )
    assert listed(context) == (ROLE, USER)

    pull_time_exclusions.deregister(context, REGISTRY, ROLE)
    with pytest.raises(ExclusionNotFound) as gone:
        pull_time_exclusions.deregister(context, REGISTRY, ROLE)
    assert gone.value.message == (
        f"The pull time update exclusion for the principal with ARN '{ROLE}' does not exist in "
        f"the registry with id '{ACCOUNT}'"
    )
    assert listed(context) == (USER,)


def test_an_exclusion_is_one_registry_s(context: Context) -> None:
    elsewhere = Registry(ACCOUNT, "us-east-1")
    pull_time_exclusions.register(context, REGISTRY, ROLE)

    assert listed(context, elsewhere) == ()
    with pytest.raises(ExclusionNotFound):
        pull_time_exclusions.deregister(context, elsewhere, ROLE)
    pull_time_exclusions.register(context, elsewhere, ROLE)


def test_there_are_so_many_and_no_more(context: Context) -> None:
    small = replace(context, limits=Limits(pull_time_exclusions_per_registry=1))
    pull_time_exclusions.register(small, REGISTRY, ROLE)

    with pytest.raises(LimitExceeded, match="already has 1 pull time update exclusions"):
        pull_time_exclusions.register(small, REGISTRY, USER)
    assert listed(small) == (ROLE,)


def test_a_listing_comes_in_slices(context: Context) -> None:
    arns = [f"{ROLE}-{number}" for number in range(5)]
    for arn in reversed(arns):
        pull_time_exclusions.register(context, REGISTRY, arn)
    seen: list[str] = []
    after = None
    while len(seen) < 5:
        found = pull_time_exclusions.list_all(context, REGISTRY, after, 2)
        seen += found.items
        after = found.next
    assert (seen, after) == (arns, None)


def test_one_of_many_at_the_same_time_excludes(context: Context) -> None:
    outcomes = at_once(
        [outcome(lambda: pull_time_exclusions.register(context, REGISTRY, ROLE))] * 8
    )
    assert sorted(outcomes) == ["ExclusionAlreadyExists"] * 7 + ["done"]
