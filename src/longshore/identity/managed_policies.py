"""Managed policies: those that many identities can have (`policy_versions` has their texts)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from longshore.identity import aws_managed_policies, documents, words
from longshore.identity.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    InvalidInput,
    NoSuchEntity,
    QuotaExceeded,
)
from longshore.identity.kinds import new_id
from longshore.metadata import schema
from longshore.registry.slices import Slice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Row

    from longshore.access.policy.documents import Policy
    from longshore.clock import Millis
    from longshore.registry.context import Context
    from longshore.registry.slices import Position

LONGEST_NAME = 128
MOST_IN_ACCOUNT = 1_500
_LARGEST_DOCUMENT = 6_144
_ARN = re.compile(r"arn:aws:iam::(aws|[0-9]{12}):policy(/[\x21-\x7e]+/|/)([\w+=,.@-]+)", re.ASCII)

_table = schema.managed_policies
_versions = schema.managed_policy_versions


class Scope(Enum):
    """Whose managed policies a listing shows."""

    ALL = "All"
    AWS = "AWS"
    LOCAL = "Local"


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """A managed policy.

    Attributes:
        default_version: the number of the version that counts.
        attachments: how many identities of the account have it.
        boundaries: how many identities of the account it bounds.
    """

    id: str
    arn: str
    name: str
    path: str
    description: str
    created_at: Millis
    updated_at: Millis
    default_version: int
    tags: Mapping[str, str]
    attachments: int = 0
    boundaries: int = 0


def create(
    context: Context,
    account: str,
    name: str,
    document: str,
    *,
    path: str = "/",
    description: str = "",
    tags: Iterable[tuple[str, str]] = (),
) -> ManagedPolicy:
    """Make a managed policy; the document becomes its first version.

    Raises:
        EntityAlreadyExists: the account has a policy of this name, whatever its case and path.
        MalformedPolicyDocument: the document isn't an identity policy.
        QuotaExceeded: it is too large, or the account has as many policies as it may have.
        ValidationError, InvalidInput: name, path, description or tags are none.
    """
    words.check_name("policyName", name, LONGEST_NAME)
    words.check_path(path, of_policy=True)
    words.check_description(description)
    check_document(document)
    now = context.clock()
    row = {
        "id": new_id("ANPA"),
        "account": account,
        "arn": f"arn:aws:iam::{account}:policy{path}{name}",
        "name": name,
        "folded_name": name.lower(),
        "path": path,
        "description": description,
        "created_at": now,
        "updated_at": now,
        "default_version": 1,
        "newest_version": 1,
        "tags": words.tagged({}, tags),
    }
    try:
        with context.database.write() as tx:
            made = tx.execute(insert(_table).values(row).returning(_table)).one()
            insert_version(tx, made.id, 1, document, now)
            count = select(func.count()).where(_table.c.account == account)
            if tx.execute(count).scalar_one() > MOST_IN_ACCOUNT:
                raise QuotaExceeded.of("PoliciesPerAccount", MOST_IN_ACCOUNT)
            return _policy(made)
    except IntegrityError:
        raise EntityAlreadyExists(
            f"A policy called {name} already exists. Duplicate names are not allowed."
        ) from None


def get(context: Context, account: str, arn: str) -> ManagedPolicy:
    """Return the managed policy with this ARN, AWS's own included.

    Raises:
        NoSuchEntity: the account sees none.
        InvalidInput: `arn` isn't the ARN of a policy.
    """
    with context.database.read() as tx:
        if aws_managed_policies.is_one(arn):
            return _counted(tx, account, _aws_policy(arn))
        return _counted(tx, account, _policy(find(tx, account, arn)))


def list_all(
    context: Context,
    account: str,
    *,
    scope: Scope = Scope.ALL,
    only_attached: bool = False,
    path_prefix: str = "/",
    only_boundaries: bool = False,
    after: Position | None = None,
    limit: int = 100,
) -> Slice[ManagedPolicy]:
    """Return up to `limit` managed policies by name, the account's own and AWS's.

    Args:
        context: the store.
        account: who is asking.
        scope: whose policies to show.
        only_attached: leave out those that no identity has.
        path_prefix: leave out those elsewhere.
        only_boundaries: leave out those that bound nobody.
        after: where the slice starts.
        limit: how many to return.
    """
    with context.database.read() as tx:
        found: list[ManagedPolicy] = []
        if scope is not Scope.AWS:
            rows = tx.execute(select(_table).where(_table.c.account == account))
            found += map(_policy, rows)
        if scope is not Scope.LOCAL:
            found += map(_aws_policy, aws_managed_policies.ARNS)
        # An account has some hundreds at most, and the counts are two statements for them all.
        attachments, boundaries = _attachments(tx, account), _boundaries(tx, account)
    counted = [_with(each, attachments, boundaries) for each in sorted(found, key=_position)]
    rest = [
        each
        for each in counted
        if each.path.startswith(path_prefix)
        and not (only_attached and each.attachments == 0)
        and not (only_boundaries and each.boundaries == 0)
        and (after is None or _position(each) > after)
    ]
    return Slice.of(rest, limit, _position, lambda each: each)


def remove(context: Context, account: str, arn: str) -> None:
    """Delete a policy that nobody has and that has no version but the default one.

    Raises:
        NoSuchEntity, InvalidInput: the account has no such policy.
        DeleteConflict: an identity has it or is bounded by it, or it has other versions.
    """
    with context.database.write() as tx:
        row = find(tx, account, arn, lock=True)
        attached = select(schema.attachments.c.policy_arn).where(
            schema.attachments.c.policy_arn == arn
        )
        bounded = select(schema.identities.c.id).where(schema.identities.c.boundary == arn)
        if any(tx.execute(query.limit(1)).first() for query in (attached, bounded)):
            raise DeleteConflict("Cannot delete a policy attached to entities.")
        versions = select(func.count()).where(_versions.c.policy_id == row.id)
        if tx.execute(versions).scalar_one() > 1:
            raise DeleteConflict(
                "This policy has more than one version. Before you delete a policy, you must "
                "delete the policy's versions. The default version is deleted with the policy."
            )
        tx.execute(delete(_table).where(_table.c.id == row.id))


def tag(context: Context, account: str, arn: str, tags: Iterable[tuple[str, str]]) -> None:
    """Set tags of a policy; those with other keys stay.

    Raises:
        NoSuchEntity, InvalidInput, QuotaExceeded: as `find` and `words.tagged`.
    """
    with context.database.write() as tx:
        row = find(tx, account, arn, lock=True)
        change(tx, row.id, tags=words.tagged(row.tags, tags))


def untag(context: Context, account: str, arn: str, keys: Iterable[str]) -> None:
    """Remove the tags with these keys from a policy, where they exist.

    Raises:
        NoSuchEntity, InvalidInput: the account has no such policy.
    """
    with context.database.write() as tx:
        row = find(tx, account, arn, lock=True)
        change(tx, row.id, tags=words.untagged(row.tags, keys))


def find(tx: Connection, account: str, arn: str, *, lock: bool = False) -> Row[Any]:
    """Return the row of an account's own policy.

    Raises:
        NoSuchEntity: the account has no such policy.
        InvalidInput: `arn` isn't the ARN of a policy.
    """
    _check_arn(arn)
    query = select(_table).where(_table.c.arn == arn, _table.c.account == account)
    row = tx.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NoSuchEntity.policy(arn)
    return row


def require(tx: Connection, account: str, arn: str) -> None:
    """Make sure that an identity of the account can have this policy, and goes on to have it.

    Raises:
        NoSuchEntity: there is no such policy for this account.
        InvalidInput: `arn` isn't the ARN of a policy.
    """
    _check_arn(arn)
    if aws_managed_policies.is_one(arn):
        return
    query = select(_table.c.id).where(_table.c.arn == arn, _table.c.account == account)
    # Whoever deletes a policy waits for those who attach it, and the other way round.
    if tx.execute(query.with_for_update(read=True)).first() is None:
        raise NoSuchEntity(f"Policy {arn} does not exist or is not attachable.")


def _check_arn(arn: str) -> None:
    if _ARN.fullmatch(arn) is None:
        raise InvalidInput(f"ARN {arn} is not valid.")


def check_document(document: str) -> Policy:
    """Return what a document means, or refuse what can't be that of a managed policy.

    Raises:
        MalformedPolicyDocument: it isn't an identity policy.
        QuotaExceeded: it is too large.
    """
    policy = documents.checked(document)
    if documents.size(document) > _LARGEST_DOCUMENT:
        raise QuotaExceeded.of("PolicySize", _LARGEST_DOCUMENT)
    return policy


def insert_version(tx: Connection, policy_id: str, number: int, document: str, now: Millis) -> None:
    """Write a version of a policy."""
    tx.execute(
        insert(_versions).values(
            policy_id=policy_id, number=number, document=document, created_at=now
        )
    )


def change(tx: Connection, policy_id: str, **columns: object) -> None:
    """Write columns of a locked policy."""
    tx.execute(update(_table).where(_table.c.id == policy_id).values(columns))


def _counted(tx: Connection, account: str, policy: ManagedPolicy) -> ManagedPolicy:
    return _with(policy, _attachments(tx, account), _boundaries(tx, account))


def _with(
    policy: ManagedPolicy, attachments: Mapping[str, int], boundaries: Mapping[str, int]
) -> ManagedPolicy:
    return replace(
        policy,
        attachments=attachments.get(policy.arn, 0),
        boundaries=boundaries.get(policy.arn, 0),
    )


def _attachments(tx: Connection, account: str) -> dict[str, int]:
    column = schema.attachments.c.policy_arn
    rows = tx.execute(
        select(column, func.count())
        .join(schema.identities, schema.identities.c.id == schema.attachments.c.identity_id)
        .where(schema.identities.c.account == account)
        .group_by(column)
    )
    return {row[0]: row[1] for row in rows}


def _boundaries(tx: Connection, account: str) -> dict[str, int]:
    table = schema.identities
    rows = tx.execute(
        select(table.c.boundary, func.count())
        .where(table.c.account == account, table.c.boundary.is_not(None))
        .group_by(table.c.boundary)
    )
    return {row[0]: row[1] for row in rows}


def _position(policy: ManagedPolicy) -> Position:
    return policy.name, policy.arn


def _policy(row: Row[Any]) -> ManagedPolicy:
    return ManagedPolicy(
        id=row.id,
        arn=row.arn,
        name=row.name,
        path=row.path,
        description=row.description,
        created_at=row.created_at,
        updated_at=row.updated_at,
        default_version=row.default_version,
        tags=row.tags,
    )


def _aws_policy(arn: str) -> ManagedPolicy:
    policy = aws_managed_policies.find(arn)
    return ManagedPolicy(
        id=policy.id,
        arn=arn,
        name=policy.name,
        path=policy.path,
        description=policy.description,
        created_at=aws_managed_policies.CREATED_AT,
        updated_at=aws_managed_policies.CREATED_AT,
        default_version=1,
        tags={},
    )
