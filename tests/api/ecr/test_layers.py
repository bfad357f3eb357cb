"""Layers through boto3, up and down."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING, Any

from longshore.names import Digest
from longshore.registry.media_types import OCI_CONFIG, OCI_LAYER_GZIP
from tests.api.ecr.refusals import body, refusal
from tests.api.stage import Stage
from tests.support.images import oci_image

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

ACCOUNT = "000000000000"
MIB = 1024 * 1024
IMAGE = oci_image("of layers")
NOTHING = "sha256:" + "0" * 64


def upload(ecr: ECRClient, repository: str, *parts: bytes) -> str:
    """Upload parts and return the upload's id."""
    started = body(ecr.initiate_layer_upload(repositoryName=repository))
    assert started == {"uploadId": started["uploadId"], "partSize": 10 * MIB}
    first = 0
    for part in parts:
        last = first + len(part) - 1
        answer = ecr.upload_layer_part(
            repositoryName=repository,
            uploadId=started["uploadId"],
            partFirstByte=first,
            partLastByte=last,
            layerPartBlob=part,
        )
        assert body(answer) == {
            "registryId": ACCOUNT,
            "repositoryName": repository,
            "uploadId": started["uploadId"],
            "lastByteReceived": last,
        }
        first = last + 1
    return str(started["uploadId"])


def test_a_layer_of_one_part(stage: Stage) -> None:
    ecr, content = stage.server.ecr, b"a layer"
    digest = str(Digest.of(content))
    upload_id = upload(ecr, stage.name, content)

    completed = ecr.complete_layer_upload(
        repositoryName=stage.name, uploadId=upload_id, layerDigests=[digest]
    )

    assert body(completed) == {
        "registryId": ACCOUNT,
        "repositoryName": stage.name,
        "uploadId": upload_id,
        "layerDigest": digest,
    }
    assert stage.send("GET", f"blobs/{digest}").body == content
    with refusal(
        "UploadNotFoundException",
        f"The upload with id '{upload_id}' does not exist in the repository with name "
        f"'{stage.name}' in the registry with id '{ACCOUNT}'",
    ):
        ecr.complete_layer_upload(
            repositoryName=stage.name, uploadId=upload_id, layerDigests=[digest]
        )


def test_a_layer_of_the_largest_and_the_smallest_parts(stage: Stage) -> None:
    """20 MiB fit into a request; every part but the last has at least 5 MiB."""
    ecr = stage.server.ecr
    parts = [b"a" * (20 * MIB), b"b" * (5 * MIB), b"c"]
    digest = str(Digest.of(b"".join(parts)))
    upload_id = upload(ecr, stage.name, *parts)

    completed = ecr.complete_layer_upload(
        repositoryName=stage.name, uploadId=upload_id, layerDigests=[digest]
    )

    assert completed["layerDigest"] == digest


def test_the_one_digest_that_counts_is_found_among_others(stage: Stage) -> None:
    ecr, content = stage.server.ecr, b"a layer known by many names"
    digest = str(Digest.of(content))
    others = ["md5:00", str(Digest.of(content, "sha512")), "tarsum.v1+sha256:ab"]
    upload_id = upload(ecr, stage.name, content)

    completed = ecr.complete_layer_upload(
        repositoryName=stage.name, uploadId=upload_id, layerDigests=[*others, digest]
    )

    assert completed["layerDigest"] == digest


def test_after_a_wrong_digest_the_upload_goes_on(stage: Stage) -> None:
    ecr, content = stage.server.ecr, b"a layer"
    upload_id = upload(ecr, stage.name, content)
    with refusal(
        "InvalidLayerException",
        f"The bytes that were uploaded have the digest '{Digest.of(content)}', not the one given",
    ):
        ecr.complete_layer_upload(
            repositoryName=stage.name, uploadId=upload_id, layerDigests=[NOTHING]
        )

    completed = ecr.complete_layer_upload(
        repositoryName=stage.name, uploadId=upload_id, layerDigests=[str(Digest.of(content))]
    )

    assert completed["layerDigest"] == str(Digest.of(content))


def test_a_layer_that_is_there_already_ends_the_upload(stage: Stage) -> None:
    ecr, content = stage.server.ecr, b"twice"
    digest = stage.push_blob(content)
    upload_id = upload(ecr, stage.name, content)
    with refusal(
        "LayerAlreadyExistsException",
        f"Layer with digest '{digest}' already exists in the repository with name "
        f"'{stage.name}' in the registry with id '{ACCOUNT}'",
    ):
        ecr.complete_layer_upload(
            repositoryName=stage.name, uploadId=upload_id, layerDigests=[digest]
        )

    assert stage.send("GET", f"blobs/uploads/{upload_id}").status == 404


def test_layers_are_checked(stage: Stage) -> None:
    """Each digest has its own answer, in the order asked, and an odd one is no failure of all."""
    stage.push(IMAGE, "1")
    loose, foreign = stage.push_blob(b"loose"), Stage.build(stage.server).push_blob(b"elsewhere")
    config, layer, _ = IMAGE.blobs
    sha512 = str(Digest.of(b"loose", "sha512"))
    asked = [
        str(layer.digest), str(config.digest), loose, foreign, NOTHING, sha512, "md5:ABC", loose,
        "nonsense", "",
    ]  # fmt: skip

    answer = body(
        stage.server.ecr.batch_check_layer_availability(
            repositoryName=stage.name, layerDigests=asked
        )
    )

    def available(digest: str, size: int, **more: str) -> dict[str, Any]:
        return {
            "layerDigest": digest,
            "layerAvailability": "AVAILABLE",
            "layerSize": size,
            **more,
        }

    def unavailable(digest: str) -> dict[str, Any]:
        return {"layerDigest": digest, "layerAvailability": "UNAVAILABLE"}

    assert answer == {
        "layers": [
            available(asked[0], len(layer.content), mediaType=OCI_LAYER_GZIP),
            available(asked[1], len(config.content), mediaType=OCI_CONFIG),
            available(loose, 5),
            unavailable(foreign),
            unavailable(NOTHING),
            unavailable(sha512),
            unavailable("md5:ABC"),
        ],
        "failures": [
            {
                "layerDigest": "nonsense",
                "failureCode": "InvalidLayerDigest",
                "failureReason": "Invalid request parameters: layer digest should satisfy the "
                "regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
            },
            {
                "layerDigest": "",
                "failureCode": "MissingLayerDigest",
                "failureReason": "Invalid request parameters: layer digest cannot be empty",
            },
        ],
    }


def test_a_download_url_needs_no_credentials(stage: Stage) -> None:
    stage.push(IMAGE, "1")
    digest = str(IMAGE.blobs[1].digest)

    answer = body(
        stage.server.ecr.get_download_url_for_layer(repositoryName=stage.name, layerDigest=digest)
    )

    assert answer.keys() == {"downloadUrl", "layerDigest"}
    assert answer["layerDigest"] == digest
    assert answer["downloadUrl"].startswith(f"{stage.server.url}/layers/")
    with urllib.request.urlopen(answer["downloadUrl"]) as response:  # noqa: S310 - it is http
        assert response.read() == IMAGE.blobs[1].content
