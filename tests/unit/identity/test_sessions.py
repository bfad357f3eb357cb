from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longshore.access.policy.evaluation import decide
from longshore.access.policy.subjects import Request
from longshore.access.sealing import ServerKey
from longshore.clock import HOUR, SECOND
from longshore.errors import AccessDenied, ExpiredToken, RegistryError, UnrecognizedClient
from longshore.identity import (
    access_keys,
    attachments,
    aws_managed_policies,
    boundaries,
    inline_policies,
    managed_policies,
    principals,
    registry_tokens,
    roles,
    session_tokens,
    sessions,
    users,
)
from longshore.identity.errors import (
    ExpiredSession,
    InvalidInput,
    MalformedPolicyDocument,
    NoSuchEntity,
    PackedPolicyTooLarge,
    QuotaExceeded,
    ValidationError,
)
from longshore.identity.kinds import Kind
from longshore.identity.session_tokens import Session
from longshore.identity.sessions import WebIdentity, Wish
from tests.support.identities import ACCOUNT
from tests.support.policies import allow, deny, document, trust
from tests.support.pushing import REGISTRY

if TYPE_CHECKING:
    from longshore.identity.access_keys import AccessKey, Credentials
    from longshore.identity.principals import Principal
    from longshore.identity.sessions import AssumedRole, SessionCredentials
    from longshore.registry.context import Context
    from tests.support.clock import FakeClock

OTHER = "999999999999"
ADMIN = aws_managed_policies.ADMINISTRATOR_ACCESS
ROLE = f"arn:aws:iam::{ACCOUNT}:role/deploy"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
PULL = "ecr:BatchGetImage"
TRUST_EVERYTHING = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]


def may(principal: Principal, action: str = PULL) -> bool:
    request = Request(action, "*", ACCOUNT, {})
    return decide(principal.subject, principal.policies, [], request).allowed


def user(context: Context, name: str, account: str = ACCOUNT, *policies: str) -> Principal:
    """Make a user with inline policies."""
    made = users.create(context, account, name)
    for number, text in enumerate(policies):
        inline_policies.put(context, account, Kind.USER, name, f"p{number}", document=text)
    return principals.of_user(context, made.id)


def assume(context: Context, principal: Principal, role: str = ROLE, **wish: Any) -> AssumedRole:
    return sessions.assume_role(context, principal, Wish(role, "ci", **wish), {})


def used(context: Context, credentials: SessionCredentials) -> Credentials:
    return access_keys.find(context, credentials.key_id, credentials.token)


@pytest.fixture
def role(context: Context) -> None:
    """A role that everybody may be, and that may pull."""
    roles.create(context, ACCOUNT, "deploy", trust("*", action=TRUST_EVERYTHING))
    inline_policies.put(context, ACCOUNT, Kind.ROLE, "deploy", "pull", document=allow(PULL))


@pytest.mark.usefixtures("role")
def test_a_session_is_what_the_role_is(context: Context, clock: FakeClock) -> None:
    assumed = assume(context, user(context, "ann"))
    found = used(context, assumed.credentials)
    role_id = roles.get(context, ACCOUNT, "deploy").identity.id
    assert assumed.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/ci"
    assert (assumed.id, assumed.packed_size) == (f"{role_id}:ci", 0)
    assert assumed.credentials.key_id.startswith("ASIA")
    assert assumed.credentials.expires_at == clock.now + HOUR
    assert found.secret == assumed.credentials.secret
    assert (found.principal.subject.arn, found.principal.user_id) == (assumed.arn, assumed.id)
    assert found.principal.issued_at == clock.now
    assert (may(found.principal), may(found.principal, "ecr:PutImage")) == (True, False)
    for shown in (repr(assumed), repr(found)):
        assert assumed.credentials.secret not in shown
        assert assumed.credentials.token not in shown


@pytest.mark.usefixtures("role")
def test_a_session_ends_with_its_time_its_role_and_no_later(
    context: Context, clock: FakeClock
) -> None:
    ann = user(context, "ann")
    credentials = assume(context, ann, duration_seconds=900).credentials
    clock.advance(900 * SECOND - 1)
    used(context, credentials)
    clock.advance(1)
    with pytest.raises(ExpiredSession) as over:
        used(context, credentials)
    assert over.value.message == "The security token included in the request is expired"

    credentials = assume(context, ann).credentials
    inline_policies.put(context, ACCOUNT, Kind.ROLE, "deploy", "pull", document=deny("*"))
    assert not may(used(context, credentials).principal)
    inline_policies.remove(context, ACCOUNT, Kind.ROLE, "deploy", "pull")
    roles.remove(context, ACCOUNT, "deploy")
    with pytest.raises(UnrecognizedClient):
        used(context, credentials)
    roles.create(context, ACCOUNT, "deploy", trust("*"))
    with pytest.raises(UnrecognizedClient):
        used(context, credentials)


def test_who_may_assume_a_role_is_decided_as_aws_does(context: Context) -> None:
    assuming = allow("sts:AssumeRole")
    without = user(context, "alice")
    with_policy = user(context, "bob", ACCOUNT, assuming)
    denied = user(context, "carl", ACCOUNT, assuming, deny("sts:*"))
    foreign = user(context, "fred", OTHER)
    foreign_with_policy = user(context, "gina", OTHER, assuming)
    bounded = user(context, "hank", ACCOUNT, assuming)
    boundaries.put(context, ACCOUNT, Kind.USER, "hank", "arn:aws:iam::aws:policy/ReadOnlyAccess")
    bounded = principals.of_user(context, bounded.user_id)
    roles.create(context, ACCOUNT, "deploy", trust(ACCOUNT))
    everybody = (without, with_policy, denied, foreign, foreign_with_policy, bounded)
    # Who of them may, by what the role trusts.
    for trusted, expected in (
        (
            [ALICE.replace("alice", each) for each in ("alice", "bob", "carl", "hank")],
            "alice bob hank",
        ),
        ([ACCOUNT], "bob"),
        ([f"arn:aws:iam::{ACCOUNT}:root"], "bob"),
        ([OTHER], "gina"),
        ([f"arn:aws:iam::{OTHER}:user/fred", f"arn:aws:iam::{OTHER}:user/gina"], "gina"),
        (["*"], "alice bob gina"),
    ):
        roles.put_trust_policy(context, ACCOUNT, "deploy", trust(*trusted))
        for principal in everybody:
            if principal.name in expected.split():
                assume(context, principal)
                continue
            with pytest.raises(AccessDenied) as refusal:
                assume(context, principal)
            assert refusal.value.message.startswith(
                f"User: {principal.subject.arn} is not authorized to perform: sts:AssumeRole "
                f"on resource: {ROLE} "
            )


def test_a_role_that_does_not_exist_looks_like_one_that_trusts_others(context: Context) -> None:
    ann, bob = user(context, "ann"), user(context, "bob", ACCOUNT, allow("*"))
    roles.create(context, ACCOUNT, "deploy", trust(OTHER), path="/x/")
    for principal in (ann, bob):
        sentences = []
        for arn in (ROLE, ROLE.replace("deploy", "x/deploy"), ROLE.replace("deploy", "none")):
            with pytest.raises(AccessDenied) as refusal:
                assume(context, principal, arn)
            sentences.append(refusal.value.message.replace(arn, "ROLE"))
        assert len(set(sentences)) == 1
    for arn in ("", "deploy", ALICE, ROLE + "\n"):
        with pytest.raises(ValidationError) as invalid:
            assume(context, ann, arn)
        assert invalid.value.message == f"{arn} is invalid"


@pytest.mark.usefixtures("role")
def test_root_assumes_no_roles(context: Context) -> None:
    with pytest.raises(AccessDenied, match="Roles may not be assumed by root accounts"):
        assume(context, principals.of_root(ACCOUNT))


def test_the_conditions_of_a_trust_policy_are_those_of_sts(context: Context) -> None:
    ann = user(context, "ann")
    roles.create(context, ACCOUNT, "deploy", trust("*"), tags=[("Team", "a")])
    for key, value, right, wrong in (
        ("sts:ExternalId", "x1", {"external_id": "x1"}, ({}, {"external_id": "x2"})),
        ("sts:RoleSessionName", "ci", {}, ()),
        ("sts:SourceIdentity", "me", {"source_identity": "me"}, ({}, {"source_identity": "you"})),
        ("aws:RequestTag/Cost", "1", {"tags": [("cost", "1")]}, ({}, {"tags": [("cost", "2")]})),
        ("aws:ResourceTag/Team", "a", {}, ()),
        ("iam:ResourceTag/Team", "b", None, ({},)),
        (
            "sts:TransitiveTagKeys",
            "a",
            {"tags": [("a", "")], "transitive_tag_keys": ["a"]},
            ({"tags": [("a", "")]},),
        ),
        ("aws:PrincipalTag/x", "y", None, ({},)),
    ):
        condition = {"ForAnyValue:StringEquals": {key: value}}
        text = trust("*", action=TRUST_EVERYTHING, Condition=condition)
        roles.put_trust_policy(context, ACCOUNT, "deploy", text)
        if right is not None:
            assume(context, ann, **right)
        for wish in wrong:
            with pytest.raises(AccessDenied):
                assume(context, ann, **wish)
    # What the face knows of the request counts too.
    values = {"aws:principaltag/x": ("y",)}
    sessions.assume_role(context, ann, Wish(ROLE, "ci"), values)


def test_tags_and_a_source_identity_have_to_be_allowed_too(context: Context) -> None:
    ann = user(context, "ann")
    for actions, refused in (
        (["sts:AssumeRole"], {"sts:TagSession", "sts:SetSourceIdentity"}),
        (["sts:AssumeRole", "sts:TagSession"], {"sts:SetSourceIdentity"}),
        (TRUST_EVERYTHING, set()),
        (["sts:TagSession"], {"sts:AssumeRole"}),
    ):
        text = trust(ALICE.replace("alice", "ann"), action=actions)
        if actions == ["sts:AssumeRole"]:
            roles.create(context, ACCOUNT, "deploy", text)
        roles.put_trust_policy(context, ACCOUNT, "deploy", text)
        found = set()
        wishes: list[dict[str, Any]] = [{"tags": [("a", "b")]}, {"source_identity": "me"}]
        for wish in wishes:
            try:
                assumed = assume(context, ann, **wish)
            except AccessDenied as refusal:
                found.add(refusal.message.partition("perform: ")[2].partition(" ")[0])
            else:
                principal = used(context, assumed.credentials).principal
                assert principal.tags == dict(wish.get("tags", []))
                assert assumed.source_identity == wish.get("source_identity", "")
        assert found == refused


@pytest.mark.usefixtures("role")
def test_a_session_is_narrowed_by_session_policies(context: Context) -> None:
    ann = user(context, "ann")
    attachments.attach(context, ACCOUNT, Kind.ROLE, "deploy", ADMIN)
    put = managed_policies.create(context, ACCOUNT, "put", allow("ecr:PutImage")).arn
    for wish, allowed in (
        ({}, {PULL, "ecr:PutImage"}),
        ({"policy": allow(PULL)}, {PULL}),
        ({"policy_arns": [put]}, {"ecr:PutImage"}),
        ({"policy": allow(PULL), "policy_arns": [put]}, {PULL, "ecr:PutImage"}),
        ({"policy": allow("iam:*")}, set()),
    ):
        assumed = assume(context, ann, **wish)
        principal = used(context, assumed.credentials).principal
        assert {each for each in (PULL, "ecr:PutImage") if may(principal, each)} == allowed
        assert (assumed.packed_size > 0) is bool(wish)


@pytest.mark.usefixtures("role")
def test_wishes_have_their_limits(context: Context) -> None:
    ann = user(context, "ann")
    roles.change(context, ACCOUNT, "deploy", max_session_seconds=7_200)
    assert assume(context, ann, duration_seconds=7_200).packed_size == 0
    refusals: list[tuple[type[RegistryError], dict[str, Any]]] = [
        (ValidationError, {"duration_seconds": 899}),
        (ValidationError, {"duration_seconds": 7_201}),
        (ValidationError, {"duration_seconds": 43_201}),
        (ValidationError, {"source_identity": "a b"}),
        (ValidationError, {"policy": allow(PULL) + " " * 2_048}),
        (ValidationError, {"policy_arns": [ADMIN] * 11}),
        (ValidationError, {"transitive_tag_keys": ["a"]}),
        (MalformedPolicyDocument, {"policy": "{}"}),
        (MalformedPolicyDocument, {"policy": trust("*")}),
        (NoSuchEntity, {"policy_arns": [f"{ADMIN}x"]}),
        (InvalidInput, {"policy_arns": ["x"]}),
        (InvalidInput, {"tags": [("a", "1"), ("A", "2")]}),
        (QuotaExceeded, {"tags": [(f"k{number}", "") for number in range(51)]}),
        (PackedPolicyTooLarge, {"tags": [(f"k{number}", "x" * 100) for number in range(50)]}),
    ]
    for error, wish in refusals:
        with pytest.raises(error):
            assume(context, ann, **wish)
    for name in ("", "a", "a b", "a/b", "é!", "a" * 65, "ci\n"):
        with pytest.raises(ValidationError, match="roleSessionName"):
            sessions.assume_role(context, ann, Wish(ROLE, name), {})


@pytest.mark.usefixtures("role")
def test_a_session_that_assumes_a_role_gets_an_hour_and_takes_along_what_is_transitive(
    context: Context,
) -> None:
    text = trust("*", action=TRUST_EVERYTHING)
    roles.create(context, ACCOUNT, "next", text, max_session_seconds=43_200)
    following = ROLE.replace("deploy", "next")
    wish: dict[str, Any] = {
        "tags": [("Team", "a"), ("cost", "1")],
        "transitive_tag_keys": ["team"],
        "source_identity": "me",
    }
    first = used(context, assume(context, user(context, "ann"), **wish).credentials).principal
    assumed = assume(context, first, following, tags=[("cost", "2")], duration_seconds=3_600)
    second = used(context, assumed.credentials).principal
    assert second.tags == {"Team": "a", "cost": "2"}
    assert assumed.source_identity == "me"
    assert second.session is not None
    assert second.session.transitive == ("Team",)
    with pytest.raises(ValidationError) as refusal:
        assume(context, first, following, duration_seconds=3_601)
    assert refusal.value.message == (
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role "
        "chaining."
    )
    with pytest.raises(ValidationError, match="inherited"):
        assume(context, first, following, tags=[("TEAM", "b")])
    with pytest.raises(AccessDenied, match="source identity"):
        assume(context, first, following, source_identity="you")
    # What it takes along has to be allowed like what is new.
    for action in TRUST_EVERYTHING:
        some = [each for each in TRUST_EVERYTHING if each != action]
        roles.put_trust_policy(context, ACCOUNT, "next", trust("*", action=some))
        with pytest.raises(AccessDenied, match=action):
            assume(context, first, following)


def test_a_user_exchanges_a_key_for_one_that_lasts_a_while(
    context: Context, key: AccessKey, clock: FakeClock
) -> None:
    inline_policies.put(context, ACCOUNT, Kind.USER, "alice", "all", document=allow("*"))
    roles.create(context, ACCOUNT, "deploy", trust(ACCOUNT))
    credentials = sessions.get_session_token(context, access_keys.find(context, key.id))
    assert credentials.expires_at == clock.now + 12 * HOUR
    found = used(context, credentials)
    assert found.principal.subject.arn == ALICE
    assert found.principal.issued_at == clock.now
    assert found.principal.name == "alice"
    allowed = {
        action: may(found.principal, action)
        for action in (PULL, "iam:GetUser", "sts:AssumeRole", "sts:GetSessionToken")
    }
    assert allowed == {
        PULL: True,
        "iam:GetUser": False,
        "sts:AssumeRole": True,
        "sts:GetSessionToken": False,
    }
    # To assume a role isn't chaining.
    roles.change(context, ACCOUNT, "deploy", max_session_seconds=7_200)
    assume(context, found.principal, duration_seconds=7_200)
    with pytest.raises(AccessDenied, match="Cannot call GetSessionToken with session credentials"):
        sessions.get_session_token(context, found)
    for seconds in (899, 129_601):
        with pytest.raises(ValidationError, match="durationSeconds"):
            sessions.get_session_token(context, access_keys.find(context, key.id), seconds)

    access_keys.set_active(context, ACCOUNT, "alice", key.id, active=False)
    with pytest.raises(UnrecognizedClient):
        used(context, credentials)


def test_a_session_of_root_lasts_an_hour_and_is_narrowed_too(
    context: Context, clock: FakeClock
) -> None:
    key, _ = access_keys.create(context, ACCOUNT, None)
    root = access_keys.find(context, key.id)
    credentials = sessions.get_session_token(context, root)
    longer = sessions.get_session_token(context, root, 7_200)
    assert credentials.expires_at == longer.expires_at == clock.now + HOUR
    principal = used(context, credentials).principal
    assert principal.subject.arn == f"arn:aws:iam::{ACCOUNT}:root"
    assert (may(principal), may(principal, "iam:GetUser")) == (True, False)


def test_a_role_trusts_whom_a_provider_vouches_for(context: Context) -> None:
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/ci.example.com"
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {"ci.example.com:sub": "repo:a/b"}},
    }
    roles.create(context, ACCOUNT, "deploy", document(statement))
    identity = WebIdentity(provider, {"ci.example.com:sub": ("repo:a/b",)})
    assumed = sessions.assume_role_with_web_identity(context, identity, Wish(ROLE, "ci"), {})
    principal = used(context, assumed.credentials).principal
    assert principal.subject.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/ci"
    assert principal.session is not None
    assert principal.session.provider == provider

    theirs = f"arn:aws:iam::{OTHER}:oidc-provider/ci.example.com"
    for stranger, role in (
        (replace(identity, values={"ci.example.com:sub": ("repo:a/c",)}), ROLE),
        (replace(identity, values={}), ROLE),
        (replace(identity, provider_arn=provider + "x"), ROLE),
        (replace(identity, provider_arn=theirs), ROLE),
        (identity, ROLE + "x"),
    ):
        with pytest.raises(AccessDenied) as refusal:
            sessions.assume_role_with_web_identity(context, stranger, Wish(role, "ci"), {})
        assert refusal.value.message == "Not authorized to perform sts:AssumeRoleWithWebIdentity"
    # Not even where the trust policy names it: a provider speaks for its own account.
    statement["Principal"] = {"Federated": theirs}
    roles.put_trust_policy(context, ACCOUNT, "deploy", document(statement))
    with pytest.raises(AccessDenied):
        sessions.assume_role_with_web_identity(
            context, replace(identity, provider_arn=theirs), Wish(ROLE, "ci"), {}
        )
    # And a key of a user is no such token.
    with pytest.raises(AccessDenied):
        assume(context, user(context, "ann", ACCOUNT, allow("*")))


@pytest.mark.usefixtures("role")
def test_a_registry_token_of_a_session_outlives_it_but_not_its_role(
    context: Context, clock: FakeClock
) -> None:
    credentials = assume(context, user(context, "ann"), policy=allow("ecr:*")).credentials
    password = registry_tokens.issue(context, used(context, credentials), REGISTRY.region).password
    clock.advance(12 * HOUR - 1)
    with pytest.raises(ExpiredSession):
        used(context, credentials)
    found = registry_tokens.authenticate(context, password, REGISTRY)
    assert found.subject.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/ci"
    assert (may(found), may(found, "ecr:PutImage")) == (True, False)
    attachments.attach(context, ACCOUNT, Kind.ROLE, "deploy", ADMIN)
    found = registry_tokens.authenticate(context, password, REGISTRY)
    assert (may(found, "ecr:PutImage"), may(found, "iam:GetUser")) == (True, False)
    clock.advance(1)
    with pytest.raises(ExpiredToken):
        registry_tokens.authenticate(context, password, REGISTRY)
    clock.advance(-1)
    attachments.detach(context, ACCOUNT, Kind.ROLE, "deploy", ADMIN)
    inline_policies.remove(context, ACCOUNT, Kind.ROLE, "deploy", "pull")
    roles.remove(context, ACCOUNT, "deploy")
    with pytest.raises(UnrecognizedClient):
        registry_tokens.authenticate(context, password, REGISTRY)


def test_a_service_assumes_the_roles_that_trust_it(context: Context) -> None:
    service = "ecr.amazonaws.com"
    trusting = trust(
        Principal={"Service": service},
        Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT, "sts:RoleSessionName": "work"}},
    )
    roles.create(context, ACCOUNT, "deploy", trusting)
    inline_policies.put(context, ACCOUNT, Kind.ROLE, "deploy", "pull", document=allow(PULL))

    principal = sessions.assume_role_as_service(context, service, ROLE, "work")

    assert principal.subject.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/work"
    assert may(principal)
    assert not may(principal, "ecr:PutImage")
    for other, role, name in (
        ("ec2.amazonaws.com", ROLE, "work"),
        (service, ROLE, "play"),
        (service, f"{ROLE}x", "work"),
        (service, ROLE.replace("role/", "role/path/"), "work"),
    ):
        with pytest.raises(AccessDenied) as refusal:
            sessions.assume_role_as_service(context, other, role, name)
        assert refusal.value.message == (
            f"User: {other} is not authorized to perform: sts:AssumeRole on resource: {role} "
            "because no role trust policy allows the sts:AssumeRole action"
        )


@pytest.mark.usefixtures("role")
def test_the_largest_session_still_has_tokens_that_are_read(context: Context) -> None:
    ann = user(context, "ann")
    wide = {"tags": [(f"k{number}", "語" * 80) for number in range(16)]}
    quoted = {"policy": allow("*") + "\n" * (2_048 - len(allow("*")))}
    for wish in (wide, quoted, {"tags": wide["tags"][:8], **quoted}):
        assumed = assume(context, ann, **wish)
        assert 50 <= assumed.packed_size <= 100
        found = used(context, assumed.credentials)
        password = registry_tokens.issue(context, found, REGISTRY.region).password
        assert registry_tokens.authenticate(context, password, REGISTRY) == found.principal


@pytest.mark.usefixtures("role")
def test_a_session_token_is_good_whole_here_and_with_its_own_key_alone(context: Context) -> None:
    ann = user(context, "ann")
    first, second = (assume(context, ann).credentials for _ in range(2))
    elsewhere = replace(context, server_key=ServerKey(b"x" * 32))
    token = first.token
    flipped = [
        token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        for place in range(0, len(token) - 1, 7)
    ]
    for key_id, wrong in (
        (first.key_id, second.token),
        (second.key_id, token),
        (first.key_id, None),
        *((first.key_id, each) for each in ("", "é", "\ud800", "A" * 20_000, token[:-4], *flipped)),
    ):
        with pytest.raises(UnrecognizedClient):
            access_keys.find(context, key_id, wrong)
    with pytest.raises(UnrecognizedClient):
        access_keys.find(elsewhere, first.key_id, token)
    password = registry_tokens.issue(context, used(context, first), REGISTRY.region).password
    with pytest.raises(UnrecognizedClient):
        access_keys.find(context, first.key_id, password)


@given(text=st.text() | st.from_regex(r"[A-Za-z0-9_-]{20,60}", fullmatch=True))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_no_text_at_all_is_a_session_token_by_accident(context: Context, text: str) -> None:
    with pytest.raises(UnrecognizedClient):
        session_tokens.read(context, text, "ASIAEXAMPLE")


@given(
    session=st.builds(
        Session,
        holder=st.text(),
        name=st.text(),
        issued_at=st.integers(),
        expires_at=st.integers(),
        policies=st.lists(st.text()).map(tuple),
        policy_arns=st.lists(st.text()).map(tuple),
        tags=st.dictionaries(st.text(), st.text()),
        transitive=st.lists(st.text()).map(tuple),
        source_identity=st.text(),
        provider=st.text(),
    )
)
def test_a_session_comes_back_from_json_as_it_went(session: Session) -> None:
    assert Session.of(json.loads(json.dumps(session.claims()))) == session
