"""PUT of manifests (OCI distribution-spec, "Pushing manifests")."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from longshore.names import Digest
from longshore.registry.media_types import (
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
)
from tests.api.oci.cases import (
    INVALID_TAG,
    Case,
    Reply,
    constraint,
    play,
    refused_parameter,
)
from tests.support.images import (
    Blob,
    artifact,
    docker_image,
    docker_list,
    layer,
    oci_image,
    oci_index,
)

if TYPE_CHECKING:
    from tests.api.oci.cases import Names, Setup
    from tests.api.stage import Stage
    from tests.support.images import Image

IMAGE = oci_image("image")
OTHER = oci_image("other")
DOCKER_IMAGE = docker_image("docker")
INDEX = oci_index([IMAGE, OTHER])
LIST = docker_list([DOCKER_IMAGE])
ZSTD = oci_image("zstd", layers=[layer("zstd", OCI_LAYER_ZSTD)])
FOREIGN = oci_image("foreign", layers=[layer("x"), layer("y", urls=["https://example.org/y"])])
LAYERLESS = oci_image("layerless", layers=[])
REFERRER = artifact("sbom", subject=IMAGE)
INDEX_REFERRER = oci_index([IMAGE], subject=OTHER)

AS_IMAGE = (("Content-Type", OCI_MANIFEST),)
AS_INDEX = (("Content-Type", OCI_INDEX),)


def created(image: Image, reference: str | None = None, **headers: str) -> Reply:
    return Reply(
        201,
        headers={
            "location": f"{{url}}/manifests/{reference or image.digest}",
            "docker-content-digest": str(image.digest),
            **headers,
        },
    )


def blobs_of(*images: Image) -> Setup:
    """Put on the stage what manifests refer to, and nothing else."""

    def setup(stage: Stage) -> Names:
        for image in images:
            for child in image.children:
                stage.push(child)
            for blob in image.blobs:
                if not blob.urls:
                    stage.push_blob(blob.content)
        return {}

    return setup


def pushed_before(stage: Stage) -> Names:
    stage.push(IMAGE, "1")
    return {}


ACCEPTED = [
    Case(
        "a manifest is pushed under a tag",
        "PUT manifests/1",
        created(IMAGE, "1"),
        AS_IMAGE,
        IMAGE.content,
        blobs_of(IMAGE),
        then=(("GET manifests/1", 200), (f"GET manifests/{IMAGE.digest}", 200)),
    ),
    Case(
        "a manifest is pushed by its digest",
        f"PUT manifests/{IMAGE.digest}",
        created(IMAGE),
        AS_IMAGE,
        IMAGE.content,
        blobs_of(IMAGE),
        then=((f"GET manifests/{IMAGE.digest}", 200),),
    ),
    Case(
        "the same push again is no error",
        "PUT manifests/1",
        created(IMAGE, "1"),
        AS_IMAGE,
        IMAGE.content,
        pushed_before,
    ),
    Case(
        "a tag moves to another image, which leaves the first without",
        "PUT manifests/1",
        created(OTHER, "1"),
        AS_IMAGE,
        OTHER.content,
        lambda stage: {**pushed_before(stage), **blobs_of(OTHER)(stage)},
        then=((f"GET manifests/{IMAGE.digest}", 200),),
    ),
    Case(
        "tags come beside a digest",
        f"PUT manifests/{IMAGE.digest}?tag=1.2&tag=1&tag=latest",
        created(IMAGE, **{"oci-tag": "1.2, 1, latest"}),
        AS_IMAGE,
        IMAGE.content,
        blobs_of(IMAGE),
        then=(("GET manifests/1.2", 200), ("GET manifests/1", 200), ("GET manifests/latest", 200)),
    ),
    Case(
        "ten tags come beside a digest",
        f"PUT manifests/{IMAGE.digest}?" + "&".join(f"tag=v{n}" for n in range(10)),
        created(IMAGE, **{"oci-tag": ", ".join(f"v{n}" for n in range(10))}),
        AS_IMAGE,
        IMAGE.content,
        blobs_of(IMAGE),
    ),
    Case(
        "parameters of the media type are ignored",
        "PUT manifests/1",
        created(IMAGE, "1"),
        (("Content-Type", f"{OCI_MANIFEST}; charset=utf-8"),),
        IMAGE.content,
        blobs_of(IMAGE),
        then=(("GET manifests/1", 200),),
    ),
    Case(
        "the document's own media type is enough",
        "PUT manifests/1",
        created(IMAGE, "1"),
        (),
        IMAGE.content,
        blobs_of(IMAGE),
    ),
    Case(
        "the header's media type is enough",
        "PUT manifests/1",
        Reply(
            201,
            headers={
                "location": "{url}/manifests/1",
                "docker-content-digest": "{digest}",
            },
        ),
        AS_IMAGE,
        lambda _: without_media_type(IMAGE),
        lambda stage: {
            **blobs_of(IMAGE)(stage),
            "digest": str(Digest.of(without_media_type(IMAGE))),
        },
    ),
    Case(
        "a body in pieces is taken",
        "PUT manifests/1",
        created(IMAGE, "1"),
        AS_IMAGE,
        [IMAGE.content[:100], IMAGE.content[100:]],
        blobs_of(IMAGE),
    ),
    Case(
        "an image of Docker's is pushed",
        "PUT manifests/1",
        created(DOCKER_IMAGE, "1"),
        (("Content-Type", DOCKER_MANIFEST),),
        DOCKER_IMAGE.content,
        blobs_of(DOCKER_IMAGE),
    ),
    Case(
        "an index is pushed",
        "PUT manifests/1",
        created(INDEX, "1"),
        AS_INDEX,
        INDEX.content,
        blobs_of(INDEX),
    ),
    Case(
        "a list of Docker's is pushed",
        "PUT manifests/1",
        created(LIST, "1"),
        (("Content-Type", LIST.media_type),),
        LIST.content,
        blobs_of(LIST),
    ),
    Case(
        "zstd layers are taken",
        "PUT manifests/1",
        created(ZSTD, "1"),
        AS_IMAGE,
        ZSTD.content,
        blobs_of(ZSTD),
    ),
    Case(
        "foreign layers need not be pushed",
        "PUT manifests/1",
        created(FOREIGN, "1"),
        AS_IMAGE,
        FOREIGN.content,
        blobs_of(FOREIGN),
    ),
    Case(
        "a subject is told back, pushed or not",
        "PUT manifests/1",
        created(REFERRER, "1", **{"oci-subject": str(IMAGE.digest)}),
        AS_IMAGE,
        REFERRER.content,
        blobs_of(REFERRER),
    ),
    Case(
        "the subject of an index is told back",
        f"PUT manifests/{INDEX_REFERRER.digest}",
        created(INDEX_REFERRER, **{"oci-subject": str(OTHER.digest)}),
        AS_INDEX,
        INDEX_REFERRER.content,
        blobs_of(INDEX_REFERRER),
    ),
    Case(
        "a tag of 128 characters is taken",
        f"PUT manifests/{'a' * 128}",
        created(IMAGE, "a" * 128),
        AS_IMAGE,
        IMAGE.content,
        blobs_of(IMAGE),
    ),
]


@pytest.mark.parametrize("case", ACCEPTED, ids=str)
def test_accepted(case: Case, stage: Stage) -> None:
    play(case, stage, case.setup(stage) if case.setup else {})


def without_media_type(image: Image, **changes: object) -> bytes:
    document = json.loads(image.content)
    del document["mediaType"]
    return json.dumps(document | changes).encode()


def changed(image: Image, **changes: object) -> bytes:
    return json.dumps(json.loads(image.content) | changes).encode()


def invalid(reason: str, sentence: str = "Invalid JSON syntax") -> tuple[Reply, Reply]:
    """Return how a document is refused that isn't a manifest: to the specification, with why."""
    message = constraint("ImageManifest", sentence)
    return (
        Reply(405, "UNSUPPORTED", message),
        Reply(400, "MANIFEST_INVALID", f"{message}: {reason}"),
    )


def refusal(
    description: str,
    body: bytes,
    reply: Reply | tuple[Reply, Reply],
    *,
    headers: tuple[tuple[str, str], ...] = AS_IMAGE,
    path: str = "manifests/1",
) -> Case:
    return Case(description, f"PUT {path}", reply, headers, body)


MANY_TAGS = "&".join(f"tag=v{number}" for number in range(11))

REFUSED = [
    refusal(
        "an empty body",
        b"",
        invalid("the document isn't JSON: Expecting value at line 1, column 1"),
    ),
    refusal(
        "no JSON",
        b"{",
        invalid(
            "the document isn't JSON: Expecting property name enclosed in double quotes "
            "at line 1, column 2"
        ),
    ),
    refusal("no object", b"[]", invalid("the document isn't an object")),
    refusal("no UTF-8", b'{"a": "\xff"}', invalid("the document isn't UTF-8 at byte 7")),
    refusal("nothing but braces", b"{}", invalid("schemaVersion is missing")),
    refusal(
        "a member that stands twice",
        IMAGE.content.replace(b'"schemaVersion": 2,', b'"schemaVersion": 2, "schemaVersion": 2,'),
        invalid("the member 'schemaVersion' stands twice in one object"),
    ),
    refusal(
        "a document nested too deeply",
        changed(IMAGE, x=json.loads("[" * 40 + "]" * 40)),
        invalid("the document nests deeper than 32 levels"),
    ),
    refusal(
        "a document that is an image and an index",
        changed(IMAGE, manifests=[]),
        invalid("the document holds both 'manifests' and 'layers'"),
    ),
    refusal(
        "a media type that contradicts the document's",
        IMAGE.content,
        invalid(
            f"the document says that it is '{OCI_MANIFEST}', and the request says '{OCI_INDEX}'"
        ),
        headers=AS_INDEX,
    ),
    refusal(
        "no media type anywhere",
        without_media_type(IMAGE),
        invalid("neither the document nor the request says its media type"),
        headers=(),
    ),
    refusal(
        "a media type of something else",
        changed(IMAGE, mediaType="text/plain"),
        invalid("'text/plain' isn't the media type of a manifest"),
        headers=(),
    ),
    refusal(
        "schema 1",
        json.dumps({"schemaVersion": 1, "name": "a", "fsLayers": []}).encode(),
        invalid("schema 1 manifests are no longer supported; push with Docker 1.10 or newer"),
        headers=(("Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws"),),
    ),
    refusal(
        "a digest that is none",
        changed(IMAGE, config={"mediaType": OCI_CONFIG, "digest": "sha256:../..", "size": 1}),
        invalid("config.digest is not a digest: 'sha256:../..'"),
    ),
    refusal(
        "an empty config without an artifact type",
        changed(IMAGE, config={**IMAGE.blobs[0].descriptor, "mediaType": OCI_EMPTY}),
        invalid("artifactType is missing, which an empty config needs"),
    ),
    refusal(
        "layers that nobody pushed",
        OTHER.content,
        (
            Reply(
                404,
                "BLOB_UPLOAD_UNKNOWN",
                f"Layers with digests '[{', '.join(str(blob.digest) for blob in OTHER.blobs)}]' "
                "required for pushing image into repository with name '{name}' in the registry "
                "with id '000000000000' do not exist",
            ),
            Reply(404, "MANIFEST_BLOB_UNKNOWN"),
        ),
    ),
    refusal(
        "a digest of other bytes",
        IMAGE.content,
        Reply(
            400,
            "DIGEST_INVALID",
            f"The specified image digest '{OTHER.digest}' does not match the digest that "
            f"Amazon ECR calculated for the image: '{IMAGE.digest}'",
        ),
        path=f"manifests/{OTHER.digest}",
    ),
    refusal(
        "a digest of an unknown algorithm",
        IMAGE.content,
        Reply(400, "DIGEST_INVALID"),
        path=f"manifests/md5:{'0' * 32}",
    ),
    refusal("a tag too long", IMAGE.content, INVALID_TAG, path=f"manifests/{'a' * 129}"),
    refusal("a tag that begins with a dot", IMAGE.content, INVALID_TAG, path="manifests/.a"),
    refusal("a tag with an encoded slash", IMAGE.content, INVALID_TAG, path="manifests/a%2fb"),
    refusal("a tag with an encoded newline", IMAGE.content, INVALID_TAG, path="manifests/a%0a"),
    refusal(
        "a tag with letters of other scripts", IMAGE.content, INVALID_TAG, path="manifests/%C3%A9"
    ),
    refusal(
        "a tag beside the digest that is none",
        IMAGE.content,
        INVALID_TAG,
        path=f"manifests/{IMAGE.digest}?tag=good&tag=-bad",
    ),
    refusal(
        "more than ten tags beside the digest",
        IMAGE.content,
        refused_parameter("A manifest may be pushed with at most 10 tags"),
        path=f"manifests/{IMAGE.digest}?{MANY_TAGS}",
    ),
    refusal(
        "an unknown repository",
        IMAGE.content,
        Reply(404, "NAME_UNKNOWN"),
        path="/v2/no/such/manifests/1",
    ),
]


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_refused(case: Case, stage: Stage) -> None:
    play(case, stage, case.setup(stage) if case.setup else {})


# What only one of the dialects takes.
DIFFERENCES = [
    Case(
        "an index may come before its images, says the specification",
        "PUT manifests/1",
        (
            Reply(
                400,
                "MANIFEST_BLOB_UNKNOWN",
                f"Images with digests '[{IMAGE.digest}, {OTHER.digest}]' required for pushing "
                "image into repository with name '{name}' in the registry with id "
                "'000000000000' do not exist",
            ),
            created(INDEX, "1"),
        ),
        AS_INDEX,
        INDEX.content,
        then=(("GET manifests/1", (404, 200)),),
    ),
    Case(
        "an image may have no layers, says the specification",
        "PUT manifests/1",
        (
            Reply(
                405,
                "UNSUPPORTED",
                constraint("ImageManifest", "Image has to have at least 1 layer"),
            ),
            created(LAYERLESS, "1"),
        ),
        AS_IMAGE,
        LAYERLESS.content,
        blobs_of(LAYERLESS),
    ),
    Case(
        "a manifest may be known by its sha512, says the specification",
        f"PUT manifests/{Digest.of(IMAGE.content, 'sha512')}",
        (
            Reply(400, "DIGEST_INVALID", "Digests by sha512 are not supported by this registry"),
            Reply(
                201,
                headers={
                    "location": f"{{url}}/manifests/{Digest.of(IMAGE.content, 'sha512')}",
                    "docker-content-digest": str(Digest.of(IMAGE.content, "sha512")),
                },
            ),
        ),
        AS_IMAGE,
        IMAGE.content,
        blobs_of(IMAGE),
        then=((f"GET manifests/{Digest.of(IMAGE.content, 'sha512')}", (400, 200)),),
    ),
]


@pytest.mark.parametrize("case", DIFFERENCES, ids=str)
def test_differences(case: Case, stage: Stage) -> None:
    play(case, stage, case.setup(stage) if case.setup else {})


def test_the_bytes_of_a_manifest_are_kept_as_they_are(stage: Stage) -> None:
    config, only = Blob(b"a config", OCI_CONFIG), layer("a layer")
    for blob in (config, only):
        stage.push_blob(blob.content)
    content = (
        b'\n{ "layers":[' + json.dumps(only.descriptor).encode() + b'],\t"unknown": 1.0e2, '
        b'"config":' + json.dumps(config.descriptor).encode() + b', "schemaVersion":2 }\n\n'
    )

    answer = stage.send("PUT", "manifests/1", AS_IMAGE, content)
    assert answer.headers["docker-content-digest"] == str(Digest.of(content))
    assert stage.send("GET", "manifests/1").body == content


def test_an_immutable_tag_is_not_moved_and_the_same_push_is_no_error(stage: Stage) -> None:
    stage.push(IMAGE, "1")
    blobs_of(OTHER)(stage)
    stage.server.ecr.put_image_tag_mutability(
        repositoryName=stage.name, imageTagMutability="IMMUTABLE"
    )
    refused = Case(
        "an immutable tag",
        "PUT manifests/1",
        Reply(
            400,
            "TAG_INVALID",
            "The image tag '1' already exists in the '{name}' repository and cannot be "
            "overwritten because the tag is immutable.",
        ),
        AS_IMAGE,
        OTHER.content,
        then=((f"GET manifests/{OTHER.digest}", 404),),
    )

    play(refused, stage, {})
    assert stage.put(IMAGE, "1").status == 201
    assert stage.put(OTHER, "2").status == 201
