from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from longshore.identity import (
    attachments,
    aws_managed_policies,
    boundaries,
    groups,
    managed_policies,
    roles,
    users,
)
from longshore.identity.attachments import Usage
from longshore.identity.errors import InvalidInput, NoSuchEntity, QuotaExceeded
from longshore.identity.kinds import Kind
from tests.support.identities import ACCOUNT
from tests.support.policies import allow, trust
from tests.support.threads import at_once, outcome

if TYPE_CHECKING:
    from longshore.registry.context import Context

ADMIN = aws_managed_policies.ADMINISTRATOR_ACCESS
ARN = f"arn:aws:iam::{ACCOUNT}:policy/x/pull"


@pytest.fixture
def somebody(context: Context) -> None:
    """One of each kind, called `x`, and a policy."""
    users.create(context, ACCOUNT, "x")
    groups.create(context, ACCOUNT, "x")
    roles.create(context, ACCOUNT, "x", trust("*"), path="/r/")
    managed_policies.create(context, ACCOUNT, "pull", allow("ecr:*"), path="/x/")


@pytest.mark.usefixtures("somebody")
def test_policies_are_attached_listed_and_detached(context: Context) -> None:
    for kind in Kind:
        for arn in (ARN, ADMIN, ARN):
            attachments.attach(context, ACCOUNT, kind, "x", arn)
        first = attachments.list_all(context, ACCOUNT, kind, "x", limit=1)
        rest = attachments.list_all(context, ACCOUNT, kind, "x", after=first.next)
        assert [(each.name, each.arn, each.path) for each in (*first.items, *rest.items)] == [
            ("AdministratorAccess", ADMIN, "/"),
            ("pull", ARN, "/x/"),
        ]
        below = attachments.list_all(context, ACCOUNT, kind, "x", path_prefix="/x/")
        assert [each.name for each in below.items] == ["pull"]
        attachments.detach(context, ACCOUNT, kind, "x", ADMIN)
        with pytest.raises(NoSuchEntity, match=f"Policy {ADMIN} was not found"):
            attachments.detach(context, ACCOUNT, kind, "x", ADMIN)
        with pytest.raises(NoSuchEntity, match="with name y cannot be found"):
            attachments.attach(context, ACCOUNT, kind, "y", ARN)


@pytest.mark.usefixtures("somebody")
def test_what_is_no_policy_for_this_account_cannot_be_attached(context: Context) -> None:
    theirs = managed_policies.create(context, "999999999999", "pull", allow("ecr:*")).arn
    for arn in (f"{ARN}x", theirs, "arn:aws:iam::aws:policy/None"):
        for change in (attachments.attach, boundaries.put):
            with pytest.raises(NoSuchEntity) as refusal:
                change(context, ACCOUNT, Kind.USER, "x", arn)
            assert refusal.value.message == f"Policy {arn} does not exist or is not attachable."
        with pytest.raises(NoSuchEntity):
            users.create(context, ACCOUNT, "y", boundary=arn)
    for arn in ("", "pull", f"arn:aws:iam::{ACCOUNT}:role/r/x"):
        with pytest.raises(InvalidInput) as invalid:
            attachments.attach(context, ACCOUNT, Kind.USER, "x", arn)
        assert invalid.value.message == f"ARN {arn} is not valid."


@pytest.mark.usefixtures("somebody")
def test_ten_policies_may_be_attached(context: Context) -> None:
    arns = [
        managed_policies.create(context, ACCOUNT, f"p{number}", allow("ecr:*")).arn
        for number in range(11)
    ]
    for kind in Kind:
        for arn in arns[:10]:
            attachments.attach(context, ACCOUNT, kind, "x", arn)
        with pytest.raises(QuotaExceeded) as refusal:
            attachments.attach(context, ACCOUNT, kind, "x", arns[10])
        assert refusal.value.message == f"Cannot exceed quota for PoliciesPer{kind.title}: 10"
        attachments.attach(context, ACCOUNT, kind, "x", arns[0])


@pytest.mark.usefixtures("somebody")
def test_those_who_have_a_policy_are_listed(context: Context) -> None:
    for kind in Kind:
        attachments.attach(context, ACCOUNT, kind, "x", ARN)
        attachments.attach(context, ACCOUNT, kind, "x", ADMIN)
    users.create(context, ACCOUNT, "bounded", boundary=ARN)
    users.create(context, "999999999999", "x")
    attachments.attach(context, "999999999999", Kind.USER, "x", ADMIN)

    def listed(arn: str, **asked: object) -> set[tuple[str, str]]:
        found = attachments.list_entities(context, ACCOUNT, arn, **asked)  # type: ignore[arg-type] # a table
        return {(each.kind.value, each.name) for each in found.items}

    everybody = {(kind.value, "x") for kind in Kind}
    assert listed(ADMIN) == everybody
    assert listed(ARN) == everybody | {("user", "bounded")}
    assert listed(ARN, usage=Usage.PERMISSIONS) == everybody
    assert listed(ARN, usage=Usage.BOUNDARY) == {("user", "bounded")}
    assert listed(ARN, kind=Kind.USER) == {("user", "x"), ("user", "bounded")}
    assert listed(ARN, path_prefix="/r/") == {("role", "x")}
    first = attachments.list_entities(context, ACCOUNT, ARN, limit=3)
    seen = {(each.kind.value, each.name) for each in first.items}
    assert listed(ARN, after=first.next) == (everybody | {("user", "bounded")}) - seen


@pytest.mark.usefixtures("somebody")
def test_nobody_has_a_policy_that_was_deleted_at_the_same_moment(context: Context) -> None:
    for number in range(5):
        arn = managed_policies.create(context, ACCOUNT, f"p{number}", allow("ecr:*")).arn
        outcomes = at_once(
            [
                outcome(partial(attachments.attach, context, ACCOUNT, Kind.USER, "x", arn)),
                outcome(partial(boundaries.put, context, ACCOUNT, Kind.ROLE, "x", arn)),
                outcome(partial(managed_policies.remove, context, ACCOUNT, arn)),
            ]
        )
        attached = attachments.list_all(context, ACCOUNT, Kind.USER, "x").items
        had = {each.arn for each in attached} | {roles.get(context, ACCOUNT, "x").identity.boundary}
        there = {each.arn for each in managed_policies.list_all(context, ACCOUNT).items}
        assert (arn in had) is (arn in there), outcomes


@pytest.mark.usefixtures("somebody")
def test_boundaries_are_put_and_removed(context: Context) -> None:
    for arn in (ARN, ADMIN, None, None):
        if arn is None:
            boundaries.remove(context, ACCOUNT, Kind.ROLE, "x")
        else:
            boundaries.put(context, ACCOUNT, Kind.ROLE, "x", arn)
        assert roles.get(context, ACCOUNT, "x").identity.boundary == arn
    with pytest.raises(NoSuchEntity):
        boundaries.put(context, ACCOUNT, Kind.ROLE, "y", ARN)
