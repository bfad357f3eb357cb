from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from longshore.identity import groups, users
from longshore.identity.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    NoSuchEntity,
    QuotaExceeded,
)
from tests.support.identities import ACCOUNT

if TYPE_CHECKING:
    from longshore.registry.context import Context


def test_a_group_is_made_found_and_listed(context: Context) -> None:
    made = groups.create(context, ACCOUNT, "Staff", path="/a/")
    assert re.fullmatch(r"AGPA[A-Z2-7]{17}", made.id)
    assert made.arn == f"arn:aws:iam::{ACCOUNT}:group/a/Staff"
    found = groups.get(context, ACCOUNT, "Staff")
    assert (found.group, found.users.items) == (made, ())
    assert groups.list_all(context, ACCOUNT).items == (made,)
    assert groups.list_all(context, ACCOUNT, path_prefix="/b/").items == ()
    with pytest.raises(EntityAlreadyExists, match="Group with name STAFF already exists"):
        groups.create(context, ACCOUNT, "STAFF")


def test_members_come_and_go_and_hold_their_group(context: Context) -> None:
    group = groups.create(context, ACCOUNT, "staff")
    made = [users.create(context, ACCOUNT, name) for name in ("carl", "ann", "Bob")]
    for user in made * 2:
        groups.add(context, ACCOUNT, "staff", user.name)
    first = groups.get(context, ACCOUNT, "staff", limit=2).users
    rest = groups.get(context, ACCOUNT, "staff", limit=2, after=first.next).users
    assert [user.name for user in (*first.items, *rest.items)] == ["ann", "Bob", "carl"]
    assert rest.next is None
    assert groups.list_of_user(context, ACCOUNT, "ann").items == (group,)

    with pytest.raises(DeleteConflict) as refusal:
        groups.remove(context, ACCOUNT, "staff")
    assert refusal.value.message == "Cannot delete entity, must remove users from group first."
    for user in made * 2:
        groups.discard(context, ACCOUNT, "staff", user.name)
    assert groups.list_of_user(context, ACCOUNT, "ann").items == ()
    groups.remove(context, ACCOUNT, "staff")
    with pytest.raises(NoSuchEntity, match="The group with name staff cannot be found"):
        groups.get(context, ACCOUNT, "staff")


def test_a_renamed_group_keeps_its_members(context: Context) -> None:
    groups.create(context, ACCOUNT, "staff")
    user = users.create(context, ACCOUNT, "ann")
    groups.add(context, ACCOUNT, "staff", "ann")
    groups.rename(context, ACCOUNT, "staff", new_name="crew", new_path="/x/")
    assert groups.get(context, ACCOUNT, "crew").users.items == (user,)


def test_whoever_does_not_exist_is_named(context: Context) -> None:
    groups.create(context, ACCOUNT, "staff")
    users.create(context, ACCOUNT, "ann")
    for change in (groups.add, groups.discard):
        with pytest.raises(NoSuchEntity, match="The user with name bob cannot be found"):
            change(context, ACCOUNT, "staff", "bob")
        with pytest.raises(NoSuchEntity, match="The group with name crew cannot be found"):
            change(context, ACCOUNT, "crew", "ann")
        with pytest.raises(NoSuchEntity):
            change(context, "999999999999", "staff", "ann")


def test_a_user_is_in_ten_groups_at_most(context: Context) -> None:
    users.create(context, ACCOUNT, "ann")
    for number in range(11):
        groups.create(context, ACCOUNT, f"g{number}")
    for number in range(10):
        groups.add(context, ACCOUNT, f"g{number}", "ann")
    with pytest.raises(QuotaExceeded, match="Cannot exceed quota for GroupsPerUser: 10"):
        groups.add(context, ACCOUNT, "g10", "ann")
    groups.add(context, ACCOUNT, "g9", "ann")
    assert len(groups.list_of_user(context, ACCOUNT, "ann").items) == 10
