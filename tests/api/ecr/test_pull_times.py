"""When images were pulled last, and whose pulls leave no time, on both faces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from longshore.registry.pulls import counts
from longshore.setting_tables import LimitSettings
from tests.api.ecr.refusal_cases import ACCOUNT
from tests.api.ecr.refusals import body, refusal
from tests.api.people import Person, allow, policy
from tests.api.stage import Stage
from tests.support.images import oci_image, oci_index
from tests.support.server import running_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from tests.api.conftest import NewServer
    from tests.support.server import Answer, RunningServer

IMAGE, OTHER = oci_image("image"), oci_image("other")
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


def pull_times(stage: Stage) -> dict[str, datetime | None]:
    """Return the pull times of a repository's images, once what was noted is written down."""
    stage.server.context.pulls.write(stage.server.context)
    details = stage.server.ecr.describe_images(repositoryName=stage.name)["imageDetails"]
    return {each["imageDigest"]: each.get("lastRecordedPullTime") for each in details}


def moment(stage: Stage) -> float:
    return stage.server.clock() / 1_000


def times_pulled(stage: Stage) -> int:
    found = counts(stage.server.context)
    return sum(count for (_, name), count in found.items() if name == stage.name)


def by_api(stage: Stage, **more: Any) -> Answer:
    request = {"repositoryName": stage.name, "imageIds": [{"imageTag": "1"}], **more}
    return stage.server.call("BatchGetImage", request)


PULLS: dict[str, Callable[[Stage], Answer]] = {
    "GET by tag": lambda stage: stage.send("GET", "manifests/1"),
    "GET by digest": lambda stage: stage.send("GET", f"manifests/{IMAGE.digest}"),
    "GET in another form": lambda stage: stage.send("GET", "manifests/1", [("Accept", DOCKER)]),
    "BatchGetImage by tag": by_api,
    "BatchGetImage by digest": lambda stage: by_api(
        stage, imageIds=[{"imageDigest": str(IMAGE.digest)}]
    ),
    "BatchGetImage in another form": lambda stage: by_api(stage, acceptedMediaTypes=[DOCKER]),
}
NO_PULLS: dict[str, Callable[[Stage], Answer]] = {
    "HEAD": lambda stage: stage.send("HEAD", "manifests/1"),
    "pushing again": lambda stage: stage.put(IMAGE, "1"),
    "tags": lambda stage: stage.send("GET", "tags/list"),
    "a blob": lambda stage: stage.send("GET", f"blobs/{IMAGE.blobs[0].digest}"),
    "referrers": lambda stage: stage.send("GET", f"referrers/{IMAGE.digest}"),
    "what isn't there": lambda stage: stage.send("GET", "manifests/none"),
    "BatchGetImage of what isn't there": lambda stage: by_api(
        stage, imageIds=[{"imageTag": "none"}]
    ),
    "DescribeImages": lambda stage: stage.server.call(
        "DescribeImages", {"repositoryName": stage.name}
    ),
}


def test_every_pull_leaves_its_time_and_nothing_else_does(stage: Stage) -> None:
    stage.push(IMAGE, "1")
    stage.push(OTHER, "2")
    never = {str(IMAGE.digest): None, str(OTHER.digest): None}
    for described, do in NO_PULLS.items():
        for _ in range(2):
            assert do(stage).status in {200, 201, 404}
        assert pull_times(stage) == never, described
    assert times_pulled(stage) == 0
    with stage.server.clock.stopped():
        for number, (described, do) in enumerate(PULLS.items(), 1):
            with stage.server.clock.ahead(number * 1_000):
                # The second time it is answered from memory, where there is one.
                for _ in range(2):
                    assert do(stage).status == 200
                times = pull_times(stage)
                pulled = times[str(IMAGE.digest)]
                assert pulled is not None
                assert pulled.timestamp() == moment(stage), described
                assert times[str(OTHER.digest)] is None
    assert times_pulled(stage) == 2 * len(PULLS)


def test_one_call_pulls_several_images(stage: Stage) -> None:
    index = oci_index([IMAGE, OTHER])
    stage.push(index, "1")
    ids = [{"imageTag": "1"}, {"imageDigest": str(IMAGE.digest)}, {"imageTag": "none"}]
    assert by_api(stage, imageIds=ids).status == 200

    times = pull_times(stage)
    assert {digest for digest, time in times.items() if time} == {
        str(index.digest),
        str(IMAGE.digest),
    }
    assert times_pulled(stage) == 2


def test_pulls_are_written_down_when_a_server_stops(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        stage = Stage.build(server)
        stage.push(IMAGE, "1")
        assert stage.send("GET", "manifests/1").status == 200
        [before] = server.ecr.describe_images(repositoryName=stage.name)["imageDetails"]
        assert "lastRecordedPullTime" not in before
    with running_server(tmp_path) as server:
        [after] = server.ecr.describe_images(repositoryName=stage.name)["imageDetails"]
        assert after["lastRecordedPullTime"] >= after["imagePushedAt"]
        assert counts(server.context).popitem()[1] == 1


def test_pulls_without_credentials_count(stage: Stage) -> None:
    stage.push(IMAGE, "1")
    open_to_all = {"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}
    stage.server.ecr.set_repository_policy(
        repositoryName=stage.name, policyText=policy(open_to_all)
    )
    assert stage.server.send("GET", f"/v2/{stage.name}/manifests/1").status == 200

    assert pull_times(stage)[str(IMAGE.digest)] is not None


# --- Exclusions -----------------------------------------------------------------------------------


def test_a_user_and_a_role_are_excluded_until_they_are_not(stage: Stage) -> None:
    ecr: Any = stage.server.ecr
    stage.push(IMAGE, "1")
    digest = str(IMAGE.digest)
    user = Person.invite(stage.server)
    user.may(allow("ecr:*"), allow("sts:AssumeRole"))
    role, session = scanner(stage.server, user)
    for pull, arn in (
        (lambda: user.oci("GET", f"/v2/{stage.name}/manifests/1").status, user.arn),
        (
            lambda: session.batch_get_image(
                repositoryName=stage.name, imageIds=[{"imageTag": "1"}]
            )["ResponseMetadata"]["HTTPStatusCode"],
            role,
        ),
    ):
        registered = body(ecr.register_pull_time_update_exclusion(principalArn=arn))
        assert abs(registered.pop("createdAt").timestamp() - moment(stage)) < 60
        assert registered == {"principalArn": arn}
        before = pull_times(stage)[digest]
        # Twice: the second is answered from memory, where there is one.
        assert [pull() for _ in range(2)] == [200, 200]
        assert pull_times(stage)[digest] == before

        assert body(ecr.deregister_pull_time_update_exclusion(principalArn=arn)) == {
            "principalArn": arn
        }
        assert pull() == 200
        after = pull_times(stage)[digest]
        assert after is not None
        assert before is None or after > before
    assert times_pulled(stage) == 6


def scanner(server: RunningServer, user: Person) -> tuple[str, Any]:
    """Return the ARN of a role that may pull, and a client in a session of it."""
    name = f"scanner-{user.name}"
    trust = {"Effect": "Allow", "Principal": {"AWS": user.arn}, "Action": "sts:AssumeRole"}
    role = server.iam.create_role(
        Path="/service/", RoleName=name, AssumeRolePolicyDocument=policy(trust)
    )["Role"]["Arn"]
    server.iam.put_role_policy(
        RoleName=name, PolicyName="pull", PolicyDocument=policy(allow("ecr:BatchGetImage"))
    )
    given = user.client("sts").assume_role(RoleArn=role, RoleSessionName="run")["Credentials"]
    key = given["AccessKeyId"], given["SecretAccessKey"]
    return role, server.client("ecr", key, given["SessionToken"])


def test_exclusions_come_in_pages(new_server: NewServer) -> None:
    ecr = new_server(limits=LimitSettings(pull_time_exclusions_per_registry=5)).ecr
    arns = [f"arn:aws:iam::{ACCOUNT}:user/robot-{number}" for number in range(5)]
    assert body(ecr.list_pull_time_update_exclusions()) == {"pullTimeUpdateExclusions": []}
    for arn in arns:
        ecr.register_pull_time_update_exclusion(principalArn=arn)
    with refusal(
        "LimitExceededException",
        f"The registry with id '{ACCOUNT}' already has 5 pull time update exclusions, the most it "
        "may have. Deregister some or raise the limit (limits.pull_time_exclusions_per_registry).",
    ):
        ecr.register_pull_time_update_exclusion(principalArn=f"{arns[0]}x")

    first = ecr.list_pull_time_update_exclusions(maxResults=3)
    rest = ecr.list_pull_time_update_exclusions(maxResults=3, nextToken=first["nextToken"])
    assert first["pullTimeUpdateExclusions"] == arns[:3]
    assert body(rest) == {"pullTimeUpdateExclusions": arns[3:]}
    with pytest.raises(ecr.exceptions.ExclusionNotFoundException):
        ecr.deregister_pull_time_update_exclusion(principalArn=f"{arns[0]}x")
