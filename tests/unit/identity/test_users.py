from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, update

from longshore.identity import (
    access_keys,
    attachments,
    aws_managed_policies,
    groups,
    inline_policies,
    roles,
    users,
)
from longshore.identity.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    InvalidInput,
    NoSuchEntity,
    QuotaExceeded,
    UnmodifiableEntity,
    ValidationError,
)
from longshore.identity.identities import tag, untag
from longshore.identity.kinds import Kind
from longshore.metadata import schema
from tests.support.identities import ACCOUNT
from tests.support.policies import allow, trust

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.registry.context import Context

OTHER = "999999999999"


def test_a_user_is_made_found_and_listed(context: Context) -> None:
    made = users.create(context, ACCOUNT, "Bob", path="/team/a/", tags=[("Cost", "1")])
    assert re.fullmatch(r"AIDA[A-Z2-7]{17}", made.id)
    assert made.arn == f"arn:aws:iam::{ACCOUNT}:user/team/a/Bob"
    assert (made.created_at, made.tags) == (context.clock(), {"Cost": "1"})
    assert not made.is_operator
    assert users.get(context, ACCOUNT, "Bob") == made
    assert users.list_all(context, ACCOUNT).items == (made,)
    assert users.list_all(context, OTHER).items == ()


def test_a_name_is_taken_whatever_its_case_and_path_but_in_its_account_and_kind_alone(
    context: Context,
) -> None:
    users.create(context, ACCOUNT, "Bob")
    for name, path in (("Bob", "/"), ("BOB", "/"), ("bob", "/elsewhere/")):
        with pytest.raises(EntityAlreadyExists) as refusal:
            users.create(context, ACCOUNT, name, path=path)
        assert refusal.value.message == f"User with name {name} already exists."
    users.create(context, OTHER, "bob")
    groups.create(context, ACCOUNT, "bob")
    roles.create(context, ACCOUNT, "bob", trust(ACCOUNT))


def test_a_user_is_found_under_the_name_in_its_case_alone(context: Context) -> None:
    # Policies tell "Bob" from "bob", and so must what they allow.
    users.create(context, ACCOUNT, "Bob")
    with pytest.raises(NoSuchEntity) as refusal:
        users.get(context, ACCOUNT, "bob")
    assert refusal.value.message == "The user with name bob cannot be found."


def test_names_and_paths_are_those_of_iam(context: Context) -> None:
    sentence = (
        "The specified value for userName is invalid. It must contain only alphanumeric "
        "characters and/or the following: +=,.@_-"
    )
    for name, message in (
        ("a b", sentence),
        ("é", sentence),
        ("a/b", sentence),
        ("a\n", sentence),
        (
            "",
            (
                "1 validation error detected: Value '' at 'userName' failed to satisfy constraint: "
                "Member must have length greater than or equal to 1"
            ),
        ),
        (
            "a" * 65,
            (
                f"1 validation error detected: Value '{'a' * 65}' at 'userName' failed to satisfy "
                "constraint: Member must have length less than or equal to 64"
            ),
        ),
    ):
        with pytest.raises(ValidationError) as refusal:
            users.create(context, ACCOUNT, name)
        assert refusal.value.message == message
    for path in ("", "a", "/a", "a/", "/a b/", "/é/", "/" + "a" * 511 + "/"):
        with pytest.raises(ValidationError):
            users.create(context, ACCOUNT, "bob", path=path)
    for number, path in enumerate(("/", "/a/", "/a//b/", "/!~/", "/" + "a" * 510 + "/")):
        users.create(context, ACCOUNT, f"+=,.@_-{number}", path=path)


def test_a_listing_is_in_order_and_in_slices(context: Context) -> None:
    for name in ("zoe", "Ann", "bob", "Zack"):
        users.create(context, ACCOUNT, name, path="/People/" if name != "bob" else "/people/")
    seen: list[str] = []
    after = None
    for _ in range(4):
        found = users.list_all(context, ACCOUNT, after=after, limit=1)
        seen += [user.name for user in found.items]
        after = found.next
    assert (seen, after) == (["Ann", "bob", "Zack", "zoe"], None)
    below = users.list_all(context, ACCOUNT, path_prefix="/Pe")
    assert [user.name for user in below.items] == ["Ann", "Zack", "zoe"]


def test_a_renamed_user_stays_the_same(context: Context) -> None:
    user = users.create(context, ACCOUNT, "bob")
    users.create(context, ACCOUNT, "ann")
    key, _ = access_keys.create(context, ACCOUNT, "bob")
    users.rename(context, ACCOUNT, "bob", new_name="Bob", new_path="/x/")
    renamed = users.get(context, ACCOUNT, "Bob")
    assert (renamed.id, renamed.arn) == (user.id, f"arn:aws:iam::{ACCOUNT}:user/x/Bob")
    assert access_keys.find(context, key.id).principal.subject.arn == renamed.arn
    with pytest.raises(EntityAlreadyExists, match="User with name ANN already exists"):
        users.rename(context, ACCOUNT, "Bob", new_name="ANN")
    for wrong in ({"new_name": "a b"}, {"new_path": "x"}):
        with pytest.raises(ValidationError):
            users.rename(context, ACCOUNT, "Bob", **wrong)
    users.rename(context, ACCOUNT, "Bob")
    assert users.get(context, ACCOUNT, "Bob") == renamed


def test_a_user_goes_only_once_nothing_is_left(context: Context) -> None:
    users.create(context, ACCOUNT, "bob")
    groups.create(context, ACCOUNT, "staff")
    policy = aws_managed_policies.ADMINISTRATOR_ACCESS
    keys: list[str] = []
    things: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
        (
            "remove user from group",
            lambda: groups.add(context, ACCOUNT, "staff", "bob"),
            lambda: groups.discard(context, ACCOUNT, "staff", "bob"),
        ),
        (
            "detach all policies",
            lambda: attachments.attach(context, ACCOUNT, Kind.USER, "bob", policy),
            lambda: attachments.detach(context, ACCOUNT, Kind.USER, "bob", policy),
        ),
        (
            "delete policies",
            lambda: inline_policies.put(
                context, ACCOUNT, Kind.USER, "bob", "p", document=allow("ecr:*")
            ),
            lambda: inline_policies.remove(context, ACCOUNT, Kind.USER, "bob", "p"),
        ),
        (
            "delete access keys",
            lambda: keys.append(access_keys.create(context, ACCOUNT, "bob")[0].id),
            lambda: access_keys.remove(context, ACCOUNT, "bob", keys[0]),
        ),
    ]
    for first, put, take in things:
        put()
        with pytest.raises(DeleteConflict) as refusal:
            users.remove(context, ACCOUNT, "bob")
        assert refusal.value.message == f"Cannot delete entity, must {first} first."
        take()
    users.remove(context, ACCOUNT, "bob")
    with pytest.raises(NoSuchEntity):
        users.remove(context, ACCOUNT, "bob")
    assert users.create(context, ACCOUNT, "bob").arn == f"arn:aws:iam::{ACCOUNT}:user/bob"


def test_the_administrator_of_the_server_stays(context: Context) -> None:
    users.create(context, ACCOUNT, "bob")
    with context.database.write() as tx:
        tx.execute(update(schema.identities).values(is_operator=True))
    with pytest.raises(UnmodifiableEntity):
        users.remove(context, ACCOUNT, "bob")


def test_an_account_has_so_many_users(context: Context) -> None:
    row = {
        "account": ACCOUNT,
        "kind": "user",
        "path": "/",
        "created_at": 0,
        "is_operator": False,
        "tags": {},
    }
    with context.database.write() as tx:
        names = [f"user{number}" for number in range(5_000)]
        tx.execute(
            insert(schema.identities),
            [{**row, "id": name, "name": name, "folded_name": name} for name in names],
        )
    with pytest.raises(QuotaExceeded, match="Cannot exceed quota for UsersPerAccount: 5000"):
        users.create(context, ACCOUNT, "bob")
    with pytest.raises(EntityAlreadyExists):
        users.create(context, ACCOUNT, "user1")


def test_tags_are_kept_as_written_and_told_apart_without_regard_to_case(context: Context) -> None:
    users.create(context, ACCOUNT, "bob")

    def tags() -> object:
        return users.get(context, ACCOUNT, "bob").tags

    tag(context, ACCOUNT, Kind.USER, "bob", [("Team", "a"), ("Größe", "π r")])
    assert tags() == {"Team": "a", "Größe": "π r"}
    tag(context, ACCOUNT, Kind.USER, "bob", [("TEAM", "b")])
    assert tags() == {"Größe": "π r", "TEAM": "b"}
    untag(context, ACCOUNT, Kind.USER, "bob", ["team", "none"])
    assert tags() == {"Größe": "π r"}
    for wrong in (
        [("a", "1"), ("A", "2")],
        [("aws:x", "1")],
        [("AWS:x", "1")],
        [("", "1")],
        [("a" * 129, "1")],
        [("a", "1" * 257)],
        [("a", "\n")],
        [("{}", "1")],
    ):
        with pytest.raises(InvalidInput):
            tag(context, ACCOUNT, Kind.USER, "bob", wrong)
    with pytest.raises(QuotaExceeded, match="The number of tags has reached the maximum limit"):
        tag(context, ACCOUNT, Kind.USER, "bob", [(f"key{n}", "") for n in range(50)])
    assert tags() == {"Größe": "π r"}
