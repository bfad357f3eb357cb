"""Clients in the hands of people who may do less than the administrator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from longshore import server as assembly
from longshore.identity import access_keys
from longshore.settings import Settings
from tests.compat.support.programs import ProgramFailed, Shell
from tests.compat.support.server import USER
from tests.compat.test_containerd import Containerd
from tests.compat.test_crane import Crane
from tests.compat.test_docker import Docker
from tests.compat.test_podman import Podman
from tests.compat.test_skopeo import Skopeo

if TYPE_CHECKING:
    from pathlib import Path

    import boto3

    from tests.compat.images import Images
    from tests.compat.support.clients import Client
    from tests.compat.support.server import Longshore

pytestmark = pytest.mark.compat

ACCOUNT, OTHER_ACCOUNT = "000000000000", "111122223333"
PULL = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
]
NAME = "reader"
DENIED = r"denied|403|[Nn]ot authorized"
NO_CREDENTIALS = r"401|[Uu]nauthorized|[Aa]uthentication required|authorization failed"


@pytest.fixture(params=["skopeo", "docker"])
def client(request: pytest.FixtureRequest, server: Longshore, home: Path) -> Client:
    """A client that nobody has logged in with."""
    if request.param == "skopeo":
        return Skopeo(server, home)
    return Docker(server, Shell(home, {"DOCKER_HOST": request.getfixturevalue("docker_host")}))


@pytest.fixture
def repository(server: Longshore, images: Images, tmp_path: Path) -> str:
    """A repository with an image."""
    skopeo = Skopeo(server, tmp_path)
    name = skopeo.begin()
    skopeo.push(images.layered, name, "1")
    return name


def written(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def to_pull(repository: str) -> str:
    """Return the policy of an identity that may log in, and pull from one repository."""
    arn = f"arn:aws:ecr:*:{ACCOUNT}:repository/{repository}"
    return written(
        {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {"Effect": "Allow", "Action": PULL, "Resource": arn},
    )


def new_user(server: Longshore, manager: boto3.Session | None, policy: str) -> boto3.Session:
    """Create a user with one policy, in the account of whoever manages it."""
    iam = server.client("iam", manager)
    name = f"{NAME}-{len(iam.list_users()['Users'])}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="pull", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return server.session_of(key["AccessKeyId"], key["SecretAccessKey"])


def root_of(server: Longshore, account: str) -> boto3.Session:
    """Return the root user of an account, whom the operator gives a key."""
    variables = server.shell.variables
    context = assembly.open_context(
        Settings(
            data=server.shell.home / "data",
            database_url=variables.get("LONGSHORE_DATABASE_URL"),
        )
    )
    try:
        for key in access_keys.list_all(context, account, None):
            access_keys.remove(context, account, None, key.id)
        created, _ = access_keys.create(context, account, None)
    finally:
        context.database.close()
    return server.session_of(created.id, created.secret)


def check_pulls_only(client: Client, images: Images, repository: str) -> None:
    """Pull an image, and find that nothing is pushed."""
    assert images.layered.root() in client.pull(repository, "1")
    with pytest.raises(ProgramFailed, match=DENIED):
        client.push(images.other, repository, "2")
    details = client.server.described(repository)
    assert [detail["imageTags"] for detail in details] == [["1"]]


def check_denied(client: Client, repository: str) -> None:
    with pytest.raises(ProgramFailed, match=DENIED):
        client.pull(repository, "1")


def test_a_restricted_user(client: Client, images: Images, repository: str) -> None:
    server = client.server
    user = new_user(server, None, to_pull(repository))
    client.login(USER, server.password(user))

    check_pulls_only(client, images, repository)
    check_denied(client, server.create_repository("elsewhere"))


def test_a_user_of_another_account(client: Client, images: Images, repository: str) -> None:
    server = client.server
    guest = new_user(server, root_of(server, OTHER_ACCOUNT), to_pull(repository))
    client.login(USER, server.password(guest))
    check_denied(client, repository)

    policy = written({"Effect": "Allow", "Principal": {"AWS": OTHER_ACCOUNT}, "Action": "ecr:*"})
    server.ecr.set_repository_policy(repositoryName=repository, policyText=policy)
    check_pulls_only(client, images, repository)

    server.ecr.delete_repository_policy(repositoryName=repository)
    check_denied(client, repository)


def test_an_assumed_role(client: Client, images: Images, repository: str) -> None:
    server = client.server
    iam = server.client("iam")
    name = f"puller-{len(iam.list_roles()['Roles'])}"
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=written(trust))["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="pull", PolicyDocument=to_pull(repository))
    assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role["Arn"]}
    user = new_user(server, None, written(assume))
    credentials = server.client("sts", user).assume_role(
        RoleArn=role["Arn"], RoleSessionName="job-1"
    )["Credentials"]
    session = server.session_of(
        credentials["AccessKeyId"],
        credentials["SecretAccessKey"],
        credentials["SessionToken"],
    )
    client.login(USER, server.password(session))

    check_pulls_only(client, images, repository)
    iam.delete_role_policy(RoleName=name, PolicyName="pull")
    check_denied(client, repository)


@pytest.fixture(params=["skopeo", "podman", "crane", "containerd"])
def stranger(request: pytest.FixtureRequest, server: Longshore, home: Path) -> Client:
    """A client that asks without a login; docker alone wants one first."""
    match request.param:
        case "skopeo":
            return Skopeo(server, home)
        case "podman":
            return Podman(server, home)
        case "crane":
            return Crane(server, Shell(home))
        case _:
            return Containerd(server, home, request.getfixturevalue("containerd_address"))


def test_everybody_pulls_what_is_public(stranger: Client, images: Images, repository: str) -> None:
    with pytest.raises(ProgramFailed, match=NO_CREDENTIALS):
        stranger.pull(repository, "1")

    policy = written({"Effect": "Allow", "Principal": "*", "Action": PULL})
    stranger.server.ecr.set_repository_policy(repositoryName=repository, policyText=policy)
    assert images.layered.root() in stranger.pull(repository, "1")
    with pytest.raises(ProgramFailed, match=NO_CREDENTIALS):
        stranger.push(images.other, repository, "2")
