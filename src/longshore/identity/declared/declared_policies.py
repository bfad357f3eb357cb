"""Managed policies that are declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from longshore.identity import managed_policies, policy_versions, words
from longshore.identity.declared.application import told_of
from longshore.identity.declared.yaml_reader import InvalidFile
from longshore.metadata import schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from longshore.identity.declared.application import Application
    from longshore.identity.declared.declaration import DeclaredAccount, DeclaredPolicy

_KIND = "policy"
_table = schema.managed_policies


def write(application: Application, account: DeclaredAccount) -> None:
    """Make the policies of an account as they are declared.

    Raises:
        InvalidFile: IAM's rules refuse one, or one of its name was made otherwise.
    """
    for policy in account.policies:
        what = f"policy {policy.name}"
        with told_of(policy.line, what):
            row = _find(application, account.id, policy.name)
            if row is None:
                _create(application, account.id, policy)
            else:
                application.require_own(account.id, _KIND, row.id, what, policy.line)
                _change(application, account.id, policy, row)


def remove_others(application: Application, declaration: Sequence[DeclaredAccount]) -> None:
    """Delete the policies that were declared before and are no longer.

    Raises:
        InvalidFile: somebody has one who wasn't made by the file.
    """
    named = {(account.id, policy.name) for account in declaration for policy in account.policies}
    for account, policy_id in application.remembered(_KIND):
        row = application.tx.execute(select(_table).where(_table.c.id == policy_id)).one_or_none()
        if row is not None and (account, row.name) in named:
            continue
        if row is not None:
            what = f"policy {row.name}"
            with told_of(None, f"{what} of the account {account}, which isn't declared any more"):
                _remove(application, account, row.arn)
            application.tell("delete", account, what)
        application.forget(account, _KIND, policy_id)


def _find(application: Application, account: str, name: str) -> Row[Any] | None:
    return application.tx.execute(
        select(_table).where(_table.c.account == account, _table.c.name == name)
    ).one_or_none()


def _create(application: Application, account: str, policy: DeclaredPolicy) -> None:
    made = managed_policies.create(
        application.context,
        account,
        policy.name,
        policy.document,
        path=policy.path,
        description=policy.description,
        tags=policy.tags.items(),
    )
    application.remember(account, _KIND, made.id)
    application.tell("create", account, f"policy {policy.name}")


def _change(application: Application, account: str, policy: DeclaredPolicy, row: Row[Any]) -> None:
    if row.path != policy.path:
        raise InvalidFile(
            policy.line,
            f"the policy {policy.name} has the path {row.path}, which is part of its ARN and "
            "can't change. Give the policy another name, too",
        )
    details = []
    versions = policy_versions.list_all(application.context, account, row.arn)
    [current] = [version.document for version in versions if version.is_default]
    if current != policy.document:
        policy_versions.replace(application.context, account, row.arn, policy.document)
        details.append("another document")
    if row.description != policy.description:
        words.check_description(policy.description)
        managed_policies.change(application.tx, row.id, description=policy.description)
        details.append("another description")
    tags = words.tagged({}, policy.tags.items())
    if row.tags != tags:
        managed_policies.change(application.tx, row.id, tags=tags)
        details.append("other tags")
    if details:
        application.tell("change", account, f"policy {policy.name}", *details)


def _remove(application: Application, account: str, arn: str) -> None:
    for version in policy_versions.list_all(application.context, account, arn):
        if not version.is_default:
            policy_versions.remove(application.context, account, arn, version.id)
    managed_policies.remove(application.context, account, arn)
