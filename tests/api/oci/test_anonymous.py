"""Pulls without credentials, where a repository's policy lets everybody in."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from tests.api.oci.test_authentication import check_not_authorized
from tests.api.people import ACCOUNT, policy
from tests.api.stage import Stage
from tests.support.images import SBOM, artifact, oci_image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tests.support.server import Answer, RunningServer

IMAGE = oci_image("public")
SBOM_OF_IMAGE = artifact("sbom", subject=IMAGE, artifact_type=SBOM)
PULL = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "ecr:ListImages",
]
TO_EVERYBODY = {"Effect": "Allow", "Principal": "*"}
NOBODY_S = "Authorization", "Basic " + base64.b64encode(b":").decode()


@pytest.fixture
def public(stage: Stage) -> Stage:
    """A repository that everybody may pull from."""
    stage.push(IMAGE, "1")
    stage.push(SBOM_OF_IMAGE)
    open_to_all(stage, {"Action": PULL})
    return stage


def open_to_all(stage: Stage, *statements: Mapping[str, Any]) -> None:
    text = policy(*({**TO_EVERYBODY, **statement} for statement in statements))
    stage.server.ecr.set_repository_policy(repositoryName=stage.name, policyText=text, force=True)


def ask(stage: Stage, method: str, path: str, *headers: tuple[str, str]) -> Answer:
    if not path.startswith("/"):
        path = f"/v2/{stage.name}/{path}"
    return stage.server.send(method, path, headers)


READING = [
    "manifests/1",
    f"manifests/{IMAGE.digest}",
    *(f"blobs/{blob.digest}" for blob in IMAGE.blobs),
    "tags/list",
    f"referrers/{IMAGE.digest}",
]


@pytest.mark.parametrize("headers", [(), (NOBODY_S,)], ids=["none", "an empty user and password"])
def test_everybody_pulls(public: Stage, headers: tuple[tuple[str, str], ...]) -> None:
    for method in ("GET", "HEAD"):
        for path in READING:
            answer = ask(public, method, path, *headers)
            known = public.send(method, path)
            assert (answer.status, answer.headers, answer.body) == (
                200,
                known.headers,
                known.body,
            ), path
    assert ask(public, "GET", "manifests/missing", *headers).status == 404


def test_nobody_does_anything_else(public: Stage) -> None:
    """Not even where the policy allows everything: whom nobody knows changes nothing."""
    open_to_all(public, {"Action": "ecr:*"})
    for method, path in (
        ("PUT", "manifests/1"),
        ("DELETE", "manifests/1"),
        ("POST", "blobs/uploads/"),
        ("PATCH", "blobs/uploads/00000000-0000-4000-8000-000000000000"),
        ("DELETE", f"blobs/{IMAGE.blobs[0].digest}"),
        ("GET", "/v2/"),
        ("HEAD", "/v2"),
        ("GET", "/v2/_catalog"),
        ("GET", "/v2/no/such/manifests/1"),
        ("GET", "/v2/No/Name/manifests/1"),
        ("GET", "/v2/no/such/path"),
        ("PUT", "/v2/"),
    ):
        for headers in ([], [NOBODY_S]):
            answer = ask(public, method, path, *headers)
            assert answer.status == 401, (method, path)
    assert ask(public, "GET", "manifests/1").status == 200


def test_wrong_credentials_are_worse_than_none(public: Stage) -> None:
    basic = {
        "a wrong password": b"AWS:wrong",
        "no password": b"AWS:",
        "no user": b":password",
        "another user": b"docker:password",
        "no colon": b"",
    }
    wrong = [
        *(f"Basic {base64.b64encode(each).decode()}" for each in basic.values()),
        *("", "Basic", "Basic x", "Bearer x", "Negotiate"),
    ]
    for header in wrong:
        answer = ask(public, "GET", "manifests/1", ("Authorization", header))
        check_not_authorized(answer, public.server.address)
    twice = [("Authorization", NOBODY_S[1])] * 2
    assert ask(public, "GET", "manifests/1", *twice).status == 401


def test_each_action_is_opened_by_itself(public: Stage) -> None:
    open_to_all(public, {"Action": "ecr:BatchGetImage"})
    for path in READING:
        is_open = path.partition("/")[0] in {"manifests", "referrers"}
        assert ask(public, "GET", path).status == (200 if is_open else 401), path


@pytest.mark.parametrize(
    "statement",
    [
        {"Principal": {"AWS": ACCOUNT}},
        {"Condition": {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}},
        {"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}}},
        {"Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
    ],
    ids=str,
)
def test_what_lets_some_in_does_not_let_everybody_in(
    public: Stage, statement: dict[str, Any]
) -> None:
    open_to_all(public, {"Action": PULL} | statement)

    check_not_authorized(ask(public, "GET", "manifests/1"), public.server.address)


def test_an_explicit_deny_counts(public: Stage) -> None:
    deny = {"Effect": "Deny", "Action": "ecr:GetDownloadUrlForLayer"}
    open_to_all(public, {"Action": PULL}, deny)

    assert ask(public, "GET", "manifests/1").status == 200
    assert ask(public, "GET", f"blobs/{IMAGE.blobs[0].digest}").status == 401


def test_what_is_closed_is_closed_at_once(public: Stage) -> None:
    assert [ask(public, "GET", "manifests/1").status for _ in range(2)] == [200, 200]

    public.server.ecr.delete_repository_policy(repositoryName=public.name)

    assert [ask(public, "GET", "manifests/1").status for _ in range(2)] == [401, 401]


def test_the_ecr_api_knows_nobody_without_a_name(public: Stage) -> None:
    headers = [
        ("Content-Type", "application/x-amz-json-1.1"),
        ("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.ListImages"),
    ]
    answer = public.server.send("POST", "/", headers, b'{"repositoryName": "test"}')

    assert answer.json()["__type"] == "MissingAuthenticationTokenException"


def test_strangers_use_up_nobody_s_rate(new_server: Any) -> None:
    server: RunningServer = new_server(limits={"rates": {"BatchGetImage": 1}})
    closed = Stage.build(server)
    closed.push(IMAGE, "1")
    with server.clock.stopped():
        assert [ask(closed, "GET", "manifests/1").status for _ in range(3)] == [401] * 3
        assert [closed.send("GET", "manifests/1").status for _ in range(2)] == [200, 429]
