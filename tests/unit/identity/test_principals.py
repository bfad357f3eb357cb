from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from longshore.access.policy.evaluation import decide
from longshore.access.policy.subjects import Kind as SubjectKind
from longshore.access.policy.subjects import Request
from longshore.errors import UnrecognizedClient
from longshore.identity import (
    access_keys,
    attachments,
    aws_managed_policies,
    bindings,
    boundaries,
    groups,
    inline_policies,
    managed_policies,
    policy_versions,
    principals,
    roles,
    users,
)
from longshore.identity.bindings import NoSuchPrincipal
from longshore.identity.errors import NoSuchEntity
from longshore.identity.kinds import Kind
from longshore.identity.session_tokens import Session
from longshore.metadata import schema
from longshore.metadata.database import Database
from longshore.registry.context import Context
from tests.support.identities import ACCOUNT
from tests.support.policies import allow, deny, trust
from tests.support.statements import tell_before_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from longshore.identity.access_keys import AccessKey
    from longshore.identity.principals import Principal

ADMIN = aws_managed_policies.ADMINISTRATOR_ACCESS
PULL = "ecr:BatchGetImage"


def may(principal: Principal, action: str = PULL, account: str = ACCOUNT) -> bool:
    request = Request(action, "*", account, {})
    return decide(principal.subject, principal.policies, [], request).allowed


@contextmanager
def statements(context: Context) -> Iterator[list[str]]:
    """Gather the statements that the database is asked."""
    asked: list[str] = []
    end = tell_before_each(context.database, asked.append)
    try:
        yield asked
    finally:
        end()


def role_session(context: Context, name: str = "deploy", **claims: object) -> Session:
    role = roles.get(context, ACCOUNT, name).identity
    now = context.clock()
    return Session(role.id, "ci", now, now, **claims)  # type: ignore[arg-type] # a table


def test_a_user_has_the_policies_of_its_own_and_of_its_groups(context: Context) -> None:
    user = users.create(context, ACCOUNT, "alice")
    groups.create(context, ACCOUNT, "staff")
    groups.add(context, ACCOUNT, "staff", "alice")
    managed = managed_policies.create(context, ACCOUNT, "pull", allow(PULL)).arn
    for kind, name in ((Kind.USER, "alice"), (Kind.GROUP, "staff")):
        inline_policies.put(context, ACCOUNT, kind, name, "own", document=allow("ecr:PutImage"))
        attachments.attach(context, ACCOUNT, kind, name, managed)
    attachments.attach(context, ACCOUNT, Kind.GROUP, "staff", ADMIN)
    boundaries.put(context, ACCOUNT, Kind.USER, "alice", managed)

    found = principals.of_user(context, user.id)

    assert (found.subject.kind, found.subject.arn) == (SubjectKind.USER, user.arn)
    assert (found.user_id, found.name, found.caller.arn) == (user.id, "alice", user.arn)
    assert [source.name for source in found.policies.identity] == [
        "the inline policy 'own' of the group 'staff'",
        "the inline policy 'own' of the user 'alice'",
        f"the managed policy {managed}",
        f"the managed policy {ADMIN}",
    ]
    assert found.policies.boundary is not None
    assert found.policies.boundary.name == f"the managed policy {managed}"
    assert found.policies.session is None
    assert (may(found), may(found, "ecr:PutImage")) == (True, False)


def test_every_change_counts_at_the_next_request_in_every_process(
    context: Context, key: AccessKey
) -> None:
    url = context.database.url.render_as_string(hide_password=False)
    elsewhere = Context(Database(url), context.blobs, context.server_key, clock=context.clock)
    groups.create(context, ACCOUNT, "staff")
    arn = managed_policies.create(context, ACCOUNT, "pull", allow(PULL)).arn
    policy_versions.create(context, ACCOUNT, arn, deny("*"), is_default=False)
    staff, alice = (Kind.GROUP, "staff"), (Kind.USER, "alice")
    changes: list[tuple[bool, Callable[[], object]]] = [
        (False, lambda: None),
        (True, lambda: attachments.attach(context, ACCOUNT, *alice, arn)),
        (False, lambda: policy_versions.set_default(context, ACCOUNT, arn, "v2")),
        (True, lambda: policy_versions.set_default(context, ACCOUNT, arn, "v1")),
        (False, lambda: attachments.detach(context, ACCOUNT, *alice, arn)),
        (False, lambda: attachments.attach(context, ACCOUNT, *staff, arn)),
        (True, lambda: groups.add(context, ACCOUNT, "staff", "alice")),
        (
            False,
            lambda: inline_policies.put(context, ACCOUNT, *staff, "no", document=deny("ecr:*")),
        ),
        (True, lambda: inline_policies.remove(context, ACCOUNT, *staff, "no")),
        (False, lambda: boundaries.put(context, ACCOUNT, *alice, _iam_only())),
        (True, lambda: boundaries.remove(context, ACCOUNT, *alice)),
        (False, lambda: groups.discard(context, ACCOUNT, "staff", "alice")),
    ]
    try:
        for allowed, change in changes:
            change()
            for each in (context, elsewhere):
                assert may(access_keys.find(each, key.id).principal) is allowed
        access_keys.remove(context, ACCOUNT, "alice", key.id)
        for each in (context, elsewhere):
            with pytest.raises(UnrecognizedClient):
                access_keys.find(each, key.id)
    finally:
        elsewhere.database.close()


def _iam_only() -> str:
    return "arn:aws:iam::aws:policy/IAMFullAccess"


def test_a_user_who_is_gone_is_nobody(context: Context) -> None:
    user = users.create(context, ACCOUNT, "bob")
    assert principals.of_user(context, user.id).name == "bob"
    users.remove(context, ACCOUNT, "bob")
    users.create(context, ACCOUNT, "bob")
    with pytest.raises(UnrecognizedClient):
        principals.of_user(context, user.id)


def test_a_hot_request_asks_sqlite_nothing_and_postgresql_twice(
    context: Context, key: AccessKey
) -> None:
    roles.create(context, ACCOUNT, "deploy", trust("*"), boundary=ADMIN)
    session = role_session(context, policy_arns=(ADMIN,))
    questions: list[Callable[[], object]] = [
        lambda: access_keys.find(context, key.id),
        lambda: principals.of_role_session(context, session),
    ]
    for question in questions:
        question()
        with statements(context) as asked:
            question()
        assert len(asked) == (0 if context.database.is_sqlite else 2)


def test_a_policy_is_compiled_once_however_often_the_database_changes(
    context: Context, key: AccessKey
) -> None:
    inline_policies.put(context, ACCOUNT, Kind.USER, "alice", "p", document=allow(PULL))
    [before] = access_keys.find(context, key.id).principal.policies.identity
    users.create(context, ACCOUNT, "bob")
    [after] = access_keys.find(context, key.id).principal.policies.identity
    assert after.policy is before.policy


def test_root_may_do_everything_in_its_account_alone() -> None:
    root = principals.of_root(ACCOUNT)
    assert root.subject.arn == f"arn:aws:iam::{ACCOUNT}:root"
    assert (may(root), may(root, account="999999999999")) == (True, False)


def test_the_operator_is_known_by_the_database_not_by_name(context: Context) -> None:
    user = users.create(context, ACCOUNT, "administrator")
    assert not may(principals.of_user(context, user.id))
    with context.database.write() as tx:
        tx.execute(update(schema.identities).values(is_operator=True))
    users.rename(context, ACCOUNT, "administrator", new_name="somebody")
    found = principals.of_user(context, user.id)
    assert found.subject.is_operator
    assert may(found, account="999999999999")


def test_a_session_of_a_role_is_narrowed_and_has_tags_of_both(context: Context) -> None:
    role = roles.create(
        context, ACCOUNT, "deploy", trust("*"), path="/a/", tags=[("team", "a"), ("cost", "1")]
    )
    attachments.attach(context, ACCOUNT, Kind.ROLE, "deploy", ADMIN)
    found = principals.of_role_session(context, role_session(context, tags={"TEAM": "b"}))
    assert found.subject.kind is SubjectKind.ROLE
    assert found.subject.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/ci"
    assert found.subject.role_arn == role.identity.arn
    assert (found.user_id, found.name) == (f"{role.identity.id}:ci", "")
    assert (found.session_name, found.issued_at) == ("ci", context.clock())
    assert found.tags == {"TEAM": "b", "cost": "1"}
    assert may(found)

    pull_only = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"
    custom = managed_policies.create(context, ACCOUNT, "put", allow("ecr:PutImage")).arn
    for claims, allowed in (
        ({"policies": (allow("ecr:PutImage"),)}, {"ecr:PutImage"}),
        ({"policy_arns": (pull_only,)}, {PULL}),
        ({"policy_arns": (pull_only, custom)}, {PULL, "ecr:PutImage"}),
        ({"policies": (allow("iam:*"),), "policy_arns": (custom,)}, {"ecr:PutImage"}),
        ({"policies": (deny("ecr:PutImage"), allow("ecr:*"))}, {PULL}),
    ):
        narrowed = principals.of_role_session(context, role_session(context, **claims))
        assert {each for each in (PULL, "ecr:PutImage") if may(narrowed, each)} == allowed
    # What is gone allows nothing more, and nothing else comes in its place.
    managed_policies.remove(context, ACCOUNT, custom)
    narrowed = principals.of_role_session(context, role_session(context, policy_arns=(custom,)))
    assert narrowed.policies.session == ()
    assert not may(narrowed)


def test_a_role_that_was_made_again_is_another_one(context: Context) -> None:
    roles.create(context, ACCOUNT, "deploy", trust("*"))
    session = role_session(context)
    principals.of_role_session(context, session)
    roles.remove(context, ACCOUNT, "deploy")
    with pytest.raises(UnrecognizedClient):
        principals.of_role_session(context, session)
    roles.create(context, ACCOUNT, "deploy", trust("*"))
    with pytest.raises(UnrecognizedClient):
        principals.of_role_session(context, session)


def is_known(context: Context, text: str) -> bool:
    try:
        bindings.find(context, [text])
    except NoSuchPrincipal:
        return False
    return True


def test_an_arn_is_bound_to_who_has_it(context: Context) -> None:
    ann = users.create(context, ACCOUNT, "ann", path="/x/")
    deploy = roles.create(context, ACCOUNT, "deploy", trust("*")).identity
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/ci"
    named = [ann.arn, deploy.arn, session, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", "*"]
    assert bindings.find(context, named) == {
        ann.arn: ann.id,
        deploy.arn: deploy.id,
        session: deploy.id,
    }
    assert principals.of_arn(context, session).subject.unique_id == deploy.id
    assert principals.of_user(context, ann.id).subject.unique_id == ann.id


def test_principals_are_found_by_their_arns(context: Context) -> None:
    users.create(context, ACCOUNT, "ann", path="/x/")
    roles.create(context, ACCOUNT, "deploy", trust("*"))
    groups.create(context, ACCOUNT, "staff")
    iam = f"arn:aws:iam::{ACCOUNT}"
    for arn in (
        *(f"{iam}:root", f"{iam}:user/x/ann", f"{iam}:role/deploy", f"{iam}:group/staff"),
        f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/ci",
    ):
        assert principals.of_arn(context, arn).subject.arn == arn
        assert is_known(context, arn) is not arn.startswith(f"{iam}:group")
    for arn in (
        *("", "*", ACCOUNT, f"{iam}:user/ann", f"{iam}:user/x/bob", f"{iam}:role/x/deploy"),
        f"arn:aws:sts::{ACCOUNT}:assumed-role/other/ci",
        f"{iam}:user/x/ann\n",
    ):
        with pytest.raises(NoSuchEntity):
            principals.of_arn(context, arn)
    for text, there in (
        ("*", True),
        ("123456789012", True),
        ("12345", False),
        ("ecr.amazonaws.com", True),
        ("example.com", False),
        (f"{iam}:user/ann", False),
        ("", False),
    ):
        assert is_known(context, text) is there


def test_whose_identity_a_principal_has(context: Context) -> None:
    user = users.create(context, ACCOUNT, "alice", path="/staff/")
    role = roles.create(context, ACCOUNT, "deploy", trust(ACCOUNT), path="/ci/").identity
    session = principals.of_role_session(context, role_session(context))

    assert principals.of_user(context, user.id).identity_arn == user.arn
    assert session.identity_arn == role.arn == f"arn:aws:iam::{ACCOUNT}:role/ci/deploy"
    assert principals.of_root(ACCOUNT).identity_arn == ""
    assert principals.ANONYMOUS.identity_arn == ""


def test_nobody_is_anonymous() -> None:
    assert not may(principals.ANONYMOUS)
    assert (principals.ANONYMOUS.user_id, principals.ANONYMOUS.subject.account) == ("", "")
