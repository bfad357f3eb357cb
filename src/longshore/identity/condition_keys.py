"""The condition keys of a request, and their values.

Service Authorization Reference, "Condition keys for Amazon Elastic Container Registry"; IAM user
guide, "AWS global condition context keys".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from longshore.access.policy.subjects import Kind
from longshore.clock import SECOND, as_datetime

if TYPE_CHECKING:
    from longshore.clock import Clock, Millis
    from longshore.identity.authorization import Surroundings
    from longshore.identity.principals import Principal

# By the names of the keys, in lower case.
Values: TypeAlias = Mapping[str, tuple[str, ...]]

_PRINCIPAL_TYPES = {
    Kind.ROOT: "Account",
    Kind.USER: "User",
    Kind.ROLE: "AssumedRole",
    Kind.FEDERATED: "FederatedUser",
    Kind.ANONYMOUS: "Anonymous",
    Kind.SERVICE: "Service",
}


class ConditionKeys(Mapping[str, tuple[str, ...]]):
    """All keys of one request.

    They are worked out when a policy asks for the first of them: most policies ask for none.

    Args:
        principal: who asks.
        surroundings: of the request.
        clock: tells when it is; it is asked once a policy asks for any key.
        resource_tags: the tags of the repository that it is for.
        of_request: the keys that it gives itself, which count before all others.
        resource_account: the account of what it is for; "" where that isn't settled.
    """

    def __init__(
        self,
        principal: Principal,
        surroundings: Surroundings,
        clock: Clock,
        resource_tags: Mapping[str, str],
        of_request: Values,
        *,
        resource_account: str = "",
    ) -> None:
        self._principal = principal
        self._surroundings = surroundings
        self._clock = clock
        self._resource_tags = resource_tags
        self._of_request = of_request
        self._resource_account = resource_account
        self._values: dict[str, tuple[str, ...]] = {}

    def __getitem__(self, key: str) -> tuple[str, ...]:
        return self._all()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, tuple[str, ...]]:
        if not self._values:
            self._values = {
                **_of_principal(self._principal),
                **_of_resource(self._resource_account, self._resource_tags),
                **_of_surroundings(self._surroundings, self._clock()),
                **self._of_request,
            }
        return self._values


def of_tags(prefix: str, tags: Mapping[str, str]) -> Values:
    """Return the keys of tags; tags that differ in case only are one key with two values."""
    values: dict[str, tuple[str, ...]] = {}
    for key, value in tags.items():
        name = prefix + key.lower()
        values[name] = (*values.get(name, ()), value)
    return values


def of_requested_tags(tags: Mapping[str, str]) -> Values:
    """Return the keys that a request gives which would set resource tags."""
    return {**of_tags("aws:requesttag/", tags), "aws:tagkeys": tuple(tags)} if tags else {}


def _of_principal(principal: Principal) -> Values:
    subject = principal.subject
    values = {"aws:principaltype": (_PRINCIPAL_TYPES[subject.kind],)}
    if subject.kind is Kind.ANONYMOUS:
        return values
    values["aws:principalarn"] = (subject.role_arn or subject.arn,)
    values["aws:principalaccount"] = (subject.account,)
    values["aws:userid"] = (principal.user_id,)
    if principal.name:
        values["aws:username"] = (principal.name,)
    if session := principal.session:
        values["aws:tokenissuetime"] = (_moment(session.issued_at),)
        # There is no second factor, and only sessions tell.
        values["aws:multifactorauthpresent"] = ("false",)
        if session.source_identity:
            values["aws:sourceidentity"] = (session.source_identity,)
        if session.provider:
            values["aws:federatedprovider"] = (session.provider,)
    return {**values, **of_tags("aws:principaltag/", principal.tags)}


def _of_surroundings(surroundings: Surroundings, now: Millis) -> Values:
    values = {
        "aws:currenttime": (_moment(now),),
        # No service of AWS's own asks, nor does one ask for somebody.
        "aws:principalisawsservice": ("false",),
        "aws:viaawsservice": ("false",),
        "aws:epochtime": (str(now // SECOND),),
        "aws:requestedregion": (surroundings.region,),
        "aws:securetransport": ("true" if surroundings.secure_transport else "false",),
    }
    if surroundings.source_ip:
        values["aws:sourceip"] = (surroundings.source_ip,)
    if surroundings.user_agent is not None:
        values["aws:useragent"] = (surroundings.user_agent,)
    return values


def _of_resource(account: str, tags: Mapping[str, str]) -> Values:
    values = {**of_tags("aws:resourcetag/", tags), **of_tags("ecr:resourcetag/", tags)}
    return {**values, "aws:resourceaccount": (account,)} if account else values


def _moment(time: Millis) -> str:
    return as_datetime(time).strftime("%Y-%m-%dT%H:%M:%SZ")
