from __future__ import annotations

import dataclasses
import json

import pytest

from longshore.names import Digest
from longshore.registry.manifest_conversion import convert
from longshore.registry.manifests import ECR_RULES, OCI_RULES, Descriptor, Manifest, parse
from longshore.registry.media_types import (
    DOCKER_CONFIG,
    DOCKER_FOREIGN_LAYER,
    DOCKER_FOREIGN_LAYER_GZIP,
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_FOREIGN_LAYER,
    OCI_FOREIGN_LAYER_GZIP,
    OCI_FOREIGN_LAYER_ZSTD,
    OCI_INDEX,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
)

URLS = ("https://example.com/layer",)


def blob(number: int, media_type: str, urls: tuple[str, ...] = ()) -> Descriptor:
    return Descriptor(media_type, Digest("sha256", f"{number:064x}"), number * 10, urls)


DOCKER_IMAGE = Manifest(
    media_type=DOCKER_MANIFEST,
    digest=Digest.of(b"as stored"),
    config=blob(1, DOCKER_CONFIG),
    layers=(
        blob(2, DOCKER_LAYER_GZIP),
        blob(3, DOCKER_LAYER),
        blob(4, DOCKER_FOREIGN_LAYER_GZIP, URLS),
        blob(5, DOCKER_FOREIGN_LAYER),
        blob(2, DOCKER_LAYER_GZIP),
    ),
    artifact_type=DOCKER_CONFIG,
)
OCI_IMAGE = Manifest(
    media_type=OCI_MANIFEST,
    digest=Digest.of(b"as stored"),
    config=blob(1, OCI_CONFIG),
    layers=(
        blob(2, OCI_LAYER_GZIP),
        blob(3, OCI_LAYER),
        blob(4, OCI_FOREIGN_LAYER_GZIP, URLS),
        blob(5, OCI_FOREIGN_LAYER),
        blob(2, OCI_LAYER_GZIP),
    ),
    artifact_type=OCI_CONFIG,
)


def converted(manifest: Manifest, media_type: str) -> tuple[bytes, Manifest]:
    result = convert(manifest, [media_type])
    assert result is not None
    content, its_type = result
    assert its_type == media_type
    return content, parse(content, its_type, ECR_RULES)


@pytest.mark.parametrize(
    ("stored", "other"), [(DOCKER_IMAGE, OCI_IMAGE), (OCI_IMAGE, DOCKER_IMAGE)]
)
def test_an_image_becomes_the_same_image_in_the_other_format(stored, other):
    content, manifest = converted(stored, other.media_type)

    assert manifest == dataclasses.replace(other, digest=Digest.of(content))
    assert manifest.size == stored.size
    assert manifest.required_layers == stored.required_layers


@pytest.mark.parametrize(
    ("stored", "other"), [(DOCKER_IMAGE, OCI_IMAGE), (OCI_IMAGE, DOCKER_IMAGE)]
)
def test_there_and_back_is_where_it_began(stored, other):
    there, manifest = converted(stored, other.media_type)
    back, again = converted(manifest, stored.media_type)

    assert again == dataclasses.replace(stored, digest=Digest.of(back))
    assert converted(again, other.media_type)[0] == there


def test_the_bytes_are_always_the_same():
    plain = dataclasses.replace(DOCKER_IMAGE, layers=(blob(4, DOCKER_FOREIGN_LAYER, URLS),))

    content, _ = converted(plain, OCI_MANIFEST)

    assert content == (
        b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",'
        b'"config":{"mediaType":"application/vnd.oci.image.config.v1+json",'
        b'"digest":"sha256:%064x","size":10},'
        b'"layers":[{"mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar",'
        b'"digest":"sha256:%064x","size":40,"urls":["https://example.com/layer"]}]}' % (1, 4)
    )


def test_what_docker_cannot_say_is_left_out():
    annotated = dataclasses.replace(OCI_IMAGE, annotations={"a": "b"})

    assert convert(annotated, [DOCKER_MANIFEST]) == convert(OCI_IMAGE, [DOCKER_MANIFEST])
    assert b"annotations" not in converted(annotated, DOCKER_MANIFEST)[0]


@pytest.mark.parametrize(
    "accepted",
    [
        [DOCKER_MANIFEST.upper()],
        [f"{DOCKER_MANIFEST}; q=0.9"],
        [OCI_INDEX, DOCKER_LIST, "text/plain", DOCKER_MANIFEST],
        (DOCKER_MANIFEST,),
        frozenset({DOCKER_MANIFEST}),
    ],
)
def test_a_format_is_accepted_however_it_is_written(accepted):
    assert convert(OCI_IMAGE, accepted) == convert(OCI_IMAGE, [DOCKER_MANIFEST])


@pytest.mark.parametrize(
    "accepted",
    [
        [],
        [OCI_MANIFEST],
        [DOCKER_MANIFEST, f"{OCI_MANIFEST.upper()};q=0.1"],
        ["*/*", DOCKER_MANIFEST],
        ["application/*;q=0.5", DOCKER_MANIFEST],
        ["application/json", DOCKER_LIST],
        ["application/vnd.docker.distribution.manifest.v1+prettyjws"],
    ],
)
def test_what_is_accepted_as_it_is_or_not_in_the_other_format_stays_as_it_is(accepted):
    assert convert(OCI_IMAGE, accepted) is None


def image_with(layer_type: str) -> Manifest:
    return dataclasses.replace(OCI_IMAGE, layers=(blob(2, layer_type),))


@pytest.mark.parametrize(
    "manifest",
    [
        Manifest(OCI_INDEX, Digest.of(b""), children=(blob(2, OCI_MANIFEST),)),
        dataclasses.replace(OCI_IMAGE, subject=blob(9, OCI_MANIFEST)),
        dataclasses.replace(OCI_IMAGE, artifact_type="application/vnd.example.sbom"),
        dataclasses.replace(
            OCI_IMAGE, config=blob(1, OCI_EMPTY), artifact_type="application/vnd.example.sbom"
        ),
        dataclasses.replace(OCI_IMAGE, config=blob(1, OCI_LAYER), artifact_type=OCI_LAYER),
        dataclasses.replace(
            OCI_IMAGE,
            config=blob(1, "application/vnd.cncf.helm.config.v1+json"),
            artifact_type="application/vnd.cncf.helm.config.v1+json",
        ),
        dataclasses.replace(OCI_IMAGE, config=blob(1, DOCKER_CONFIG), artifact_type=DOCKER_CONFIG),
        image_with(OCI_LAYER_ZSTD),
        image_with(OCI_FOREIGN_LAYER_ZSTD),
        image_with(OCI_CONFIG),
        image_with(DOCKER_LAYER_GZIP),
        image_with("application/vnd.in-toto+json"),
    ],
)
def test_what_is_no_plain_image_stays_as_it_is(manifest):
    assert convert(manifest, [DOCKER_MANIFEST]) is None


def test_a_docker_plugin_stays_as_it_is():
    plugin = "application/vnd.docker.plugin.v1+json"
    manifest = dataclasses.replace(DOCKER_IMAGE, config=blob(1, plugin), artifact_type=plugin)

    assert convert(manifest, [OCI_MANIFEST]) is None


def test_an_image_as_it_was_pushed_is_converted():
    pushed = json.dumps(
        {
            "layers": [
                {
                    "size": 3,
                    "digest": f"sha512:{2:0128x}",
                    "mediaType": OCI_LAYER_GZIP,
                    "annotations": {"a": "b"},
                    "data": "aGV5",
                }
            ],
            "config": {"digest": f"sha256:{1:064x}", "size": 2, "mediaType": OCI_CONFIG},
            "mediaType": OCI_MANIFEST,
            "schemaVersion": 2,
            "org.example": True,
        }
    ).encode()

    result = convert(parse(pushed, None, OCI_RULES), [DOCKER_MANIFEST])

    assert result is not None
    assert json.loads(result[0]) == {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {"mediaType": DOCKER_CONFIG, "digest": f"sha256:{1:064x}", "size": 2},
        "layers": [{"mediaType": DOCKER_LAYER_GZIP, "digest": f"sha512:{2:0128x}", "size": 3}],
    }
