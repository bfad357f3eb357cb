from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert

from longshore.identity import (
    attachments,
    aws_managed_policies,
    boundaries,
    managed_policies,
    policy_versions,
    users,
)
from longshore.identity.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    InvalidInput,
    MalformedPolicyDocument,
    NoSuchEntity,
    QuotaExceeded,
    ValidationError,
)
from longshore.identity.kinds import Kind
from longshore.identity.managed_policies import Scope
from longshore.metadata import schema
from tests.support.identities import ACCOUNT
from tests.support.policies import allow, deny, trust

if TYPE_CHECKING:
    from longshore.registry.context import Context
    from tests.support.clock import FakeClock

PULL = allow("ecr:BatchGetImage")
ARN = f"arn:aws:iam::{ACCOUNT}:policy/pull"
OTHER = "999999999999"


def test_a_policy_is_made_found_and_tagged(context: Context) -> None:
    made = managed_policies.create(
        context, ACCOUNT, "Pull", PULL, path="/a/b/", description="Pulls", tags=[("k", "v")]
    )
    assert re.fullmatch(r"ANPA[A-Z2-7]{17}", made.id)
    assert made.arn == f"arn:aws:iam::{ACCOUNT}:policy/a/b/Pull"
    assert (made.default_version, made.tags) == (1, {"k": "v"})
    assert (made.attachments, made.boundaries) == (0, 0)
    assert managed_policies.get(context, ACCOUNT, made.arn) == made
    managed_policies.tag(context, ACCOUNT, made.arn, [("K", "w"), ("l", "")])
    managed_policies.untag(context, ACCOUNT, made.arn, ["L"])
    assert managed_policies.get(context, ACCOUNT, made.arn).tags == {"K": "w"}
    with pytest.raises(EntityAlreadyExists) as refusal:
        managed_policies.create(context, ACCOUNT, "PULL", PULL)
    assert refusal.value.message == (
        "A policy called PULL already exists. Duplicate names are not allowed."
    )
    managed_policies.create(context, OTHER, "pull", PULL)


def test_what_cannot_be_a_policy_is_refused(context: Context) -> None:
    for text in (
        "",
        "{}",
        "null",
        "[1]",
        trust("*"),
        '{"Statement": [}',
        PULL.replace("Allow", "Maybe"),
    ):
        with pytest.raises(MalformedPolicyDocument):
            managed_policies.create(context, ACCOUNT, "pull", text)
    for name, path, description in (
        ("a b", "/", ""),
        ("a" * 129, "/", ""),
        ("p", "/!/", ""),
        ("p", "/", "€"),
    ):
        with pytest.raises(ValidationError):
            managed_policies.create(
                context, ACCOUNT, name, PULL, path=path, description=description
            )
    large = allow(*(f"ecr:Action{number}" for number in range(500)))
    with pytest.raises(QuotaExceeded, match="Cannot exceed quota for PolicySize: 6144"):
        managed_policies.create(context, ACCOUNT, "pull", large)
    managed_policies.create(context, ACCOUNT, "pull", PULL + " " * 7_000)


def test_policies_that_do_not_exist_are_named(context: Context) -> None:
    managed_policies.create(context, ACCOUNT, "pull", PULL)
    for account, arn, error, sentence in (
        (ACCOUNT, f"{ARN}x", NoSuchEntity, f"Policy {ARN}x was not found."),
        (OTHER, ARN, NoSuchEntity, f"Policy {ARN} was not found."),
        (ACCOUNT, "pull", InvalidInput, "ARN pull is not valid."),
        (ACCOUNT, f"{ARN}\n", InvalidInput, f"ARN {ARN}\n is not valid."),
        (
            ACCOUNT,
            "arn:aws:iam::aws:policy/None",
            NoSuchEntity,
            "Policy arn:aws:iam::aws:policy/None was not found.",
        ),
    ):
        for attempt in (
            managed_policies.get,
            managed_policies.remove,
            policy_versions.list_all,
            attachments.list_entities,
        ):
            with pytest.raises(error) as refusal:
                attempt(context, account, arn)
            assert refusal.value.message == sentence


def test_a_policy_of_aws_is_seen_by_all_and_changed_by_none(context: Context) -> None:
    arn = aws_managed_policies.ADMINISTRATOR_ACCESS
    for account in (ACCOUNT, OTHER):
        found = managed_policies.get(context, account, arn)
        assert (found.name, found.path, found.default_version) == ("AdministratorAccess", "/", 1)
    [version] = policy_versions.list_all(context, ACCOUNT, arn)
    assert policy_versions.get(context, ACCOUNT, arn, "v1") == version
    assert version.is_default
    for attempt in (
        lambda: managed_policies.remove(context, ACCOUNT, arn),
        lambda: managed_policies.tag(context, ACCOUNT, arn, [("a", "b")]),
        lambda: policy_versions.create(context, ACCOUNT, arn, PULL, is_default=True),
        lambda: policy_versions.set_default(context, ACCOUNT, arn, "v1"),
        lambda: policy_versions.remove(context, ACCOUNT, arn, "v1"),
    ):
        with pytest.raises(NoSuchEntity):
            attempt()


def test_versions_come_count_and_go(context: Context, clock: FakeClock) -> None:
    managed_policies.create(context, ACCOUNT, "pull", PULL)
    clock.advance(5)
    second = policy_versions.create(context, ACCOUNT, ARN, deny("ecr:*"), is_default=False)
    assert (second.id, second.is_default, second.created_at) == ("v2", False, clock.now)
    assert managed_policies.get(context, ACCOUNT, ARN).default_version == 1
    assert policy_versions.create(context, ACCOUNT, ARN, PULL, is_default=True).id == "v3"
    found = managed_policies.get(context, ACCOUNT, ARN)
    assert (found.default_version, found.updated_at) == (3, clock.now)
    listed = policy_versions.list_all(context, ACCOUNT, ARN)
    assert [(each.id, each.is_default) for each in listed] == [
        ("v3", True),
        ("v2", False),
        ("v1", False),
    ]
    with pytest.raises(DeleteConflict, match="Cannot delete the default version of a policy"):
        policy_versions.remove(context, ACCOUNT, ARN, "v3")
    policy_versions.set_default(context, ACCOUNT, ARN, "v1")
    policy_versions.remove(context, ACCOUNT, ARN, "v3")
    for version_id in ("v3", "v9", "3", "V1", ""):
        for attempt in (policy_versions.get, policy_versions.set_default, policy_versions.remove):
            with pytest.raises(NoSuchEntity) as refusal:
                attempt(context, ACCOUNT, ARN, version_id)
            assert refusal.value.message == (
                f"Policy {ARN} version {version_id} does not exist or is not attachable."
            )
    # A number never comes back.
    ids = [
        policy_versions.create(context, ACCOUNT, ARN, PULL, is_default=False).id for _ in range(3)
    ]
    assert ids == ["v4", "v5", "v6"]
    with pytest.raises(QuotaExceeded) as full:
        policy_versions.create(context, ACCOUNT, ARN, PULL, is_default=False)
    assert full.value.message == (
        "A managed policy can have up to 5 versions. Before you create a new version, you must "
        "delete an existing version."
    )


def test_a_policy_goes_only_when_nobody_has_it_and_it_has_one_version(context: Context) -> None:
    managed_policies.create(context, ACCOUNT, "pull", PULL)
    users.create(context, ACCOUNT, "ann")
    attached = "Cannot delete a policy attached to entities."

    def refused(sentence: str) -> None:
        with pytest.raises(DeleteConflict) as refusal:
            managed_policies.remove(context, ACCOUNT, ARN)
        assert refusal.value.message == sentence

    attachments.attach(context, ACCOUNT, Kind.USER, "ann", ARN)
    refused(attached)
    attachments.detach(context, ACCOUNT, Kind.USER, "ann", ARN)
    boundaries.put(context, ACCOUNT, Kind.USER, "ann", ARN)
    refused(attached)
    boundaries.remove(context, ACCOUNT, Kind.USER, "ann")
    policy_versions.create(context, ACCOUNT, ARN, PULL, is_default=True)
    refused(
        "This policy has more than one version. Before you delete a policy, you must delete the "
        "policy's versions. The default version is deleted with the policy."
    )
    policy_versions.remove(context, ACCOUNT, ARN, "v1")
    managed_policies.remove(context, ACCOUNT, ARN)
    with pytest.raises(NoSuchEntity):
        managed_policies.get(context, ACCOUNT, ARN)
    assert managed_policies.create(context, ACCOUNT, "pull", PULL).default_version == 1


def test_a_listing_shows_what_was_asked_for(context: Context) -> None:
    users.create(context, ACCOUNT, "ann")
    for name, path in (("pull", "/"), ("Push", "/x/")):
        managed_policies.create(context, ACCOUNT, name, PULL, path=path)
    managed_policies.create(context, OTHER, "theirs", PULL)
    attachments.attach(context, ACCOUNT, Kind.USER, "ann", ARN)
    attachments.attach(
        context, ACCOUNT, Kind.USER, "ann", aws_managed_policies.ADMINISTRATOR_ACCESS
    )
    boundaries.put(context, ACCOUNT, Kind.USER, "ann", f"arn:aws:iam::{ACCOUNT}:policy/x/Push")
    aws = sorted(arn.rpartition("/")[2] for arn in aws_managed_policies.ARNS)

    def names(**asked: object) -> list[str]:
        found = managed_policies.list_all(context, ACCOUNT, **asked)  # type: ignore[arg-type] # a table
        return [each.name for each in found.items]

    assert names() == sorted([*aws, "pull", "Push"])
    assert names(scope=Scope.LOCAL) == ["Push", "pull"]
    assert names(scope=Scope.AWS) == aws
    assert names(only_attached=True) == ["AdministratorAccess", "pull"]
    assert names(only_boundaries=True) == ["Push"]
    assert names(path_prefix="/x/") == ["Push"]
    first = managed_policies.list_all(context, ACCOUNT, scope=Scope.LOCAL, limit=1)
    assert [each.name for each in first.items] == ["Push"]
    assert names(scope=Scope.LOCAL, after=first.next) == ["pull"]
    found = managed_policies.get(context, ACCOUNT, ARN)
    assert (found.attachments, found.boundaries) == (1, 0)
    # What other accounts attach is no affair of this one.
    admin = aws_managed_policies.ADMINISTRATOR_ACCESS
    assert managed_policies.get(context, OTHER, admin).attachments == 0


def test_an_account_has_so_many_policies(context: Context) -> None:
    with context.database.write() as tx:
        tx.execute(
            insert(schema.managed_policies),
            [
                {
                    "id": f"ANPA{number}",
                    "account": ACCOUNT,
                    "arn": f"{ARN}{number}",
                    "name": f"pull{number}",
                    "folded_name": f"pull{number}",
                    "path": "/",
                    "description": "",
                    "created_at": 0,
                    "updated_at": 0,
                    "default_version": 1,
                    "newest_version": 1,
                    "tags": {},
                }
                for number in range(1_500)
            ],
        )
    with pytest.raises(QuotaExceeded, match="Cannot exceed quota for PoliciesPerAccount: 1500"):
        managed_policies.create(context, ACCOUNT, "pull", PULL)
