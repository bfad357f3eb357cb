"""Policies of resources are about those whom they named, and not about who has their ARN later."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from longshore.errors import AccessDenied
from longshore.identity import (
    authorization,
    principals,
    resource_policies,
    roles,
    sessions,
    users,
)
from longshore.identity.authorization import Need, Surroundings
from longshore.identity.sessions import Wish
from longshore.metadata import schema
from longshore.registry import registry_policies
from tests.support.policies import trust
from tests.support.pushing import ACCOUNT, REGISTRY, REPOSITORY, create_repository

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.access.policy.explanation import Explanation
    from longshore.identity.identities import Identity
    from longshore.registry.context import Context

PULL = "ecr:BatchGetImage"
HERE = Surroundings(region=REGISTRY.region)
ROLE = f"arn:aws:iam::{ACCOUNT}:role/deploy"


def by_renaming(context: Context) -> Identity:
    """Let another user take the name of the boss, who goes on under another one."""
    mallory = users.create(context, ACCOUNT, "mallory")
    users.rename(context, ACCOUNT, "boss", new_name="boss-once")
    users.rename(context, ACCOUNT, "mallory", new_name="boss")
    return mallory


def by_making_anew(context: Context) -> Identity:
    """Delete the boss, and make another user of the name."""
    users.remove(context, ACCOUNT, "boss")
    return users.create(context, ACCOUNT, "boss")


def text(effect: str, arn: str, **elements: Any) -> str:
    statement = {"Effect": effect, "Principal": {"AWS": arn}, "Action": PULL, **elements}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


def explanation(context: Context, user: Identity) -> Explanation:
    """Explain whether a user may pull."""
    principal = principals.of_user(context, user.id)
    need = Need.on(REGISTRY, REPOSITORY, PULL)
    found = authorization.explain(context, principal, need, HERE)
    assert authorization.allows(context, principal, need, HERE) is found.decision.allowed
    return found


def decision(context: Context, user: Identity) -> str:
    """Return whether a user may pull, in the words of the explanation."""
    return explanation(context, user).decision.reason.outcome.value


def may_assume(context: Context, user: Identity) -> bool:
    principal = principals.of_user(context, user.id)
    try:
        sessions.assume_role(context, principal, Wish(ROLE, "ci"), {})
    except AccessDenied:
        return False
    return True


@pytest.fixture
def boss(context: Context) -> Identity:
    create_repository(context)
    return users.create(context, ACCOUNT, "boss")


@pytest.mark.parametrize("take", [by_renaming, by_making_anew])
def test_a_taken_name_takes_no_rights_along(
    context: Context, boss: Identity, take: Callable[[Context], Identity]
) -> None:
    on_repository = partial(
        resource_policies.set_on_repository,
        context,
        REGISTRY,
        REPOSITORY,
        principal=principals.of_root(ACCOUNT),
        surroundings=HERE,
        force=True,
    )
    roles.create(context, ACCOUNT, "deploy", trust(boss.arn))
    on_repository(text("Allow", boss.arn))
    assert (decision(context, boss), may_assume(context, boss)) == ("allowed", True)

    taker = take(context)
    assert principals.of_user(context, taker.id).subject.arn == boss.arn
    assert (decision(context, taker), may_assume(context, taker)) == ("implicitDeny", False)
    told = explanation(context, taker).as_text()
    assert f"Principal doesn't cover {boss.arn}: {boss.arn} was somebody else when" in told
    resource_policies.put_on_registry(context, REGISTRY, text("Allow", ACCOUNT, Resource="*"))
    assert decision(context, taker) == "implicitDeny"

    # Set again, it is about who has the name now.
    on_repository(text("Allow", boss.arn))
    roles.put_trust_policy(context, ACCOUNT, "deploy", trust(boss.arn))
    assert (decision(context, taker), may_assume(context, taker)) == ("allowed", True)
    resource_policies.put_on_registry(context, REGISTRY, text("Deny", boss.arn, Resource="*"))
    assert decision(context, taker) == "explicitDeny"


def test_what_was_set_on_the_registry_is_about_who_was_named(
    context: Context, boss: Identity
) -> None:
    for effect, outcome in (("Allow", "allowed"), ("Deny", "explicitDeny")):
        resource_policies.put_on_registry(context, REGISTRY, text(effect, boss.arn, Resource="*"))
        assert decision(context, boss) == outcome
    users.rename(context, ACCOUNT, "boss", new_path="/elsewhere/")
    assert decision(context, boss) == "implicitDeny"
    users.rename(context, ACCOUNT, "boss", new_path="/")
    assert decision(context, boss) == "explicitDeny"
    by_renaming(context)
    for user in (users.get(context, ACCOUNT, name) for name in ("boss", "boss-once")):
        assert decision(context, user) == "implicitDeny"


@pytest.mark.parametrize("take", [by_renaming, by_making_anew])
def test_whoever_lost_the_arn_is_shown_by_id(
    context: Context, boss: Identity, take: Callable[[Context], Identity]
) -> None:
    roles.create(context, ACCOUNT, "other", trust(ACCOUNT))
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/ci"
    resource_policies.put_on_registry(context, REGISTRY, text("Allow", boss.arn, Resource="*"))
    role = roles.create(
        context,
        ACCOUNT,
        "deploy",
        trust(boss.arn, ACCOUNT, Condition={"ArnEquals": {"aws:PrincipalArn": [boss.arn]}}),
    ).identity
    named = [boss.arn, role.arn, session, ACCOUNT]
    resource_policies.set_on_repository(
        context,
        REGISTRY,
        REPOSITORY,
        text("Deny", "x").replace('"x"', json.dumps(named)).replace("Principal", "NotPrincipal"),
        principal=principals.of_root(ACCOUNT),
        surroundings=HERE,
        force=True,
    )

    def shown() -> tuple[list[str], str, list[dict[str, Any]]]:
        on_repository = resource_policies.of_repository(context, REGISTRY, REPOSITORY)
        on_registry = resource_policies.of_registry(context, REGISTRY)
        return (
            json.loads(on_repository)["Statement"]["NotPrincipal"]["AWS"],
            json.loads(on_registry)["Statement"]["Principal"]["AWS"],
            json.loads(roles.describe(context, ACCOUNT, "deploy").trust_policy)["Statement"],
        )

    before = shown()
    [trusted] = before[2]
    assert before[:2] == (named, boss.arn)

    take(context)
    assert shown() == (
        [boss.id, *named[1:]],
        boss.id,
        [{**trusted, "Principal": {"AWS": [boss.id, ACCOUNT]}}],
    )
    listed = roles.list_all(context, ACCOUNT).items
    assert listed == tuple(roles.describe(context, ACCOUNT, name) for name in ("deploy", "other"))

    roles.remove(context, ACCOUNT, "deploy")
    on_repository = json.loads(resource_policies.of_repository(context, REGISTRY, REPOSITORY))
    assert on_repository["Statement"]["NotPrincipal"]["AWS"] == [
        boss.id,
        role.id,
        f"{role.id}:ci",
        ACCOUNT,
    ]


def test_whoever_gets_the_arn_back_is_shown_by_it(context: Context, boss: Identity) -> None:
    resource_policies.put_on_registry(context, REGISTRY, text("Allow", boss.arn, Resource="*"))
    before = resource_policies.of_registry(context, REGISTRY)
    users.rename(context, ACCOUNT, "boss", new_path="/elsewhere/")
    assert resource_policies.of_registry(context, REGISTRY) == before.replace(boss.arn, boss.id)
    users.rename(context, ACCOUNT, "boss", new_path="/")
    assert resource_policies.of_registry(context, REGISTRY) == before


def test_a_policy_of_before_is_about_whoever_has_the_arn(context: Context, boss: Identity) -> None:
    resource_policies.put_on_registry(context, REGISTRY, text("Allow", boss.arn, Resource="*"))
    with context.database.write() as tx:
        tx.execute(update(schema.registry_policies).values(bindings=None))
    assert decision(context, by_making_anew(context)) == "allowed"
    registry_policies.remove(context, REGISTRY)
