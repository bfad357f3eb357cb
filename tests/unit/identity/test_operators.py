from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.errors import AccessDenied
from longshore.identity import access_keys, attachments, operators, principals, users
from longshore.identity.kinds import Kind
from tests.support.identities import ACCOUNT

if TYPE_CHECKING:
    from longshore.registry.context import Context


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


def test_nobody_else_changes_the_administrator(context: Context) -> None:
    with context.database.write() as tx:
        operators.create(context, tx, ACCOUNT, "administrator", access_keys.generate())
    administrator = users.get(context, ACCOUNT, "administrator")
    ann = users.create(context, ACCOUNT, "ann")
    by_whom = {
        name: principals.of_user(context, each.id)
        for name, each in (("administrator", administrator), ("ann", ann))
    } | {"root": principals.of_root(ACCOUNT)}
    for name, done_to, action, allowed in (
        ("administrator", administrator, "iam:CreateAccessKey", True),
        ("administrator", ann, "iam:CreateAccessKey", True),
        ("ann", ann, "iam:CreateAccessKey", True),
        ("ann", administrator, "iam:GetUser", True),
        ("ann", administrator, "iam:ListAccessKeys", True),
        ("ann", administrator, "iam:CreateAccessKey", False),
        ("root", administrator, "iam:PutUserPolicy", False),
    ):
        if allowed:
            operators.protect(by_whom[name], done_to, action)
        else:
            with pytest.raises(AccessDenied, match="nobody but the administrator"):
                operators.protect(by_whom[name], done_to, action)
