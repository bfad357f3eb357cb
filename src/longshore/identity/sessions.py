"""Sessions: credentials for a while, of a role or of whoever asks (AWS STS)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from longshore.access.policy import subjects
from longshore.access.policy.compiled import compiled
from longshore.access.policy.documents import Grammar
from longshore.access.policy.evaluation import Policies, Source, decide
from longshore.access.policy.subjects import Subject
from longshore.clock import SECOND
from longshore.errors import AccessDenied
from longshore.identity import (
    access_keys,
    documents,
    managed_policies,
    principals,
    roles,
    session_tokens,
    words,
)
from longshore.identity.errors import NoSuchEntity, PackedPolicyTooLarge, ValidationError
from longshore.identity.session_tokens import Session

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from longshore.clock import Millis
    from longshore.identity.access_keys import Credentials
    from longshore.identity.principals import Principal
    from longshore.identity.roles import Role
    from longshore.registry.context import Context

_ROLE_ARN = re.compile(
    r"arn:aws:iam::(?P<account>[0-9]{12}):role/(?:[\x21-\x7e]+/)?(?P<name>[\w+=,.@-]+)", re.ASCII
)
_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_SHORTEST = 900
_LONGEST_CHAINED = 3_600
_LONGEST_OF_USER, _DEFAULT_OF_USER = 129_600, 43_200
_LONGEST_OF_ROOT = 3_600
_LONGEST_OF_ROLE = 43_200
_LARGEST_POLICY = 2_048
_MOST_POLICY_ARNS = 10
# What STS packs policies and tags into is its secret; here it is so many bytes. The longest token
# that is read (`session_tokens`, `registry_tokens`) has room for twice as many.
_SPACE = 4_096
# So that nobody can tell a role that doesn't exist from one that doesn't trust them.
_TRUSTS_NOBODY = """{
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:GetFederationToken"}
    ]
}"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of the session of a role.

    Attributes:
        duration_seconds: how long it is to last; an hour where nothing is said.
        policy: the text of a session policy.
        transitive_tag_keys: which of the tags go with it into roles that it assumes.
        external_id: what the role's account and the one who asks agreed upon.
        source_identity: who is behind it.
    """

    role_arn: str
    session_name: str
    duration_seconds: int | None = None
    policy: str | None = None
    policy_arns: Sequence[str] = ()
    tags: Sequence[tuple[str, str]] = ()
    transitive_tag_keys: Sequence[str] = ()
    external_id: str | None = None
    source_identity: str | None = None


@dataclass(frozen=True, slots=True)
class WebIdentity:
    """Whom a provider's token stands for; it has been verified.

    Attributes:
        provider_arn: the ARN of the OpenID Connect provider.
        values: what the token says, by condition keys in lower case, such as
            `token.actions.githubusercontent.com:sub`.
    """

    provider_arn: str
    values: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class SessionCredentials:
    """The key of a session, with its token."""

    key_id: str
    secret: str = field(repr=False)
    token: str = field(repr=False)
    expires_at: Millis


@dataclass(frozen=True, slots=True)
class AssumedRole:
    """A session of a role.

    Attributes:
        arn: the session's.
        id: the role's id and the session's name (`aws:userid`).
        packed_size: how much of the space for policies and tags it uses, in percent.
    """

    credentials: SessionCredentials
    arn: str
    id: str
    packed_size: int
    source_identity: str


def assume_role(
    context: Context, principal: Principal, wish: Wish, values: Mapping[str, tuple[str, ...]]
) -> AssumedRole:
    """Make a session of a role for somebody whom it trusts (AssumeRole).

    The decision is made here, for it takes the trust policy: no other is needed.

    Args:
        context: the store.
        principal: who asks.
        wish: what is asked for.
        values: the condition keys of the request, those of the principal included.

    Raises:
        AccessDenied: the role doesn't trust them, their own policies don't allow it, or there is
            no such role.
        ValidationError: the session's name or duration is none.
        MalformedPolicyDocument, PackedPolicyTooLarge, NoSuchEntity, InvalidInput, QuotaExceeded:
            the session policies or tags are none.
    """
    if principal.subject.kind is subjects.Kind.ROOT:
        raise AccessDenied("Roles may not be assumed by root accounts.")
    before = principal.session if principal.session and principal.session.is_of_role else None
    inherited = {key: before.tags[key] for key in before.transitive} if before else {}
    source_identity = wish.source_identity or (before.source_identity if before else "")
    role = _find_role(context, wish.role_arn)
    values = {**values, **_values(wish, source_identity, role)}
    account, subject = _account_of(wish.role_arn), principal.subject
    for action in _actions(
        "sts:AssumeRole", tags=inherited or wish.tags, source_identity=source_identity
    ):
        request = subjects.Request(action, wish.role_arn, account, values)
        decision = decide(subject, principal.policies, [_trust(role)], request)
        if not decision.allowed:
            raise AccessDenied(decision.sentence(subject, request))
    if role is None:
        # Only the operator comes here, whom every role trusts.
        raise NoSuchEntity(f"There is no role with the ARN {wish.role_arn}.")
    if before and before.source_identity and before.source_identity != source_identity:
        raise AccessDenied("The source identity of a session stays the same in every role.")
    if clash := {key.lower() for key, _ in wish.tags} & {key.lower() for key in inherited}:
        raise ValidationError(f"The session tag {min(clash)} is inherited and can't be set anew.")
    if before and (wish.duration_seconds or 0) > _LONGEST_CHAINED:
        raise ValidationError(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by "
            "role chaining."
        )
    return _start(
        context,
        role,
        wish,
        tags=words.tagged(inherited, wish.tags),
        transitive=(*inherited, *wish.transitive_tag_keys),
        source_identity=source_identity,
    )


def assume_role_with_web_identity(
    context: Context,
    identity: WebIdentity,
    wish: Wish,
    values: Mapping[str, tuple[str, ...]],
) -> AssumedRole:
    """Make a session of a role for whom an OpenID Connect provider vouches for.

    Args:
        context: the store.
        identity: what the provider's token says; it has been verified.
        wish: what is asked for.
        values: the condition keys of the request.

    Raises:
        AccessDenied: the role doesn't trust them, or there is no such role.
        ValidationError, …: as `assume_role`.
    """
    role = _find_role(context, wish.role_arn)
    account = _account_of(wish.role_arn)
    source_identity = wish.source_identity or ""
    values = {**values, **identity.values, **_values(wish, source_identity, role)}
    subject = Subject(subjects.Kind.FEDERATED, "", identity.provider_arn)
    actions = _actions(
        "sts:AssumeRoleWithWebIdentity", tags=wish.tags, source_identity=source_identity
    )
    # A provider speaks for the account that it was made in.
    if role is None or _account_of(identity.provider_arn) != account:
        raise AccessDenied(f"Not authorized to perform {actions[0]}")
    for action in actions:
        request = subjects.Request(action, wish.role_arn, account, values)
        if not decide(subject, Policies(), [_trust(role)], request).allowed:
            raise AccessDenied(f"Not authorized to perform {action}")
    return _start(
        context,
        role,
        wish,
        tags=words.tagged({}, wish.tags),
        transitive=tuple(wish.transitive_tag_keys),
        source_identity=source_identity,
        provider=identity.provider_arn,
    )


def account_of_role(arn: str) -> str:
    """Return the account that a role belongs to.

    Raises:
        ValidationError: `arn` isn't the ARN of a role.
    """
    match = _ROLE_ARN.fullmatch(arn)
    if match is None:
        raise ValidationError(f"{arn} is invalid")
    return match["account"]


def assume_role_as_service(
    context: Context, service: str, role_arn: str, session_name: str
) -> Principal:
    """Return who a service is in a session of a role, if the role trusts it.

    Args:
        context: the store.
        service: the service, such as `ecr.amazonaws.com`, on behalf of the role's own account.
        role_arn: the role.
        session_name: what the session is called.

    Raises:
        AccessDenied: the role doesn't trust the service, or there is no such role.
    """
    role, account = _find_role(context, role_arn), _account_of(role_arn)
    subject = Subject(subjects.Kind.SERVICE, "", "", service=service)
    values = _values(Wish(role_arn, session_name), "", role)
    values["aws:sourceaccount"] = (account,)
    request = subjects.Request("sts:AssumeRole", role_arn, account, values)
    decision = decide(subject, Policies(), [_trust(role)], request)
    if role is None or not decision.allowed:
        raise AccessDenied(decision.sentence(subject, request))
    now = context.clock()
    # Nobody gets its credentials: it is over as soon as it has done its work.
    session = Session(role.identity.id, session_name, now, now)
    with context.database.read() as tx:
        return principals.of_identity(tx, role.identity, session)


def get_session_token(
    context: Context, credentials: Credentials, duration_seconds: int | None = None
) -> SessionCredentials:
    """Exchange a long-term key for one that lasts a while (GetSessionToken).

    It ends with the long-term key: sooner than at AWS, where it lives on.

    Raises:
        AccessDenied: what is to be exchanged lasts only a while itself.
        ValidationError: the duration is none.
    """
    if credentials.session is not None:
        raise AccessDenied("Cannot call GetSessionToken with session credentials")
    is_root = credentials.principal.subject.kind is subjects.Kind.ROOT
    longest = _LONGEST_OF_ROOT if is_root else _LONGEST_OF_USER
    seconds = duration_seconds or (_LONGEST_OF_ROOT if is_root else _DEFAULT_OF_USER)
    _check_duration(seconds, _LONGEST_OF_USER)
    now = context.clock()
    # Who is root and asks for longer gets what root can have.
    expires_at = now + min(seconds, longest) * SECOND
    return _seal(context, Session(credentials.key_id, "", now, expires_at))


def _start(
    context: Context,
    role: Role,
    wish: Wish,
    *,
    tags: Mapping[str, str],
    transitive: Sequence[str],
    source_identity: str,
    provider: str = "",
) -> AssumedRole:
    _check_names(wish, source_identity)
    seconds = wish.duration_seconds or min(roles.DEFAULT_SESSION_SECONDS, role.max_session_seconds)
    _check_duration(seconds, _LONGEST_OF_ROLE)
    if seconds > role.max_session_seconds:
        raise ValidationError(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    _check_policies(context, role.identity.account, wish)
    if unknown := {key.lower() for key in transitive} - {key.lower() for key in tags}:
        raise ValidationError(f"There is no session tag {min(unknown)} to be transitive.")
    now, folded = context.clock(), {key.lower() for key in transitive}
    session = Session(
        holder=role.identity.id,
        name=wish.session_name,
        issued_at=now,
        expires_at=now + seconds * SECOND,
        policies=() if wish.policy is None else (wish.policy,),
        policy_arns=tuple(wish.policy_arns),
        tags=tags,
        transitive=tuple(key for key in tags if key.lower() in folded),
        source_identity=source_identity,
        provider=provider,
    )
    return AssumedRole(
        _seal(context, session),
        principals.session_arn(role.identity, session.name),
        f"{role.identity.id}:{session.name}",
        _packed_size(session),
        source_identity,
    )


def _seal(context: Context, session: Session) -> SessionCredentials:
    key = access_keys.generate_temporary()
    token = session_tokens.write(context, session, key.id, key.secret)
    return SessionCredentials(key.id, key.secret, token, session.expires_at)


def _find_role(context: Context, arn: str) -> Role | None:
    match = _ROLE_ARN.fullmatch(arn)
    if match is None:
        raise ValidationError(f"{arn} is invalid")
    try:
        role = roles.get(context, match["account"], match["name"])
    except NoSuchEntity:
        return None
    return role if role.identity.arn == arn else None


def _trust(role: Role | None) -> Source:
    name = "the role trust policy"
    if role is None:
        return Source(name, compiled(_TRUSTS_NOBODY, Grammar.TRUST))
    return Source(name, compiled(role.trust_policy, Grammar.TRUST), role.trust_bindings)


def _account_of(arn: str) -> str:
    return arn.split(":")[4]


def _actions(action: str, *, tags: Collection[object], source_identity: str) -> list[str]:
    """Return what has to be allowed; what comes from an earlier role counts like what is new."""
    return [
        action,
        *(["sts:TagSession"] if tags else []),
        *(["sts:SetSourceIdentity"] if source_identity else []),
    ]


def _values(wish: Wish, source_identity: str, role: Role | None) -> dict[str, tuple[str, ...]]:
    """Return the condition keys of STS."""
    values: dict[str, tuple[str, ...]] = {"sts:rolesessionname": (wish.session_name,)}
    if wish.external_id is not None:
        values["sts:externalid"] = (wish.external_id,)
    if source_identity:
        values["sts:sourceidentity"] = (source_identity,)
    if wish.tags:
        values["aws:tagkeys"] = tuple(key for key, _ in wish.tags)
        values |= {f"aws:requesttag/{key.lower()}": (value,) for key, value in wish.tags}
    if wish.transitive_tag_keys:
        values["sts:transitivetagkeys"] = tuple(wish.transitive_tag_keys)
    for key, value in (role.identity.tags if role else {}).items():
        values[f"aws:resourcetag/{key.lower()}"] = (value,)
        values[f"iam:resourcetag/{key.lower()}"] = (value,)
    return values


def _check_names(wish: Wish, source_identity: str) -> None:
    for member, name in (
        ("roleSessionName", wish.session_name),
        *([("sourceIdentity", source_identity)] if source_identity else []),
    ):
        if _NAME.fullmatch(name) is None:
            raise ValidationError.at(
                member, name, r"satisfy regular expression pattern: [\w+=,.@-]{2,64}"
            )


def _check_duration(seconds: int, longest: int) -> None:
    if seconds < _SHORTEST:
        raise ValidationError.at(
            "durationSeconds", seconds, f"have value greater than or equal to {_SHORTEST}"
        )
    if seconds > longest:
        raise ValidationError.at(
            "durationSeconds", seconds, f"have value less than or equal to {longest}"
        )


def _check_policies(context: Context, account: str, wish: Wish) -> None:
    if wish.policy is not None:
        if len(wish.policy) > _LARGEST_POLICY:
            raise ValidationError.at(
                "policy", wish.policy, f"have length less than or equal to {_LARGEST_POLICY}"
            )
        documents.checked(wish.policy)
    if len(wish.policy_arns) > _MOST_POLICY_ARNS:
        raise ValidationError(f"A session can have {_MOST_POLICY_ARNS} managed policies at most.")
    with context.database.read() as tx:
        for arn in wish.policy_arns:
            managed_policies.require(tx, account, arn)


def _packed_size(session: Session) -> int:
    texts = (*session.policies, *session.policy_arns, *session.transitive)
    tags = (text for tag in session.tags.items() for text in tag)
    used = sum(len(text.encode()) for text in (*texts, *tags))
    percent = -(-used * 100 // _SPACE)
    if percent > 100:
        raise PackedPolicyTooLarge(
            f"Packed policy consumes {percent}% of allotted space, please use smaller policy."
        )
    return percent
