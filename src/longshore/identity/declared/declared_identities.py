"""Users, groups and roles that are declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from longshore.identity import (
    attachments,
    boundaries,
    groups,
    identities,
    inline_policies,
    policy_names,
    removal,
    roles,
    words,
)
from longshore.identity.declared import declared_keys
from longshore.identity.declared.application import told_of
from longshore.identity.declared.declaration import DeclaredRole, DeclaredUser
from longshore.identity.errors import NoSuchEntity
from longshore.identity.identities import Identity
from longshore.identity.kinds import Kind
from longshore.metadata import schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from longshore.identity.declared.application import Application
    from longshore.identity.declared.declaration import DeclaredAccount, DeclaredIdentity

_TRUSTS_ITS_ACCOUNT = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
    "Principal": {"AWS": "%s"}, "Action": "sts:AssumeRole"}]}"""


def remove_others(application: Application, declaration: Sequence[DeclaredAccount]) -> None:
    """Delete those that were declared before and are no longer, with everything that is theirs."""
    named = {(account, kind, each.name) for account, kind, each in _all(declaration)}
    for kind in Kind:
        for account, identity_id in application.remembered(kind.value):
            found = _of_id(application, identity_id)
            if found is not None and (account, kind, found.name) in named:
                continue
            if found is not None:
                what = f"{kind.value} {found.name}"
                with told_of(None, what):
                    removal.remove_whole(application.context, account, kind, found.name)
                application.tell("delete", account, what)
            application.forget(account, kind.value, identity_id)
    declared_keys.forget_lost(application)


def make(application: Application, declaration: Sequence[DeclaredAccount]) -> None:
    """Make those that aren't there, for now with nothing but their names.

    Raises:
        InvalidFile: IAM's rules refuse one, or one of its name was made otherwise.
    """
    for account, kind, each in _all(declaration):
        what = f"{kind.value} {each.name}"
        with told_of(each.line, what):
            try:
                found = identities.find(application.tx, account, kind, each.name)
            except NoSuchEntity:
                made = _create(application, account, kind, each)
                application.remember(account, kind.value, made.id)
                application.tell("create", account, what)
            else:
                application.require_own(account, kind.value, found.id, what, each.line)


def write(application: Application, declaration: Sequence[DeclaredAccount]) -> None:
    """Give all that are declared what is declared to be theirs.

    Raises:
        InvalidFile: IAM's rules refuse something of it.
    """
    for account, kind, each in _all(declaration):
        what = f"{kind.value} {each.name}"
        with told_of(each.line, what):
            details = [*_write(application, account, kind, each)]
        is_new = ("create", account, what) in {
            (change.verb, change.account, change.what) for change in application.changes
        }
        if details and not is_new:
            application.tell("change", account, what, *details)


def _all(
    declaration: Sequence[DeclaredAccount],
) -> Iterator[tuple[str, Kind, DeclaredIdentity]]:
    for account in declaration:
        for kind, declared in (
            (Kind.GROUP, account.groups),
            (Kind.USER, account.users),
            (Kind.ROLE, account.roles),
        ):
            for each in declared:
                yield account.id, kind, each


def _of_id(application: Application, identity_id: str) -> Identity | None:
    table = schema.identities
    row = application.tx.execute(select(table).where(table.c.id == identity_id)).one_or_none()
    return None if row is None else Identity.of(row)


def _create(
    application: Application, account: str, kind: Kind, declared: DeclaredIdentity
) -> Identity:
    context, tx = application.context, application.tx
    if kind is Kind.ROLE:
        trust = _TRUSTS_ITS_ACCOUNT % account
        return roles.create(context, account, declared.name, trust, path=declared.path).identity
    return identities.create(context, tx, account, kind, declared.name, path=declared.path)


def _write(
    application: Application, account: str, kind: Kind, declared: DeclaredIdentity
) -> Iterator[str]:
    """Make an identity as it is declared; yield what was different."""
    yield from _write_own(application, account, kind, declared)
    yield from _write_attachments(application, account, kind, declared)
    yield from _write_inline_policies(application, account, kind, declared)
    if isinstance(declared, DeclaredRole):
        yield from _write_role(application, account, declared)
    if isinstance(declared, DeclaredUser):
        yield from _write_groups(application, account, declared)
        yield from declared_keys.write(application, account, declared)


def _write_own(
    application: Application, account: str, kind: Kind, declared: DeclaredIdentity
) -> Iterator[str]:
    tx = application.tx
    found = identities.find(tx, account, kind, declared.name, lock=True)
    if found.path != declared.path:
        identities.rename(tx, found, None, declared.path)
        yield f"the path {declared.path}"
    boundary = declared.boundary and policy_names.arn_of(tx, account, declared.boundary)
    if found.boundary != boundary:
        boundaries.check(tx, account, boundary)
        identities.change(tx, found, boundary=boundary)
        yield f"the boundary {boundary or 'none'}"
    tags = words.tagged({}, declared.tags.items())
    if found.tags != tags:
        identities.change(tx, found, tags=tags)
        yield "other tags"


def _write_attachments(
    application: Application, account: str, kind: Kind, declared: DeclaredIdentity
) -> Iterator[str]:
    context, name = application.context, declared.name
    wanted = {policy_names.arn_of(application.tx, account, each) for each in declared.policies}
    attached = attachments.list_all(context, account, kind, name).items
    present = {each.arn for each in attached}
    # First what goes: together they may be more than there may be.
    for arn in sorted(present - wanted):
        attachments.detach(context, account, kind, name, arn)
        yield f"without {arn}"
    for arn in sorted(wanted - present):
        attachments.attach(context, account, kind, name, arn)
        yield f"with {arn}"


def _write_inline_policies(
    application: Application, account: str, kind: Kind, declared: DeclaredIdentity
) -> Iterator[str]:
    context, name, wanted = application.context, declared.name, declared.inline_policies
    table = schema.inline_policies
    owner = identities.find(application.tx, account, kind, name)
    rows = application.tx.execute(select(table).where(table.c.identity_id == owner.id))
    present = {row.name: row.document for row in rows}
    for each in sorted(present.keys() - wanted.keys()):
        inline_policies.remove(context, account, kind, name, each)
        yield f"without the inline policy {each}"
    for each, document in wanted.items():
        if present.get(each) != document:
            inline_policies.put(context, account, kind, name, each, document=document)
            yield f"with the inline policy {each}"


def _write_role(application: Application, account: str, declared: DeclaredRole) -> Iterator[str]:
    context, name = application.context, declared.name
    role = roles.describe(context, account, name)
    if role.trust_policy != declared.trust_policy:
        roles.put_trust_policy(context, account, name, declared.trust_policy)
        yield "another trust policy"
    if role.description != declared.description:
        roles.change(context, account, name, description=declared.description)
        yield "another description"
    if role.max_session_seconds != declared.max_session_seconds:
        seconds = declared.max_session_seconds
        roles.change(context, account, name, max_session_seconds=seconds)
        yield f"sessions of {seconds} seconds at most"


def _write_groups(application: Application, account: str, declared: DeclaredUser) -> Iterator[str]:
    context, name = application.context, declared.name
    memberships = groups.list_of_user(context, account, name).items
    present, wanted = {group.name for group in memberships}, set(declared.groups)
    for group in sorted(present - wanted):
        groups.discard(context, account, group, name)
        yield f"not in the group {group}"
    for group in sorted(wanted - present):
        groups.add(context, account, group, name)
        yield f"in the group {group}"
