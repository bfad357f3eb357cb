from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from longshore.access.policy.documents import Grammar
from longshore.errors import AccessDenied, LimitExceeded, RepositoryNotFound
from longshore.identity import creation_on_push, inline_policies, roles
from longshore.identity.kinds import Kind
from longshore.registry import (
    creation_templates,
    policies,
    registry_policies,
    repositories,
    repository_policies,
)
from longshore.registry.creation_templates import ROOT, Changes, Scenario
from longshore.registry.dialect import OCI
from longshore.registry.limits import Limits
from longshore.registry.mutability import Mode, TagMutability
from tests.support.identities import ACCOUNT
from tests.support.policies import allow, deny, document, trust
from tests.support.pushing import REGISTRY, create_repository
from tests.support.threads import at_once

if TYPE_CHECKING:
    from longshore.registry.context import Context

NAME = "team/app"
ARN = REGISTRY.repository_arn(NAME)
ROLE = f"arn:aws:iam::{ACCOUNT}:role/creator"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/creator/ECR-RepositoryCreation"
ON_PUSH = (Scenario.CREATE_ON_PUSH,)
OTHERS = (Scenario.REPLICATION, Scenario.PULL_THROUGH_CACHE)
TRUSTED = {"Service": "ecr.amazonaws.com"}


def template(context: Context, prefix: str = "team", **changes: object) -> None:
    chosen = Changes(**{"applied_for": ON_PUSH, **changes})  # type: ignore[arg-type] # a table
    creation_templates.create(context, REGISTRY, prefix, chosen)


def names(context: Context) -> list[str]:
    return [each.name for each in repositories.list_all(context, REGISTRY, None, 10).items]


def test_without_a_template_a_push_creates_nothing(context: Context) -> None:
    template(context, "team", applied_for=OTHERS)
    template(context, "tea")
    template(context, "team/app")

    with pytest.raises(RepositoryNotFound):
        creation_on_push.create(context, REGISTRY, NAME)
    assert names(context) == []


def test_the_settings_are_the_template_s(context: Context) -> None:
    template(context, ROOT)
    policy = '{\n  "Version" : "2012-10-17",\n  "Statement" : [ ]\n}'
    template(context, mode=Mode.IMMUTABLE, repository_policy=policy)

    creation = creation_on_push.create(context, REGISTRY, NAME)

    assert creation is not None
    assert (creation.template and creation.template.prefix, creation.role) == ("team", None)
    assert creation.repository.mutability == TagMutability(Mode.IMMUTABLE)
    assert repository_policies.get(context, REGISTRY, NAME).text == policy
    assert names(context) == [NAME]


def test_a_server_may_be_told_to_create_whatever_is_pushed(context: Context) -> None:
    generous = replace(context, creates_on_push=True)
    creation = creation_on_push.create(generous, REGISTRY, NAME)
    assert creation is not None
    assert (creation.template, creation.repository.mutability) == (None, TagMutability())

    # A template counts before it.
    template(context, mode=Mode.IMMUTABLE)
    creation = creation_on_push.create(generous, REGISTRY, "team/other")
    assert creation is not None
    assert creation.repository.mutability == TagMutability(Mode.IMMUTABLE)


def test_of_many_pushes_at_the_same_time_one_creates(context: Context) -> None:
    template(context, mode=Mode.IMMUTABLE)

    creations = at_once([lambda: creation_on_push.create(context, REGISTRY, NAME)] * 8)

    assert len([each for each in creations if each is not None]) == 1
    assert names(context) == [NAME]


def test_a_repository_that_came_to_be_meanwhile_is_left_as_it_is(context: Context) -> None:
    template(context, mode=Mode.IMMUTABLE)
    made = create_repository(context, NAME)

    assert creation_on_push.create(context, REGISTRY, NAME) is None
    assert repositories.describe(context, REGISTRY, [NAME]) == [made]


def test_quotas_hold(context: Context) -> None:
    template(context)
    small = replace(context, limits=Limits(repositories_per_registry=1))
    create_repository(small, "demo")

    with pytest.raises(LimitExceeded):
        creation_on_push.create(small, REGISTRY, NAME)


# --- The role that creates ------------------------------------------------------------------------


def test_a_role_creates_what_it_may(context: Context) -> None:
    roles.create(context, ACCOUNT, "creator", trust(Principal=TRUSTED))
    template(context, tags={"team": "a"}, role_arn=ROLE)
    for text, action in (
        (None, "ecr:CreateRepository"),
        (allow("ecr:CreateRepository"), "ecr:TagResource"),
        (allow("ecr:TagResource"), "ecr:CreateRepository"),
    ):
        if text is not None:
            inline_policies.put(context, ACCOUNT, Kind.ROLE, "creator", "it", document=text)
        with pytest.raises(AccessDenied) as refusal:
            creation_on_push.create(context, REGISTRY, NAME)
        assert refusal.value.message == (
            f"User: {SESSION} is not authorized to perform: {action} on resource: {ARN} because "
            f"no identity-based policy allows the {action} action"
        )
    assert names(context) == []

    may = document(
        {"Effect": "Allow", "Action": "ecr:TagResource", "Resource": ARN},
        {
            "Effect": "Allow",
            "Action": "ecr:CreateRepository",
            "Resource": ARN,
            "Condition": {"StringEquals": {"aws:RequestTag/team": "a"}},
        },
    )
    inline_policies.put(context, ACCOUNT, Kind.ROLE, "creator", "it", document=may)
    creation = creation_on_push.create(context, REGISTRY, NAME)
    assert creation is not None
    assert creation.role is not None
    assert creation.role.subject.arn == SESSION
    assert repositories.tags_of(context, REGISTRY, NAME) == {"team": "a"}


def test_a_role_that_does_not_trust_the_registry_creates_nothing(context: Context) -> None:
    template(context, role_arn=ROLE)
    refused = f"not authorized to perform: sts:AssumeRole on resource: {ROLE}"
    with pytest.raises(AccessDenied, match=refused):
        creation_on_push.create(context, REGISTRY, NAME)
    roles.create(context, ACCOUNT, "creator", trust(Principal={"Service": "ec2.amazonaws.com"}))
    inline_policies.put(context, ACCOUNT, Kind.ROLE, "creator", "all", document=allow("ecr:*"))
    with pytest.raises(AccessDenied, match=refused):
        creation_on_push.create(context, REGISTRY, NAME)

    roles.put_trust_policy(context, ACCOUNT, "creator", trust(Principal=TRUSTED))
    assert creation_on_push.create(context, REGISTRY, NAME) is not None


def test_the_registry_s_policy_holds_for_the_role(context: Context) -> None:
    roles.create(context, ACCOUNT, "creator", trust(Principal=TRUSTED))
    inline_policies.put(context, ACCOUNT, Kind.ROLE, "creator", "all", document=allow("ecr:*"))
    template(context, role_arn=ROLE)
    denied = deny("ecr:CreateRepository").replace('"Effect"', '"Principal": "*", "Effect"')
    registry_policies.put(context, REGISTRY, policies.read(denied, Grammar.REGISTRY))

    with pytest.raises(AccessDenied, match="explicit deny in a resource-based policy"):
        creation_on_push.create(context, REGISTRY, NAME)


def test_tags_take_a_role_where_ecr_has_it_so(context: Context) -> None:
    template(context, tags={"team": "a"})
    with pytest.raises(AccessDenied) as refusal:
        creation_on_push.create(context, REGISTRY, NAME)
    assert refusal.value.message == (
        "The repository with name 'team/app' can't be created: the repository creation template "
        "with the prefix 'team' sets resource tags and names no role that may. "
        "Give it a customRoleArn."
    )

    assert creation_on_push.create(replace(context, dialect=OCI), REGISTRY, NAME) is not None
    assert repositories.tags_of(context, REGISTRY, NAME) == {"team": "a"}
