from __future__ import annotations

import pytest

from longshore.access.policy.documents import Grammar, parse
from longshore.api.oci.routes import ROUTES
from longshore.identity import aws_managed_policies
from longshore.operations import OPERATIONS, actions


def test_every_action_that_is_needed_is_known() -> None:
    routes = [route for _, methods in ROUTES for route in methods.values()]
    asked = {
        *(operation.action for each in OPERATIONS.values() for operation in each.values()),
        *(route.action for route in routes if route.action),
        *(action for route in routes if route.also for action in route.also.actions),
    }
    for action in asked:
        assert action in actions(action.partition(":")[0])


def test_every_action_that_policies_of_aws_name_is_known() -> None:
    for managed in aws_managed_policies._POLICIES.values():
        for action in parse(managed.document, Grammar.IDENTITY).actions():
            if "*" not in action:
                assert action in actions(action.partition(":")[0])


@pytest.mark.parametrize("service", ["s3", "", "ecr-public"])
def test_actions_of_other_services_are_not_known(service: str) -> None:
    assert actions(service) == frozenset()
