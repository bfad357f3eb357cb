from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.identity import groups, inline_policies, roles, users
from longshore.identity.errors import (
    MalformedPolicyDocument,
    NoSuchEntity,
    QuotaExceeded,
    ValidationError,
)
from longshore.identity.kinds import Kind
from tests.support.identities import ACCOUNT
from tests.support.policies import allow, deny, trust

if TYPE_CHECKING:
    from longshore.registry.context import Context


@pytest.fixture
def somebody(context: Context) -> None:
    """One of each kind, called `x`."""
    users.create(context, ACCOUNT, "x")
    groups.create(context, ACCOUNT, "x")
    roles.create(context, ACCOUNT, "x", trust("*"))


def sized(size: int) -> str:
    """Return a policy of so many characters, white space aside."""
    resource = "arn:aws:ecr:*:*:repository/"
    rest = size - len("".join(allow("ecr:*", resource=resource).split()))
    return allow("ecr:*", resource=resource + "a" * rest)


@pytest.mark.usefixtures("somebody")
def test_policies_are_written_read_listed_and_deleted(context: Context) -> None:
    for kind in Kind:
        text = allow("ecr:*") + "\n "
        for name in ("c", "A", "b", "b"):
            inline_policies.put(context, ACCOUNT, kind, "x", name, document=deny("ecr:*"))
        inline_policies.put(context, ACCOUNT, kind, "x", "b", document=text)
        assert inline_policies.get(context, ACCOUNT, kind, "x", "b") == text
        first = inline_policies.list_all(context, ACCOUNT, kind, "x", limit=2)
        assert first.items == ("A", "b")
        rest = inline_policies.list_all(context, ACCOUNT, kind, "x", after=first.next)
        assert (rest.items, rest.next) == (("c",), None)
        inline_policies.remove(context, ACCOUNT, kind, "x", "b")
        for attempt in (inline_policies.get, inline_policies.remove):
            with pytest.raises(NoSuchEntity) as refusal:
                attempt(context, ACCOUNT, kind, "x", "b")
            assert refusal.value.message == (
                f"The {kind.value} policy with name b cannot be found."
            )
            with pytest.raises(NoSuchEntity, match=f"The {kind.value} with name y cannot be found"):
                attempt(context, ACCOUNT, kind, "y", "b")


@pytest.mark.usefixtures("somebody")
def test_what_cannot_be_a_policy_is_refused(context: Context) -> None:
    for text in ("", "{}", "[]", trust("*"), allow("ecr:*")[:-1]):
        with pytest.raises(MalformedPolicyDocument):
            inline_policies.put(context, ACCOUNT, Kind.USER, "x", "p", document=text)
    for name in ("", "a b", "a" * 129):
        with pytest.raises(ValidationError):
            inline_policies.put(context, ACCOUNT, Kind.USER, "x", name, document=allow("ecr:*"))
    assert inline_policies.list_all(context, ACCOUNT, Kind.USER, "x").items == ()


@pytest.mark.usefixtures("somebody")
def test_all_policies_of_one_together_have_a_limit_without_their_white_space(
    context: Context,
) -> None:
    for kind, most in ((Kind.USER, 2_048), (Kind.GROUP, 5_120), (Kind.ROLE, 10_240)):
        small = sized(most // 2) + " " * most
        for name in "ab":
            inline_policies.put(context, ACCOUNT, kind, "x", name, document=small)
        with pytest.raises(QuotaExceeded) as refusal:
            inline_policies.put(context, ACCOUNT, kind, "x", "c", document=sized(200))
        assert refusal.value.message == (
            f"Maximum policy size of {most} bytes exceeded for {kind.value} x"
        )
        assert inline_policies.list_all(context, ACCOUNT, kind, "x").items == ("a", "b")
