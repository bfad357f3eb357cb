"""docker and skopeo pushing to repositories that aren't there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.compat.support.programs import ProgramFailed, Shell
from tests.compat.support.server import USER
from tests.compat.test_docker import Docker
from tests.compat.test_permissions import DENIED, new_user, written
from tests.compat.test_skopeo import Skopeo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.images import Images
    from tests.compat.support.clients import Client
    from tests.compat.support.server import Longshore

pytestmark = pytest.mark.compat

PUSH = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
]


@pytest.fixture(params=["skopeo", "docker"])
def client(request: pytest.FixtureRequest, server: Longshore, home: Path) -> Client:
    if request.param == "skopeo":
        return Skopeo(server, home)
    return Docker(server, Shell(home, {"DOCKER_HOST": request.getfixturevalue("docker_host")}))


def test_a_push_creates_the_repository_where_a_template_says_so(
    client: Client, images: Images
) -> None:
    server, ecr = client.server, client.server.ecr
    prefix = client.begin()
    ecr.create_repository_creation_template(
        prefix=prefix, appliedFor=["CREATE_ON_PUSH"], imageTagMutability="IMMUTABLE"
    )
    repository = f"{prefix}/deep/app"
    arn = f"arn:aws:ecr:*:*:repository/{repository}"
    pusher = new_user(
        server,
        None,
        written(
            {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
            {"Effect": "Allow", "Action": [*PUSH, "ecr:GetDownloadUrlForLayer"], "Resource": arn},
        ),
    )
    client.login(USER, server.password(pusher))

    client.push(images.layered, repository, "1")

    [made] = ecr.describe_repositories(repositoryNames=[repository])["repositories"]
    assert made["imageTagMutability"] == "IMMUTABLE"
    content = server.content(repository, "1")
    assert content.root in client.pull(repository, "1")
    # The template's settings hold from the first image on.
    with pytest.raises(ProgramFailed, match="immutable"):
        client.push(images.other, repository, "1")
    assert server.content(repository, "1") == content
    with pytest.raises(ProgramFailed, match=DENIED):
        client.push(images.layered, f"{prefix}/elsewhere", "1")
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException):
        ecr.describe_repositories(repositoryNames=[f"{prefix}/elsewhere"])


def test_without_a_template_a_push_is_told_that_there_is_no_repository(
    client: Client, images: Images
) -> None:
    repository = f"{client.begin()}/none"

    with pytest.raises(ProgramFailed, match=f"'{repository}' does not exist in the registry"):
        client.push(images.layered, repository, "1")


def test_a_pull_is_told_after_a_restart_at_the_latest(
    server: Longshore, images: Images, home: Path
) -> None:
    # docker gets no manifest that it has from elsewhere, and so pulls nothing.
    skopeo = Skopeo(server, home)
    repository = skopeo.begin()
    skopeo.push(images.layered, repository, "1")
    [before] = server.described(repository)
    assert "lastRecordedPullTime" not in before
    skopeo.pull(repository, "1")

    server.restart()

    [described] = server.described(repository)
    assert described["lastRecordedPullTime"] >= described["imagePushedAt"]
