from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from longshore.identity import attachments, aws_managed_policies, roles, users
from longshore.identity.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    MalformedPolicyDocument,
    NoSuchEntity,
    QuotaExceeded,
    ValidationError,
)
from longshore.identity.kinds import Kind
from tests.support.identities import ACCOUNT
from tests.support.policies import allow, document, trust

if TYPE_CHECKING:
    from longshore.registry.context import Context

TRUST = trust(ACCOUNT)


def test_a_role_is_made_found_and_listed(context: Context) -> None:
    made = roles.create(
        context, ACCOUNT, "Deploy", TRUST, path="/ci/", description="é", tags=[("a", "b")]
    )
    assert re.fullmatch(r"AROA[A-Z2-7]{17}", made.identity.id)
    assert made.identity.arn == f"arn:aws:iam::{ACCOUNT}:role/ci/Deploy"
    assert (made.trust_policy, made.description, made.max_session_seconds) == (TRUST, "é", 3_600)
    assert roles.get(context, ACCOUNT, "Deploy") == made
    roles.create(context, ACCOUNT, "build", TRUST)
    first = roles.list_all(context, ACCOUNT, limit=1)
    rest = roles.list_all(context, ACCOUNT, limit=1, after=first.next)
    assert [each.identity.name for each in (*first.items, *rest.items)] == ["build", "Deploy"]
    assert roles.list_all(context, ACCOUNT, path_prefix="/ci/").items == (made,)
    with pytest.raises(EntityAlreadyExists, match="Role with name DEPLOY already exists"):
        roles.create(context, ACCOUNT, "DEPLOY", TRUST)


def test_a_role_changes(context: Context) -> None:
    roles.create(context, ACCOUNT, "deploy", TRUST, description="before")
    roles.change(context, ACCOUNT, "deploy", max_session_seconds=43_200)
    roles.change(context, ACCOUNT, "deploy", description="")
    roles.change(context, ACCOUNT, "deploy")
    roles.put_trust_policy(context, ACCOUNT, "deploy", trust("*"))
    found = roles.get(context, ACCOUNT, "deploy")
    assert (found.description, found.max_session_seconds) == ("", 43_200)
    assert found.trust_policy == trust("*")


def test_no_role_trusts_what_is_malformed_or_does_not_exist(context: Context) -> None:
    users.create(context, ACCOUNT, "ann", path="/a/")
    roles.create(context, ACCOUNT, "deploy", TRUST)
    arn = f"arn:aws:iam::{ACCOUNT}"
    for principal in (
        *("*", ACCOUNT, "999999999999", f"{arn}:root", "arn:aws:iam::999999999999:root"),
        *(f"{arn}:user/a/ann", f"{arn}:role/deploy"),
        f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/anything",
    ):
        roles.put_trust_policy(context, ACCOUNT, "deploy", trust(principal))
    for principal in (
        *(f"{arn}:user/ann", f"{arn}:user/a/ANN", f"{arn}:user/a/bob", f"{arn}:role/other"),
        "arn:aws:iam::999999999999:user/a/ann",
        f"arn:aws-cn:iam::{ACCOUNT}:user/a/ann",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/other/anything",
    ):
        with pytest.raises(MalformedPolicyDocument) as refusal:
            roles.put_trust_policy(context, ACCOUNT, "deploy", trust(principal))
        assert refusal.value.message == f'Invalid principal in policy: "AWS":"{principal}"'
        with pytest.raises(MalformedPolicyDocument):
            roles.create(context, ACCOUNT, "new", trust(principal))
    for text in ("", "{}", allow("sts:AssumeRole"), trust("*", action="ecr:PutImage"), "null"):
        with pytest.raises(MalformedPolicyDocument):
            roles.put_trust_policy(context, ACCOUNT, "deploy", text)
    roles.put_trust_policy(
        context,
        ACCOUNT,
        "deploy",
        document(
            {
                "Effect": "Allow",
                "Principal": {
                    "Service": "ecr.amazonaws.com",
                    "Federated": f"{arn}:oidc-provider/example.com",
                },
                "Action": "sts:AssumeRoleWithWebIdentity",
            }
        ),
    )


def test_descriptions_durations_and_trust_policies_have_their_limits(context: Context) -> None:
    roles.create(context, ACCOUNT, "deploy", TRUST)
    for seconds in (0, 3_599, 43_201):
        with pytest.raises(ValidationError, match="maxSessionDuration"):
            roles.change(context, ACCOUNT, "deploy", max_session_seconds=seconds)
        with pytest.raises(ValidationError, match="maxSessionDuration"):
            roles.create(context, ACCOUNT, "new", TRUST, max_session_seconds=seconds)
    for description in ("a" * 1_001, "\0", "€"):
        with pytest.raises(ValidationError, match="description"):
            roles.change(context, ACCOUNT, "deploy", description=description)
    condition = {"StringEquals": {"sts:ExternalId": "x" * 2_048}}
    with pytest.raises(QuotaExceeded, match="Cannot exceed quota for ACLSizePerRole: 2048"):
        roles.put_trust_policy(context, ACCOUNT, "deploy", trust("*", Condition=condition))
    roles.put_trust_policy(context, ACCOUNT, "deploy", TRUST + " " * 3_000)


def test_a_role_goes_only_without_policies(context: Context) -> None:
    policy = aws_managed_policies.ADMINISTRATOR_ACCESS
    roles.create(context, ACCOUNT, "deploy", TRUST)
    attachments.attach(context, ACCOUNT, Kind.ROLE, "deploy", policy)
    with pytest.raises(DeleteConflict, match="must detach all policies first"):
        roles.remove(context, ACCOUNT, "deploy")
    attachments.detach(context, ACCOUNT, Kind.ROLE, "deploy", policy)
    roles.remove(context, ACCOUNT, "deploy")
    for attempt in (roles.get, roles.remove, roles.change):
        with pytest.raises(NoSuchEntity) as refusal:
            attempt(context, ACCOUNT, "deploy")
        assert refusal.value.message == "The role with name deploy cannot be found."
