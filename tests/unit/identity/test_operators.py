from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.identity import (
    access_keys,
    attachments,
    boundaries,
    groups,
    managed_policies,
    operators,
    users,
)
from longshore.identity.kinds import Kind
from tests.api.people import allow, policy
from tests.support.identities import ACCOUNT

if TYPE_CHECKING:
    from longshore.registry.context import Context

ALLOWS_ALL = policy(allow("*"))


def test_the_administrator_of_a_new_server_may_do_everything(context: Context) -> None:
    key = access_keys.generate()
    with context.database.write() as tx:
        assert operators.find_account(tx) is None
        operators.create(context, tx, ACCOUNT, "administrator", key)
        assert operators.find_account(tx) == ACCOUNT
    found = access_keys.find(context, key.id)
    assert found.secret == key.secret
    assert found.principal.subject.is_operator
    assert found.principal.subject.arn == f"arn:aws:iam::{ACCOUNT}:user/administrator"
    [attached] = attachments.list_all(context, ACCOUNT, Kind.USER, "administrator").items
    assert attached.name == "AdministratorAccess"


def test_what_the_administrator_may_do_is_said_by_its_own_and_its_groups_policies(
    context: Context,
) -> None:
    with context.database.write() as tx:
        operators.create(context, tx, ACCOUNT, "administrator", access_keys.generate())
    administrator = users.get(context, ACCOUNT, "administrator")
    ann = users.create(context, ACCOUNT, "ann")
    mine, hers = (groups.create(context, ACCOUNT, name) for name in ("mine", "hers"))
    groups.add(context, ACCOUNT, "mine", "administrator")
    groups.add(context, ACCOUNT, "hers", "ann")
    arns = {
        name: managed_policies.create(context, ACCOUNT, name, ALLOWS_ALL).arn
        for name in ("own", "of-mine", "of-hers", "bounding-ann", "bounding", "free")
    }
    for kind, name, attached in (
        (Kind.USER, "administrator", "own"),
        (Kind.GROUP, "mine", "of-mine"),
        (Kind.GROUP, "hers", "of-hers"),
    ):
        attachments.attach(context, ACCOUNT, kind, name, arns[attached])
    boundaries.put(context, ACCOUNT, Kind.USER, "administrator", arns["bounding"])
    boundaries.put(context, ACCOUNT, Kind.USER, "ann", arns["bounding-ann"])

    with context.database.read() as tx:
        assert [operators.has_say(tx, each) for each in (administrator, ann, mine, hers)] == [
            *(True, False),
            *(True, False),
        ]
        bound = {name for name, arn in arns.items() if operators.is_bound_by(tx, arn)}
    assert bound == {"own", "of-mine", "bounding"}
