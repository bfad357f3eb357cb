from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert

from longshore.access.policy.documents import Grammar, parse
from longshore.access.policy.evaluation import Policies, Source
from longshore.access.policy.subjects import Kind, Subject
from longshore.clock import SECOND
from longshore.errors import AccessDenied, RegistryPolicyNotFound, RepositoryPolicyNotFound
from longshore.identity import authorization
from longshore.identity.authorization import Need, Surroundings
from longshore.identity.principals import ANONYMOUS, Principal, of_root
from longshore.identity.session_tokens import Session
from longshore.metadata import schema
from longshore.metadata.database import Database
from longshore.names import Registry
from longshore.registry import (
    account_settings,
    policies,
    registry_policies,
    repositories,
    repository_policies,
)
from tests.support.pushing import ACCOUNT, REGISTRY, REPOSITORY, create_repository

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.registry.context import Context
    from tests.support.clock import FakeClock

OTHER_ACCOUNT = "111122223333"
PULL, PUSH = "ecr:BatchGetImage", "ecr:PutImage"
ARN = REGISTRY.repository_arn(REPOSITORY)
PROVIDER_ARN = f"arn:aws:iam::{ACCOUNT}:oidc-provider/id.example"
HERE = Surroundings(region=REGISTRY.region)
ON_REPOSITORY = Need.on(REGISTRY, REPOSITORY, PULL)


def identity_policy(*statements: Mapping[str, Any]) -> Source:
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return Source("the inline policy 'p' of the user 'ann'", parse(text, Grammar.IDENTITY))


def allowing(action: str | list[str], resource: str = "*", **elements: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **elements}


def user(*statements: Mapping[str, Any], account: str = ACCOUNT, **members: Any) -> Principal:
    """Return a user with one policy, if any."""
    subject = Subject(Kind.USER, account, f"arn:aws:iam::{account}:user/team/ann")
    identity = (identity_policy(*statements),) if statements else ()
    return Principal(subject, Policies(identity), user_id="AIDAANN", name="ann", **members)


def session(*statements: Mapping[str, Any], **members: Any) -> Principal:
    """Return the session of a role with one policy."""
    role = f"arn:aws:iam::{ACCOUNT}:role/ci/builder"
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/builder/job-1"
    subject = Subject(Kind.ROLE, ACCOUNT, arn, role_arn=role)
    return Principal(
        subject,
        Policies((identity_policy(*statements),)),
        user_id="AROABUILDER:job-1",
        session=Session(
            "AROABUILDER",
            "job-1",
            1_700_000_000_000,
            1_700_003_600_000,
            source_identity="bob",
            provider=PROVIDER_ARN,
        ),
        **members,
    )


def set_on_repository(context: Context, *statements: Mapping[str, Any]) -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    document = policies.read(text, Grammar.REPOSITORY)
    repository_policies.put(context, REGISTRY, REPOSITORY, document)


def set_on_registry(context: Context, *statements: Mapping[str, Any]) -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    registry_policies.put(context, REGISTRY, policies.read(text, Grammar.REGISTRY))


def sentence(context: Context, principal: Principal, need: Need) -> str:
    """Return how a principal is refused."""
    with pytest.raises(AccessDenied) as refusal:
        authorization.require(context, principal, need, HERE)
    assert not authorization.allows(context, principal, need, HERE)
    return refusal.value.message


@pytest.fixture
def repository(context: Context) -> None:
    """There is a repository to ask for."""
    create_repository(context)


# --- Whose policies count -------------------------------------------------------------------------


# Thousands of decisions; that both databases tell the same is tested below.
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("repository")
def test_the_matrix_of_policies(context: Context) -> None:
    """Every combination of what a policy can say, in every place where there can be one."""
    nothing, allow, deny = None, "Allow", "Deny"
    says = (nothing, allow, deny)
    compiled = {
        effect: identity_policy({"Effect": effect, "Action": PULL, "Resource": "*"})
        for effect in (allow, deny)
    }
    # A boundary or a session's policy that doesn't speak of the action allows others only.
    silent = identity_policy(allowing("ecr:ListImages"))
    count = 0
    for on_repository, on_registry, scope in product(says, says, ("V1", "V2")):
        _put_effects(context, on_repository, on_registry, scope)
        for identity, boundary, narrowed, account in product(
            says, (*says, "none"), (*says, "none"), (ACCOUNT, OTHER_ACCOUNT)
        ):
            subject = Subject(Kind.ROLE, account, "arn:s", role_arn="arn:r")
            held = Policies(
                identity=(compiled[identity],) if identity else (),
                boundary=None if boundary == "none" else compiled.get(boundary or "", silent),
                session=None if narrowed == "none" else (compiled.get(narrowed or "", silent),),
            )
            in_registry = on_registry if scope == "V2" else nothing
            is_denied = deny in {identity, on_repository, in_registry, boundary, narrowed}
            is_limited = nothing in {boundary, narrowed}
            by_identity = identity == allow
            by_resource = allow in {on_repository, in_registry}
            granted = (
                by_identity or by_resource if account == ACCOUNT else by_identity and by_resource
            )
            expected = granted and not is_denied and not is_limited

            decided = authorization.allows(context, Principal(subject, held), ON_REPOSITORY, HERE)

            case = (identity, on_repository, on_registry, scope, boundary, narrowed, account)
            assert decided is expected, case
            count += 1
    assert count == 18 * 96


def _put_effects(
    context: Context, on_repository: str | None, on_registry: str | None, scope: str
) -> None:
    with suppress(RepositoryPolicyNotFound):
        repository_policies.remove(context, REGISTRY, REPOSITORY)
    with suppress(RegistryPolicyNotFound):
        registry_policies.remove(context, REGISTRY)
    if on_repository is not None:
        statement = {"Effect": on_repository, "Principal": "*", "Action": PULL}
        set_on_repository(context, statement)
    if on_registry is not None:
        statement = {"Effect": on_registry, "Principal": "*", "Action": PULL, "Resource": "*"}
        set_on_registry(context, statement)
    account_settings.put(context, REGISTRY, account_settings.REGISTRY_POLICY_SCOPE, scope)


@pytest.mark.usefixtures("repository")
def test_the_older_scope_has_a_say_in_three_actions(context: Context) -> None:
    everybody = {"Principal": "*", "Resource": "*"}
    set_on_registry(context, {"Effect": "Deny", "Action": "ecr:*", **everybody})
    ann = user(allowing("ecr:*"))
    named = {
        action: Need.of(action, ARN, REGISTRY)
        for action in (
            *("ecr:BatchImportUpstreamImage", "ecr:CreateRepository", "ecr:ReplicateImage"),
            *(PULL, "ecr:DeleteRepository", "ecr:TagResource"),
        )
    }
    named["ecr:PutRegistryPolicy"] = Need("ecr:PutRegistryPolicy", registry=REGISTRY)

    def refused() -> set[str]:
        return {
            action
            for action, need in named.items()
            if not authorization.allows(context, ann, need, HERE)
        }

    assert refused() == named.keys()
    account_settings.put(context, REGISTRY, "REGISTRY_POLICY_SCOPE", "V1")
    assert refused() == {
        "ecr:BatchImportUpstreamImage",
        "ecr:CreateRepository",
        "ecr:ReplicateImage",
    }


@pytest.mark.usefixtures("repository")
def test_only_the_caller_s_own_policies_give_tokens(context: Context) -> None:
    need = Need.of("ecr:GetAuthorizationToken", "*", REGISTRY)
    everybody = {"Principal": "*", "Resource": "*", "Action": "ecr:*"}
    set_on_registry(context, {"Effect": "Allow", **everybody})
    assert sentence(context, user(), need) == (
        f"User: arn:aws:iam::{ACCOUNT}:user/team/ann is not authorized to perform: "
        "ecr:GetAuthorizationToken on resource: * because no identity-based policy allows "
        "the ecr:GetAuthorizationToken action"
    )

    set_on_registry(context, {"Effect": "Deny", **everybody})
    authorization.require(context, user(allowing("ecr:GetAuthorizationToken")), need, HERE)


@pytest.mark.usefixtures("repository")
def test_what_is_to_be_made_has_no_policy_of_its_own(context: Context) -> None:
    need = Need.of("ecr:CreateRepository", ARN, REGISTRY)
    set_on_repository(context, {"Effect": "Deny", "Principal": "*", "Action": "ecr:*"})
    set_on_registry(
        context,
        {
            "Effect": "Allow",
            "Principal": {"AWS": OTHER_ACCOUNT},
            "Action": "ecr:CreateRepository",
            "Resource": REGISTRY.repository_arn("demo/*"),
        },
    )

    stranger = user(allowing("ecr:*"), account=OTHER_ACCOUNT)
    authorization.require(context, stranger, need, HERE)
    elsewhere = Need.of("ecr:CreateRepository", REGISTRY.repository_arn("other"), REGISTRY)
    assert not authorization.allows(context, stranger, elsewhere, HERE)


def test_a_repository_that_is_not_there_is_refused_in_the_same_words(context: Context) -> None:
    stranger = user(allowing("ecr:*"), account=OTHER_ACCOUNT)
    before = [sentence(context, each, ON_REPOSITORY) for each in (user(), stranger)]

    create_repository(context)

    assert [sentence(context, each, ON_REPOSITORY) for each in (user(), stranger)] == before
    assert before == [
        f"User: arn:aws:iam::{account}:user/team/ann is not authorized to perform: {PULL} "
        f"on resource: {ARN} because no {kind}-based policy allows the {PULL} action"
        for account, kind in ((ACCOUNT, "identity"), (OTHER_ACCOUNT, "resource"))
    ]


def test_a_registry_s_policy_holds_for_names_without_a_repository(context: Context) -> None:
    deny = {"Effect": "Deny", "Principal": "*", "Action": PULL, "Resource": "*"}
    set_on_registry(context, deny)

    assert sentence(context, user(allowing(PULL)), ON_REPOSITORY).endswith(
        "with an explicit deny in a resource-based policy"
    )


@pytest.mark.usefixtures("repository")
def test_the_operator_needs_nobody_s_consent_but_may_be_denied(context: Context) -> None:
    administrator = Principal(Subject(Kind.USER, OTHER_ACCOUNT, "arn:a", is_operator=True))
    authorization.require(context, administrator, ON_REPOSITORY, HERE)

    set_on_repository(context, {"Effect": "Deny", "Principal": "*", "Action": PULL})
    assert "explicit deny" in sentence(context, administrator, ON_REPOSITORY)


def test_root_may_do_everything_in_its_own_account(context: Context) -> None:
    authorization.require(context, of_root(ACCOUNT), ON_REPOSITORY, HERE)
    assert not authorization.allows(context, of_root(OTHER_ACCOUNT), ON_REPOSITORY, HERE)


@pytest.mark.usefixtures("repository")
def test_everybody_gets_as_far_as_a_repository_that_lets_them_in(context: Context) -> None:
    to_all = {"Effect": "Allow", "Principal": "*"}
    missing = Need.on(REGISTRY, "demo/missing", PULL)
    everywhere = Need.on_all(REGISTRY, "ecr:DescribeRepositories")
    set_on_registry(context, {**to_all, "Action": "ecr:*", "Resource": "*"})
    for scope in ("V1", "V2"):
        account_settings.put(context, REGISTRY, "REGISTRY_POLICY_SCOPE", scope)
        assert not authorization.allows(context, ANONYMOUS, ON_REPOSITORY, HERE)

    account_settings.put(context, REGISTRY, "REGISTRY_POLICY_SCOPE", "V1")
    set_on_repository(context, {**to_all, "Action": PULL})
    assert authorization.allows(context, ANONYMOUS, ON_REPOSITORY, HERE)
    assert not authorization.allows(context, ANONYMOUS, Need.on(REGISTRY, REPOSITORY, PUSH), HERE)

    account_settings.put(context, REGISTRY, "REGISTRY_POLICY_SCOPE", "V2")
    for need in (missing, everywhere, Need.of("ecr:GetAuthorizationToken", "*", REGISTRY)):
        assert not authorization.allows(context, ANONYMOUS, need, HERE)

    set_on_registry(context, {**to_all, "Effect": "Deny", "Action": "ecr:*", "Resource": "*"})
    assert not authorization.allows(context, ANONYMOUS, ON_REPOSITORY, HERE)

    set_on_repository(context, {**to_all, "Principal": {"AWS": ACCOUNT}, "Action": PULL})
    registry_policies.remove(context, REGISTRY)
    assert not authorization.allows(context, ANONYMOUS, ON_REPOSITORY, HERE)


# --- Condition keys -------------------------------------------------------------------------------

NOW = 1_764_168_552_345
FROM_AFAR = Surroundings(
    region="eu-west-1",
    source_ip="192.0.2.7",
    secure_transport=True,
    user_agent="docker/27.0",
)
TAGGED = {"Team": "a", "stage": "prod"}
REQUEST_TAGS = {"aws:requesttag/team": ("b",), "aws:tagkeys": ("Team", "x")}

# Who asks, for what, and the condition that holds.
ANN = partial(user, tags={"Department": "tools"})
JOB = partial(session, tags={"Department": "ci"})
ON_SETTING = Need(PULL, registry=REGISTRY, values={"ecr:accountsetting": ("BLOB_MOUNTING",)})
TO_TAG = Need.on(REGISTRY, REPOSITORY, PULL, REQUEST_TAGS)
USER_ARN = f"arn:aws:iam::{ACCOUNT}:user/team/ann"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/ci/builder"

CONDITIONS: list[tuple[Any, Need, str, str, str]] = [
    (ANN, ON_REPOSITORY, "StringEquals", "aws:PrincipalArn", USER_ARN),
    (JOB, ON_REPOSITORY, "ArnLike", "aws:PrincipalArn", ROLE_ARN),
    (ANN, ON_REPOSITORY, "StringEquals", "aws:PrincipalAccount", ACCOUNT),
    (ANN, ON_REPOSITORY, "StringEquals", "aws:PrincipalType", "User"),
    (JOB, ON_REPOSITORY, "StringEquals", "aws:PrincipalType", "AssumedRole"),
    (ANN, ON_REPOSITORY, "StringEquals", "aws:PrincipalTag/department", "tools"),
    (JOB, ON_REPOSITORY, "StringEquals", "aws:PrincipalTag/Department", "ci"),
    (ANN, ON_REPOSITORY, "StringEquals", "aws:username", "ann"),
    (JOB, ON_REPOSITORY, "Null", "aws:username", "true"),
    (ANN, ON_REPOSITORY, "StringEquals", "aws:userid", "AIDAANN"),
    (JOB, ON_REPOSITORY, "StringEquals", "aws:userid", "AROABUILDER:job-1"),
    (JOB, ON_REPOSITORY, "DateEquals", "aws:TokenIssueTime", "2023-11-14T22:13:20Z"),
    (ANN, ON_REPOSITORY, "Null", "aws:TokenIssueTime", "true"),
    (JOB, ON_REPOSITORY, "Bool", "aws:MultiFactorAuthPresent", "false"),
    (ANN, ON_REPOSITORY, "Null", "aws:MultiFactorAuthPresent", "true"),
    (JOB, ON_REPOSITORY, "StringEquals", "aws:SourceIdentity", "bob"),
    (JOB, ON_REPOSITORY, "ArnEquals", "aws:FederatedProvider", PROVIDER_ARN),
    (ANN, ON_REPOSITORY, "StringEquals", "aws:ResourceAccount", ACCOUNT),
    (ANN, ON_REPOSITORY, "Bool", "aws:PrincipalIsAWSService", "false"),
    (ANN, ON_REPOSITORY, "Bool", "aws:ViaAWSService", "false"),
    (ANN, ON_REPOSITORY, "IpAddress", "aws:SourceIp", "192.0.2.0/24"),
    (ANN, ON_REPOSITORY, "Bool", "aws:SecureTransport", "true"),
    (ANN, ON_REPOSITORY, "StringLike", "aws:UserAgent", "docker/*"),
    (ANN, ON_REPOSITORY, "StringEquals", "aws:RequestedRegion", "eu-west-1"),
    (ANN, ON_REPOSITORY, "DateEquals", "aws:CurrentTime", "2025-11-26T14:49:12Z"),
    (ANN, ON_REPOSITORY, "NumericEquals", "aws:EpochTime", str(NOW // SECOND)),
    (ANN, ON_REPOSITORY, "StringEquals", "aws:ResourceTag/team", "a"),
    (ANN, ON_REPOSITORY, "StringEquals", "ecr:ResourceTag/Team", "a"),
    (ANN, ON_REPOSITORY, "StringEquals", "ecr:ResourceTag/stage", "prod"),
    (ANN, TO_TAG, "StringEquals", "aws:RequestTag/Team", "b"),
    (ANN, TO_TAG, "ForAllValues:StringEquals", "aws:TagKeys", "Team,x"),
    (ANN, ON_SETTING, "StringEquals", "ecr:AccountSetting", "BLOB_MOUNTING"),
]


def test_condition_keys(context: Context, clock: FakeClock) -> None:
    clock.now = NOW
    create_repository(context, tags=TAGGED)
    for principal, need, operator, key, value in CONDITIONS:
        values = value.split(",")
        for effect, expected in (("holds", True), ("doesn't", False)):
            wanted = values if expected else [_another(operator, value)]
            condition = {operator: {key: wanted}}
            asking = principal(allowing(PULL, Condition=condition))
            decided = authorization.allows(context, asking, need, FROM_AFAR)
            assert decided is expected, (effect, condition)


def _another(operator: str, value: str) -> str:
    match operator:
        case "Null" | "Bool":
            return {"true": "false", "false": "true"}[value]
        case "ArnLike" | "ArnEquals":
            return f"{USER_ARN}/*"
        case "IpAddress":
            return "198.51.100.0/24"
        case "DateEquals":
            return "2001-01-01T00:00:00Z"
        case "NumericEquals":
            return "1"
        case _:
            return "another"


def test_what_a_request_does_not_say_has_no_value(context: Context) -> None:
    repository = create_repository(context)
    assert repository.name == REPOSITORY
    for key in (
        *("aws:SourceIp", "aws:UserAgent", "aws:ResourceTag/team", "ecr:ResourceTag/team"),
        *("aws:RequestTag/team", "aws:TagKeys", "ecr:AccountSetting", "aws:PrincipalTag/team"),
    ):
        ann = user(allowing(PULL, Condition={"Null": {key: "true"}}))
        assert authorization.allows(context, ann, ON_REPOSITORY, HERE), key


def test_conditions_know_nobody_by_name(context: Context) -> None:
    create_repository(context)
    for key, there in (
        *((f"aws:Principal{part}", False) for part in ("Arn", "Account", "OrgID")),
        *(("aws:userid", False), ("aws:username", False), ("aws:PrincipalType", True)),
    ):
        statement = {"Effect": "Allow", "Principal": "*", "Action": PULL}
        set_on_repository(context, statement | {"Condition": {"Null": {key: "false"}}})
        assert authorization.allows(context, ANONYMOUS, ON_REPOSITORY, HERE) is there, key


def test_tags_that_differ_in_case_only_are_one_with_two_values(context: Context) -> None:
    repository = create_repository(context, tags={"Team": "a"})
    # As an earlier version let them be set.
    with context.database.write() as tx:
        tx.execute(
            insert(schema.resource_tags).values(repository_id=repository.id, key="team", value="b")
        )
    condition = {"StringEquals": {"aws:ResourceTag/team": "a"}}
    deny = {"Effect": "Deny", "Action": PULL, "Resource": "*", "Condition": condition}

    assert "explicit deny" in sentence(context, user(allowing("*"), deny), ON_REPOSITORY)


def test_tags_are_those_of_now(context: Context) -> None:
    create_repository(context, tags={"team": "a"})
    ann = user(allowing(PULL, Condition={"StringEquals": {"ecr:ResourceTag/team": "a"}}))
    authorization.require(context, ann, ON_REPOSITORY, HERE)

    repositories.tag(context, REGISTRY, REPOSITORY, {"team": "b"})
    sentence(context, ann, ON_REPOSITORY)


# --- What it costs --------------------------------------------------------------------------------


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_decision_is_made_at_once_and_by_what_holds_now(context: Context) -> None:
    create_repository(context)
    quick, ann = context.without_waiting(), user(allowing(PULL))
    for need in (ON_REPOSITORY, Need.on_all(REGISTRY, PULL)):
        quick.run(partial(authorization.require, principal=ann, need=need, surroundings=HERE))

    set_on_repository(context, {"Effect": "Deny", "Principal": "*", "Action": PULL})
    quick.run(lambda store: sentence(store, ann, ON_REPOSITORY))


def test_what_another_process_changes_counts_at_once(context: Context) -> None:
    create_repository(context)
    ann = user(allowing(PULL))
    url = context.database.url.render_as_string(hide_password=False)
    other = replace(context, database=Database(url))
    deny = {"Effect": "Deny", "Principal": "*", "Action": PULL}
    try:
        for _ in range(3):
            authorization.require(context, ann, ON_REPOSITORY, HERE)
            set_on_repository(other, deny)
            sentence(context, ann, ON_REPOSITORY)
            repository_policies.remove(other, REGISTRY, REPOSITORY)
    finally:
        other.database.close()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_what_strangers_ask_for_is_not_remembered(context: Context) -> None:
    quick = context.without_waiting()

    def ask(name: str) -> None:
        nowhere = Need.on(Registry("999999999999", "eu-west-1"), name, PULL)
        assert not quick.run(lambda store: authorization.allows(store, ANONYMOUS, nowhere, HERE))
        assert not authorization.allows(context, ANONYMOUS, nowhere, HERE)

    ask("demo/missing")
    remembered = [len(known.answers) for known in context.memory.look()]
    ask("demo/another")
    assert [len(known.answers) for known in context.memory.look()] == remembered


# --- Explanations ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("repository")
def test_an_explanation_shows_every_policy(context: Context) -> None:
    set_on_repository(context, {"Effect": "Allow", "Principal": "*", "Action": PUSH})
    statement = {"Effect": "Deny", "Principal": "*", "Action": PULL, "Resource": "*"}
    set_on_registry(context, statement)
    ann = user(allowing(PULL))

    explanation = authorization.explain(context, ann, ON_REPOSITORY, HERE)

    assert [(look.source.name, look.matched, look.decided) for look in explanation.looks] == [
        ("the inline policy 'p' of the user 'ann'", True, False),
        ("the repository policy", False, False),
        ("the registry policy", True, True),
    ]
    assert not explanation.decision.allowed


def test_a_refusal_is_explained_in_the_log_at_debug_level(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "longshore")
    surroundings = Surroundings("eu-west-1", request_id="4711")
    for level, lines in ((logging.INFO, 0), (logging.DEBUG, 1)):
        caplog.set_level(level, "longshore.identity.authorization")
        with pytest.raises(AccessDenied):
            authorization.require(context, user(allowing(PUSH)), ON_REPOSITORY, surroundings)
        authorization.require(context, user(allowing(PULL)), ON_REPOSITORY, surroundings)
        assert len(caplog.records) == lines
    [record] = caplog.records
    message = record.getMessage()
    assert message.startswith("request 4711 is refused\nRefused.\n")
    assert "the inline policy 'p' of the user 'ann'" in message


OWN = Registry(OTHER_ACCOUNT, "us-east-1")


@pytest.mark.parametrize(
    ("action", "resource", "registry", "repository"),
    [
        (PULL, ARN, REGISTRY, REPOSITORY),
        (PULL, REGISTRY.repository_arn("*"), REGISTRY, None),
        (PULL, REGISTRY.repository_arn("demo/*"), REGISTRY, None),
        (PULL, "*", OWN, None),
        (PULL, "arn:aws:s3:::bucket", OWN, None),
        ("ecr:CreateRepository", ARN, REGISTRY, None),
        ("ecr:GetAuthorizationToken", "*", None, None),
        ("iam:GetUser", f"arn:aws:iam::{ACCOUNT}:user/ann", None, None),
    ],
)
def test_a_need_from_the_words_of_a_policy(
    action: str, resource: str, registry: Registry | None, repository: str | None
) -> None:
    values = {"aws:tagkeys": ("a",)}

    assert Need.of(action, resource, OWN, values) == Need(
        action, resource, registry, repository, values
    )


def test_an_identity_belongs_to_its_own_account(context: Context) -> None:
    ann = user(allowing("iam:GetUser"))

    for account, expected in ((ACCOUNT, True), (OTHER_ACCOUNT, False)):
        need = Need("iam:GetUser", f"arn:aws:iam::{account}:user/bob")
        assert authorization.allows(context, ann, need, HERE) is expected
