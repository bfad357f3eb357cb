"""GET and HEAD of manifests (OCI distribution-spec, "Pulling manifests")."""

from __future__ import annotations

import pytest

from longshore.names import Digest
from longshore.registry.media_types import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
)
from tests.api.oci.cases import Case, Reply, play
from tests.api.oci.scene import DOCKER_IMAGE, IMAGE, INDEX, SBOM_OF_IMAGE, Scene

NOT_FOUND = Reply(404, "MANIFEST_UNKNOWN", "Requested image not found")
NOT_A_DIGEST = Reply(
    400,
    "DIGEST_INVALID",
    "The digest must be an algorithm, a colon and lower-case hex digits, "
    "such as sha256:<64 digits>",
)
THE_IMAGE = Reply(
    200,
    headers={"content-type": OCI_MANIFEST, "docker-content-digest": "{image}"},
    body=IMAGE.content,
)
ITS_HEAD = Reply(200, headers={**THE_IMAGE.headers, "content-length": "{image_size}"})
THE_DOCKER_IMAGE = Reply(
    200,
    headers={"content-type": DOCKER_MANIFEST, "docker-content-digest": "{docker}"},
    body=DOCKER_IMAGE.content,
)
THE_INDEX = Reply(
    200,
    headers={"content-type": OCI_INDEX, "docker-content-digest": "{index}"},
    body=INDEX.content,
)
THE_ARTIFACT = Reply(
    200,
    headers={"content-type": OCI_MANIFEST, "docker-content-digest": "{sbom}"},
    body=SBOM_OF_IMAGE.content,
)
UNKNOWN_REPOSITORY = Reply(
    404,
    "NAME_UNKNOWN",
    "The repository with name 'no/such' does not exist in the registry with id '000000000000'",
)


def accept(*media_types: str) -> tuple[tuple[str, str], ...]:
    return tuple(("Accept", media_type) for media_type in media_types)


CASES = [
    Case("a manifest is served by its tag", "GET manifests/1", THE_IMAGE),
    Case("another tag serves the same manifest", "GET manifests/latest", THE_IMAGE),
    Case("a manifest is served by its digest", "GET manifests/{image}", THE_IMAGE),
    Case("an untagged manifest is served by its digest", "GET manifests/{sbom}", THE_ARTIFACT),
    Case("a manifest of Docker's is served as it is", "GET manifests/docker", THE_DOCKER_IMAGE),
    Case("an index is served by its tag", "GET manifests/index", THE_INDEX),
    Case("an encoded colon is a colon", "GET manifests/sha256%3A" + IMAGE.digest.hex, THE_IMAGE),
    Case("HEAD of a tag tells size and digest", "HEAD manifests/1", ITS_HEAD),
    Case("HEAD of a digest tells size and digest", "HEAD manifests/{image}", ITS_HEAD),
    Case("an unknown tag is not found", "GET manifests/2", NOT_FOUND),
    Case("a tag is not found by its beginning", "GET manifests/late", NOT_FOUND),
    Case("tags are told apart by their case", "GET manifests/LATEST", NOT_FOUND),
    Case("a tag too long for any is not found", f"GET manifests/{'a' * 129}", NOT_FOUND),
    Case("a wildcard is no tag", "GET manifests/%25", NOT_FOUND),
    Case("an unknown digest is not found", "GET manifests/{nothing}", NOT_FOUND),
    Case("the digest of a blob is no manifest's", "GET manifests/{config}", NOT_FOUND),
    Case("HEAD of an unknown tag has no body", "HEAD manifests/2", NOT_FOUND),
    Case("HEAD of an unknown digest has no body", "HEAD manifests/{nothing}", NOT_FOUND),
    Case("an unknown repository is not found", "GET /v2/no/such/manifests/1", UNKNOWN_REPOSITORY),
    Case("HEAD in an unknown repository", "HEAD /v2/no/such/manifests/1", UNKNOWN_REPOSITORY),
    Case("a short digest is refused", "GET manifests/sha256:abc", NOT_A_DIGEST),
    Case(
        "upper-case hex is refused",
        f"GET manifests/sha256:{IMAGE.digest.hex.upper()}",
        NOT_A_DIGEST,
    ),
    Case("an unknown algorithm is refused", f"GET manifests/md5:{'0' * 32}", NOT_A_DIGEST),
    Case("an empty algorithm is refused", f"GET manifests/:{'0' * 64}", NOT_A_DIGEST),
    Case("a digest with a newline is refused", "GET manifests/{image}%0a", NOT_A_DIGEST),
    Case("HEAD of a malformed digest has no body", "HEAD manifests/sha256:abc", NOT_A_DIGEST),
    Case(
        "sha512 is known to the specification alone",
        "GET manifests/{nothing512}",
        (
            Reply(400, "DIGEST_INVALID", "Digests by sha512 are not supported by this registry"),
            NOT_FOUND,
        ),
    ),
    Case("a type that is accepted is served", "GET manifests/1", THE_IMAGE, accept(OCI_MANIFEST)),
    Case(
        "one accepted type of many is enough",
        "GET manifests/1",
        THE_IMAGE,
        accept(DOCKER_MANIFEST, f"{DOCKER_LIST}, {OCI_MANIFEST};q=0.5"),
    ),
    Case("everything is accepted", "GET manifests/1", THE_IMAGE, accept("*/*")),
    Case("everything is accepted among others", "GET manifests/1", THE_IMAGE,
         accept(DOCKER_MANIFEST, "*/*;q=0.1")),
    Case("no conversion is asked for", "GET manifests/1", THE_IMAGE, accept("application/json")),
    Case("what can't be converted is served", "GET manifests/index", THE_INDEX,
         accept(DOCKER_MANIFEST, DOCKER_LIST)),
    Case("a digest is never converted", "GET manifests/{image}", THE_IMAGE,
         accept(DOCKER_MANIFEST)),
    Case("an artifact is never converted", "GET manifests/{sbom}", THE_ARTIFACT,
         accept(DOCKER_MANIFEST)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reading(case: Case, scene: Scene) -> None:
    play(case, scene.stage, scene.names)


@pytest.mark.parametrize(("tag", "accepted"), [("1", DOCKER_MANIFEST), ("docker", OCI_MANIFEST)])
def test_ecr_converts_a_tagged_image_and_the_specification_does_not(
    scene: Scene, compatibility: str, tag: str, accepted: str
) -> None:
    stored = scene.stage.send("GET", f"manifests/{tag}")
    answer = scene.stage.send("GET", f"manifests/{tag}", accept(accepted))
    head = scene.stage.send("HEAD", f"manifests/{tag}", accept(accepted))

    assert (answer == stored) is (compatibility == "oci")
    assert (answer.headers["content-type"] == accepted) is (compatibility == "ecr")
    assert answer.headers["docker-content-digest"] == str(Digest.of(answer.body))
    assert (head.status, head.headers, head.body) == (200, answer.headers, b"")


def test_a_converted_image_refers_to_the_same_blobs(scene: Scene) -> None:
    def blobs(document: dict[str, list[dict[str, str]]]) -> list[str]:
        return [layer["digest"] for layer in document["layers"]]

    stored = scene.stage.send("GET", "manifests/1").json()
    converted = scene.stage.send("GET", "manifests/1", accept(DOCKER_MANIFEST)).json()

    assert blobs(converted) == blobs(stored)
    assert converted["config"]["digest"] == stored["config"]["digest"]
