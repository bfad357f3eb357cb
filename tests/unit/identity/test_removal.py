from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, update

from longshore.identity import (
    access_keys,
    attachments,
    aws_managed_policies,
    groups,
    inline_policies,
    managed_policies,
    policy_names,
    policy_versions,
    removal,
    robot_tokens,
    roles,
    users,
)
from longshore.identity.errors import NoSuchEntity, UnmodifiableEntity
from longshore.identity.kinds import Kind
from longshore.metadata import schema
from tests.support.identities import ACCOUNT
from tests.support.policies import allow, trust

if TYPE_CHECKING:
    from longshore.registry.context import Context

OTHER = "999999999999"


def rows(context: Context) -> dict[str, int]:
    """Count what belongs to identities."""
    tables = [
        *(schema.access_keys, schema.attachments, schema.group_members, schema.identities),
        *(schema.inline_policies, schema.registry_credentials, schema.roles),
    ]
    with context.database.read() as tx:
        return {
            table.name: tx.execute(select(func.count()).select_from(table)).scalar_one()
            for table in tables
        }


def furnish(context: Context, name: str) -> None:
    """Make a user, a group and a role of this name, with everything that they can have."""
    users.create(context, ACCOUNT, name)
    groups.create(context, ACCOUNT, name)
    roles.create(context, ACCOUNT, name, trust(ACCOUNT))
    groups.add(context, ACCOUNT, name, name)
    access_keys.create(context, ACCOUNT, name)
    robot_tokens.create(context, ACCOUNT, name, allow("*"))
    for kind in Kind:
        inline_policies.put(context, ACCOUNT, kind, name, "mine", document=allow("*"))
        attachments.attach(context, ACCOUNT, kind, name, aws_managed_policies.ADMINISTRATOR_ACCESS)


def test_all_that_is_somebody_s_goes_and_nothing_of_others(context: Context) -> None:
    furnish(context, "mine")
    before = rows(context)
    furnish(context, "gone")
    for kind in Kind:
        removal.remove_whole(context, ACCOUNT, kind, "gone")
    assert rows(context) == before
    for kind in Kind:
        removal.remove_whole(context, ACCOUNT, kind, "mine")
    assert set(rows(context).values()) == {0}


def test_neither_the_administrator_nor_anything_of_theirs_goes(context: Context) -> None:
    furnish(context, "boss")
    with context.database.write() as tx:
        tx.execute(update(schema.identities).values(is_operator=True))
    before = rows(context)
    with pytest.raises(UnmodifiableEntity):
        removal.remove_whole(context, ACCOUNT, Kind.USER, "boss")
    assert rows(context) == before
    with pytest.raises(NoSuchEntity):
        removal.remove_whole(context, OTHER, Kind.USER, "boss")


def test_a_policy_is_found_by_its_name_the_account_s_own_first(context: Context) -> None:
    own = managed_policies.create(context, ACCOUNT, "ReadOnlyAccess", allow("*"), path="/x/")

    def arn_of(account: str, text: str) -> str:
        with context.database.read() as tx:
            return policy_names.arn_of(tx, account, text)

    aws = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    assert arn_of(ACCOUNT, "ReadOnlyAccess") == own.arn
    assert arn_of(OTHER, "ReadOnlyAccess") == aws
    assert arn_of(ACCOUNT, aws) == aws
    for text in ("readonlyaccess", "", "nothing"):
        with pytest.raises(NoSuchEntity, match="none of AWS's of this name"):
            arn_of(ACCOUNT, text)


def test_a_policy_gets_another_document_and_loses_its_oldest(context: Context) -> None:
    arn = managed_policies.create(context, ACCOUNT, "p", allow("ecr:A0")).arn
    for number in range(1, 8):
        made = policy_versions.replace(context, ACCOUNT, arn, allow(f"ecr:A{number}"))
        assert (made.number, made.is_default) == (number + 1, True)
    versions = policy_versions.list_all(context, ACCOUNT, arn)
    assert [version.number for version in versions] == [8, 7, 6, 5, 4]
    # The one that counts stays, however old it is.
    policy_versions.set_default(context, ACCOUNT, arn, "v4")
    policy_versions.replace(context, ACCOUNT, arn, allow("ecr:B"))
    versions = policy_versions.list_all(context, ACCOUNT, arn)
    assert [version.number for version in versions] == [9, 8, 7, 6, 4]
