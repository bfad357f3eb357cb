from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from longshore.clock import DAY
from longshore.errors import ExpiredToken, UnrecognizedClient
from longshore.identity import (
    attachments,
    authorization,
    aws_managed_policies,
    groups,
    inline_policies,
    registry_tokens,
    robot_tokens,
    users,
)
from longshore.identity.authorization import Need, Surroundings
from longshore.identity.errors import (
    DeleteConflict,
    InvalidInput,
    MalformedPolicyDocument,
    NoSuchEntity,
    QuotaExceeded,
    ValidationError,
)
from longshore.identity.kinds import Kind
from longshore.metadata import schema
from longshore.registry import repositories
from tests.support.policies import allow, deny
from tests.support.pushing import ACCOUNT, REGISTRY, create_repository

if TYPE_CHECKING:
    from longshore.identity.principals import Principal
    from longshore.identity.robot_tokens import RobotToken
    from longshore.registry.context import Context
    from tests.support.clock import FakeClock

OTHER = "999999999999"
SURROUNDINGS = Surroundings(REGISTRY.region)
PULLING, PUSHING = "ecr:BatchGetImage", "ecr:PutImage"


@pytest.fixture(autouse=True)
def _user(context: Context) -> None:
    """The robot's user, who may do everything in the account."""
    users.create(context, ACCOUNT, "robot")
    attachments.attach(
        context, ACCOUNT, Kind.USER, "robot", aws_managed_policies.ADMINISTRATOR_ACCESS
    )


def make(context: Context, scope: str | None = None, **more: int) -> tuple[RobotToken, str]:
    scope = robot_tokens.scope_of(ACCOUNT, pull=["team/*"]) if scope is None else scope
    return robot_tokens.create(context, ACCOUNT, "robot", scope, **more)  # type: ignore[arg-type]


def authenticated(context: Context, password: str, user: str = "AWS") -> Principal:
    return registry_tokens.authenticate(context, password, REGISTRY, user)


def may(context: Context, principal: Principal, action: str, repository: str) -> bool:
    need = Need.on(REGISTRY, repository, action)
    return authorization.allows(context, principal, need, SURROUNDINGS)


def test_a_password_is_known_by_its_looks_and_shown_once(context: Context) -> None:
    token, password = make(context)
    assert re.fullmatch(r"lsr_LSRT[A-Z2-7]{17}_[A-Za-z0-9]{43}", password)
    assert token.id in password
    assert make(context)[1] != password
    secret = password.rpartition("_")[2]
    with context.database.read() as tx:
        rows = tx.execute(select(schema.registry_credentials)).all()
    assert secret not in repr(rows)
    assert secret not in repr(robot_tokens.list_all(context, ACCOUNT))


def test_it_stands_for_its_user_under_either_name(context: Context) -> None:
    _, password = make(context)
    for name in ("AWS", "robot"):
        principal = authenticated(context, password, name)
        assert principal.subject.arn == f"arn:aws:iam::{ACCOUNT}:user/robot"
        assert principal.issued_at is None
    for name in ("", "aws", "Robot", "root", "robot "):
        with pytest.raises(UnrecognizedClient):
            authenticated(context, password, name)


def test_the_twelve_hour_kind_still_works_for_aws_alone(context: Context) -> None:
    for name in ("AWS", "robot"):
        with pytest.raises(UnrecognizedClient):
            authenticated(context, "not a password", name)


def test_it_is_good_for_its_scope_alone(context: Context) -> None:
    pulls, pushes = robot_tokens.scope_of(ACCOUNT, ["team/*"], ["team/app"]), allow(PULLING)
    principal = authenticated(context, make(context, pulls)[1])
    assert may(context, principal, PULLING, "team/other")
    assert may(context, principal, PUSHING, "team/app")
    assert may(context, principal, PULLING, "team/app")
    assert not may(context, principal, PUSHING, "team/other")
    assert not may(context, principal, PULLING, "others/app")
    assert not may(context, principal, "ecr:DeleteRepository", "team/app")
    everywhere = authenticated(context, make(context, pushes)[1])
    assert may(context, everywhere, PULLING, "others/app")
    assert not may(context, everywhere, PUSHING, "others/app")


def test_its_scope_is_worth_no_more_than_the_user_s_own_policies(context: Context) -> None:
    principal = authenticated(context, make(context, allow("*"))[1])
    assert may(context, principal, PUSHING, "team/app")
    inline_policies.put(context, ACCOUNT, Kind.USER, "robot", "no", document=deny(PUSHING))
    assert not may(context, authenticated(context, make(context, allow("*"))[1]), PUSHING, "a/b")
    attachments.detach(
        context, ACCOUNT, Kind.USER, "robot", aws_managed_policies.ADMINISTRATOR_ACCESS
    )
    principal = authenticated(context, make(context, allow("*"))[1])
    assert not may(context, principal, PULLING, "team/app")


def test_neither_a_repository_policy_nor_being_the_administrator_widens_it(
    context: Context,
) -> None:
    create_repository(context, "others/app")
    with context.database.write() as tx:
        repository = repositories.find(tx, REGISTRY, "others/app")
        document = f"""{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow",
            "Principal": {{"AWS": "arn:aws:iam::{ACCOUNT}:user/robot"}}, "Action": "ecr:*"}}]}}"""
        tx.execute(
            schema.repository_policies.insert().values(
                repository_id=repository.id, document=document
            )
        )
        tx.execute(update(schema.identities).values(is_operator=True))
    principal = authenticated(context, make(context)[1])
    assert principal.subject.is_operator
    assert not may(context, principal, PULLING, "others/app")
    assert may(context, principal, PULLING, "team/app")


def test_a_group_of_the_user_s_counts(context: Context) -> None:
    token = make(context)[1]
    groups.create(context, ACCOUNT, "g")
    groups.add(context, ACCOUNT, "g", "robot")
    inline_policies.put(context, ACCOUNT, Kind.GROUP, "g", "no", document=deny("*"))
    assert not may(context, authenticated(context, token), PULLING, "team/app")


def test_a_revoked_token_is_good_for_nothing_at_once(context: Context) -> None:
    token, password = make(context)
    authenticated(context, password)
    with pytest.raises(NoSuchEntity, match=token.id):
        robot_tokens.revoke(context, OTHER, token.id)
    authenticated(context, password)
    robot_tokens.revoke(context, ACCOUNT, token.id)
    with pytest.raises(UnrecognizedClient):
        authenticated(context, password)
    with pytest.raises(NoSuchEntity):
        robot_tokens.revoke(context, ACCOUNT, token.id)


def test_a_token_lasts_as_long_as_it_is_let(context: Context, clock: FakeClock) -> None:
    _, password = make(context, lifetime=90 * DAY)
    _, forever = make(context)
    clock.advance(90 * DAY - 1)
    authenticated(context, password)
    clock.advance(1)
    with pytest.raises(ExpiredToken):
        authenticated(context, password)
    clock.advance(10_000 * DAY)
    authenticated(context, forever)


def test_who_guesses_learns_nothing(context: Context, clock: FakeClock) -> None:
    token, password = make(context, lifetime=DAY)
    other = make(context)[1]
    clock.advance(DAY)
    secret = password.rpartition("_")[2]
    wrong = [
        "lsr_",
        f"lsr_{token.id}_",
        f"lsr_{token.id}_{'A' * 43}",
        f"lsr_{token.id}_{secret}\n",
        f"lsr_{token.id}_{secret.swapcase()}",
        f"lsr_LSRT{'A' * 17}_{secret}",
        f"lsr_{token.id.lower()}_{secret}",
        password[:-1],
        password + "A",
        f"lsr_{token.id}_{other.rpartition('_')[2]}",
    ]
    messages = set()
    for guess in wrong:
        with pytest.raises(UnrecognizedClient) as refusal:
            authenticated(context, guess)
        messages.add(str(refusal.value))
    assert len(messages) == 1


@given(rest=st.text(max_size=90))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_no_text_gets_in_by_accident(context: Context, rest: str) -> None:
    with pytest.raises(UnrecognizedClient):
        authenticated(context, "lsr_" + rest)


def test_tokens_are_listed_and_counted(context: Context, clock: FakeClock) -> None:
    users.create(context, ACCOUNT, "other")
    users.create(context, OTHER, "robot")
    first = robot_tokens.create(context, ACCOUNT, "robot", allow("*"), description="CI of team")[0]
    clock.advance(1)
    second = robot_tokens.create(context, ACCOUNT, "other", allow("*"))[0]
    robot_tokens.create(context, OTHER, "robot", allow("*"))
    assert robot_tokens.list_all(context, ACCOUNT) == [first, second]
    assert robot_tokens.list_all(context, ACCOUNT, "other") == [second]
    assert (first.user, first.description, first.expires_at) == ("robot", "CI of team", None)
    with pytest.raises(NoSuchEntity):
        robot_tokens.list_all(context, ACCOUNT, "nobody")
    for _ in range(99):
        make(context)
    with pytest.raises(QuotaExceeded, match="RobotTokensPerUser: 100"):
        make(context)


def test_a_user_with_tokens_stays(context: Context) -> None:
    token, _ = robot_tokens.create(context, ACCOUNT, "robot", allow("*"))
    attachments.detach(
        context, ACCOUNT, Kind.USER, "robot", aws_managed_policies.ADMINISTRATOR_ACCESS
    )
    with pytest.raises(DeleteConflict, match="registry credentials"):
        users.remove(context, ACCOUNT, "robot")
    robot_tokens.revoke(context, ACCOUNT, token.id)
    users.remove(context, ACCOUNT, "robot")


def test_what_makes_no_token_is_refused(context: Context) -> None:
    with pytest.raises(NoSuchEntity):
        robot_tokens.create(context, ACCOUNT, "nobody", allow("*"))
    with pytest.raises(MalformedPolicyDocument):
        make(context, "{}")
    with pytest.raises(MalformedPolicyDocument):
        make(context, robot_tokens.scope_of(ACCOUNT))
    with pytest.raises(QuotaExceeded):
        make(context, allow(*(f"ecr:Action{number}" for number in range(500))))
    with pytest.raises(InvalidInput):
        make(context, lifetime=0)
    with pytest.raises(ValidationError):
        robot_tokens.create(context, ACCOUNT, "robot", allow("*"), description="\0")
    for pattern in ("", "Team/app", "a b", "${aws:username}", "a" * 257, "arn:aws:ecr:::x", 'a"'):
        with pytest.raises(InvalidInput, match="can't be the name of a repository"):
            robot_tokens.scope_of(ACCOUNT, push=[pattern])
    assert robot_tokens.list_all(context, ACCOUNT) == []


# PostgreSQL tells no generation, under which something could be remembered.
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_it_is_remembered_until_something_changes(context: Context) -> None:
    token, password = make(context)
    quick = context.without_waiting()
    known = quick.run(lambda store: authenticated(store, password))
    assert authenticated(context, password) is known
    with pytest.raises(UnrecognizedClient):
        quick.run(lambda store: authenticated(store, f"lsr_{token.id}_{'A' * 43}"))
    robot_tokens.revoke(context, ACCOUNT, token.id)
    with pytest.raises(UnrecognizedClient):
        quick.run(lambda store: authenticated(store, password))
