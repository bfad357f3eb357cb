"""Principals: those who ask, with all the policies that say what they may do.

A principal is read whole, in two statements, and kept in memory while the database doesn't change:
a policy that was changed or a user that was removed counts from the next request on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, literal, or_, select, union_all

from longshore.access.policy import subjects
from longshore.access.policy.compiled import compiled
from longshore.access.policy.documents import Grammar
from longshore.access.policy.evaluation import Policies, Source
from longshore.access.policy.subjects import Subject
from longshore.errors import UnrecognizedClient
from longshore.identity import aws_managed_policies, identities, words
from longshore.identity.errors import NoSuchEntity
from longshore.identity.identities import Identity
from longshore.identity.kinds import Kind
from longshore.identity.session_tokens import Session
from longshore.metadata import schema
from longshore.metadata.prepared import Prepared
from longshore.registry.context import Caller

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import BindParameter, CompoundSelect

    from longshore.clock import Millis
    from longshore.metadata.prepared import Record
    from longshore.registry.context import Context

IDENTITY_ARN = re.compile(
    r"arn:aws:iam::(?P<account>[0-9]{12}):(?P<kind>user|group|role)"
    r"(?P<path>/(?:[\x21-\x7e]+/)?)(?P<name>[\w+=,.@-]+)",
    re.ASCII,
)
SESSION_ARN = re.compile(
    r"arn:aws:sts::(?P<account>[0-9]{12}):assumed-role/(?P<name>[\w+=,.@-]+)/(?P<session>[\w+=,.@-]+)",
    re.ASCII,
)
ROOT_ARN = re.compile(r"arn:aws:iam::(?P<account>[0-9]{12}):root")

# STS, GetSessionToken: its credentials manage no identities, and no others but those of roles.
_LIMITS_OF_SESSION_TOKENS = """{
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "NotAction": ["iam:*", "sts:*"], "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": [
                "sts:AssumeRole",
                "sts:GetCallerIdentity",
                "sts:SetSourceIdentity",
                "sts:TagSession"
            ],
            "Resource": "*"
        }
    ]
}"""


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who asks.

    Attributes:
        subject: who that is, for the decision.
        policies: what they may do.
        user_id: `aws:userid`: a user's id, a role's with the session's name, root's account.
        name: `aws:username`: a user's name, or "".
        tags: `aws:PrincipalTag`: of the user, or of the role and the session together.
        session: where it isn't a long-term key that they ask with.
        credential_id: the id of the robot token that they ask with, or "".
    """

    subject: Subject
    policies: Policies = field(default_factory=Policies)
    user_id: str = ""
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    session: Session | None = None
    credential_id: str = ""

    @property
    def caller(self) -> Caller:
        """The account and the ARN alone, for the rules of the registry."""
        return Caller(self.subject.account, self.subject.arn)

    @property
    def identity_arn(self) -> str:
        """The ARN of the user, or of the role whose session this is; "" for everybody else."""
        match self.subject.kind:
            case subjects.Kind.USER:
                return self.subject.arn
            case subjects.Kind.ROLE:
                return self.subject.role_arn or ""
            case _:
                return ""

    @property
    def session_name(self) -> str:
        """The name of the role session, or ""."""
        return "" if self.session is None else self.session.name

    @property
    def issued_at(self) -> Millis | None:
        """`aws:TokenIssueTime`: when the session was made."""
        return None if self.session is None else self.session.issued_at


ANONYMOUS = Principal(Subject(subjects.Kind.ANONYMOUS, "", ""))


def of_root(account: str, session: Session | None = None) -> Principal:
    """Return the root user of an account, who may do everything in it."""
    arn = f"arn:aws:iam::{account}:root"
    return Principal(
        Subject(subjects.Kind.ROOT, account, arn),
        Policies(session=_narrowed(session, {})),
        user_id=account,
        session=session,
    )


def of_user(context: Context, user_id: str) -> Principal:
    """Return the user with this id.

    Raises:
        UnrecognizedClient: the user is gone.
    """
    return context.memory.answer(
        ("user", user_id), lambda: _of_id(context, user_id), beside_content=True
    )


def of_role_session(context: Context, session: Session) -> Principal:
    """Return whom the session of a role stands for, whether or not its time is over.

    Raises:
        UnrecognizedClient: the role is gone; one of the same name is another role.
    """
    question = "role session", repr(session)
    return context.memory.answer(
        question, lambda: _of_id(context, session.holder, session), beside_content=True
    )


def of_identity(tx: Connection, identity: Identity, session: Session | None = None) -> Principal:
    """Return a user, or a role in a session of it.

    A role without a session asks nothing itself, and a group never does: they are here for
    explanations.
    """
    read = _read_policies(tx, identity, () if session is None else session.policy_arns)
    policies = Policies(
        identity=read.identity,
        boundary=None if identity.boundary is None else read.named[identity.boundary],
        session=_narrowed(session, read.named),
    )
    tags = identity.tags if session is None else words.overlaid(identity.tags, session.tags)
    if identity.kind is not Kind.ROLE:
        return Principal(
            Subject(
                subjects.Kind.USER,
                identity.account,
                identity.arn,
                is_operator=identity.is_operator,
                unique_id=identity.id,
            ),
            policies,
            identity.id,
            identity.name,
            tags,
            session,
        )
    arn, user_id = identity.arn, identity.id
    if session is not None:
        arn = session_arn(identity, session.name)
        user_id = f"{identity.id}:{session.name}"
    subject = Subject(
        subjects.Kind.ROLE, identity.account, arn, role_arn=identity.arn, unique_id=identity.id
    )
    return Principal(subject, policies, user_id, tags=tags, session=session)


def of_arn(context: Context, arn: str) -> Principal:
    """Return the principal with this ARN, for explanations.

    Raises:
        NoSuchEntity: there is none.
    """
    if root := ROOT_ARN.fullmatch(arn):
        return of_root(root["account"])
    with context.database.read() as tx:
        if found := IDENTITY_ARN.fullmatch(arn):
            identity = identities.find(tx, found["account"], Kind(found["kind"]), found["name"])
            if identity.arn == arn:
                return of_identity(tx, identity)
        elif found := SESSION_ARN.fullmatch(arn):
            role = identities.find(tx, found["account"], Kind.ROLE, found["name"])
            now = context.clock()
            return of_identity(tx, role, Session(role.id, found["session"], now, now))
    raise NoSuchEntity(f"There is no principal with the ARN {arn}.")


def session_arn(role: Identity, session_name: str) -> str:
    """Return the ARN of a session of a role."""
    return f"arn:aws:sts::{role.account}:assumed-role/{role.name}/{session_name}"


def _of_id(context: Context, identity_id: str, session: Session | None = None) -> Principal:
    with context.database.read() as tx:
        row = _IDENTITY.one_or_none(tx, identity=identity_id)
        if row is None:
            raise UnrecognizedClient
        return of_identity(tx, Identity.of(row), session)


@dataclass(frozen=True, slots=True)
class _Read:
    """Policies as they were read: those of the identity, and those asked for by their ARNs."""

    identity: tuple[Source, ...]
    named: Mapping[str, Source]


def _read_policies(tx: Connection, identity: Identity, session_arns: Iterable[str]) -> _Read:
    asked = {*session_arns, *([identity.boundary] if identity.boundary else [])}
    own: dict[str, Source] = {}
    named = {arn: _managed(arn, None) for arn in asked if aws_managed_policies.is_one(arn)}
    for row in _POLICIES.all(tx, identity=identity.id, asked=list(asked)):
        if row.origin == "named":
            named[row.name] = _managed(row.name, row.document)
        else:
            source = _inline(row) if row.origin == "inline" else _managed(row.name, row.document)
            own[source.name] = source
    # In an order, for those who read explanations.
    return _Read(tuple(own[name] for name in sorted(own)), named)


def _policies() -> CompoundSelect[Any]:
    """Return the one statement for all policies that say what an identity may do."""
    asker: BindParameter[str] = bindparam("identity")
    identity, inline = schema.identities.c, schema.inline_policies.c
    managed, version = schema.managed_policies.c, schema.managed_policy_versions.c
    attachment, member = schema.attachments.c, schema.group_members.c
    groups = select(member.group_id).where(member.user_id == asker)
    holders = or_(identity.id == asker, identity.id.in_(groups))
    is_default = (version.policy_id == managed.id) & (version.number == managed.default_version)
    return union_all(
        select(
            literal("inline").label("origin"),
            identity.kind.label("kind"),
            identity.name.label("owner"),
            inline.name.label("name"),
            inline.document.label("document"),
        )
        .join_from(schema.identities, schema.inline_policies, inline.identity_id == identity.id)
        .where(holders),
        select(
            literal("managed"),
            identity.kind,
            identity.name,
            attachment.policy_arn,
            version.document,
        )
        .join_from(schema.identities, schema.attachments, attachment.identity_id == identity.id)
        .outerjoin(schema.managed_policies, managed.arn == attachment.policy_arn)
        .outerjoin(schema.managed_policy_versions, is_default)
        .where(holders),
        select(literal("named"), literal(""), literal(""), managed.arn, version.document)
        .join_from(schema.managed_policies, schema.managed_policy_versions, is_default)
        .where(managed.arn.in_(bindparam("asked", expanding=True))),
    )


_POLICIES = Prepared(_policies())
_IDENTITY = Prepared(
    select(schema.identities).where(schema.identities.c.id == bindparam("identity"))
)


def _inline(row: Record) -> Source:
    name = f"the inline policy '{row.name}' of the {row.kind} '{row.owner}'"
    return Source(name, compiled(row.document, Grammar.IDENTITY))


def _managed(arn: str, document: str | None) -> Source:
    """Return a managed policy; those of AWS's aren't in the database."""
    text = aws_managed_policies.find(arn).document if document is None else document
    return Source(f"the managed policy {arn}", compiled(text, Grammar.IDENTITY))


def _narrowed(session: Session | None, named: Mapping[str, Source]) -> tuple[Source, ...] | None:
    """Return the policies that a session was narrowed by, if it was.

    A managed policy that was deleted since allows nothing more.
    """
    if session is None:
        return None
    if not session.is_of_role:
        limits = compiled(_LIMITS_OF_SESSION_TOKENS, Grammar.IDENTITY)
        return (Source("the limits of credentials of GetSessionToken", limits),)
    if not session.is_narrowed:
        return None
    return (
        *(
            Source("the session policy", compiled(text, Grammar.IDENTITY))
            for text in session.policies
        ),
        *(named[arn] for arn in session.policy_arns if arn in named),
    )
