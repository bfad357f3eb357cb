"""The principals of a statement: whom it is about.

IAM User Guide, "AWS JSON policy elements: Principal" and "…: NotPrincipal".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

from longshore.access.policy.malformed import MalformedPolicy
from longshore.access.policy.subjects import Kind, Subject
from longshore.documents import quoted
from longshore.names import is_account

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME = r"[\w+=,.@-]{1,64}"
_IAM_ARN = re.compile(
    r"arn:aws[a-z-]{0,20}:iam::(?P<account>[0-9]{12}):"
    rf"(?:(?P<root>root)|(?:user|role)/(?:[\x21-\x29\x2b-\x3e\x40-\x7e]{{1,510}}/)?{_NAME})",
    re.ASCII,
)
_STS_ARN = re.compile(
    rf"arn:aws[a-z-]{{0,20}}:sts::[0-9]{{12}}:(?:assumed-role/{_NAME}/|federated-user/){_NAME}",
    re.ASCII,
)
_SERVICE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_PROVIDER = re.compile(
    r"arn:aws[a-z-]{0,20}:iam::[0-9]{12}:(?:oidc|saml)-provider/[\w.:/%+=,@-]{1,255}"
    r"|[a-z0-9-]+(?:\.[a-z0-9-]+)+",
    re.ASCII,
)

# To whom the ARNs of users, roles and sessions belonged when a policy was set: unique ids by ARNs.
# Who has the ARN now and another id is somebody else. An ARN that isn't there is whoever has it.
Bindings: TypeAlias = Mapping[str, str]
UNBOUND: Final[Bindings] = MappingProxyType({})


class Grant(IntEnum):
    """How a statement of a resource's policy that allows reaches somebody, from least to most."""

    NONE = 0
    # It trusts the account, which then has to allow it by policies of its own.
    DELEGATED = 1
    # Within what the boundary and the session allow.
    LIMITED = 2
    # Whatever the boundary leaves out.
    DIRECT = 3


@dataclass(frozen=True, slots=True)
class Principals:
    """Whom a statement is about.

    Attributes:
        texts: the AWS principals as written.
        everyone: `*` is among them.
        accounts: the ids of the accounts among them.
        arns: those of users, roles and sessions.
        services: names of services.
        providers: those who vouch for federated ones.
        negated: it is about everybody else.
    """

    texts: frozenset[str]
    everyone: bool
    accounts: frozenset[str]
    arns: frozenset[str]
    services: frozenset[str]
    providers: frozenset[str]
    negated: bool

    @classmethod
    def parse(cls, kinds: Mapping[str, Iterable[str]], *, negated: bool) -> Principals:
        """Read the principals by their kinds: `AWS`, `Service` and `Federated`.

        Raises:
            MalformedPolicy: one is none of its kind.
        """
        aws = frozenset(kinds.get("AWS", ()))
        matches = {text: _IAM_ARN.fullmatch(text) for text in aws}
        roots = {
            text: found["account"] for text, found in matches.items() if found and found["root"]
        }
        bare = frozenset(text for text in aws if is_account(text))
        arns = frozenset(
            text for text, found in matches.items() if found or _STS_ARN.fullmatch(text)
        )
        for text in sorted(aws - arns - bare - {"*"}):
            raise MalformedPolicy(f"{quoted(text)} isn't an AWS principal")
        services = _each(kinds.get("Service", ()), _SERVICE, "the name of a service")
        providers = _each(kinds.get("Federated", ()), _PROVIDER, "an identity provider")
        return cls(
            texts=aws,
            everyone="*" in aws,
            accounts=bare.union(roots.values()),
            arns=arns.difference(roots),
            services=services,
            providers=providers,
            negated=negated,
        )

    def grant(self, subject: Subject, bindings: Bindings = UNBOUND) -> Grant:
        """Tell how a statement that allows reaches `subject`.

        `NotPrincipal` reaches nobody who can be taken for one of those that it leaves out, and
        nobody who isn't in an account.
        """
        if self.negated:
            reached = subject.has_policies and not self._names(subject, bindings)
            return Grant.LIMITED if reached else Grant.NONE
        if self._names_directly(subject, bindings):
            return Grant.DIRECT
        if subject.kind == Kind.FEDERATED:
            return Grant.NONE  # "*" is everyone with an account, and anyone who gives no name
        if self.everyone or self._has(subject.role_arn, subject, bindings):
            return Grant.LIMITED
        trusted = subject.has_policies and subject.account in self.accounts
        return Grant.DELEGATED if trusted else Grant.NONE

    def denies(self, subject: Subject, bindings: Bindings = UNBOUND) -> bool:
        """Tell whether a statement that denies reaches `subject`.

        `NotPrincipal` leaves out only whom it names in full: a user with the account, the session
        of a role with the role and the account.
        """
        if self.negated:
            return not self._names_in_full(subject, bindings)
        return self._names(subject, bindings)

    def _has(self, arn: str | None, subject: Subject, bindings: Bindings) -> bool:
        """Tell whether an ARN of `subject` is named, and meant them when it was."""
        if arn is None or arn not in self.arns:
            return False
        return bindings.get(arn, subject.unique_id) == subject.unique_id

    def _names(self, subject: Subject, bindings: Bindings) -> bool:
        return (
            self.everyone
            or self._names_directly(subject, bindings)
            or self._has(subject.role_arn, subject, bindings)
            or subject.account in self.accounts
        )

    def _names_directly(self, subject: Subject, bindings: Bindings) -> bool:
        match subject.kind:
            case Kind.SERVICE:
                return subject.service in self.services
            case Kind.FEDERATED:
                return subject.arn in self.providers
            case Kind.ROOT:
                return subject.account in self.accounts
            case _:
                return self._has(subject.arn, subject, bindings)

    def _names_in_full(self, subject: Subject, bindings: Bindings) -> bool:
        in_full = self._names_directly(subject, bindings)
        if subject.kind in {Kind.USER, Kind.ROLE}:
            in_full = in_full and subject.account in self.accounts
        if subject.kind == Kind.ROLE:
            in_full = in_full and self._has(subject.role_arn, subject, bindings)
        return in_full or self.everyone


def _each(texts: Iterable[str], form: re.Pattern[str], what: str) -> frozenset[str]:
    for text in texts:
        if not form.fullmatch(text):
            raise MalformedPolicy(f"{quoted(text)} isn't {what}")
    return frozenset(texts)
