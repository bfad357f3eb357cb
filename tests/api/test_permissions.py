"""Every operation and every route needs its permission, and no other.

What each needs stands here once more, as the Service Authorization Reference has it, so that a
mistake in the tables of the faces doesn't go unnoticed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from longshore.api.ecr.operations import OPERATIONS
from longshore.api.oci.routes import ROUTES
from longshore.names import Digest
from tests.api.ecr.refusal_cases import NOTHING, POLICIES_BY_NAME, TAKES, filled
from tests.api.ecr.template_refusals import MAKING
from tests.api.oci.cases import contents
from tests.api.people import ACCOUNT, OTHER_ACCOUNT, Person, allow, is_denied, policy
from tests.api.stage import Stage
from tests.support.images import oci_image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.support.server import Answer, RunningServer

ARN = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/"
THIS, NEW, EVERY, NONE = ARN + "{name}", ARN + "{name}/new", ARN + "*", "*"
TAGS = [{"Key": "team", "Value": "a"}]
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service/creator"
IMAGE = oci_image("image")
BLOB = b"0123456789"
DIGEST = str(Digest.of(BLOB))


@dataclass(frozen=True)
class Needs:
    """A request, and the permissions that it needs: actions, and what each is done to."""

    request: Any
    permissions: tuple[tuple[str, str], ...]


def on_this(operation: str, *more: str, **request: Any) -> Needs:
    request = {"repositoryName": "{name}", **TAKES.get(operation, {}), **request}
    actions = more or (operation,)
    return Needs(request, tuple((f"ecr:{action}", THIS) for action in actions))


def on_its_arn(operation: str, **request: Any) -> Needs:
    return Needs({"resourceArn": THIS, **request}, ((f"ecr:{operation}", THIS),))


def on_none(operation: str, **request: Any) -> Needs:
    return Needs(request, ((f"ecr:{operation}", NONE),))


CALLS: list[tuple[str, Needs]] = [
    *(
        (operation, on_this(operation))
        for operation in TAKES
        if operation not in {"ListImageReferrers", "DeleteRepository"}
    ),
    ("ListImageReferrers", on_this("ListImageReferrers", "BatchGetImage")),
    ("TagResource", on_its_arn("TagResource", tags=TAGS)),
    ("UntagResource", on_its_arn("UntagResource", tagKeys=["team"])),
    ("ListTagsForResource", on_its_arn("ListTagsForResource")),
    (
        "CreateRepository",
        Needs({"repositoryName": "{name}/new"}, (("ecr:CreateRepository", NEW),)),
    ),
    (
        "CreateRepository",
        Needs(
            {"repositoryName": "{name}/new", "tags": TAGS},
            (("ecr:CreateRepository", NEW), ("ecr:TagResource", NEW)),
        ),
    ),
    ("DescribeRepositories", Needs({}, (("ecr:DescribeRepositories", EVERY),))),
    (
        "DescribeRepositories",
        Needs({"repositoryNames": ["{name}"]}, (("ecr:DescribeRepositories", THIS),)),
    ),
    (
        "DescribeRepositories",
        Needs(
            {"repositoryNames": ["{name}", "{name}/new"]},
            (("ecr:DescribeRepositories", THIS), ("ecr:DescribeRepositories", NEW)),
        ),
    ),
    ("GetAuthorizationToken", on_none("GetAuthorizationToken")),
    ("DescribeRegistry", on_none("DescribeRegistry")),
    ("GetAccountSetting", on_none("GetAccountSetting", name="BLOB_MOUNTING")),
    ("PutAccountSetting", on_none("PutAccountSetting", name="BLOB_MOUNTING", value="DISABLED")),
    ("PutRegistryPolicy", on_none("PutRegistryPolicy", policyText="{on_registry}")),
    ("GetRegistryPolicy", on_none("GetRegistryPolicy")),
    ("DeleteRegistryPolicy", on_none("DeleteRegistryPolicy")),
    ("DeleteRepository", on_this("DeleteRepository")),
    ("DescribeRepositoryCreationTemplates", on_none("DescribeRepositoryCreationTemplates")),
    *(
        (
            operation,
            Needs(
                {
                    "prefix": prefix,
                    "appliedFor": ["CREATE_ON_PUSH"],
                    "repositoryPolicy": "{on_repository}",
                    "lifecyclePolicy": "any",
                    "customRoleArn": ROLE,
                },
                (
                    (f"ecr:{operation}", NONE),
                    ("ecr:CreateRepository", ARN + on),
                    ("ecr:SetRepositoryPolicy", ARN + on),
                    ("ecr:PutLifecyclePolicy", ARN + on),
                    ("iam:PassRole", ROLE),
                ),
            ),
        )
        for operation in MAKING
        for prefix, on in (("{name}", "{name}/*"), ("{name}/", "{name}/*"), ("ROOT", "*"))
    ),
    *(
        # Nothing more is needed for what isn't there, or is taken away.
        (
            operation,
            Needs(
                {
                    "prefix": "{name}",
                    "appliedFor": [],
                    "repositoryPolicy": "",
                    "lifecyclePolicy": "",
                    "customRoleArn": "",
                },
                ((f"ecr:{operation}", NONE), ("ecr:CreateRepository", ARN + "{name}/*")),
            ),
        )
        for operation in MAKING
    ),
    *(
        (operation, on_none(operation, **request))
        for operation, request in (
            ("DeleteRepositoryCreationTemplate", {"prefix": "{name}"}),
            ("RegisterPullTimeUpdateExclusion", {"principalArn": ROLE}),
            ("ListPullTimeUpdateExclusions", {}),
            ("DeregisterPullTimeUpdateExclusion", {"principalArn": ROLE}),
        )
    ),
]

Send = tuple[str, str, bytes]


def sent(request: str, *actions: str, resource: str = THIS, body: bytes = b"") -> Needs:
    method, _, path = request.partition(" ")
    return Needs((method, path, body), tuple((f"ecr:{action}", resource) for action in actions))


REQUESTS: list[Needs] = [
    *(sent(f"{method} /v2/") for method in ("GET", "HEAD")),
    *(
        sent(f"{method} {path}", action, resource=resource)
        for method in ("GET", "HEAD")
        for path, action, resource in (
            ("/v2/_catalog", "DescribeRepositories", EVERY),
            ("/v2/{name}/tags/list", "ListImages", THIS),
            (f"/v2/{{name}}/referrers/{NOTHING}", "BatchGetImage", THIS),
            ("/v2/{name}/manifests/1", "BatchGetImage", THIS),
            (f"/v2/{{name}}/manifests/{IMAGE.digest}", "BatchGetImage", THIS),
        )
    ),
    sent("GET /v2/{name}/blobs/{blob}", "GetDownloadUrlForLayer"),
    sent("HEAD /v2/{name}/blobs/{blob}", "BatchCheckLayerAvailability"),
    sent("DELETE /v2/{name}/blobs/{blob}", "BatchDeleteImage"),
    sent("PUT /v2/{name}/manifests/2", "PutImage", body=IMAGE.content),
    sent("DELETE /v2/{name}/manifests/2", "BatchDeleteImage"),
    sent("POST /v2/{name}/blobs/uploads/", "InitiateLayerUpload"),
    sent("POST /v2/{name}/blobs/uploads/?mount={blob}&from=no/such", "InitiateLayerUpload"),
    sent(
        f"POST /v2/{{name}}/blobs/uploads/?digest={DIGEST}",
        *("InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload"),
        body=BLOB,
    ),
    sent("GET /v2/{name}/blobs/uploads/{upload}", "UploadLayerPart"),
    sent("PATCH /v2/{name}/blobs/uploads/{upload}", "UploadLayerPart", body=BLOB[:5]),
    sent(
        f"PUT /v2/{{name}}/blobs/uploads/{{upload}}?digest={DIGEST}",
        *("CompleteLayerUpload", "UploadLayerPart"),
        body=BLOB[5:],
    ),
    sent(f"PUT /v2/{{name}}/blobs/uploads/{{other}}?digest={NOTHING}", "CompleteLayerUpload"),
    sent("DELETE /v2/{name}/blobs/uploads/{other}", "UploadLayerPart"),
]


@pytest.fixture
def person(server: RunningServer) -> Person:
    return Person.invite(server)


def names_for_calls(name: str) -> dict[str, str]:
    """Return what the requests of the table name."""
    return {"name": name, "image": IMAGE.content.decode(), **POLICIES_BY_NAME}


def check_needs(
    send: Callable[[Person, Any], Answer],
    needs: Needs,
    person: Person,
    stage: Stage,
    names: Mapping[str, str],
) -> None:
    """Find that a request passes with its permissions, and not with any less."""
    permissions = [(action, on.format_map(names)) for action, on in needs.permissions]
    before = contents(stage)
    for action, resource in permissions:
        # Every other action, and this one on everything else.
        others = {"Effect": "Allow", "Resource": "*", "NotAction": action}
        elsewhere = {"Effect": "Allow", "NotResource": resource, "Action": action}
        person.may(others, *([elsewhere] if resource != "*" else []))
        answer = send(person, needs.request)
        assert is_denied(answer), (needs, answer)
        if answer.body:
            sentence = (
                f"User: {person.arn} is not authorized to perform: {action} on resource: "
                f"{resource} because no identity-based policy allows the {action} action"
            )
            assert sentence in answer.body.decode()
    assert contents(stage) == before, "a refused request changed something"
    person.may(*(allow(action, resource) for action, resource in permissions), allow("s3:*"))
    answer = send(person, needs.request)
    assert answer.status != 401
    assert not is_denied(answer), (needs, answer, answer.body)


def test_every_operation_needs_its_action(stage: Stage, person: Person) -> None:
    stage.push(IMAGE, "1")
    names = names_for_calls(stage.name)
    for operation, needs in CALLS:

        def send(caller: Person, request: Any, operation: str = operation) -> Answer:
            return caller.call(operation, filled(request, names))

        check_needs(send, needs, person, stage, names)


def test_every_route_needs_its_action(stage: Stage, person: Person) -> None:
    stage.push(IMAGE, "1")
    person.may(allow("ecr:*"))

    def begin() -> str:
        return person.oci("POST", f"/v2/{stage.name}/blobs/uploads/").headers["docker-upload-uuid"]

    names = {
        "name": stage.name,
        "blob": str(IMAGE.blobs[0].digest),
        "upload": begin(),
        "other": begin(),
    }

    def send(caller: Person, request: tuple[str, str, bytes]) -> Answer:
        method, path, body = request
        headers = [("Content-Type", IMAGE.media_type)] if "manifests" in path else []
        return caller.oci(method, path.format_map(names), headers, body)

    for needs in REQUESTS:
        check_needs(send, needs, person, stage, names)
    assert stage.send("HEAD", f"blobs/{DIGEST}").status == 200


def test_every_operation_and_every_route_is_in_the_tables() -> None:
    assert {operation for operation, _ in CALLS} == OPERATIONS.keys()
    for operation, needs in CALLS:
        assert OPERATIONS[operation].action == needs.permissions[0][0]

    untested = {(method, pattern) for pattern, methods in ROUTES for method in methods}
    for needs in REQUESTS:
        method, path, _ = needs.request
        path = path.partition("?")[0].format(name="a/b", blob="b", upload="u", other="o")
        [pattern] = [each for each, _ in ROUTES if re.fullmatch(each, path)][:1]
        untested.discard((method, pattern))
    assert untested == set()


def test_nobody_learns_what_there_is(stage: Stage, person: Person) -> None:
    """Who may nothing hears the same of a repository that is there and of one that isn't."""
    stage.push(IMAGE, "1")
    names, missing = names_for_calls(stage.name), names_for_calls(f"{stage.name}x")
    for operation, needs in CALLS:
        answers = [person.call(operation, filled(needs.request, each)) for each in (names, missing)]
        sentences = [
            answer.json()["message"].replace(f"{stage.name}x", stage.name) for answer in answers
        ]
        assert sentences[0] == sentences[1]
        assert all(is_denied(answer) for answer in answers), operation
    for method, path in (("GET", "manifests/1"), ("GET", "tags/list"), ("PUT", "manifests/1")):
        for name in (stage.name, missing["name"]):
            assert person.oci(method, f"/v2/{name}/{path}").status == 403


# --- Across accounts ------------------------------------------------------------------------------


def test_another_account_needs_both_sides(stage: Stage) -> None:
    stage.push(IMAGE, "1")
    guest = Person.invite(stage.server, OTHER_ACCOUNT)
    ecr = stage.server.ecr

    def answers() -> tuple[Answer, Answer]:
        request = {
            "registryId": ACCOUNT,
            "repositoryName": stage.name,
            "imageIds": [{"imageTag": "1"}],
        }
        return guest.call("BatchGetImage", request), guest.oci(
            "GET", f"/v2/{stage.name}/manifests/1"
        )

    guest.may(allow("ecr:*"))
    for answer in answers():
        assert is_denied(answer)
        assert (
            f"User: {guest.arn} is not authorized to perform: ecr:BatchGetImage on resource: "
            f"{ARN}{stage.name} because no resource-based policy allows the ecr:BatchGetImage "
            "action"
        ) in answer.body.decode()

    text = policy({"Effect": "Allow", "Principal": {"AWS": OTHER_ACCOUNT}, "Action": "ecr:*"})
    ecr.set_repository_policy(repositoryName=stage.name, policyText=text)
    assert [answer.status for answer in answers()] == [200, 200]

    guest.may(allow("ecr:PutImage"))
    for answer in answers():
        assert "because no identity-based policy allows" in answer.body.decode()

    ecr.delete_repository_policy(repositoryName=stage.name)
    guest.may(allow("ecr:*"))
    assert all(is_denied(answer) for answer in answers())


def test_a_change_counts_from_the_next_request_on(stage: Stage, person: Person) -> None:
    stage.push(IMAGE, "1")
    path = f"/v2/{stage.name}/manifests/1"
    listing = {"repositoryName": stage.name}
    for _ in range(3):
        person.may(allow("ecr:BatchGetImage"), allow("ecr:ListImages"))
        # Twice: the second is answered from memory, where there is one.
        assert [person.oci("GET", path).status for _ in range(2)] == [200, 200]
        assert [person.call("ListImages", listing).status for _ in range(2)] == [200, 200]
        person.may(allow("ecr:PutImage"))
        assert [person.oci("GET", path).status for _ in range(2)] == [403, 403]
        assert all(is_denied(person.call("ListImages", listing)) for _ in range(2))


def test_an_answer_in_memory_is_nobody_else_s(stage: Stage, person: Person) -> None:
    request = {"repositoryName": stage.name}
    assert stage.server.call("ListImages", request).status == 200

    assert is_denied(person.call("ListImages", request))


# --- Tags -----------------------------------------------------------------------------------------


def test_access_by_tags(stage: Stage, person: Person) -> None:
    arn = f"{ARN}{stage.name}"
    theirs = {"StringEquals": {"ecr:ResourceTag/team": "${aws:username}"}}
    person.may(
        allow("ecr:ListImages", Condition=theirs),
        allow("ecr:TagResource", Condition={"StringEquals": {"aws:RequestTag/color": "blue"}}),
        allow("ecr:CreateRepository", Condition={"Null": {"aws:RequestTag/team": "false"}}),
    )
    listing = {"repositoryName": stage.name}

    assert is_denied(person.call("ListImages", listing))
    stage.server.ecr.tag_resource(resourceArn=arn, tags=[{"Key": "team", "Value": person.name}])
    assert person.call("ListImages", listing).status == 200
    assert person.oci("GET", f"/v2/{stage.name}/tags/list").status == 200

    for color, denied in (("red", True), ("blue", False)):
        tags = [{"Key": "Color", "Value": color}]
        assert is_denied(person.call("TagResource", {"resourceArn": arn, "tags": tags})) is denied

    for keys, denied in ((["color"], True), (["team"], True), (["color", "team"], False)):
        tags = [{"Key": key, "Value": "blue"} for key in keys]
        request = {"repositoryName": f"{stage.name}/new", "tags": tags}
        assert is_denied(person.call("CreateRepository", request)) is denied, keys


# --- Mounts ---------------------------------------------------------------------------------------


def test_a_mount_needs_the_layer_to_be_readable(server: RunningServer, person: Person) -> None:
    source, target = Stage.build(server), Stage.build(server)
    source.push(IMAGE, "1")
    digest = IMAGE.blobs[1].digest
    path = f"/v2/{target.name}/blobs/uploads/?mount={digest}&from={source.name}"
    begin = allow("ecr:InitiateLayerUpload", f"{ARN}{target.name}")
    server.ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    try:
        person.may(begin, allow("ecr:BatchGetImage"))
        assert person.oci("POST", path).status == 202
        assert target.send("HEAD", f"blobs/{digest}").status == 404

        person.may(begin, allow("ecr:GetDownloadUrlForLayer", f"{ARN}{source.name}"))
        assert person.oci("POST", path).status == 201
        assert target.send("HEAD", f"blobs/{digest}").status == 200
    finally:
        server.ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")


def test_an_upload_is_its_principal_s(stage: Stage, person: Person) -> None:
    other = Person.invite(stage.server)
    for each in (person, other):
        each.may(allow("ecr:*"))
    upload = person.oci("POST", f"/v2/{stage.name}/blobs/uploads/").headers["docker-upload-uuid"]
    path = f"/v2/{stage.name}/blobs/uploads/{upload}"

    assert other.oci("PATCH", path, body=BLOB).status == 404
    assert person.oci("PATCH", path, body=BLOB).status == 202


def test_what_is_kept_of_the_refused_takes_its_room(plain_server: RunningServer) -> None:
    person = Person.invite(plain_server)
    names = [f"nowhere/{number}" for number in range(20)]
    assert is_denied(person.call("DescribeRepositories", {"repositoryNames": names}))
    # All else that was found out since the database changed last takes next to nothing.
    assert plain_server.context.memory._known.size > 20 * 1_024
