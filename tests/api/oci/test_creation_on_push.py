"""Repositories that come to be by a push."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from longshore.names import Digest
from tests.api.people import ACCOUNT, OTHER_ACCOUNT, Person, allow, is_denied, policy
from tests.api.stage import Stage
from tests.support.images import oci_image
from tests.support.threads import at_once

if TYPE_CHECKING:
    from types_boto3_ecr.type_defs import TagTypeDef

    from tests.api.conftest import NewServer
    from tests.support.server import Answer, RunningServer

IMAGE = oci_image("image")
BLOB = b"0123456789"
DIGEST = str(Digest.of(BLOB))
ARN = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/"


def exists(server: RunningServer, name: str) -> bool:
    return server.call("DescribeRepositories", {"repositoryNames": [name]}).status == 200


def unknown(answer: Answer, name: str) -> bool:
    """Tell whether an answer says that there is no such repository."""
    sentence = (
        f"The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'"
    )
    return answer.status == 404 and (
        not answer.body
        or answer.json() == {"errors": [{"code": "NAME_UNKNOWN", "message": sentence}]}
    )


@pytest.fixture
def new(stage: Stage) -> Stage:
    """A repository that isn't there, and would be created by a push."""
    stage.server.ecr.create_repository_creation_template(
        prefix=stage.name, appliedFor=["CREATE_ON_PUSH"], imageTagMutability="IMMUTABLE"
    )
    return Stage(stage.server, f"{stage.name}/new")


@pytest.mark.parametrize(
    ("request_line", "body", "status"),
    [
        ("POST blobs/uploads/", b"", 202),
        (f"POST blobs/uploads/?digest={DIGEST}", BLOB, 201),
        (f"POST blobs/uploads/?mount={DIGEST}&from=no/such", b"", 202),
        # Its layers can't be there yet: the repository is, as with ECR.
        ("PUT manifests/1", IMAGE.content, 404),
        (f"PUT manifests/{IMAGE.digest}", IMAGE.content, 404),
    ],
)
def test_what_begins_a_push_creates(
    new: Stage, request_line: str, body: bytes, status: int
) -> None:
    method, _, path = request_line.partition(" ")
    headers = [("Content-Type", IMAGE.media_type)] if "manifests" in path else []

    answer = new.send(method, path, headers, body)

    assert answer.status == status, answer.body
    [made] = new.server.ecr.describe_repositories(repositoryNames=[new.name])["repositories"]
    assert made["imageTagMutability"] == "IMMUTABLE"
    if status == 404:
        assert answer.json()["errors"][0]["code"] != "NAME_UNKNOWN"


def test_nothing_else_creates(new: Stage) -> None:
    upload = "00000000-0000-4000-8000-000000000000"
    for method, path in (
        *(
            (method, path)
            for method in ("GET", "HEAD")
            for path in (
                "manifests/1",
                f"manifests/{IMAGE.digest}",
                f"blobs/{DIGEST}",
                "tags/list",
                f"referrers/{IMAGE.digest}",
            )
        ),
        ("GET", f"blobs/uploads/{upload}"),
        ("PATCH", f"blobs/uploads/{upload}"),
        ("PUT", f"blobs/uploads/{upload}?digest={DIGEST}"),
        ("DELETE", f"blobs/uploads/{upload}"),
        ("DELETE", "manifests/1"),
    ):
        assert unknown(new.send(method, path), new.name), (method, path)
    # Not by what is no push at all.
    for method, path, body in (
        ("PUT", "manifests/1", b"{}"),
        ("PUT", f"manifests/sha256:{'0' * 64}", IMAGE.content),
        ("POST", "blobs/uploads/?digest=sha256:1", b""),
    ):
        assert new.send(method, path, body=body).status in {400, 405}
    for operation, request in (
        ("InitiateLayerUpload", {}),
        ("PutImage", {"imageManifest": IMAGE.content.decode()}),
        ("BatchGetImage", {"imageIds": [{"imageTag": "1"}]}),
        ("BatchCheckLayerAvailability", {"layerDigests": [DIGEST]}),
    ):
        answer = new.server.call(operation, {"repositoryName": new.name, **request})
        assert answer.json()["__type"] == "RepositoryNotFoundException"
    assert not exists(new.server, new.name)


def test_an_image_is_pushed_into_nothing(new: Stage) -> None:
    new.push(IMAGE, "1")

    assert new.send("GET", "manifests/1").body == IMAGE.content
    # The settings hold at once.
    assert new.put(oci_image("other"), "1").status in {400, 404}


def test_without_a_template_there_is_no_repository(stage: Stage) -> None:
    ecr = stage.server.ecr
    ecr.create_repository_creation_template(
        prefix=f"{stage.name}/a", appliedFor=["REPLICATION", "PULL_THROUGH_CACHE"]
    )
    ecr.create_repository_creation_template(prefix=f"{stage.name}/b", appliedFor=["CREATE_ON_PUSH"])
    for name in ("a/x", "b", "bb/x", "c/x"):
        other = Stage(stage.server, f"{stage.name}/{name}")
        assert unknown(other.send("POST", "blobs/uploads/"), other.name)
        assert unknown(other.put(IMAGE, "1"), other.name)


def test_many_push_at_the_same_time(new: Stage) -> None:
    def push(number: int) -> int:
        blob = f"blob {number}".encode()
        return new.send("POST", f"blobs/uploads/?digest={Digest.of(blob)}", body=blob).status

    assert at_once([partial(push, number) for number in range(8)]) == [201] * 8


def test_a_push_takes_the_permissions_of_a_push_and_no_other(new: Stage) -> None:
    person = Person.invite(new.server)
    path = f"/v2/{new.name}/blobs/uploads/"
    for statement in (
        allow("ecr:CreateRepository"),
        allow("ecr:InitiateLayerUpload", f"{ARN}{new.name}/deeper"),
    ):
        person.may(statement)
        assert is_denied(person.oci("POST", path))
        assert not exists(new.server, new.name)

    person.may(allow("ecr:InitiateLayerUpload", f"{ARN}{new.name}"))
    assert person.oci("POST", path).status == 202
    assert exists(new.server, new.name)
    # Who is nobody creates nothing.
    other = f"/v2/{new.name}/other/blobs/uploads/"
    assert new.server.send("POST", other).status == 401


def test_the_repository_s_own_policy_counts_from_its_creation_on(new_server: NewServer) -> None:
    server = new_server()
    guest = Person.invite(server, OTHER_ACCOUNT)
    guest.may(allow("ecr:*"))
    open_to_guests = {"Effect": "Allow", "Principal": {"AWS": OTHER_ACCOUNT}, "Action": "ecr:*"}
    server.ecr.create_repository_creation_template(
        prefix="ROOT", appliedFor=["CREATE_ON_PUSH"], repositoryPolicy=policy(open_to_guests)
    )
    path = "/v2/app/blobs/uploads/"

    # There is no repository yet whose policy could let a guest in.
    assert is_denied(guest.oci("POST", path))
    assert server.oci("POST", path).status == 202
    assert guest.oci("POST", path).status == 202


def test_a_server_may_create_whatever_is_pushed(new_server: NewServer) -> None:
    server = new_server(create_on_push=True)
    new = Stage(server, "what/ever")
    for method in ("GET", "HEAD"):
        assert unknown(new.send(method, "manifests/1"), new.name)
    new.push(IMAGE, "1")
    [made] = server.ecr.describe_repositories(repositoryNames=[new.name])["repositories"]
    assert made["imageTagMutability"] == "MUTABLE"


# --- The role that creates, and what the audit tells ----------------------------------------------


def records(server: RunningServer) -> list[dict[str, Any]]:
    """Return what the audit has told so far."""
    lines = (server.settings.data / "audit.json").read_text().splitlines()
    return [json.loads(line) for line in lines]


def creator(server: RunningServer, *actions: str) -> str:
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "ecr.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    arn = server.iam.create_role(RoleName="creator", AssumeRolePolicyDocument=policy(trust))[
        "Role"
    ]["Arn"]
    statement = policy(*(allow(action) for action in actions))
    server.iam.put_role_policy(RoleName="creator", PolicyName="it", PolicyDocument=statement)
    return arn


def test_the_audit_tells_who_created_and_for_whose_push(new_server: NewServer) -> None:
    server = new_server()
    server.ecr.create_repository_creation_template(prefix="plain", appliedFor=["CREATE_ON_PUSH"])
    server.ecr.create_repository_creation_template(
        prefix="tagged",
        appliedFor=["CREATE_ON_PUSH"],
        resourceTags=[{"Key": "team", "Value": "a"}],
        customRoleArn=creator(server, "ecr:CreateRepository", "ecr:TagResource"),
    )
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/creator/ECR-RepositoryCreation"
    for prefix, creator_of in (("plain", None), ("tagged", session)):
        name = f"{prefix}/app"
        assert server.oci("POST", f"/v2/{name}/blobs/uploads/").status == 202
        created, pushed = records(server)[-2:]
        assert (created["eventName"], pushed["eventName"]) == (
            "CreateRepository",
            "InitiateLayerUpload",
        )
        assert created["requestID"] == pushed["requestID"]
        assert created["sourceIPAddress"] == created["userAgent"] == "ecr.amazonaws.com"
        assert created["userIdentity"]["invokedBy"] == "ecr.amazonaws.com"
        assert created["userIdentity"].get("arn") == creator_of
        assert created["resources"] == [{"ARN": ARN + name, "accountId": ACCOUNT}]
        assert created["requestParameters"]["repositoryName"] == name
        assert created["readOnly"] is False
        assert created["additionalEventData"] == {
            "pushedBy": f"arn:aws:iam::{ACCOUNT}:user/administrator",
            "repositoryCreationTemplate": prefix,
        }
    tags = server.ecr.list_tags_for_resource(resourceArn=f"{ARN}tagged/app")["tags"]
    assert tags == [{"Key": "team", "Value": "a"}]


def test_a_role_that_may_not_create_is_told_to_whoever_pushes(new_server: NewServer) -> None:
    server = new_server()
    server.ecr.create_repository_creation_template(
        prefix="ROOT",
        appliedFor=["CREATE_ON_PUSH"],
        customRoleArn=creator(server, "ecr:TagResource"),
    )
    answer = server.oci("POST", "/v2/app/blobs/uploads/")

    assert is_denied(answer)
    assert "assumed-role/creator/ECR-RepositoryCreation is not authorized" in answer.body.decode()
    assert not exists(server, "app")


def test_tags_without_a_role_are_refused_as_ecr_refuses_them(
    new_server: NewServer, compatibility: str
) -> None:
    server = new_server(compatibility=compatibility)
    tags: list[TagTypeDef] = [{"Key": "team", "Value": "a"}]
    server.ecr.create_repository_creation_template(
        prefix="ROOT", appliedFor=["CREATE_ON_PUSH"], resourceTags=tags
    )
    answer = server.oci("POST", "/v2/app/blobs/uploads/")

    if compatibility == "ecr":
        assert is_denied(answer)
        assert "Give it a customRoleArn." in answer.body.decode()
        assert not exists(server, "app")
    else:
        assert answer.status == 202
        assert server.ecr.list_tags_for_resource(resourceArn=f"{ARN}app")["tags"] == tags
