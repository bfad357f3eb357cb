"""Versions of managed policies: up to five texts of one policy, of which one counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, select

from longshore.identity import aws_managed_policies, managed_policies
from longshore.identity.errors import DeleteConflict, NoSuchEntity, QuotaExceeded
from longshore.metadata import schema

if TYPE_CHECKING:
    from sqlalchemy import Row

    from longshore.clock import Millis
    from longshore.registry.context import Context

MOST = 5
_table = schema.managed_policy_versions


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a managed policy."""

    number: int
    document: str
    created_at: Millis
    is_default: bool

    @property
    def id(self) -> str:
        """The version as IAM names it."""
        return f"v{self.number}"


def create(context: Context, account: str, arn: str, document: str, *, is_default: bool) -> Version:
    """Add a version to a policy, and let it count at once where `is_default`.

    Raises:
        NoSuchEntity, InvalidInput: the account has no such policy.
        MalformedPolicyDocument: the document isn't an identity policy.
        QuotaExceeded: it is too large, or the policy has as many versions as it may have.
    """
    managed_policies.check_document(document)
    now = context.clock()
    with context.database.write() as tx:
        row = managed_policies.find(tx, account, arn, lock=True)
        if len(_numbers(tx, row.id)) >= MOST:
            raise QuotaExceeded(
                f"A managed policy can have up to {MOST} versions. Before you create a "
                "new version, you must delete an existing version."
            )
        number = row.newest_version + 1
        managed_policies.insert_version(tx, row.id, number, document, now)
        managed_policies.change(tx, row.id, newest_version=number)
        if is_default:
            managed_policies.change(tx, row.id, default_version=number, updated_at=now)
        return Version(number, document, now, is_default)


def replace(context: Context, account: str, arn: str, document: str) -> Version:
    """Let a policy have another document from now on; its oldest version goes if it must.

    Raises:
        NoSuchEntity, InvalidInput: the account has no such policy.
        MalformedPolicyDocument, QuotaExceeded: the document can't be that of a policy.
    """
    with context.database.write() as tx:
        inside = context.within(tx)
        versions = list_all(inside, account, arn)
        if len(versions) >= MOST:
            oldest = min(
                (each for each in versions if not each.is_default), key=lambda each: each.number
            )
            remove(inside, account, arn, oldest.id)
        return create(inside, account, arn, document, is_default=True)


def get(context: Context, account: str, arn: str, version_id: str) -> Version:
    """Return a version of a policy, of AWS's own included.

    Raises:
        NoSuchEntity, InvalidInput: there is no such policy or no such version.
    """
    for version in list_all(context, account, arn):
        if version.id == version_id:
            return version
    raise _missing(arn, version_id)


def list_all(context: Context, account: str, arn: str) -> list[Version]:
    """Return the versions of a policy, of AWS's own included, the newest first.

    Raises:
        NoSuchEntity, InvalidInput: there is no such policy.
    """
    if aws_managed_policies.is_one(arn):
        document = aws_managed_policies.find(arn).document
        return [Version(1, document, aws_managed_policies.CREATED_AT, is_default=True)]
    with context.database.read() as tx:
        row = managed_policies.find(tx, account, arn)
        rows = tx.execute(
            select(_table).where(_table.c.policy_id == row.id).order_by(_table.c.number.desc())
        )
        return [
            Version(
                each.number,
                each.document,
                each.created_at,
                is_default=each.number == row.default_version,
            )
            for each in rows
        ]


def set_default(context: Context, account: str, arn: str, version_id: str) -> None:
    """Let another version of a policy count.

    Raises:
        NoSuchEntity, InvalidInput: the account has no such policy, or it has no such version.
    """
    with context.database.write() as tx:
        row = managed_policies.find(tx, account, arn, lock=True)
        number = _require_version(tx, row, version_id)
        managed_policies.change(tx, row.id, default_version=number, updated_at=context.clock())


def remove(context: Context, account: str, arn: str, version_id: str) -> None:
    """Delete a version of a policy that doesn't count.

    Raises:
        NoSuchEntity, InvalidInput: the account has no such policy, or it has no such version.
        DeleteConflict: it is the default version.
    """
    with context.database.write() as tx:
        row = managed_policies.find(tx, account, arn, lock=True)
        number = _require_version(tx, row, version_id)
        if number == row.default_version:
            raise DeleteConflict("Cannot delete the default version of a policy.")
        tx.execute(delete(_table).where(_table.c.policy_id == row.id, _table.c.number == number))


def _numbers(tx: Connection, policy_id: str) -> list[int]:
    query = select(_table.c.number).where(_table.c.policy_id == policy_id)
    return list(tx.execute(query).scalars())


def _require_version(tx: Connection, row: Row[Any], version_id: str) -> int:
    for number in _numbers(tx, row.id):
        if f"v{number}" == version_id:
            return number
    raise _missing(row.arn, version_id)


def _missing(arn: str, version_id: str) -> NoSuchEntity:
    return NoSuchEntity(f"Policy {arn} version {version_id} does not exist or is not attachable.")
